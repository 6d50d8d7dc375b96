import { assert } from '../../../src/lib/assert.ts';
import type { Column } from '../../../src/values/column.ts';
import { PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, INTEGER, type SqlType } from '../../../src/values/types.ts';
import type { Contribution } from './accumulators.ts';
import { DistinctEntries } from './distinct-entries.ts';

/**
 * DISTINCT inside an aggregate: passes a value on when it first comes to its group and takes it back when its last copy
 * goes. Over append-only input the presence of (group slot, value) is all it keeps, else a count.
 */
export class DistinctValues {
  readonly entries: DistinctEntries;
  readonly #arg: number;
  readonly #appendOnly: boolean;

  /** `arg`: the values' position in the input. */
  constructor(id: string, arg: number, type: SqlType, appendOnly: boolean, drops: boolean) {
    this.#arg = arg;
    this.#appendOnly = appendOnly;
    this.entries = new DistinctEntries(id, type, appendOnly ? [] : [BIGINT], drops);
  }

  /** What the batch changes in the set of distinct values. */
  reduce(from: Contribution): Contribution {
    const { columns, slots, rows, count } = from;
    const made = this.entries.upsert(groupsOf(slots, rows, count), picked(columns[this.#arg], rows, count), count);
    return this.#appendOnly ? this.#firsts(from, made) : this.#transitions(from);
  }

  #firsts(from: Contribution, made: number): Contribution {
    const { table } = this.entries;
    const { fresh, freshRows } = table.keys;
    const rows = new Int32Array(made);
    for (let i = 0; i < made; i++) {
      table.touch(fresh[i]);
      rows[i] = from.rows === null ? freshRows[i] : from.rows[freshRows[i]];
    }
    return { ...from, weights: null, rows, count: made };
  }

  #transitions(from: Contribution): Contribution {
    const { entries } = this;
    const counts = entries.table.values[0].values as Float64Array;
    const rows = new Int32Array(from.count);
    const weights = new Int32Array(from.slots.length);
    let count = 0;
    for (let k = 0; k < from.count; k++) {
      const row = from.rows === null ? k : from.rows[k];
      const slot = entries.slots[k];
      const before = counts[slot];
      const after = before + (from.weights === null ? 1 : from.weights[row]);
      counts[slot] = after;
      entries.table.touch(slot);
      if (before > 0 === after > 0) continue;
      weights[row] = after > 0 ? 1 : -1;
      rows[count++] = row;
    }
    for (let k = 0; k < from.count; k++) {
      const slot = entries.slots[k];
      if (counts[slot] > 0 || !entries.table.keys.alive(slot)) continue;
      assert(counts[slot] === 0, 'a value was taken back that is not in its group');
      entries.release(slot);
    }
    return { ...from, weights, rows, count };
  }
}

/** The group slots of rows `rows[0..count)`, of the first `count` when `rows` is null. */
export function groupsOf(slots: Int32Array, rows: Int32Array | null, count: number): Column {
  if (rows === null) return new PlainColumn(INTEGER, count, slots, null);
  const groups = new Int32Array(count);
  for (let k = 0; k < count; k++) groups[k] = slots[rows[k]];
  return new PlainColumn(INTEGER, count, groups, null);
}

/** The values of the same rows, none of which is NULL. */
export const picked = (column: Column, rows: Int32Array | null, count: number): Column =>
  rows === null ? column : column.gather(rows, count);
