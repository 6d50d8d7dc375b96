import { assert } from '../../../src/lib/assert.ts';
import { type Column, ColumnBuilder } from '../../../src/values/column.ts';
import { compareDatums } from '../../../src/values/compare.ts';
import { BIGINT, type Datum, INTEGER, type SqlType } from '../../../src/values/types.ts';
import type { StateTable } from '../operator.ts';
import { grown } from '../state/arrays.ts';
import { EMPTY, OrderedSets } from '../state/ordered-set.ts';
import { compareAt } from '../state/row-order.ts';
import { RowTable } from '../state/row-table.ts';
import type { StateColumn } from '../state/state-column.ts';
import { type Accumulator, type Contribution, groupAndValue } from './accumulators.ts';

/** A min or max as it is read: one value per group, NULL where there is none. */
export interface Extreme {
  gather(slots: Int32Array, count: number): Column;
}

/** min or max over input that is never taken back: one value per group, NULL while there is none. */
export class AppendExtreme implements Accumulator, Extreme {
  readonly type: SqlType;
  readonly types: readonly SqlType[];
  readonly tables = [];
  readonly #sign: 1 | -1;
  #best!: StateColumn;

  constructor(fn: 'min' | 'max', type: SqlType) {
    this.type = type;
    this.types = [type];
    this.#sign = fn === 'max' ? 1 : -1;
  }

  attach(columns: readonly StateColumn[]): void {
    this.#best = columns[0];
  }

  init(slots: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#best.set(slots[i], null);
  }

  update(from: Contribution): void {
    const { values, slots, rows, count } = from;
    const best = this.#best;
    if (values instanceof Float64Array && best.values instanceof Float64Array) {
      this.#updateFloat64(values, best.values, best.nulls, from);
      return;
    }
    const boolean = this.type.kind === 'boolean';
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const value = boolean ? values[row] === 1 || (values[row] as Datum) === true : (values[row] as Datum);
      const present = best.get(slots[row]);
      if (present === null || compareDatums(value, present, this.type) * this.#sign > 0) best.set(slots[row], value);
    }
  }

  #updateFloat64(values: Float64Array, best: Float64Array, nulls: Uint8Array | null, from: Contribution): void {
    const { slots, rows, count } = from;
    const max = this.#sign > 0;
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[row];
      const value = values[row];
      const present = best[slot];
      // NaN is above every number.
      const better = max
        ? value > present || (Number.isNaN(value) && !Number.isNaN(present))
        : value < present || (Number.isNaN(present) && !Number.isNaN(value));
      if (nulls !== null && nulls[slot] === 1) {
        best[slot] = value;
        nulls[slot] = 0;
      } else if (better) {
        best[slot] = value;
      }
    }
  }

  gather(slots: Int32Array, count: number): Column {
    return this.#best.gather(slots, count);
  }

  release(): void {}
  endEpoch(): void {}
}

/**
 * min and max over input that may be taken back: every distinct value of a group with its count, ordered per group.
 * O(log n) per value that comes or goes; one instance answers both ends. A value whose count is 0 leaves at the end of
 * the epoch, so that the order in which changes come does not matter.
 */
export class OrderedValues implements Accumulator {
  readonly type: SqlType;
  readonly types = [];
  readonly tables: readonly StateTable[];
  /** (group slot, value) → count. */
  readonly #counts: RowTable;
  readonly #sets: OrderedSets;
  /** By group slot. */
  #roots = new Int32Array(16).fill(EMPTY);
  #changed = new Int32Array(64);
  #changedCount = 0;
  #slots = new Int32Array(0);

  constructor(id: string, type: SqlType) {
    this.type = type;
    this.#counts = new RowTable(id, [INTEGER, type], [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => {
        this.#sets.arrays(visit);
        this.#roots = visit(this.#roots);
      },
    });
    const values = this.#counts.keys.columns[1];
    this.#sets = new OrderedSets((a, b) => compareAt(values, a, values, b));
    this.tables = [this.#counts];
  }

  attach(): void {}
  init(): void {}

  update(from: Contribution): void {
    const { weights, rows, count } = from;
    if (this.#slots.length < count) this.#slots = new Int32Array(count);
    const slots = this.#slots;
    const keys = groupAndValue(from, this.type);
    const made = this.#counts.upsert(keys, count, slots);
    const fresh = this.#counts.keys.fresh;
    const groups = this.#counts.keys.columns[0].values as Int32Array;
    for (let i = 0; i < made; i++) this.#insert(groups[fresh[i]], fresh[i]);
    const counts = this.#counts.values[0].values as Float64Array;
    for (let k = 0; k < count; k++) {
      const slot = slots[k];
      const weight = weights === null ? 1 : weights[rows === null ? k : rows[k]];
      counts[slot] += weight;
      this.#counts.touch(slot);
      if (counts[slot] <= 0) this.#maybeGone(slot);
    }
  }

  least(group: number): Datum {
    return this.#valueAt(this.#sets.first(this.#root(group)));
  }

  greatest(group: number): Datum {
    return this.#valueAt(this.#sets.last(this.#root(group)));
  }

  release(group: number): void {
    assert(this.#root(group) === EMPTY, 'a group without rows still has values');
  }

  drop(group: number): void {
    const slots: number[] = [];
    this.#sets.walk(this.#root(group), (slot) => slots.push(slot) > 0);
    for (const slot of slots) this.#counts.release(slot);
    if (slots.length > 0) this.#roots[group] = EMPTY;
  }

  /** Lets go of the values whose count fell to 0. Comes before the group's results are read. */
  endEpoch(): void {
    const counts = this.#counts.values[0].values as Float64Array;
    const groups = this.#counts.keys.columns[0].values as Int32Array;
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = this.#changed[i];
      if (!this.#counts.keys.alive(slot) || counts[slot] > 0) continue;
      assert(counts[slot] === 0, 'a value was taken back that is not in its group');
      this.#roots[groups[slot]] = this.#sets.remove(this.#roots[groups[slot]], slot);
      this.#counts.release(slot);
    }
    this.#changedCount = 0;
  }

  #valueAt(slot: number): Datum {
    return slot === EMPTY ? null : this.#counts.keys.columns[1].get(slot);
  }

  #root(group: number): number {
    this.#counts.ready();
    return group < this.#roots.length ? this.#roots[group] : EMPTY;
  }

  #insert(group: number, slot: number): void {
    if (group >= this.#roots.length) {
      const before = this.#roots.length;
      this.#roots = grown(this.#roots, Math.max(group + 1, before * 2)).fill(EMPTY, before);
    }
    this.#roots[group] = this.#sets.insert(this.#roots[group], slot);
  }

  #maybeGone(slot: number): void {
    if (this.#changedCount === this.#changed.length) this.#changed = grown(this.#changed, this.#changedCount * 2);
    this.#changed[this.#changedCount++] = slot;
  }

  #rebuild(): void {
    this.#roots.fill(EMPTY);
    const groups = this.#counts.keys.columns[0].values as Int32Array;
    for (const slot of this.#counts.aliveSlots()) this.#insert(groups[slot], slot);
  }
}

/** One end of a group's ordered values. */
export class RetractableExtreme implements Extreme {
  readonly #values: OrderedValues;
  readonly #max: boolean;

  constructor(fn: 'min' | 'max', values: OrderedValues) {
    this.#values = values;
    this.#max = fn === 'max';
  }

  gather(slots: Int32Array, count: number): Column {
    const out = new ColumnBuilder(this.#values.type, count);
    for (let i = 0; i < count; i++) {
      out.push(this.#max ? this.#values.greatest(slots[i]) : this.#values.least(slots[i]));
    }
    return out.finish();
  }
}
