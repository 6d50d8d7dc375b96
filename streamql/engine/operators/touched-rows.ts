import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { grown, type HasArrays, type Visit } from '../state/arrays.ts';
import type { RowOrder } from '../state/row-order.ts';
import type { RowTable } from '../state/row-table.ts';

/**
 * Whole rows with weights that come in batches and are looked at by partition at the end of an epoch: which rows the epoch touched, and
 * what their weight was before it. The table's first value column holds the weights.
 */
export class TouchedRows implements HasArrays {
  readonly #id: string;
  readonly #rows: RowTable;
  readonly #order: RowOrder;
  /** By partition slot: the row slots that this epoch touched. */
  readonly #byPartition = new Map<number, number[]>();
  /** By row slot: whether it was touched, and what its weight was. */
  #seen = new Uint8Array(16);
  #before = new Float64Array(16);
  #slots = new Int32Array(0);

  constructor(id: string, rows: RowTable, order: RowOrder) {
    this.#id = id;
    this.#rows = rows;
    this.#order = order;
  }

  get isEmpty(): boolean {
    return this.#byPartition.size === 0;
  }

  /** Partition slots, each with the row slots that were touched. */
  get partitions(): ReadonlyMap<number, readonly number[]> {
    return this.#byPartition;
  }

  get weights(): Float64Array {
    return this.#rows.values[0].values as Float64Array;
  }

  /** The weight that a touched row had before this epoch. */
  before(slot: number): number {
    return this.#before[slot];
  }

  /** Adds a batch's weights; `partitionsOf` gives the partition slot of each of its rows. */
  take(batch: Batch, partitionsOf: () => Int32Array): void {
    this.#rows.ready();
    const { length } = batch;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    this.#rows.upsert(batch.columns, length, slots);
    const partitions = partitionsOf();
    if (this.#seen.length < this.#rows.capacity) {
      this.#seen = grown(this.#seen, this.#rows.capacity);
      this.#before = grown(this.#before, this.#rows.capacity);
    }
    const { weights } = this;
    for (let row = 0; row < length; row++) {
      const slot = slots[row];
      if (this.#seen[slot] === 0) this.#note(slot, partitions[row], weights[slot]);
      weights[slot] += batch.weights === null ? 1 : batch.weights[row];
      this.#rows.touch(slot);
    }
  }

  /** Of the touched rows those whose weight is another now, in their order. */
  changed(touched: readonly number[]): number[] {
    const { weights } = this;
    const { columns } = this.#rows.keys;
    const changed = touched.filter((slot) => weights[slot] !== this.#before[slot]);
    for (const slot of changed) assert(weights[slot] >= 0, `${this.#id}: a row was taken back that is not there`);
    return changed.sort((a, b) => this.#order(columns, a, columns, b));
  }

  /** Where the row stands, or would, among the ordered rows of its partition. */
  lowerBound(ordered: readonly number[], slot: number): number {
    const { columns } = this.#rows.keys;
    let low = 0;
    let high = ordered.length;
    // Most rows come last.
    if (high > 0 && this.#order(columns, ordered[high - 1], columns, slot) < 0) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order(columns, ordered[middle], columns, slot) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  arrays(visit: Visit): void {
    this.#seen = visit(this.#seen);
    this.#before = visit(this.#before);
  }

  /** The epoch is done: rows without weight are let go, then `settled` is told of each partition. */
  end(settled: (partition: number) => void): void {
    const { weights } = this;
    for (const [partition, touched] of this.#byPartition) {
      for (const slot of touched) {
        this.#seen[slot] = 0;
        if (weights[slot] === 0) this.#rows.release(slot);
      }
      settled(partition);
    }
    this.#byPartition.clear();
  }

  /** The table was loaded. */
  reset(): void {
    this.#seen = new Uint8Array(this.#rows.capacity);
    this.#before = new Float64Array(this.#rows.capacity);
  }

  #note(slot: number, partition: number, weight: number): void {
    this.#seen[slot] = 1;
    this.#before[slot] = weight;
    const touched = this.#byPartition.get(partition);
    if (touched === undefined) this.#byPartition.set(partition, [slot]);
    else touched.push(slot);
  }
}
