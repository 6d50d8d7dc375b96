import { StreamError } from '../../src/lib/errors.ts';
import { remembered } from '../../src/lib/remembered.ts';

/**
 * LIKE patterns, taken apart once. Without `_` a pattern is texts between `%`s, which are searched for from left to right: the earliest
 * place for each leaves the most for the rest, so nothing is tried twice. With `_` it goes by code points. Either way no input
 * takes longer than text × pattern.
 */
export interface LikeSegments {
  /** What the text begins with. */
  readonly prefix: string;
  /** What it then holds, in this order and apart. */
  readonly middle: readonly string[];
  /** What it ends with; null when there is no `%`: then the text is the prefix. */
  readonly suffix: string | null;
}

const ANY = Symbol('%');
const ONE = Symbol('_');
type Token = string | typeof ANY | typeof ONE;

function tokensOf(pattern: string): Token[] {
  const units = Array.from(pattern);
  const tokens: Token[] = [];
  for (let i = 0; i < units.length; i++) {
    if (units[i] === '\\') {
      if (++i === units.length)
        throw new StreamError('VALUE_DOMAIN', 'LIKE pattern must not end with an escape character');
      tokens.push(units[i]);
    } else {
      tokens.push(units[i] === '%' ? ANY : units[i] === '_' ? ONE : units[i]);
    }
  }
  return tokens;
}

function segmentsOf(tokens: readonly Token[]): LikeSegments | undefined {
  if (tokens.includes(ONE)) return undefined;
  const texts = [''];
  for (const token of tokens) {
    if (token === ANY) texts.push('');
    else texts[texts.length - 1] += token as string;
  }
  if (texts.length === 1) return { prefix: texts[0], middle: [], suffix: null };
  return {
    prefix: texts[0],
    middle: texts.slice(1, -1).filter((text) => text !== ''),
    suffix: texts[texts.length - 1],
  };
}

/** Undefined when the pattern has `_`. VALUE_DOMAIN when it is none. */
export const likeSegments = (pattern: string): LikeSegments | undefined => segmentsOf(tokensOf(pattern));

function matchesSegments(text: string, { prefix, middle, suffix }: LikeSegments): boolean {
  if (suffix === null) return text === prefix;
  if (text.length < prefix.length + suffix.length || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
  const end = text.length - suffix.length;
  let from = prefix.length;
  for (const one of middle) {
    const at = text.indexOf(one, from);
    if (at < 0 || at + one.length > end) return false;
    from = at + one.length;
  }
  return true;
}

/** Two pointers: on a mismatch the last `%` takes one character more. */
function matchesTokens(text: string, tokens: readonly Token[]): boolean {
  const units = Array.from(text);
  let t = 0;
  let p = 0;
  let star = -1;
  let mark = 0;
  while (t < units.length) {
    const token = tokens[p];
    if (token !== undefined && token !== ANY && (token === ONE || token === units[t])) {
      t++;
      p++;
    } else if (token === ANY) {
      star = p++;
      mark = t;
    } else if (star >= 0) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (tokens[p] === ANY) p++;
  return p === tokens.length;
}

type Matcher = (text: string) => boolean;

const matcherOf = remembered(64, (pattern): Matcher => {
  const tokens = tokensOf(pattern);
  const segments = segmentsOf(tokens);
  return segments === undefined ? (text) => matchesTokens(text, tokens) : (text) => matchesSegments(text, segments);
});

export function matchesLike(text: string, pattern: string, insensitive: boolean): boolean {
  return insensitive ? matcherOf(pattern.toLowerCase())(text.toLowerCase()) : matcherOf(pattern)(text);
}
