import type { Batch } from '../../../src/values/batch.ts';
import type { Chains } from './chains.ts';
import type { RowTable } from './row-table.ts';
import type { StateColumn } from './state-column.ts';

/** Rows by key, as the other side of a join meets them. */
export interface JoinRows {
  readonly columns: readonly StateColumn[];
  /** By row slot, or null when all are 1. */
  readonly weights: Float64Array | null;
  /** From a key's slot to the slots of its rows; null where a key has one row, which has the key's slot. */
  readonly chains: Chains | null;
  /** Sets `keySlots[row]` to the key's slot of each row of a batch, or NONE. No key of the batch is NULL unless NULL is to meet NULL. */
  probe(batch: Batch, keyColumns: readonly number[], keySlots: Int32Array): void;
}

/** What a relation's store gives to joins by some of its columns. */
export interface StoredRows extends JoinRows {
  /** By position in the relation. */
  readonly columns: readonly StateColumn[];
  /** Some columns of all rows, copies expanded. */
  scan(columns: readonly number[]): Batch;
}

/** The rows of a store with one row per key, by that key. */
export class UniqueRows implements StoredRows {
  readonly columns: readonly StateColumn[];
  readonly weights = null;
  readonly chains = null;
  readonly scan: (columns: readonly number[]) => Batch;
  readonly #table: RowTable;
  /** By column of the table's key, where it is among those that are asked for. */
  readonly #order: readonly number[];

  /** Null unless `wanted` are the columns of the key, in whatever order. */
  static by(
    wanted: readonly number[],
    key: readonly number[],
    table: RowTable,
    parts: Pick<StoredRows, 'columns' | 'scan'>,
  ): UniqueRows | null {
    const order = key.map((column) => wanted.indexOf(column));
    return key.length > 0 && wanted.length === key.length && !order.includes(-1)
      ? new UniqueRows(table, order, parts)
      : null;
  }

  private constructor(
    table: RowTable,
    order: readonly number[],
    { columns, scan }: Pick<StoredRows, 'columns' | 'scan'>,
  ) {
    this.#table = table;
    this.#order = order;
    this.columns = columns;
    this.scan = scan;
  }

  probe(batch: Batch, keyColumns: readonly number[], keySlots: Int32Array): void {
    const keys = this.#order.map((at) => batch.columns[keyColumns[at]]);
    this.#table.lookup(keys, batch.length, keySlots);
  }
}
