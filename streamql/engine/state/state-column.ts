import type { Column } from '../../../src/values/column.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { HasArrays } from './arrays.ts';

/**
 * One column of state, indexed by slot and written in place. Texts are kept as bytes (text-state-column.ts), the rest in arrays (plain-state-column.ts);
 * `make-column.ts` chooses.
 */
export interface StateColumn extends Column, HasArrays {
  /** Of texts there are none: they are read slot by slot. Hot loops may hold on to these two only until the next call that writes or grows. */
  readonly values: Uint8Array | Int32Array | Float64Array | Datum[];
  readonly nulls: Uint8Array | null;
  /** Slots there is room for. */
  readonly length: number;
  /** What objects use of memory, where the values are objects. */
  readonly objectBytes: number;
  /** Bytes of texts in memory. */
  readonly textBytes: number;
  ensure(capacity: number): void;
  get(slot: number): Datum;
  set(slot: number, datum: Datum): void;
  /** Back to what an unused slot holds: zero, or null for text and other objects. Keeps nothing alive. */
  clear(slot: number): void;
  /** Whether the slot holds this value, in the sense of GROUP BY. */
  equals(slot: number, datum: Datum): boolean;
  /** Writes row `rows[i]` of a batch's column to slot `slots[i]`, for i below `count`. The types are the same. */
  scatter(from: Column, rows: Int32Array, slots: Int32Array, count: number): void;
  /** An immutable copy of the given slots. */
  gather(slots: Int32Array, count: number): Column;
}

/** Rows that are copied at once where all of a table are gone through. */
export const BLOCK = 1 << 16;

/** A few slots at a time. */
export function* blocksOf(slots: Int32Array): Iterable<Int32Array> {
  for (let from = 0; from < slots.length; from += BLOCK) yield slots.subarray(from, from + BLOCK);
}

/** 0, 1, 2, … */
export function identity(length: number): Int32Array {
  const rows = new Int32Array(length);
  for (let i = 0; i < length; i++) rows[i] = i;
  return rows;
}
