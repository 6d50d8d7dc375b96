import type { Column } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { hashDatum, hashNumber, hashText as hashString } from '../../../src/values/hash.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { StateColumn } from './state-column.ts';

/**
 * Hashing and equality of rows, a column at a time, with SQL's grouping rule: NULL equals NULL, NaN equals NaN, −0
 * equals 0. Hashes live in memory only; they are not stored, so the function may change.
 */

const SEED = 0x2f6b1c3d;
const NULL_HASH = 0x5bd1e995;

/** Writes a 32-bit hash of each row over the given columns to `out[0..length)`. */
export function hashRows(columns: readonly Column[], length: number, out: Int32Array): void {
  if (columns.length === 0) {
    out.fill(SEED, 0, length);
    return;
  }
  for (let c = 0; c < columns.length; c++) {
    const { nulls, values } = columns[c];
    const first = c === 0;
    if (nulls !== null) hashAny(columns[c], length, out, first);
    else if (values instanceof Float64Array) hashFloat64(values, length, out, first);
    else if (values instanceof Int32Array) hashInt32(values, length, out, first);
    else if (values instanceof Uint8Array) hashAny(columns[c], length, out, first);
    else if (columns[c].type.kind === 'varchar') hashText(values as readonly string[], length, out, first);
    else hashAny(columns[c], length, out, first);
  }
}

/** The same hash for one row given as datums. */
export function hashOne(datums: readonly Datum[], columns: readonly Column[]): number {
  let h = SEED;
  for (let c = 0; c < datums.length; c++) {
    const datum = datums[c];
    h = mix(h, hashStored(typeof datum === 'boolean' ? Number(datum) : datum, columns[c].type));
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

function hashText(values: readonly string[], length: number, out: Int32Array, first: boolean): void {
  for (let i = 0; i < length; i++) out[i] = mix(first ? SEED : out[i], hashString(values[i]));
}

function hashAny({ values, nulls, type }: Column, length: number, out: Int32Array, first: boolean): void {
  for (let i = 0; i < length; i++) {
    const word = nulls !== null && nulls[i] === 1 ? NULL_HASH : hashStored(values[i] as Datum, type);
    out[i] = mix(first ? SEED : out[i], word);
  }
}

/** Whether row `i` of one set of columns is the same group as row `j` of another, column by column. */
export function sameRow(a: readonly Column[], i: number, b: readonly Column[], j: number): boolean {
  for (let c = 0; c < a.length; c++) {
    const aNull = a[c].nulls !== null && a[c].nulls![i] === 1;
    const bNull = b[c].nulls !== null && b[c].nulls![j] === 1;
    if (aNull || bNull) {
      if (aNull !== bNull) return false;
    } else {
      (b[c] as Partial<StateColumn>).bringInOne?.(j);
      const x = a[c].values[i];
      const y = b[c].values[j];
      if (x !== y && !equalDatums(x as Datum, y as Datum, a[c].type)) return false;
    }
  }
  return true;
}

/**
 * For each row below `length` with `slots[row] >= 0`: sets `differs[row]` to 1 where the row is not the same group as
 * state slot `slots[row]`. Returns how many differ. `differs` comes zeroed.
 */
export function markDifferent(
  rows: readonly Column[],
  state: readonly Column[],
  slots: Int32Array,
  length: number,
  differs: Uint8Array,
): number {
  let count = 0;
  for (let c = 0; c < rows.length; c++) {
    const a = rows[c];
    const b = state[c];
    (b as Partial<StateColumn>).bringIn?.(slots, length);
    const av = a.values;
    const bv = b.values;
    if (a.nulls !== null || b.nulls !== null) count += differAny(a, b, slots, length, differs);
    else if (av instanceof Float64Array && bv instanceof Float64Array)
      count += differFloat64(av, bv, slots, length, differs);
    else if (av instanceof Int32Array && bv instanceof Int32Array) count += differInt32(av, bv, slots, length, differs);
    else if (a.type.kind === 'varchar')
      count += differText(av as readonly string[], bv as readonly string[], slots, length, differs);
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

function differText(
  a: readonly string[],
  b: readonly string[],
  slots: Int32Array,
  length: number,
  differs: Uint8Array,
): number {
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

function differAny(a: Column, b: Column, slots: Int32Array, length: number, differs: Uint8Array): number {
  let count = 0;
  const left = [a];
  const right = [b];
  for (let i = 0; i < length; i++) {
    const slot = slots[i];
    if (slot >= 0 && differs[i] === 0 && !sameRow(left, i, right, slot)) {
      differs[i] = 1;
      count++;
    }
  }
  return count;
}
