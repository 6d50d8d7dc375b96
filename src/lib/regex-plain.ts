/**
 * Patterns plain enough for the JavaScript engine, which backtracks: from one starting place its work is linear in the text. Every
 * repetition is of one character class whose characters cannot begin what follows (or nothing that follows can fail), so giving back
 * characters fails at once, and what is repeated holds no choice. Over all starting places that is quadratic, so the caller bounds the
 * text. Such a pattern finds what RE2 finds: both prefer the leftmost match and in it the earlier alternative and the longer repetition.
 */
export interface PlainPattern {
  readonly regex: RegExp;
  /** A text that every match holds; empty when none is known. */
  readonly needle: string;
  readonly tree: PlainNode;
  /** Characters that a match may begin with. */
  readonly first: Ranges;
}

export type Ranges = readonly (readonly [from: number, to: number])[];
export type PlainNode =
  | { readonly kind: 'set'; readonly set: Ranges; readonly literal: string | null }
  | { readonly kind: 'repeat'; readonly of: Ranges; readonly min: number; readonly max: number }
  | { readonly kind: 'sequence'; readonly items: readonly PlainNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PlainNode[] }
  | { readonly kind: 'group'; readonly of: PlainNode; readonly captures: boolean }
  | { readonly kind: 'begin' | 'end' };

const ANY: Ranges = [[0, 0x10ffff]];
const CLASSES: Readonly<Record<string, Ranges>> = {
  d: [[48, 57]],
  w: [
    [48, 57],
    [65, 90],
    [95, 95],
    [97, 122],
  ],
  s: [
    [9, 10],
    [12, 13],
    [32, 32],
  ],
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11 };
/** Choices multiply what is tried from one place. */
const MOST_CHOICES = 8;
const MOST_REPEATS = 1000;

/** Undefined for a pattern that is not plain; whether it is one at all is RE2's to say. */
export function plainPattern(source: string): PlainPattern | undefined {
  try {
    const tree = new Parser(source).parse();
    const { first } = check(tree, { first: [], free: true });
    if (isNullable(tree)) return undefined;
    return { regex: new RegExp(write(tree), 'gsu'), needle: needleOf(tree), tree, first };
  } catch (thrown) {
    if (thrown === NOT_PLAIN) return undefined;
    throw thrown;
  }
}

const NOT_PLAIN = Symbol('not plain');

class Parser {
  readonly #chars: readonly string[];
  #at = 0;
  #choices = 0;

  constructor(source: string) {
    this.#chars = Array.from(source);
  }

  parse(): PlainNode {
    const tree = this.#choice();
    if (this.#at < this.#chars.length) throw NOT_PLAIN;
    return tree;
  }

  #take(char: string): boolean {
    if (this.#chars[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    if (this.#at >= this.#chars.length) throw NOT_PLAIN;
    return this.#chars[this.#at++];
  }

  #choose(): void {
    if (++this.#choices > MOST_CHOICES) throw NOT_PLAIN;
  }

  #choice(): PlainNode {
    const options = [this.#sequence()];
    while (this.#take('|')) {
      this.#choose();
      options.push(this.#sequence());
    }
    return options.length === 1 ? options[0] : { kind: 'choice', options };
  }

  #sequence(): PlainNode {
    const items: PlainNode[] = [];
    while (this.#at < this.#chars.length && !'|)'.includes(this.#chars[this.#at])) items.push(this.#item());
    return { kind: 'sequence', items };
  }

  #item(): PlainNode {
    const atom = this.#atom();
    const [min, max] = this.#quantifier();
    if (min === 1 && max === 1) return atom;
    if (atom.kind === 'set') return { kind: 'repeat', of: atom.set, min, max };
    if (atom.kind !== 'group' || min !== 0 || max !== 1) throw NOT_PLAIN;
    // JavaScript lets an empty part of a repetition count as none, RE2 as one.
    if (isNullable(atom)) throw NOT_PLAIN;
    this.#choose();
    return { kind: 'choice', options: [atom, { kind: 'sequence', items: [] }] };
  }

  #quantifier(): [min: number, max: number] {
    let bounds: [number, number] = [1, 1];
    if (this.#take('*')) bounds = [0, Number.POSITIVE_INFINITY];
    else if (this.#take('+')) bounds = [1, Number.POSITIVE_INFINITY];
    else if (this.#take('?')) bounds = [0, 1];
    else if (this.#chars[this.#at] === '{') {
      const close = this.#chars.indexOf('}', this.#at);
      const found = /^\{(\d{1,4})(,(\d{0,4}))?\}$/.exec(this.#chars.slice(this.#at, close + 1).join(''));
      if (found === null) throw NOT_PLAIN;
      this.#at = close + 1;
      const min = Number(found[1]);
      const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3]);
      if (max < min || min > MOST_REPEATS || (max > MOST_REPEATS && max !== Number.POSITIVE_INFINITY)) throw NOT_PLAIN;
      bounds = [min, max];
    } else return bounds;
    // Reluctant, possessive, and repetitions of repetitions.
    if ('*+?{'.includes(this.#chars[this.#at] ?? ' ')) throw NOT_PLAIN;
    return bounds;
  }

  #atom(): PlainNode {
    const char = this.#next();
    switch (char) {
      case '.':
        return { kind: 'set', set: ANY, literal: null };
      case '^':
        return { kind: 'begin' };
      case '$':
        return { kind: 'end' };
      case '[':
        return { kind: 'set', set: this.#class(), literal: null };
      case '\\':
        return this.#escape();
      case '(': {
        const captures = !this.#take('?');
        if (!captures && !this.#take(':')) throw NOT_PLAIN;
        const of = this.#choice();
        if (!this.#take(')')) throw NOT_PLAIN;
        return { kind: 'group', of, captures };
      }
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        throw NOT_PLAIN;
      default:
        return literal(char);
    }
  }

  #escape(): PlainNode {
    const char = this.#next();
    const set = CLASSES[char] ?? (CLASSES[char.toLowerCase()] && negated(CLASSES[char.toLowerCase()]));
    if (set !== undefined) return { kind: 'set', set, literal: null };
    if (CONTROLS[char] !== undefined) return literal(String.fromCharCode(CONTROLS[char]));
    if (!/^[!-/:-@[-`{-~]$/.test(char)) throw NOT_PLAIN;
    return literal(char);
  }

  #class(): Ranges {
    const negate = this.#take('^');
    const found: [number, number][] = [];
    if (this.#chars[this.#at] === ']') throw NOT_PLAIN;
    while (!this.#take(']')) {
      const from = this.#member();
      if (typeof from !== 'number') {
        found.push(...from.map(([a, b]): [number, number] => [a, b]));
        continue;
      }
      if (this.#chars[this.#at] !== '-' || this.#chars[this.#at + 1] === ']') {
        found.push([from, from]);
        continue;
      }
      this.#at++;
      const to = this.#member();
      if (typeof to !== 'number' || to < from) throw NOT_PLAIN;
      found.push([from, to]);
    }
    const set = merged(found);
    return negate ? negated(set) : set;
  }

  #member(): number | Ranges {
    const char = this.#next();
    if (char === '[') throw NOT_PLAIN;
    if (char !== '\\') return char.codePointAt(0) as number;
    const escaped = this.#escape();
    if (escaped.kind !== 'set') throw NOT_PLAIN;
    return escaped.literal === null ? escaped.set : (escaped.literal.codePointAt(0) as number);
  }
}

function literal(char: string): PlainNode {
  const code = char.codePointAt(0) as number;
  if (code >= 0xd800 && code <= 0xdfff) throw NOT_PLAIN;
  return { kind: 'set', set: [[code, code]], literal: char };
}

function merged(ranges: readonly (readonly [number, number])[]): Ranges {
  const out: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

function negated(ranges: Ranges): Ranges {
  const out: [number, number][] = [];
  let from = 0;
  for (const [a, b] of ranges) {
    if (a > from) out.push([from, a - 1]);
    from = b + 1;
  }
  if (from <= 0x10ffff) out.push([from, 0x10ffff]);
  return out;
}

const meet = (a: Ranges, b: Ranges): boolean => a.some(([f, t]) => b.some(([from, to]) => f <= to && from <= t));

/** What comes after a place: the characters it may begin with, and whether it matches whatever comes. */
interface Rest {
  readonly first: Ranges;
  readonly free: boolean;
}

/** What comes from this node on, given what comes after it. Throws NOT_PLAIN where giving back could be more than one failing look. */
function check(node: PlainNode, rest: Rest): Rest {
  switch (node.kind) {
    case 'set':
      return { first: node.set, free: false };
    case 'begin':
      return { first: rest.first, free: false };
    case 'end':
      return { first: [], free: false };
    case 'repeat': {
      if (node.max > node.min && !rest.free && meet(node.of, rest.first)) throw NOT_PLAIN;
      return node.min > 0
        ? { first: node.of, free: false }
        : { first: merged([...node.of, ...rest.first]), free: rest.free };
    }
    case 'group':
      return check(node.of, rest);
    case 'choice': {
      const all = node.options.map((option) => check(option, rest));
      return { first: merged(all.flatMap(({ first }) => first)), free: all.some(({ free }) => free) };
    }
    case 'sequence':
      return node.items.reduceRight((after, item) => check(item, after), rest);
  }
}

function isNullable(node: PlainNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'repeat':
      return node.min === 0;
    case 'begin':
    case 'end':
      return true;
    case 'group':
      return isNullable(node.of);
    case 'choice':
      return node.options.some(isNullable);
    case 'sequence':
      return node.items.every(isNullable);
  }
}

/** The longest run of characters that stands in every match. */
function needleOf(node: PlainNode): string {
  if (node.kind === 'group') return needleOf(node.of);
  if (node.kind === 'set') return node.literal ?? '';
  if (node.kind !== 'sequence') return '';
  let best = '';
  let run = '';
  for (const item of node.items) {
    if (item.kind === 'set' && item.literal !== null) run += item.literal;
    else {
      const inner = needleOf(item);
      if (inner.length > best.length) best = inner;
      run = '';
    }
    if (run.length > best.length) best = run;
  }
  return best;
}

const hex = (code: number): string => `\\u{${code.toString(16)}}`;
const writeSet = (set: Ranges): string =>
  set === ANY ? '.' : `[${set.map(([from, to]) => (from === to ? hex(from) : `${hex(from)}-${hex(to)}`)).join('')}]`;

function write(node: PlainNode): string {
  switch (node.kind) {
    case 'set':
      return writeSet(node.set);
    case 'repeat':
      return `${writeSet(node.of)}{${node.min},${node.max === Number.POSITIVE_INFINITY ? '' : node.max}}`;
    case 'begin':
      return '^';
    case 'end':
      return '$';
    case 'group':
      return `(${node.captures ? '' : '?:'}${write(node.of)})`;
    case 'choice':
      return `(?:${node.options.map(write).join('|')})`;
    case 'sequence':
      return node.items.map(write).join('');
  }
}
