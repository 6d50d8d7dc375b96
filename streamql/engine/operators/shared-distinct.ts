import { assert } from '../../../src/lib/assert.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { BIGINT, INTEGER, type SqlType } from '../../../src/values/types.ts';
import { RowTable } from '../state/row-table.ts';
import { DistinctEntries } from './distinct-entries.ts';
import { groupsOf, picked } from './distinct-values.ts';

/** The most filters of one: a bit each in a column of integers. */
export const MOST_FILTERS = 31;

/** Hands on what a batch changes in the distinct values under one filter: `rows[0..count)` bring or take back one each. Valid during the call. */
export type TakeDistinct = (filter: number, rows: Int32Array, weights: Int32Array | null, count: number) => void;

/**
 * DISTINCT values of one argument under several FILTERs: an entry per (group slot, value) tells under which filters the value is there, so that a
 * row is looked up once and not for each. Over append-only input it keeps a bit for each filter, else a count.
 */
export class SharedDistinct {
  readonly entries: DistinctEntries;
  readonly #arg: number;
  /** Positions of booleans in the input; null for all rows. What stands at bit or count n counts rows under filter n. */
  readonly #filters: readonly (number | null)[];
  readonly #appendOnly: boolean;
  /** By row of the batch: under which filters it is. */
  #under = new Int32Array(0);
  #rows = new Int32Array(0);
  #weights = new Int32Array(0);

  /** `apart`: ids of the tables that builds before this one kept for each filter. */
  constructor(
    id: string,
    {
      arg,
      type,
      filters,
      apart,
    }: { arg: number; type: SqlType; filters: readonly (number | null)[]; apart: readonly string[] },
    appendOnly: boolean,
    drops: boolean,
  ) {
    this.#arg = arg;
    this.#filters = filters;
    this.#appendOnly = appendOnly;
    this.entries = new DistinctEntries(id, type, appendOnly ? [INTEGER] : filters.map(() => BIGINT), drops);
    const tables = (): RowTable[] => apart.map((id) => new RowTable(id, [INTEGER, type], appendOnly ? [] : [BIGINT]));
    this.entries.table.formerly = { tables, takeIn: (loaded) => this.#takeIn(loaded as readonly RowTable[]) };
  }

  update(batch: Batch, slots: Int32Array, take: TakeDistinct): void {
    const { length } = batch;
    if (this.#under.length < length) {
      this.#under = new Int32Array(length);
      this.#rows = new Int32Array(length);
      this.#weights = new Int32Array(length);
    }
    const column = batch.columns[this.#arg];
    this.#mark(batch, column.nulls);
    const rows = this.#marked(length);
    const count = rows === null ? length : rows.length;
    if (count === 0) return;
    this.entries.upsert(groupsOf(slots, rows, count), picked(column, rows, count), count);
    if (this.#appendOnly) this.#firsts(rows, count, take);
    else this.#transitions(rows, count, batch.weights, take);
  }

  /** Sets the filters of each row; none where the value is NULL. */
  #mark({ columns, length }: Batch, absent: Uint8Array | null): void {
    const under = this.#under;
    under.fill(0, 0, length);
    this.#filters.forEach((filter, n) => {
      const bit = 1 << n;
      if (filter === null) for (let row = 0; row < length; row++) under[row] |= bit;
      else markTrue(columns[filter], length, bit, under);
    });
    if (absent !== null) for (let row = 0; row < length; row++) if (absent[row] === 1) under[row] = 0;
  }

  /** The rows under some filter; null when all are. */
  #marked(length: number): Int32Array | null {
    const under = this.#under;
    let count = 0;
    for (let row = 0; row < length; row++) if (under[row] !== 0) count++;
    if (count === length) return null;
    const rows = new Int32Array(count);
    count = 0;
    for (let row = 0; row < length; row++) if (under[row] !== 0) rows[count++] = row;
    return rows;
  }

  #firsts(rows: Int32Array | null, count: number, take: TakeDistinct): void {
    const { slots, table } = this.entries;
    const seen = table.values[0].values as Int32Array;
    const under = this.#under;
    const first = this.#rows;
    let most = 0;
    let any = 0;
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[k];
      const added = under[row] & ~seen[slot];
      under[row] = added;
      if (added === 0) continue;
      seen[slot] |= added;
      any |= added;
      table.touch(slot);
      first[most++] = row;
    }
    for (let n = 0; n < this.#filters.length; n++) {
      const bit = 1 << n;
      if ((any & bit) === 0) continue;
      const brought = new Int32Array(most);
      let found = 0;
      for (let i = 0; i < most; i++) if ((under[first[i]] & bit) !== 0) brought[found++] = first[i];
      take(n, brought, null, found);
    }
  }

  #transitions(rows: Int32Array | null, count: number, given: Int32Array | null, take: TakeDistinct): void {
    const { slots, table } = this.entries;
    for (let k = 0; k < count; k++) table.touch(slots[k]);
    for (let n = 0; n < this.#filters.length; n++) {
      const bit = 1 << n;
      const counts = table.values[n].values as Float64Array;
      let found = 0;
      for (let k = 0; k < count; k++) {
        const row = rows === null ? k : rows[k];
        if ((this.#under[row] & bit) === 0) continue;
        const before = counts[slots[k]];
        const after = before + (given === null ? 1 : given[row]);
        counts[slots[k]] = after;
        if (before > 0 === after > 0) continue;
        this.#weights[row] = after > 0 ? 1 : -1;
        this.#rows[found++] = row;
      }
      if (found > 0) take(n, this.#rows, this.#weights, found);
    }
    for (let k = 0; k < count; k++)
      if (table.keys.alive(slots[k]) && this.#isEmpty(slots[k])) this.entries.release(slots[k]);
  }

  #isEmpty(slot: number): boolean {
    let copies = 0;
    for (const { values } of this.entries.table.values) {
      const count = values[slot] as number;
      assert(count >= 0, 'a value was taken back that is not in its group');
      copies += count;
    }
    return copies === 0;
  }

  #takeIn(apart: readonly RowTable[]): void {
    const { table } = this.entries;
    apart.forEach((one, n) => {
      const from = one.aliveSlots();
      const [groups, values] = one.keys.columns.map((column) => column.gather(from, from.length));
      this.entries.upsert(groups, values, from.length);
      const to = this.entries.slots;
      if (!this.#appendOnly) table.values[n].scatter(one.values[0], from, to, from.length);
      else for (let i = 0; i < from.length; i++) (table.values[0].values as Int32Array)[to[i]] |= 1 << n;
      for (const slot of to.subarray(0, from.length)) table.touch(slot);
    });
  }
}

function markTrue({ values, nulls }: Column, length: number, bit: number, under: Int32Array): void {
  if (nulls === null && values instanceof Uint8Array) {
    for (let row = 0; row < length; row++) if (values[row] === 1) under[row] |= bit;
    return;
  }
  for (let row = 0; row < length; row++) {
    if (nulls !== null && nulls[row] === 1) continue;
    if (values[row] === 1 || values[row] === true) under[row] |= bit;
  }
}
