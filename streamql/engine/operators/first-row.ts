import type { Column } from '../../../src/values/column.ts';
import { INTEGER, type SqlType } from '../../../src/values/types.ts';
import { type GroupRows, ListedRows } from '../../functions/group-rows.ts';
import { type RowOrder, totalOrder } from '../state/row-order.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';
import type { RowShape } from './ordered-rows.ts';

const NONE: readonly never[] = [];

/** The first or last row of each group over input that is never taken back: that one row is all it keeps. */
export class FirstRow implements Accumulator {
  readonly types: readonly SqlType[];
  readonly tables = [];
  readonly #shape: RowShape;
  readonly #order: RowOrder;
  readonly #sign: 1 | -1;
  #there!: StateColumn;
  #row: readonly StateColumn[] = [];

  constructor(shape: RowShape, end: 'first' | 'last') {
    this.#shape = shape;
    this.types = [INTEGER, ...shape.types];
    this.#order = totalOrder(shape.types.length, shape.orderBy);
    this.#sign = end === 'first' ? 1 : -1;
  }

  attach([there, ...row]: readonly StateColumn[]): void {
    this.#there = there;
    this.#row = row;
  }

  init(): void {}

  update({ columns, slots, rows, count }: Contribution): void {
    const given: Column[] = this.#shape.columns.map((column) => columns[column]);
    const there = this.#there.values as Int32Array;
    const from = new Int32Array(1);
    const to = new Int32Array(1);
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[row];
      if (there[slot] === 1 && this.#order(given, row, this.#row, slot) * this.#sign >= 0) continue;
      there[slot] = 1;
      from[0] = row;
      to[0] = slot;
      for (let c = 0; c < given.length; c++) this.#row[c].scatter(given[c], from, to, 1);
    }
  }

  rowsOf(slot: number): GroupRows {
    const rows = this.#there.values[slot] === 1 ? [this.#row[this.#shape.a].get(slot)] : NONE;
    return new ListedRows(rows, null, false, []);
  }

  release(): void {}
  endEpoch(): void {}
}
