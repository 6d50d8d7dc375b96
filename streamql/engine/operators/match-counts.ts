import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { grown, type Visit } from '../state/arrays.ts';
import type { RowTable } from '../state/row-table.ts';
import type { StateColumn } from '../state/state-column.ts';
import { room } from './join-pairs.ts';

/** What a join keeps of one of its sides. */
export interface JoinSide {
  readonly table: RowTable;
  /** By row slot, or null when all are 1. */
  readonly weights: Float64Array | null;
  readonly columns: readonly StateColumn[];
  /** The n-th of the join's own columns. */
  extra(n: number): StateColumn;
}

/** By the weight of the other side's rows that match it, whether a row of this side of a join shows on its own. */
export class MatchCounts {
  readonly #side: JoinSide;
  /** Shown while there is a match (semi join), or while there is none. */
  readonly #whenMatched: boolean;
  /** During a batch of this side, by its rows. */
  #ofRows: Float64Array = new Float64Array(0);
  /** During a batch of the other side: the slots whose weight changed, and what it was. */
  #mark = new Uint8Array(16);
  #changed: Int32Array = new Int32Array(64);
  #changedCount = 0;
  #before = new Float64Array(64);

  /** The weights are the first extra column of `side`. */
  constructor(side: JoinSide, whenMatched: boolean) {
    this.#side = side;
    this.#whenMatched = whenMatched;
    side.table.goesWith((visit) => this.#arrays(visit));
  }

  /** A batch of this side with so many rows begins. */
  begin(length: number): void {
    if (this.#ofRows.length < length) this.#ofRows = new Float64Array(length);
    else this.#ofRows.fill(0, 0, length);
  }

  /** Pairs (row of this side's batch, slot of the other side): those at `selected[0..count)`, or the first `count`. */
  addToRows(
    rows: Int32Array,
    slots: Int32Array,
    otherWeights: Float64Array | null,
    selected: Int32Array | null,
    count: number,
  ): void {
    for (let k = 0; k < count; k++) {
      const at = selected === null ? k : selected[k];
      this.#ofRows[rows[at]] += otherWeights === null ? 1 : otherWeights[slots[at]];
    }
  }

  /** Pairs (row of the other side's batch, slot of this side). */
  addToSlots(
    rows: Int32Array,
    slots: Int32Array,
    rowWeights: Int32Array | null,
    selected: Int32Array | null,
    count: number,
  ): void {
    const totals = this.#totals;
    const { capacity } = this.#side.table;
    if (this.#mark.length < capacity) this.#mark = grown(this.#mark, capacity);
    for (let k = 0; k < count; k++) {
      const at = selected === null ? k : selected[k];
      const slot = slots[at];
      if (this.#mark[slot] === 0) this.#note(slot, totals[slot]);
      totals[slot] += rowWeights === null ? 1 : rowWeights[rows[at]];
    }
  }

  /** The rows of this side's batch that show. */
  shownOf(batch: Batch): Batch {
    const rows = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) if (this.#ofRows[row] > 0 === this.#whenMatched) rows[count++] = row;
    return count === batch.length ? batch : gatherBatch(batch, rows, count);
  }

  /** Keeps the weights of rows that are new to the side. */
  keep(slots: Int32Array, rows: Int32Array, count: number): void {
    const totals = this.#totals;
    for (let i = 0; i < count; i++) totals[slots[i]] = this.#ofRows[rows[i]];
  }

  /** After a batch of the other side: rows of this side that it made show or hid; null when there are none. */
  turned(): Batch | null {
    const side = this.#side;
    const totals = this.#totals;
    const slots = new Int32Array(this.#changedCount);
    const weights = new Int32Array(this.#changedCount);
    let count = 0;
    let allOne = true;
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = this.#changed[i];
      this.#mark[slot] = 0;
      assert(totals[slot] >= 0, `${side.table.id}: a row was taken back that is not there`);
      if ((this.#before[i] === 0) === (totals[slot] === 0)) continue;
      const weight = side.weights === null ? 1 : side.weights[slot];
      weights[count] = totals[slot] > 0 === this.#whenMatched ? weight : -weight;
      if (weights[count] !== 1) allOne = false;
      slots[count++] = slot;
    }
    this.#changedCount = 0;
    if (count === 0) return null;
    const columns = side.columns.map((column) => column.gather(slots, count));
    return { length: count, columns, weights: allOne ? null : weights.subarray(0, count) };
  }

  #arrays(visit: Visit): void {
    this.#mark = visit(this.#mark);
    this.#changed = visit(this.#changed);
    this.#before = visit(this.#before);
  }

  get #totals(): Float64Array {
    return this.#side.extra(0).values as Float64Array;
  }

  #note(slot: number, before: number): void {
    this.#mark[slot] = 1;
    this.#changed = room(this.#changed, this.#changedCount + 1);
    if (this.#before.length < this.#changed.length) this.#before = grown(this.#before, this.#changed.length);
    this.#before[this.#changedCount] = before;
    this.#changed[this.#changedCount++] = slot;
    this.#side.table.touch(slot);
  }
}
