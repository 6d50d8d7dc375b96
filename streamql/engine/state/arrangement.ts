import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { BIGINT, type SqlType } from '../../../src/values/types.ts';
import { Chains } from './chains.ts';
import type { JoinRows } from './join-rows.ts';
import { RowTable } from './row-table.ts';
import { blocksOf, identity, type StateColumn } from './state-column.ts';

/**
 * One side of a join: rows arranged by key. Each key leads to a chain of row slots. Where rows can be taken back, equal
 * rows share a slot with a weight and are found by a hash of the whole row, so that a key with many rows costs no more;
 * where they cannot, rows are only appended and all weigh 1.
 *
 * Only the rows are saved; keys and chains are built anew after a load.
 */
export class Arrangement implements JoinRows {
  readonly table: RowTable;
  readonly chains: Chains;
  /** Slots of the rows of the last `apply`. */
  slots = new Int32Array(0);
  readonly #keyColumns: readonly number[];
  readonly #retractable: boolean;

  /** `extra` are value columns of the caller's, after the weight. */
  constructor(
    id: string,
    types: readonly SqlType[],
    keyColumns: readonly number[],
    retractable: boolean,
    extra: readonly SqlType[] = [],
  ) {
    this.#keyColumns = keyColumns;
    this.#retractable = retractable;
    this.table = new RowTable(id, types, retractable ? [BIGINT, ...extra] : extra, {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => this.chains.arrays(visit),
      indexed: retractable,
    });
    this.chains = new Chains(
      keyColumns.map((column) => types[column]),
      retractable,
    );
  }

  /** Weights by row slot, or null when all are 1. */
  get weights(): Float64Array | null {
    return this.#retractable ? (this.table.values[0].values as Float64Array) : null;
  }

  /** The n-th of the caller's own value columns. */
  extra(n: number): StateColumn {
    return this.table.values[this.#retractable ? n + 1 : n];
  }

  get columns(): readonly StateColumn[] {
    return this.table.keys.columns;
  }

  /** Sets `keySlots[row]` to the key slot of each row of another side's batch, or NONE. A NULL key meets nothing. */
  probe(batch: Batch, keyColumns: readonly number[], keySlots: Int32Array): void {
    this.table.ready();
    this.chains.keys.lookup(
      keyColumns.map((column) => batch.columns[column]),
      batch.length,
      keySlots,
    );
  }

  /**
   * Adds and takes back rows; none has a NULL key. `slots` says afterwards where each row is, and `fresh` is called before
   * weights change, with the rows that were not there. A row taken back that is not there is an INVARIANT failure.
   */
  apply(batch: Batch, fresh: (slots: Int32Array, rows: Int32Array, count: number) => void): void {
    const length = batch.length;
    if (this.slots.length < length) this.slots = new Int32Array(length);
    const { table, slots } = this;
    if (this.#retractable) table.upsert(batch.columns, length, slots);
    else table.append(batch.columns, length, slots);
    this.#link(batch);
    const { keys } = table;
    fresh(keys.fresh, keys.freshRows, keys.freshCount);
    if (!this.#retractable) {
      assert(batch.weights === null, `${table.id}: a weight came to a side that is only appended to`);
      for (let row = 0; row < length; row++) table.touch(slots[row]);
      return;
    }
    const totals = table.values[0].values as Float64Array;
    let negative = false;
    for (let row = 0; row < length; row++) {
      const weight = batch.weights === null ? 1 : batch.weights[row];
      totals[slots[row]] += weight;
      if (weight < 0) negative = true;
      table.touch(slots[row]);
    }
    if (negative) this.#dropGone(length, totals);
  }

  #dropGone(length: number, totals: Float64Array): void {
    for (let row = 0; row < length; row++) {
      const slot = this.slots[row];
      if (totals[slot] > 0 || !this.table.keys.alive(slot)) continue;
      assert(totals[slot] === 0, `${this.table.id}: a row was taken back that is not there`);
      this.chains.unlink(slot);
      this.table.release(slot);
    }
  }

  #link(batch: Batch): void {
    const { fresh, freshRows, freshCount } = this.table.keys;
    const keys = this.#keyColumns.map((column) => batch.columns[column]);
    this.chains.link(keys, batch.length, fresh, freshRows, freshCount);
  }

  #rebuild(): void {
    const slots = this.table.keys.aliveSlots();
    this.chains.reset();
    for (const block of blocksOf(slots)) {
      const keys = this.#keyColumns.map((column) => this.columns[column].gather(block, block.length));
      this.chains.link(keys, block.length, block, identity(block.length), block.length);
    }
  }
}
