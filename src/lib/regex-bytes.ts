import { bytesFinder } from './bytes.ts';
import type { PlainNode, PlainPattern, Ranges } from './regex-plain.ts';

/**
 * The first match of a plain pattern in UTF-8 bytes, found without making a string of them, by a function that is generated for the pattern. As
 * regex-plain.ts says of such patterns, a repetition never has to give back, so each step either goes on from one place or fails.
 */
export interface ByteSearch {
  /** Where groups lie after a match, group 0 being all of it; −1 for one that took no part. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Whether there is a match in `b[start..end)`. Its time grows with the square of the length, which the caller bounds. */
  find(b: Uint8Array, start: number, end: number): boolean;
}

/** What follows a choice is written once for each option; a pattern that grows beyond this is left to strings. */
const MOST_SOURCE = 20_000;

/** Undefined when a class holds some characters beyond ASCII and not all of them, or the code would be long. */
export function byteSearch({ tree, first, needle }: PlainPattern): ByteSearch | undefined {
  const begins = (tableOf(first) ?? new Uint8Array(256).fill(1)).slice();
  // No match begins within a character.
  begins.fill(0, 0x80, 0xc0);
  const writer = new Writer();
  try {
    const steps = writer.step(tree, 'p0', (p) => writer.found(p));
    const starts = new Int32Array(writer.groups + 1);
    const ends = new Int32Array(writer.groups + 1);
    const findNeedle = needle === '' ? null : bytesFinder(Buffer.from(needle));
    const reach = reachBefore(tree, needle);
    const source = `'use strict';
return function find(b, start, end) {
  let p0 = start;
  ${needle === '' ? '' : `const at = findNeedle(b, start, end);\nif (at < 0) return false;`}
  ${needle === '' || reach === Number.POSITIVE_INFINITY ? '' : `if (at - ${reach} > p0) p0 = at - ${reach};`}
  ${writer.groupVariables()}
  for (; p0 < end; p0++) {
    if (begins[b[p0]] === 0) continue;
    ${steps}
  }
  return false;
};`;
    const { tables } = writer;
    const make = new Function('findNeedle', 'begins', 'tables', 'starts', 'ends', `${writer.prologue()}${source}`);
    return { starts, ends, find: make(findNeedle, begins, tables, starts, ends) };
  } catch (thrown) {
    if (thrown === NOT_IN_BYTES) return undefined;
    throw thrown;
  }
}

const NOT_IN_BYTES = Symbol('not in bytes');

/** 1 for the bytes that characters of the set begin with; undefined when it is not all or none of those beyond ASCII. */
function tableOf(set: Ranges): Uint8Array | undefined {
  const table = new Uint8Array(256);
  let beyond = 0;
  for (const [from, to] of set) {
    for (let code = from; code <= to && code < 128; code++) table[code] = 1;
    beyond += Math.max(0, to - Math.max(from, 128) + 1);
  }
  if (beyond === 0) return table;
  if (beyond !== 0x110000 - 128) return undefined;
  return table.fill(1, 128);
}

/** How many bytes of a match can come before the text that it must hold; Infinity when that is not known. */
function reachBefore(tree: PlainNode, needle: string): number {
  if (tree.kind !== 'sequence') return Number.POSITIVE_INFINITY;
  const at = tree.items.findIndex((_, i) => literalRun(tree.items, i).startsWith(needle));
  return at < 0 ? Number.POSITIVE_INFINITY : tree.items.slice(0, at).reduce((sum, item) => sum + mostBytes(item), 0);
}

const MOST_CHARACTER_BYTES = 4;

function mostBytes(node: PlainNode): number {
  switch (node.kind) {
    case 'set':
      return MOST_CHARACTER_BYTES;
    case 'repeat':
      return node.max * MOST_CHARACTER_BYTES;
    case 'begin':
    case 'end':
      return 0;
    case 'group':
      return mostBytes(node.of);
    case 'choice':
      return Math.max(...node.options.map(mostBytes));
    case 'sequence':
      return node.items.reduce((sum, item) => sum + mostBytes(item), 0);
  }
}

/** The characters from item `from` on that stand for themselves. */
function literalRun(items: readonly PlainNode[], from: number): string {
  let run = '';
  for (let i = from; i < items.length; i++) {
    const item = items[i];
    if (item.kind !== 'set' || item.literal === null) break;
    run += item.literal;
  }
  return run;
}

/** From the name of the variable that holds a place to the statements that go on from there: they return when they succeed. */
type Next = (p: string) => string;

/** Writes statements that return true on a match and fall through without one. Nothing of the pattern enters them but numbers. */
class Writer {
  groups = 0;
  readonly tables: Uint8Array[] = [];
  #names = 0;
  #length = 0;
  readonly #numbers = new Map<PlainNode, number>();

  groupVariables(): string {
    return Array.from({ length: this.groups }, (_, i) => `let s${i + 1} = -1, e${i + 1} = -1;`).join('\n');
  }

  prologue(): string {
    return this.tables.map((_, i) => `const t${i} = tables[${i}];\n`).join('');
  }

  found(p: string): string {
    const groups = Array.from(
      { length: this.groups },
      (_, i) => `starts[${i + 1}] = s${i + 1}; ends[${i + 1}] = e${i + 1};`,
    );
    return `starts[0] = p0; ends[0] = ${p}; ${groups.join(' ')} return true;`;
  }

  /** Numbers the groups by where they open. */
  #count(node: PlainNode): void {
    if (node.kind === 'group') {
      if (node.captures) this.#numbers.set(node, ++this.groups);
      this.#count(node.of);
    } else if (node.kind === 'choice') for (const option of node.options) this.#count(option);
    else if (node.kind === 'sequence') for (const item of node.items) this.#count(item);
  }

  step(tree: PlainNode, p: string, next: Next): string {
    this.#count(tree);
    return this.#step(tree, p, next);
  }

  #step(node: PlainNode, p: string, next: Next): string {
    const text = this.#statements(node, p, next);
    this.#length = Math.max(this.#length, text.length);
    if (this.#length > MOST_SOURCE) throw NOT_IN_BYTES;
    return text;
  }

  #statements(node: PlainNode, p: string, next: Next): string {
    switch (node.kind) {
      case 'set':
        return node.literal === null ? this.#one(node.set, p, next) : this.#text(node.literal, p, next);
      case 'repeat':
        return this.#repeat(node.of, node.min, node.max, p, next);
      case 'begin':
        return `if (${p} === start) { ${next(p)} }`;
      case 'end':
        return `if (${p} === end) { ${next(p)} }`;
      case 'group': {
        const group = this.#numbers.get(node);
        if (group === undefined) return this.#step(node.of, p, next);
        // A group stands in no repetition, so before it took part it had not.
        const [s, e] = [`s${group}`, `e${group}`];
        return this.#step(node.of, p, (q) => `${s} = ${p}; ${e} = ${q}; ${next(q)} ${s} = -1; ${e} = -1;`);
      }
      case 'choice':
        return node.options.map((option) => `{ ${this.#step(option, p, next)} }`).join('\n');
      case 'sequence':
        return this.#sequence(node.items, 0, p, next);
    }
  }

  #sequence(items: readonly PlainNode[], from: number, p: string, next: Next): string {
    if (from === items.length) return next(p);
    const run = literalRun(items, from);
    if (run === '') return this.#step(items[from], p, (q) => this.#sequence(items, from + 1, q, next));
    return this.#text(run, p, (q) => this.#sequence(items, from + Array.from(run).length, q, next));
  }

  #text(literal: string, p: string, next: Next): string {
    const bytes = [...Buffer.from(literal)];
    const q = this.#name();
    const same = bytes.map((byte, i) => `b[${p} + ${i}] === ${byte}`).join(' && ');
    return `if (${p} + ${bytes.length} <= end && ${same}) { const ${q} = ${p} + ${bytes.length}; ${next(q)} }`;
  }

  #one(set: Ranges, p: string, next: Next): string {
    const { name, beyond } = this.#table(set);
    const q = this.#name();
    return `if (${p} < end && ${name}[b[${p}]] === 1) { let ${q} = ${p}; ${this.#past(q, beyond)} ${next(q)} }`;
  }

  #repeat(set: Ranges, min: number, max: number, p: string, next: Next): string {
    const { name, beyond } = this.#table(set);
    const [q, count] = [this.#name(), this.#name()];
    const more = max === Number.POSITIVE_INFINITY ? '' : `${count} < ${max} && `;
    return `let ${q} = ${p}, ${count} = 0;
while (${more}${q} < end && ${name}[b[${q}]] === 1) { ${this.#past(q, beyond)} ${count}++; }
if (${count} >= ${min}) { ${next(q)} }`;
  }

  /** Moves a place past its character. */
  #past(q: string, beyond: boolean): string {
    if (!beyond) return `${q}++;`;
    return `if (b[${q}++] >= 192) while (${q} < end && (b[${q}] & 192) === 128) ${q}++;`;
  }

  #table(set: Ranges): { name: string; beyond: boolean } {
    const table = tableOf(set);
    if (table === undefined) throw NOT_IN_BYTES;
    return { name: `t${this.tables.push(table) - 1}`, beyond: table[255] === 1 };
  }

  #name(): string {
    return `q${this.#names++}`;
  }
}
