import type { Batch, ColumnSchema } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { type StoredRows, UniqueRows } from '../state/join-rows.ts';
import { RowTable } from '../state/row-table.ts';
import type { StateColumn } from '../state/state-column.ts';

/** The rows of a keyed table, one per primary key. Writing answers with what changed. */
export class TableStore {
  readonly table: RowTable;
  readonly columns: readonly ColumnSchema[];
  readonly key: readonly number[];
  /** For each column of the table: its place among the key columns, or −1 − its place among the others. */
  readonly #places: readonly number[];
  readonly #rest: readonly number[];

  constructor(columns: readonly ColumnSchema[], key: readonly number[]) {
    this.columns = columns;
    this.key = key;
    this.#rest = columns.map((_, i) => i).filter((i) => !key.includes(i));
    this.#places = columns.map((_, i) => (key.includes(i) ? key.indexOf(i) : -1 - this.#rest.indexOf(i)));
    const typeOf = (i: number) => columns[i].type;
    this.table = new RowTable('table', key.map(typeOf), this.#rest.map(typeOf));
  }

  /**
   * Puts or deletes rows one after the other: row i of `columns` (all columns; those of a delete count only in the key) is
   * put unless `deletes[i]`. Gives the old rows that went, weights −1, and the new ones, weights null.
   */
  write(columns: readonly Column[], length: number, deletes: Uint8Array): { old: Batch | null; fresh: Batch | null } {
    const keys = this.key.map((column) => columns[column]);
    const slots = new Int32Array(length);
    const made = this.table.upsert(keys, length, slots);
    const isNew = new Set(this.table.keys.fresh.subarray(0, made));
    const last = new Map<number, number>();
    for (let row = 0; row < length; row++) last.set(slots[row], row);

    const oldSlots = new Int32Array(last.size);
    const putSlots = new Int32Array(last.size);
    const putRows = new Int32Array(last.size);
    let olds = 0;
    let puts = 0;
    for (const [slot, row] of last) {
      if (!isNew.has(slot)) oldSlots[olds++] = slot;
      if (deletes[row] === 1) continue;
      putSlots[puts] = slot;
      putRows[puts++] = row;
    }
    const old = olds === 0 ? null : { ...this.#gather(oldSlots, olds), weights: new Int32Array(olds).fill(-1) };
    this.#rest.forEach((column, i) => {
      this.table.values[i].scatter(columns[column], putRows, putSlots, puts);
    });
    for (let i = 0; i < puts; i++) this.table.touch(putSlots[i]);
    const fresh = puts === 0 ? null : this.#gather(putSlots, puts);
    for (const [slot, row] of last) if (deletes[row] === 1) this.table.release(slot);
    return { old, fresh };
  }

  get rows(): number {
    return this.table.rows;
  }

  /** Some columns of all rows, or of `limit` rows. */
  scan(columns: readonly number[], limit = Number.POSITIVE_INFINITY): Batch {
    const slots = this.table.aliveSlots();
    return this.#gather(slots, Math.min(limit, slots.length), columns);
  }

  /** Rows whose key begins with `key`: the whole key finds its row at once, a part of it visits all. */
  readonly lookup = (key: readonly Datum[], limit: number): Batch => {
    if (key.length === this.key.length) {
      const slot = this.table.lookupOne(key);
      return this.#gather(Int32Array.of(slot), slot < 0 || limit < 1 ? 0 : 1);
    }
    const found: number[] = [];
    for (const slot of this.table.aliveSlots()) {
      if (found.length >= limit) break;
      const { columns } = this.table.keys;
      if (key.every((datum, k) => sameNullable(columns[k].get(slot), datum, columns[k].type))) found.push(slot);
    }
    return this.#gather(Int32Array.from(found), found.length);
  };

  /** Null unless these are the columns of the key. */
  readonly by = (columns: readonly number[]): StoredRows | null =>
    UniqueRows.by(columns, this.key, this.table, {
      columns: this.columns.map((_, column) => this.#stored(column)),
      scan: (wanted) => this.scan(wanted),
    });

  #stored(column: number): StateColumn {
    const place = this.#places[column];
    return place >= 0 ? this.table.keys.columns[place] : this.table.values[-1 - place];
  }

  #gather(slots: Int32Array, count: number, columns?: readonly number[]): Batch {
    const wanted = columns ?? this.columns.map((_, i) => i);
    const gathered = wanted.map((column) => this.#stored(column).gather(slots, count));
    return { length: count, columns: gathered, weights: null };
  }
}

/** A primary key is never NULL, but what is looked for may be. */
const sameNullable = (a: Datum, b: Datum, type: SqlType): boolean =>
  a === null || b === null ? a === b : equalDatums(a, b, type);
