import { plainNumber } from '../../values/json-text.ts';
import { skipString, skipValue, skipWhitespace } from './json-syntax.ts';

/**
 * The one text of a jsonb value, so that equal values are equal strings: no whitespace; of keys that occur twice the last; keys in
 * Postgres's order (by length, then by bytes); strings with the escapes of JSON.stringify; numbers without an exponent.
 * `b[start..end)` must be one valid value.
 */
export function canonicalJson(b: Buffer, start: number, end: number): string {
  const c = b[start];
  if (c === 123) return canonicalObject(b, start + 1, end);
  if (c === 91) return canonicalArray(b, start + 1, end);
  if (c === 34) return JSON.stringify(JSON.parse(b.utf8Slice(start, end)));
  return plainNumber(b.latin1Slice(start, end));
}

function canonicalArray(b: Buffer, start: number, end: number): string {
  const parts: string[] = [];
  forEachElement(b, start, end, (from, to) => parts.push(canonicalJson(b, from, to)));
  return `[${parts.join(',')}]`;
}

/** Calls `visit` per element of an array whose opening bracket is at `start - 1`. */
export function forEachElement(b: Buffer, start: number, end: number, visit: (from: number, to: number) => void): void {
  let p = skipWhitespace(b, start, end);
  while (b[p] !== 93) {
    const to = skipValue(b, p, end);
    visit(p, to);
    p = skipWhitespace(b, to, end);
    if (b[p] === 44) p = skipWhitespace(b, p + 1, end);
  }
}

function canonicalObject(b: Buffer, start: number, end: number): string {
  const members = new Map<string, string>();
  let p = skipWhitespace(b, start, end);
  while (b[p] !== 125) {
    const keyEnd = skipString(b, p + 1, end);
    const key = JSON.parse(b.utf8Slice(p, keyEnd)) as string;
    const from = skipWhitespace(b, skipWhitespace(b, keyEnd, end) + 1, end);
    const to = skipValue(b, from, end);
    members.set(key, canonicalJson(b, from, to));
    p = skipWhitespace(b, to, end);
    if (b[p] === 44) p = skipWhitespace(b, p + 1, end);
  }
  const keys = [...members.keys()].map((key) => ({ key, bytes: Buffer.from(key) }));
  keys.sort((x, y) => x.bytes.length - y.bytes.length || x.bytes.compare(y.bytes));
  return `{${keys.map(({ key }) => `${JSON.stringify(key)}:${members.get(key)}`).join(',')}}`;
}
