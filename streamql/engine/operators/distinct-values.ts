import { assert } from '../../../src/lib/assert.ts';
import { BIGINT, INTEGER, type SqlType } from '../../../src/values/types.ts';
import { Chains, NONE } from '../state/chains.ts';
import { ABSENT } from '../state/key-table.ts';
import { RowTable } from '../state/row-table.ts';
import { identity } from '../state/state-column.ts';
import { type Contribution, groupAndValue } from './accumulators.ts';

/**
 * DISTINCT inside an aggregate: passes a value on when it first comes to its group and takes it back when its last copy
 * goes. Over append-only input the presence of (group slot, value) is all it keeps, else a count.
 */
export class DistinctValues {
  readonly table: RowTable;
  readonly #type: SqlType;
  readonly #appendOnly: boolean;
  /** Entries by group, where groups are let go of. */
  readonly #byGroup: Chains | null;
  #slots = new Int32Array(0);

  constructor(id: string, type: SqlType, appendOnly: boolean, drops: boolean) {
    this.#type = type;
    this.#appendOnly = appendOnly;
    this.#byGroup = drops ? new Chains([INTEGER], true) : null;
    this.table = new RowTable(id, [INTEGER, type], appendOnly ? [] : [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derivedBytes: () => this.#byGroup?.bytes ?? 0,
    });
  }

  /** Lets go of a group's values, at the end of an epoch. */
  drop(group: number): void {
    this.table.ready();
    const chains = this.#byGroup!;
    const key = chains.keys.lookupOne([group]);
    if (key === ABSENT) return;
    const slots: number[] = [];
    for (let slot = chains.heads[key]; slot !== NONE; slot = chains.next[slot]) slots.push(slot);
    for (const slot of slots) {
      chains.unlink(slot);
      this.table.release(slot);
    }
  }

  /** What the batch changes in the set of distinct values. */
  reduce(from: Contribution): Contribution {
    if (this.#slots.length < from.count) this.#slots = new Int32Array(from.count);
    const entries = groupAndValue(from, this.#type);
    const made = this.table.upsert(entries, from.count, this.#slots);
    const { fresh, freshRows } = this.table.keys;
    this.#byGroup?.link([entries[0]], from.count, fresh, freshRows, made);
    return this.#appendOnly ? this.#firsts(from, made) : this.#transitions(from);
  }

  #firsts(from: Contribution, made: number): Contribution {
    const { fresh, freshRows } = this.table.keys;
    const rows = new Int32Array(made);
    for (let i = 0; i < made; i++) {
      this.table.touch(fresh[i]);
      rows[i] = from.rows === null ? freshRows[i] : from.rows[freshRows[i]];
    }
    return { ...from, weights: null, rows, count: made };
  }

  #transitions(from: Contribution): Contribution {
    const counts = this.table.values[0].values as Float64Array;
    const rows = new Int32Array(from.count);
    const weights = new Int32Array(from.slots.length);
    let count = 0;
    for (let k = 0; k < from.count; k++) {
      const row = from.rows === null ? k : from.rows[k];
      const slot = this.#slots[k];
      const before = counts[slot];
      const after = before + (from.weights === null ? 1 : from.weights[row]);
      counts[slot] = after;
      this.table.touch(slot);
      if (before > 0 === after > 0) continue;
      weights[row] = after > 0 ? 1 : -1;
      rows[count++] = row;
    }
    for (let k = 0; k < from.count; k++) {
      const slot = this.#slots[k];
      if (counts[slot] > 0 || !this.table.keys.alive(slot)) continue;
      assert(counts[slot] === 0, 'a value was taken back that is not in its group');
      this.#byGroup?.unlink(slot);
      this.table.release(slot);
    }
    return { ...from, weights, rows, count };
  }

  #rebuild(): void {
    if (this.#byGroup === null) return;
    this.#byGroup.reset();
    const slots = this.table.aliveSlots();
    const groups = this.table.keys.columns[0].gather(slots, slots.length);
    this.#byGroup.link([groups], slots.length, slots, identity(slots.length), slots.length);
  }
}
