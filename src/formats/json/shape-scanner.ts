import type { SqlType } from '../../values/types.ts';
import type { ColumnSlot } from '../column-slot.ts';
import type { TimestampReader } from './byte-times.ts';
import { plainStringEnd, skipNumber, skipValue } from './json-syntax.ts';
import type { ReadValue } from './json-values.ts';

/**
 * Scanners for records of one shape: the same keys in the same order with the same bytes between the values, as a
 * producer's serializer writes them record after record. Such a scanner compares the bytes between values with
 * constants, checks that every value is well formed, and parses those that are wanted. It either takes a record whole
 * or returns false, and then the record is read the general way: a scanner never decides that a record is malformed.
 */
export interface Shape {
  /** The bytes before each value and, last, after the last value. */
  readonly pieces: readonly Buffer[];
  /** For each value the slot that it belongs to, −1 when it is not wanted. */
  readonly slots: readonly number[];
}

/** Fills row `row` of the slots from the record `b[start..end)`. The caller restores `nulls` after false. */
export type ShapeScanner = (
  b: Buffer,
  view: DataView,
  start: number,
  end: number,
  row: number,
  slots: readonly ColumnSlot[],
) => boolean;

/** The code holds only positions, constants and our own functions: no text of a record or a column name enters it. */
export function compileShape(
  shape: Shape,
  slots: readonly ColumnSlot[],
  readers: readonly ReadValue[],
  times: TimestampReader,
): ShapeScanner {
  const lines: string[] = ['let p = start, c = 0, q = 0, x = 0;'];
  const given = new Set(shape.slots.filter((slot) => slot >= 0));
  for (const slot of given) lines.push(`const s${slot} = slots[${slot}];`);
  shape.pieces.forEach((piece, i) => {
    lines.push(matchPiece(piece));
    if (i === shape.slots.length) return;
    const slot = shape.slots[i];
    lines.push(slot < 0 ? SKIP_VALUE : readValue(slot, slots[slot]));
  });
  slots.forEach((_, slot) => {
    if (!given.has(slot)) lines.push(`slots[${slot}].setNull(row);`);
  });
  lines.push('return p === end;');
  const source = `'use strict';
return function scan(b, view, start, end, row, slots) {
${lines.join('\n')}
};`;
  return new Function('plainStringEnd', 'skipNumber', 'skipValue', 'readers', 'times', 'micros', 'POWERS', source)(
    plainStringEnd,
    skipNumber,
    skipValue,
    readers,
    times,
    times.micros,
    POWERS,
  );
}

/** Compares four bytes at a time; the last four may overlap those before. */
function matchPiece(piece: Buffer): string {
  const n = piece.length;
  const tests = [`p + ${n} > end`];
  if (n >= 4) {
    for (let i = 0; i < n; i += 4) {
      const at = Math.min(i, n - 4);
      tests.push(`view.getInt32(p + ${at}, true) !== ${piece.readInt32LE(at)}`);
    }
  } else {
    for (let i = 0; i < n; i++) tests.push(`b[p + ${i}] !== ${piece[i]}`);
  }
  return `if (${tests.join(' || ')}) return false;\np += ${n};`;
}

// A record that ends too early may lead a scanner past its end, into the bytes that follow or to the end of the buffer, where
// every comparison is false: positions only grow, so `p === end` fails at last.

/** 10^0 … 10^22: exact as doubles. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

const SKIP_VALUE = `c = b[p];
q = c === 34 ? plainStringEnd(b, view, p + 1, end) : -1;
if (q >= 0) p = q + 1;
else {
  p = (c >= 48 && c <= 57) || c === 45 ? skipNumber(b, p, end) : skipValue(b, p, end);
  if (p < 0) return false;
}`;

/** The frequent forms of a value are read in place; `break fast` leaves any other to its reader. */
function readValue(slot: number, { schema }: ColumnSlot): string {
  const onNull = schema.nullable
    ? `if (p + 4 > end || view.getInt32(p, true) !== 0x6c6c756e) return false; s${slot}.setNull(row); p += 4;`
    : 'return false;';
  const fast = BODIES[schema.type.kind]?.(slot, schema.type);
  return `c = b[p];
if (c === 110) { ${onNull} }
else read: {
${fast === undefined ? '' : `const at = p;\nfast: {\n${fast}\nbreak read;\n}\np = at;`}
q = skipValue(b, p, end);
if (q < 0) return false;
const datum = readers[${slot}](b, p, q);
if (datum === undefined) return false;
s${slot}.set(row, datum, b);
p = q;
}`;
}

const store = (slot: number, value: string): string =>
  `if (s${slot}.plain === null) s${slot}.numbers[row] = ${value}; else s${slot}.plain[row] = ${value};`;

/** Up to 15 digits are exact in a double. */
const DIGITS = `const negative = c === 45;
if (negative) c = b[++p];
if (!(c >= 48 && c <= 57)) break fast;
q = p + 1; x = c - 48;
while ((c = b[q]) >= 48 && c <= 57) { x = x * 10 + (c - 48); q++; }
if (q - p > 15 || (b[p] === 48 && q - p > 1)) break fast;`;

const NO_EXPONENT = 'if (c === 101 || c === 69) break fast;';
const WHOLE = `if (c === 46) break fast;\n${NO_EXPONENT}`;

/** As DIGITS, with a fraction: `x` is all digits as one number, `f` how many of them are behind the point. */
const FRACTION = `${DIGITS}
let f = 0;
if (c === 46) {
  const point = q++;
  while ((c = b[q]) >= 48 && c <= 57) { x = x * 10 + (c - 48); q++; }
  f = q - point - 1;
  if (f === 0 || q - p > 16) break fast;
}
${NO_EXPONENT}`;

const integer =
  (least: number, most: number) =>
  (slot: number): string =>
    `${DIGITS}
${WHOLE}
if (negative) x = 0 - x;
if (x < ${least} || x > ${most}) return false;
p = q;
${store(slot, 'x')}`;

const bigint = (slot: number): string => `${DIGITS}
${WHOLE}
p = q;
if (negative) x = 0 - x;
${store(slot, 'x')}`;

/** A quotient of two exact doubles is the double nearest to it. */
const double = (slot: number): string => `${FRACTION}
p = q;
x = f === 0 ? x : x / POWERS[f];
if (negative) x = -x;
${store(slot, 'x')}`;

function decimal(slot: number, type: SqlType): string | undefined {
  if (type.kind !== 'decimal' || type.scale > 15) return undefined;
  const most = type.precision >= 16 ? Number.MAX_SAFE_INTEGER : 10 ** type.precision - 1;
  return `${FRACTION}
if (f > ${type.scale}) break fast;
p = q;
x *= POWERS[${type.scale} - f];
if (x > ${most}) break fast;
if (negative) x = 0 - x;
${store(slot, 'x')}`;
}

const timestamp = (slot: number): string => `if (c !== 34) break fast;
q = plainStringEnd(b, view, p + 1, end);
if (q < 0) break fast;
if (!times.read(b, view, p + 1, q)) break fast;
p = q + 1;
${store(slot, 'micros[0]')}`;

const text = (slot: number): string => `if (c !== 34) break fast;
q = plainStringEnd(b, view, p + 1, end);
if (q < 0) break fast;
if (s${slot}.plain === null) { s${slot}.starts[row] = p + 1; s${slot}.ends[row] = q; }
else s${slot}.plain[row] = b.utf8Slice(p + 1, q);
p = q + 1;`;

const boolean = (slot: number): string => `if (p + 5 > end) break fast;
q = view.getInt32(p, true);
if (q === 0x65757274) { x = 1; p += 4; }
else if (q === 0x736c6166 && b[p + 4] === 101) { x = 0; p += 5; }
else break fast;
s${slot}.numbers[row] = x;`;

const BODIES: Readonly<Partial<Record<SqlType['kind'], (slot: number, type: SqlType) => string | undefined>>> = {
  smallint: integer(-32768, 32767),
  integer: integer(-2147483648, 2147483647),
  bigint,
  double,
  decimal,
  timestamp,
  timestamptz: timestamp,
  varchar: text,
  boolean,
};
