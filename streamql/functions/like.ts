import { StreamError } from '../../src/lib/errors.ts';

/** LIKE by the two-pointer method: linear in text × number of %, no backtracking beyond the last %. */
export function matchesLike(text: string, pattern: string, insensitive: boolean): boolean {
  const compiled = compile(insensitive ? pattern.toLowerCase() : pattern);
  const units = Array.from(insensitive ? text.toLowerCase() : text);
  let t = 0;
  let p = 0;
  let star = -1;
  let mark = 0;
  while (t < units.length) {
    const token = compiled[p];
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
  while (compiled[p] === ANY) p++;
  return p === compiled.length;
}

const ANY = Symbol('%');
const ONE = Symbol('_');
type Token = string | typeof ANY | typeof ONE;

/** Patterns are nearly always constants: the last few stay compiled. */
const cache = new Map<string, readonly Token[]>();
const CACHE_SIZE = 64;

function compile(pattern: string): readonly Token[] {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
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
  if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value as string);
  cache.set(pattern, tokens);
  return tokens;
}
