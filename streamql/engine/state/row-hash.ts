import { type Column, TextColumn } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { hashDatum, hashNumber, hashText, hashUtf8 } from '../../../src/values/hash.ts';
import { type Datum, isText, type SqlType } from '../../../src/values/types.ts';
import type { StateColumn } from './state-column.ts';
import { TextStateColumn } from './text-state-column.ts';
import { hashBytes, hashString, viewOf } from './text-words.ts';

/**
 * Hashing and equality of rows, a column at a time, with SQL's grouping rule: NULL equals NULL, NaN equals NaN, −0
 * equals 0. A text has one hash, whether it comes as a string or as bytes.
 */

const SEED = 0x2f6b1c3d;
const NULL_HASH = 0x5bd1e995;

interface TextHash {
  bytes(bytes: Buffer, view: DataView, start: number, end: number): number;
  string(text: string): number;
}
const IN_TABLES: TextHash = { bytes: hashBytes, string: hashString };
const PLACING: TextHash = { bytes: (bytes, _, start, end) => hashUtf8(bytes, start, end), string: hashText };

/** Writes a 32-bit hash of each row over the given columns to `out[0..length)`. For tables in memory: it is not stored and may change. */
export function hashRows(columns: readonly Column[], length: number, out: Int32Array): void {
  hashColumns(columns, length, out, IN_TABLES);
}

/** The hash that says which shard has a row. It may not change: checkpoints hold what it has placed. */
export function placingHashes(columns: readonly Column[], length: number, out: Int32Array): void {
  hashColumns(columns, length, out, PLACING);
}

function hashColumns(columns: readonly Column[], length: number, out: Int32Array, texts: TextHash): void {
  if (columns.length === 0) {
    out.fill(SEED, 0, length);
    return;
  }
  for (let c = 0; c < columns.length; c++) {
    const first = c === 0;
    const column = columns[c];
    if (column instanceof TextColumn) {
      hashRanges(column, length, out, first, texts);
      continue;
    }
    const { nulls, values } = column;
    if (isText(column.type)) hashStrings(column, length, out, first, texts);
    else if (nulls !== null) hashAny(column, length, out, first);
    else if (values instanceof Float64Array) hashFloat64(values, length, out, first);
    else if (values instanceof Int32Array) hashInt32(values, length, out, first);
    else hashAny(column, length, out, first);
  }
}

/** The same hash for one row given as datums. */
export function hashOne(datums: readonly Datum[], columns: readonly Column[]): number {
  let h = SEED;
  for (let c = 0; c < datums.length; c++) {
    const datum = datums[c];
    const word =
      typeof datum === 'string'
        ? hashString(datum)
        : hashStored(typeof datum === 'boolean' ? Number(datum) : datum, columns[c].type);
    h = mix(h, word);
  }
  return h;
}

/** Of a datum as columns store it: booleans as 0 and 1. */
function hashStored(datum: Datum, type: SqlType): number {
  if (typeof datum === 'number') return (datum | 0) === datum ? datum | 0 : hashNumber(datum);
  return datum === null ? NULL_HASH : hashDatum(datum, type);
}

function mix(h: number, word: number): number {
  h ^= word;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function hashInt32(values: Int32Array, length: number, out: Int32Array, first: boolean): void {
  for (let i = 0; i < length; i++) out[i] = mix(first ? SEED : out[i], values[i]);
}

function hashFloat64(values: Float64Array, length: number, out: Int32Array, first: boolean): void {
  for (let i = 0; i < length; i++) {
    const value = values[i];
    const small = value | 0;
    out[i] = mix(first ? SEED : out[i], small === value ? small : hashNumber(value));
  }
}

function hashStrings(
  { values, nulls }: Column,
  length: number,
  out: Int32Array,
  first: boolean,
  texts: TextHash,
): void {
  for (let i = 0; i < length; i++) {
    const text = nulls !== null && nulls[i] === 1 ? null : (values[i] as string | null);
    out[i] = mix(first ? SEED : out[i], text === null ? NULL_HASH : texts.string(text));
  }
}

function hashRanges(column: TextColumn, length: number, out: Int32Array, first: boolean, texts: TextHash): void {
  const { bytes, starts, ends, nulls } = column;
  const view = viewOf(bytes);
  for (let i = 0; i < length; i++) {
    const word = nulls !== null && nulls[i] === 1 ? NULL_HASH : texts.bytes(bytes, view, starts[i], ends[i]);
    out[i] = mix(first ? SEED : out[i], word);
  }
}

function hashAny({ values, nulls, type }: Column, length: number, out: Int32Array, first: boolean): void {
  for (let i = 0; i < length; i++) {
    const word = nulls !== null && nulls[i] === 1 ? NULL_HASH : hashStored(values[i] as Datum, type);
    out[i] = mix(first ? SEED : out[i], word);
  }
}

/** Whether row `i` of a batch's columns is the same group as slot `j` of state, column by column. */
export function sameRow(a: readonly Column[], i: number, b: readonly StateColumn[], j: number): boolean {
  for (let c = 0; c < a.length; c++) if (!sameValue(a[c], i, b[c], j)) return false;
  return true;
}

function sameValue(a: Column, i: number, b: StateColumn, j: number): boolean {
  if (b instanceof TextStateColumn) return b.equalsRow(j, a, i);
  const aNull = a.nulls !== null && a.nulls[i] === 1;
  const bNull = b.nulls !== null && b.nulls[j] === 1;
  if (aNull || bNull) return aNull === bNull;
  const x = a.values[i];
  const y = b.values[j];
  return x === y || equalDatums(x as Datum, y as Datum, a.type);
}

/**
 * For each row below `length` with `slots[row] >= 0`: sets `differs[row]` to 1 where the row is not the same group as
 * state slot `slots[row]`. Returns how many differ. `differs` comes zeroed.
 */
export function markDifferent(
  rows: readonly Column[],
  state: readonly StateColumn[],
  slots: Int32Array,
  length: number,
  differs: Uint8Array,
): number {
  let count = 0;
  for (let c = 0; c < rows.length; c++) {
    const a = rows[c];
    const b = state[c];
    if (b instanceof TextStateColumn) {
      count += b.markDifferent(a, slots, length, differs);
      continue;
    }
    const av = a.values;
    const bv = b.values;
    if (a.nulls !== null || b.nulls !== null) count += differAny(a, b, slots, length, differs);
    else if (av instanceof Float64Array && bv instanceof Float64Array)
      count += differFloat64(av, bv, slots, length, differs);
    else if (av instanceof Int32Array && bv instanceof Int32Array) count += differInt32(av, bv, slots, length, differs);
    else count += differAny(a, b, slots, length, differs);
  }
  return count;
}

function differFloat64(
  a: Float64Array,
  b: Float64Array,
  slots: Int32Array,
  length: number,
  differs: Uint8Array,
): number {
  let count = 0;
  for (let i = 0; i < length; i++) {
    const slot = slots[i];
    if (slot < 0) continue;
    const x = a[i];
    const y = b[slot];
    if (x !== y && differs[i] === 0 && !(Number.isNaN(x) && Number.isNaN(y))) {
      differs[i] = 1;
      count++;
    }
  }
  return count;
}

function differInt32(a: Int32Array, b: Int32Array, slots: Int32Array, length: number, differs: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < length; i++) {
    const slot = slots[i];
    if (slot >= 0 && a[i] !== b[slot] && differs[i] === 0) {
      differs[i] = 1;
      count++;
    }
  }
  return count;
}

function differAny(a: Column, b: StateColumn, slots: Int32Array, length: number, differs: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < length; i++) {
    const slot = slots[i];
    if (slot >= 0 && differs[i] === 0 && !sameValue(a, i, b, slot)) {
      differs[i] = 1;
      count++;
    }
  }
  return count;
}
