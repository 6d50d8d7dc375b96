import { assert } from '../../../src/lib/assert.ts';
import { type Batch, weightAt } from '../../../src/values/batch.ts';
import { BIGINT, DOUBLE } from '../../../src/values/types.ts';
import type { NowFilter } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { grown } from '../state/arrays.ts';
import { RowTable } from '../state/row-table.ts';
import { TimeQueue } from '../state/time-queue.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

const NOTHING = Number.NEGATIVE_INFINITY;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * A filter by now(): a row shows from the moment when the clock reaches its lower bounds until it reaches one of its upper bounds. State:
 * the rows that show or will, with their weights, and the last time that was looked at; rows whose time is over are let go. An epoch costs
 * what came, and O(log rows) for each row whose moment has come.
 */
export class NowFilterOperator extends OperatorBase {
  readonly #plan: NowFilter;
  /** Whole rows → weight. */
  readonly #rows: RowTable;
  /** One row: the clock up to which the output is current. */
  readonly #clock: RowTable;
  /** By row slot, the weight that is shown. */
  #shown = new Float64Array(16);
  /** Slots at the moments when they begin or cease to show. */
  #moments = new TimeQueue();
  readonly #touched = new Set<number>();
  #now = NOTHING;
  #slots = new Int32Array(0);

  constructor(info: OperatorInfo, context: OperatorContext, plan: NowFilter) {
    super(info, context);
    this.#plan = plan;
    const types = plan.schema.map((column) => column.type);
    this.#rows = new RowTable(`${this.id}.rows`, types, [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => {
        this.#moments.arrays(visit);
        this.#shown = visit(this.#shown);
      },
    });
    // What is only appended to is in any shard, equal rows in several.
    this.#rows.holds = { ...wholeRows(0, types.length), counted: true };
    this.#clock = new RowTable(`${this.id}.clock`, [], [DOUBLE]);
    // Shards have the same clock; one that has an older moment here had no row to which the time since made a difference.
    this.#clock.holds = { greatest: true };
  }

  override get state(): readonly StateTable[] {
    return [this.#rows, this.#clock];
  }

  push(_port: number, batch: Batch): void {
    this.#rows.ready();
    const { length } = batch;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    const made = this.#rows.upsert(batch.columns, length, slots);
    if (this.#shown.length < this.#rows.capacity) this.#shown = grown(this.#shown, this.#rows.capacity);
    const { fresh } = this.#rows.keys;
    for (let i = 0; i < made; i++) this.#expect(fresh[i]);
    const weights = this.#weights();
    for (let row = 0; row < length; row++) {
      weights[slots[row]] += weightAt(batch, row);
      this.#rows.touch(slots[row]);
      this.#touched.add(slots[row]);
    }
  }

  tick(nowMicros: number): void {
    this.#rows.ready();
    this.#now = Math.max(nowMicros, this.#now, this.#stored());
  }

  get wakeAtMicros(): number | null {
    this.#rows.ready();
    return Number.isFinite(this.#moments.next) ? this.#moments.next : null;
  }

  override endEpoch(): void {
    this.#rows.ready();
    const now = this.#now;
    while (this.#moments.next <= now) {
      const slot = this.#moments.pop();
      if (this.#rows.keys.alive(slot)) this.#touched.add(slot);
    }
    if (this.#touched.size === 0) return;
    const weights = this.#weights();
    const slots = new Int32Array(this.#touched.size);
    const changes = new Int32Array(this.#touched.size);
    let count = 0;
    for (const slot of this.#touched) {
      const [from, until] = this.#span(slot);
      const change = (from <= now && now < until ? weights[slot] : 0) - this.#shown[slot];
      if (change === 0) continue;
      this.#shown[slot] += change;
      slots[count] = slot;
      changes[count++] = change;
    }
    this.#emitRows(slots, changes, count);
    for (const slot of this.#touched) {
      if (now < this.#span(slot)[1]) {
        assert(weights[slot] >= 0, `${this.id}: a row was taken back that is not there`);
        if (weights[slot] > 0) continue;
      }
      this.#shown[slot] = 0;
      this.#rows.release(slot);
    }
    this.#touched.clear();
    const at = this.#clock.single();
    (this.#clock.values[0].values as Float64Array)[at] = now;
    this.#clock.touch(at);
  }

  #emitRows(slots: Int32Array, changes: Int32Array, count: number): void {
    if (count === 0) return;
    const columns = this.#rows.keys.columns.map((column) => column.gather(slots, count));
    const weights = changes.subarray(0, count);
    this.emit({ length: count, columns, weights: weights.every((weight) => weight === 1) ? null : weights });
  }

  /** When a row shows: from the first moment, until the second. A NULL compares with nothing. */
  #span(slot: number): [from: number, until: number] {
    let from = NOTHING;
    let until = NEVER;
    for (const { column, plusMicros } of this.#plan.from) {
      const value = this.#rows.keys.columns[column].get(slot);
      if (value === null) return [NEVER, NOTHING];
      from = Math.max(from, Number(value) + plusMicros);
    }
    for (const { column, plusMicros } of this.#plan.until) {
      const value = this.#rows.keys.columns[column].get(slot);
      if (value === null) return [NEVER, NOTHING];
      until = Math.min(until, Number(value) + plusMicros);
    }
    return from < until ? [from, until] : [NEVER, NOTHING];
  }

  #expect(slot: number): void {
    const [from, until] = this.#span(slot);
    if (Number.isFinite(from) && from > this.#now) this.#moments.push(from, slot);
    if (Number.isFinite(until)) this.#moments.push(until, slot);
  }

  #weights(): Float64Array {
    return this.#rows.values[0].values as Float64Array;
  }

  #stored(): number {
    return this.#clock.rows === 0 ? NOTHING : (this.#clock.values[0].values as Float64Array)[this.#clock.single()];
  }

  #rebuild(): void {
    this.#moments = new TimeQueue();
    this.#now = this.#stored();
    this.#shown = new Float64Array(this.#rows.capacity);
    const weights = this.#weights();
    for (const slot of this.#rows.keys.aliveSlots()) {
      this.#expect(slot);
      const [from, until] = this.#span(slot);
      if (from <= this.#now && this.#now < until) this.#shown[slot] = weights[slot];
    }
  }
}
