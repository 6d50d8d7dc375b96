import type { Batch } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { grown } from '../state/arrays.ts';

/** Pairs per emitted batch, about. */
const CHUNK = 8192;

/** Matches found and not yet emitted: a row of the present batch, a slot of the other side, the product of weights. */
export class JoinPairs {
  rows = new Int32Array(CHUNK);
  slots = new Int32Array(CHUNK);
  weights = new Int32Array(CHUNK);
  count = 0;
  /** Whether some weight is not 1. */
  weighted = false;
  /** Whether the rows are 0, 1, 2, …, so that the batch's columns can go on as they are. */
  inOrder = true;

  get full(): boolean {
    return this.count >= CHUNK;
  }

  add(row: number, slot: number, weight: number): void {
    const at = this.count++;
    this.rows[at] = row;
    this.slots[at] = slot;
    this.weights[at] = weight;
    if (weight !== 1) this.weighted = true;
    if (row !== at) this.inOrder = false;
  }

  clear(): void {
    this.count = 0;
    this.weighted = false;
    this.inOrder = true;
  }

  /** Leaves the pairs at `kept[0..count)`, ascending. */
  keep(kept: Int32Array, count: number): void {
    if (count === this.count) return;
    this.weighted = false;
    this.inOrder = true;
    for (let i = 0; i < count; i++) {
      const at = kept[i];
      this.rows[i] = this.rows[at];
      this.slots[i] = this.slots[at];
      this.weights[i] = this.weights[at];
      if (this.weights[i] !== 1) this.weighted = true;
      if (this.rows[i] !== i) this.inOrder = false;
    }
    this.count = count;
  }

  /** The pairs as rows: the batch's columns and the other side's, the left side's first. */
  build(batch: Batch, other: readonly Column[], batchIsLeft: boolean): Batch {
    const { rows, slots, count } = this;
    const mine =
      this.inOrder && count === batch.length
        ? batch.columns
        : batch.columns.map((column) => column.gather(rows, count));
    const theirs = other.map((column) => column.gather(slots, count));
    return {
      length: count,
      columns: batchIsLeft ? [...mine, ...theirs] : [...theirs, ...mine],
      weights: this.weighted ? this.weights.slice(0, count) : null,
    };
  }
}

/**
 * The order in which to take a batch's rows: those that come before those that go, so that cutting the output into
 * several batches never takes back a row that has yet to come. Null when any order does.
 */
export function comingFirst(batch: Batch): Int32Array | null {
  const weights = batch.weights;
  if (weights === null) return null;
  const order = new Int32Array(batch.length);
  let count = 0;
  for (let row = 0; row < batch.length; row++) if (weights[row] > 0) order[count++] = row;
  if (count === 0 || count === batch.length) return null;
  for (let row = 0; row < batch.length; row++) if (weights[row] < 0) order[count++] = row;
  return order;
}

/** Rows of which some key column is NULL, and the others; `nullKeyed` is empty in nearly every batch. */
export function splitByNullKey(
  batch: Batch,
  keys: readonly number[],
): { keyed: Int32Array; keyedCount: number; nullKeyed: Int32Array; nullCount: number } | null {
  const nulls = keys.map((column) => batch.columns[column].nulls).filter((column) => column !== null);
  if (nulls.length === 0) return null;
  const keyed = new Int32Array(batch.length);
  const nullKeyed = new Int32Array(batch.length);
  let keyedCount = 0;
  let nullCount = 0;
  for (let row = 0; row < batch.length; row++) {
    let any = 0;
    for (const column of nulls) any |= column[row];
    if (any === 1) nullKeyed[nullCount++] = row;
    else keyed[keyedCount++] = row;
  }
  return nullCount === 0 ? null : { keyed, keyedCount, nullKeyed, nullCount };
}

export function room(array: Int32Array, length: number): Int32Array {
  return array.length >= length ? array : grown(array, Math.max(length, array.length * 2));
}
