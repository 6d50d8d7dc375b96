import { findBytes } from '../../../src/lib/bytes.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { BytesForm, TextScratch } from './bytes-form.ts';

/** Forms over bytes of the functions in strings.ts. Characters are counted by their first bytes, which ASCII and UTF-8 have in common. */

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

function countPoints(b: Uint8Array, start: number, end: number): number {
  let seen = 0;
  for (let p = start; p < end; p++) seen |= b[p];
  // All of it is ASCII.
  if (seen < 128) return end - start;
  let count = 0;
  for (let p = start; p < end; p++) if (!isContinuation(b[p])) count++;
  return count;
}

/** The place `count` characters after `start`, `end` at most. */
function skipPoints(b: Uint8Array, start: number, end: number, count: number): number {
  // No character has less than a byte.
  if (count >= end - start) return end;
  let p = start;
  for (let left = count; left > 0 && p < end; left--) {
    p++;
    while (p < end && isContinuation(b[p])) p++;
  }
  return p;
}

export function startsWith(b: Uint8Array, start: number, end: number, part: Uint8Array, from: number, to: number) {
  if (to - from > end - start) return false;
  for (let p = start, q = from; q < to; p++, q++) if (b[p] !== part[q]) return false;
  return true;
}

/** `lower` and `upper`: the letters from `first` to `last` moved by `by`; a text beyond ASCII goes through `map`. */
export const lettersMoved =
  (first: number, last: number, by: number, map: (text: string) => string): BytesForm =>
  () => ({
    yields: 'text',
    call: (scratch: TextScratch, b: Buffer, start: number, end: number): number => {
      const at = scratch.reserve(end - start);
      const out = scratch.bytes;
      let to = at;
      for (let p = start; p < end; p++) {
        const c = b[p];
        if (c >= 128) return scratch.write(map(b.utf8Slice(start, end)));
        out[to++] = c >= first && c <= last ? c + by : c;
      }
      scratch.length = to;
      scratch.end = to;
      return at;
    },
  });

export const lengthForm: BytesForm = () => ({
  yields: 'datum',
  call: (_scratch: TextScratch, b: Buffer, start: number, end: number) => countPoints(b, start, end),
});

export const octetLengthForm: BytesForm = () => ({
  yields: 'datum',
  call: (_scratch: TextScratch, _b: Buffer, start: number, end: number) => end - start,
});

/** `check` throws for what the function refuses. */
export const substrForm =
  (check: (count: number) => void): BytesForm =>
  () => ({
    yields: 'part',
    call: (scratch: TextScratch, b: Buffer, start: number, end: number, from: number, count?: number) => {
      if (count !== undefined) check(count);
      const skipped = Math.max(0, from - 1);
      const at = skipPoints(b, start, end, skipped);
      scratch.end = count === undefined ? end : skipPoints(b, at, end, Math.max(0, from - 1 + count - skipped));
      return at;
    },
  });

export const leftForm: BytesForm = () => ({
  yields: 'part',
  call: (scratch: TextScratch, b: Buffer, start: number, end: number, n: number) => {
    scratch.end = skipPoints(b, start, end, n >= 0 ? n : Math.max(0, countPoints(b, start, end) + n));
    return start;
  },
});

export const rightForm: BytesForm = () => ({
  yields: 'part',
  call: (scratch: TextScratch, b: Buffer, start: number, end: number, n: number) => {
    scratch.end = end;
    return skipPoints(b, start, end, n >= 0 ? Math.max(0, countPoints(b, start, end) - n) : -n);
  },
});

const ASCII = /^[\0-\x7f]*$/;

/** Characters taken off the ends; only a constant set of ASCII has this form. */
export const trimForm =
  (left: boolean, right: boolean): BytesForm =>
  (literals) => {
    const characters = literals.length === 1 ? ' ' : literals[1];
    if (typeof characters !== 'string' || !ASCII.test(characters)) return undefined;
    const isCut = new Uint8Array(256);
    for (const character of characters) isCut[character.charCodeAt(0)] = 1;
    return {
      yields: 'part',
      call: (scratch: TextScratch, b: Buffer, start: number, end: number) => {
        let from = start;
        let to = end;
        while (left && from < to && isCut[b[from]] === 1) from++;
        while (right && to > from && isCut[b[to - 1]] === 1) to--;
        scratch.end = to;
        return from;
      },
    };
  };

export const replaceForm: BytesForm = ([, from]) => {
  if (typeof from !== 'string') return undefined;
  const part = Buffer.from(from);
  const first = part[0];
  return {
    yields: 'text',
    call: (
      scratch: TextScratch,
      b: Buffer,
      start: number,
      end: number,
      _from: Buffer,
      _fromStart: number,
      _fromEnd: number,
      by: Buffer,
      byStart: number,
      byEnd: number,
    ): number => {
      const { length } = part;
      if (length === 0) return scratch.copy(b, start, end);
      const beginning = scratch.length;
      const added = byEnd - byStart;
      let p = start;
      let to = scratch.reserve(end - start);
      let out = scratch.bytes;
      if (length === 1 && added === 0) {
        // Without a branch: where the byte comes cannot be foretold.
        for (; p < end; p++) {
          const c = b[p];
          out[to] = c;
          to += c === first ? 0 : 1;
        }
      }
      while (p < end) {
        const c = b[p];
        if (c !== first || (length > 1 && !(p + length <= end && startsWith(b, p, end, part, 0, length)))) {
          out[to++] = c;
          p++;
          continue;
        }
        p += length;
        if (added === 0) continue;
        // What is left, and the replacement before it.
        scratch.length = to;
        scratch.reserve(added + end - p);
        out = scratch.bytes;
        for (let q = byStart; q < byEnd; q++) out[to++] = by[q];
      }
      scratch.length = to;
      scratch.end = to;
      return beginning;
    },
  };
};

/** Where a part occurs, in characters from 1; `swapped`: the part comes first. */
export const positionForm =
  (swapped: boolean): BytesForm =>
  () => {
    const find = (b: Buffer, start: number, end: number, part: Buffer, from: number, to: number): number => {
      const at = findBytes(b, start, end, part, from, to);
      return at < 0 ? 0 : countPoints(b, start, at) + 1;
    };
    return {
      yields: 'datum',
      call: swapped
        ? (_: TextScratch, part: Buffer, from: number, to: number, b: Buffer, start: number, end: number) =>
            find(b, start, end, part, from, to)
        : (_: TextScratch, b: Buffer, start: number, end: number, part: Buffer, from: number, to: number) =>
            find(b, start, end, part, from, to),
    };
  };

type Test = (b: Uint8Array, start: number, end: number, part: Uint8Array, from: number, to: number) => boolean;

export const testForm =
  (test: Test): BytesForm =>
  () => ({
    yields: 'datum',
    call: (_: TextScratch, b: Buffer, start: number, end: number, part: Buffer, from: number, to: number) =>
      test(b, start, end, part, from, to),
  });

export const endsWith: Test = (b, start, end, part, from, to) =>
  to - from <= end - start && startsWith(b, end - (to - from), end, part, from, to);
export const contains: Test = (b, start, end, part, from, to) => findBytes(b, start, end, part, from, to) >= 0;

/** Where the last field that was asked for begins: the next one asked for is often further on in the same text. */
interface FieldCursor {
  bytes: Buffer | null;
  start: number;
  end: number;
  /** How many delimiters come before `from`. */
  field: number;
  from: number;
}

/** One per delimiter, so that calls with other numbers find it. */
const cursors = new Map<string, FieldCursor>();
const MOST_CURSORS = 64;

function cursorOf(delimiter: string): FieldCursor {
  let cursor = cursors.get(delimiter);
  if (cursor === undefined) {
    cursor = { bytes: null, start: 0, end: 0, field: 0, from: 0 };
    if (cursors.size < MOST_CURSORS) cursors.set(delimiter, cursor);
  }
  return cursor;
}

/**
 * The n-th field between constant delimiters, counted from `base`; `missing` is what there is beyond the last: an empty text, or NULL.
 * Fields counted from the end, and empty delimiters, have no form.
 */
export const fieldForm =
  (base: 0 | 1, missing: 'empty' | 'null'): BytesForm =>
  ([, by, n]) => {
    if (typeof by !== 'string' || by === '' || typeof n !== 'number' || n < base) return undefined;
    const part = Buffer.from(by);
    const { length } = part;
    const first = part[0];
    const wanted = n - base;
    const cursor = cursorOf(by);
    return {
      yields: 'part',
      call: (scratch: TextScratch, b: Buffer, start: number, end: number): number => {
        let from = start;
        let field = 0;
        if (cursor.bytes === b && cursor.start === start && cursor.end === end && cursor.field <= wanted) {
          from = cursor.from;
          field = cursor.field;
        }
        for (; ; field++) {
          let at = from;
          if (length === 1) while (at < end && b[at] !== first) at++;
          else {
            at = findBytes(b, from, end, part, 0, length);
            if (at < 0) at = end;
          }
          if (field === wanted) {
            scratch.end = at;
            // The scratch has other texts in the same place before long.
            if (b !== scratch.bytes) {
              cursor.bytes = b;
              cursor.start = start;
              cursor.end = end;
              cursor.field = field;
              cursor.from = from;
            }
            return from;
          }
          if (at >= end) break;
          from = at + length;
        }
        scratch.end = start;
        return missing === 'empty' ? start : -1;
      },
    };
  };

/** How a value that is no text is written; `toText` is how strings have it. */
type ToText = (datum: any, type: SqlType) => string;

const INTEGERS = ['smallint', 'integer', 'bigint'];

/** Appends a datum's text. */
function writeDatum(scratch: TextScratch, datum: Exclude<Datum, null>, type: SqlType, toText: ToText): number {
  return typeof datum === 'number' && INTEGERS.includes(type.kind)
    ? writeInteger(scratch, datum)
    : scratch.write(toText(datum, type));
}

function writeInteger(scratch: TextScratch, value: number): number {
  const at = scratch.reserve(17);
  const out = scratch.bytes;
  let rest = value < 0 ? -value : value;
  let digits = 1;
  for (let limit = 10; rest >= limit; limit *= 10) digits++;
  let to = at;
  if (value < 0) out[to++] = 45;
  to += digits;
  scratch.length = to;
  scratch.end = to;
  for (let p = to - 1; digits > 0; digits--, p--) {
    const next = Math.floor(rest / 10);
    out[p] = 48 + (rest - next * 10);
    rest = next;
  }
  return at;
}

/** All arguments one after the other. `nullsEmpty`: NULLs come and are empty texts. */
export const concatForm =
  (toText: ToText): BytesForm =>
  (literals, types) => {
    const kinds = literals.map((_, i) => types[i].kind === 'varchar');
    return {
      yields: 'text',
      call: (scratch: TextScratch, ...args: any[]): number => {
        const beginning = scratch.length;
        for (let i = 0, n = 0; i < kinds.length; i++) {
          if (kinds[i]) {
            const start = args[n + 1];
            if (start >= 0) scratch.copy(args[n], start, args[n + 2]);
            n += 3;
          } else {
            const datum = args[n++];
            if (datum !== null) writeDatum(scratch, datum, types[i], toText);
          }
        }
        scratch.end = scratch.length;
        return beginning;
      },
    };
  };

/** Two texts, the frequent case of the above. */
export const joinForm: BytesForm = () => ({
  yields: 'text',
  call: (scratch: TextScratch, a: Buffer, aStart: number, aEnd: number, b: Buffer, bStart: number, bEnd: number) => {
    const beginning = scratch.copy(a, aStart, aEnd);
    scratch.copy(b, bStart, bEnd);
    return beginning;
  },
});
