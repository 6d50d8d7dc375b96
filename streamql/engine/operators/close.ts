import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch, rowAt } from '../../../src/values/batch.ts';
import { type Column, PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, DOUBLE } from '../../../src/values/types.ts';
import type { Close } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Chains, NONE } from '../state/chains.ts';
import { ABSENT } from '../state/key-table.ts';
import { RowTable } from '../state/row-table.ts';
import { identity } from '../state/state-column.ts';
import { TimeQueue } from '../state/time-queue.ts';
import { allWeights, OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/**
 * EMIT ON WINDOW CLOSE: holds rows back until event time says that they are final, then lets each out once. State: the held rows with
 * their weights, and how far the output has got (`closed`): what still comes for a time before that is an error row. An epoch costs what
 * came and what it lets out.
 *
 * When the watermark stands still for the idle timeout, event time is taken to go on with the clock from where it stood.
 */
export class CloseOperator extends OperatorBase {
  readonly #plan: Close;
  /** Whole rows → weight. */
  readonly #rows: RowTable;
  /** One row: everything with a final time below this was let out, or is lost. */
  readonly #closed: RowTable;
  /** Row slots by final time, and the times that have some. */
  #byTime = new Chains([DOUBLE], true);
  #times = new TimeQueue();
  readonly #queued = new Set<number>();
  /** The greatest final time of a row that came. */
  #latest = Number.NEGATIVE_INFINITY;
  #touched: number[] = [];
  #watermark: number | null = null;
  #now: number | null = null;
  /** Where event time stands while there is no watermark: at the first row. */
  #base: number | null = null;
  /** By the clock, when the watermark last moved, and when anything last came. */
  #stoodSince: number | null = null;
  #quietSince: number | null = null;
  #moved = false;
  #came = false;
  #slots = new Int32Array(0);

  constructor(info: OperatorInfo, context: OperatorContext, plan: Close) {
    super(info, context);
    this.#plan = plan;
    this.#rows = new RowTable(
      `${this.id}.rows`,
      plan.schema.map((column) => column.type),
      [BIGINT],
      {
        rebuilt: () => this.#rebuild(),
        derived: (visit) => {
          this.#byTime.arrays(visit);
          this.#times.arrays(visit);
        },
      },
    );
    // What is only appended to is in any shard, equal rows in several.
    this.#rows.holds = { ...wholeRows(0, plan.schema.length), counted: true };
    this.#closed = new RowTable(`${this.id}.closed`, [], [DOUBLE]);
    this.#closed.holds = { greatest: true };
  }

  override get state(): readonly StateTable[] {
    return [this.#rows, this.#closed];
  }

  push(_port: number, given: Batch): void {
    this.#came = true;
    this.#rows.ready();
    const all = this.#finalTimes(given.columns, given.length);
    const kept = this.#keep(given, all);
    const batch = kept === null ? given : gatherBatch(given, kept, kept.length);
    const finals = kept === null ? all : Float64Array.from(kept, (row) => all[row]);
    const { length } = batch;
    if (length === 0) return;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    const made = this.#rows.upsert(batch.columns, length, slots);
    this.#link(finals, length, this.#rows.keys.fresh, this.#rows.keys.freshRows, made);
    const weights = this.#weights();
    for (let row = 0; row < length; row++) {
      const slot = slots[row];
      weights[slot] += batch.weights === null ? 1 : batch.weights[row];
      this.#rows.touch(slot);
      if (weights[slot] <= 0) this.#touched.push(slot);
    }
  }

  advance(_port: number, micros: number): void {
    this.#watermark = micros;
    this.#moved = true;
  }

  tick(nowMicros: number): void {
    this.#now = Math.max(nowMicros, this.#now ?? nowMicros);
    if (this.#base === null && Number.isFinite(this.#times.next)) this.#base = this.#times.next;
    if (this.#moved || this.#stoodSince === null) this.#stoodSince = this.#now;
    if (this.#moved || this.#came || this.#quietSince === null) this.#quietSince = this.#now;
    this.#moved = false;
    this.#came = false;
  }

  get wakeAtMicros(): number | null {
    this.#rows.ready();
    const { idleMicros, timeoutMicros, delayMicros } = this.#plan;
    const next = this.#times.next;
    if (!Number.isFinite(next)) return null;
    let at = Number.POSITIVE_INFINITY;
    if (timeoutMicros !== null && this.#quietSince !== null) at = this.#quietSince + timeoutMicros;
    if (idleMicros !== null && this.#stoodSince !== null) {
      const stood = Math.max(idleMicros, next + delayMicros + 1 - (this.#watermark ?? this.#base ?? next));
      at = Math.min(at, this.#stoodSince + stood);
    }
    return Number.isFinite(at) ? at : null;
  }

  override endEpoch(): void {
    this.#rows.ready();
    const weights = this.#weights();
    for (const slot of this.#touched) {
      if (!this.#rows.keys.alive(slot) || weights[slot] > 0) continue;
      assert(weights[slot] === 0, `${this.id}: a row was taken back that is not there`);
      this.#byTime.unlink(slot);
      this.#rows.release(slot);
    }
    this.#touched = [];
    const until = this.#closingTime();
    if (until !== null && until > this.#closedUntil()) this.#close(until);
  }

  /** Rows with a final time below this can go; null: none yet. */
  #closingTime(): number | null {
    const { idleMicros, timeoutMicros, delayMicros } = this.#plan;
    let until = this.#watermark === null ? null : this.#watermark - delayMicros;
    const next = this.#times.next;
    if (this.#now === null || !Number.isFinite(next)) return until;
    const stood = this.#now - (this.#stoodSince ?? this.#now);
    const quiet = this.#now - (this.#quietSince ?? this.#now);
    let byClock = Number.NEGATIVE_INFINITY;
    if (idleMicros !== null && stood >= idleMicros)
      byClock = (this.#watermark ?? this.#base ?? next) + stood - delayMicros;
    if (timeoutMicros !== null && quiet >= timeoutMicros) byClock = Number.POSITIVE_INFINITY;
    // The clock closes the windows there are, and none that may come yet.
    byClock = Math.min(byClock, this.#latest + 1);
    if (byClock > (until ?? Number.NEGATIVE_INFINITY)) until = byClock;
    return until;
  }

  #close(until: number): void {
    const out: number[] = [];
    while (this.#times.next < until) {
      const time = this.#times.pop();
      this.#queued.delete(time);
      const chain = this.#byTime.keys.lookupOne([time]);
      if (chain === ABSENT) continue;
      for (let slot = this.#byTime.heads[chain]; slot !== NONE; slot = this.#byTime.next[slot]) out.push(slot);
    }
    const weights = this.#weights();
    const copies = out.flatMap((slot) => new Array<number>(weights[slot]).fill(slot));
    const slots = Int32Array.from(copies);
    const columns = this.#rows.keys.columns.map((column) => column.gather(slots, slots.length));
    for (const slot of out) {
      this.#byTime.unlink(slot);
      this.#rows.release(slot);
    }
    const at = this.#closed.single();
    (this.#closed.values[0].values as Float64Array)[at] = until;
    this.#closed.touch(at);
    this.emit({ length: slots.length, columns, weights: allWeights(slots.length, 1) });
  }

  #closedUntil(): number {
    if (this.#closed.rows === 0) return Number.NEGATIVE_INFINITY;
    return (this.#closed.values[0].values as Float64Array)[this.#closed.single()];
  }

  /** The rows that are still to be shown; null when all are. What comes too late, or has no time, becomes an error row. */
  #keep(batch: Batch, finals: Float64Array): Int32Array | null {
    const closed = this.#closedUntil();
    const kept = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      if (finals[row] >= closed) {
        kept[count++] = row;
        continue;
      }
      if (batch.weights !== null && batch.weights[row] < 0) continue;
      if (Number.isNaN(finals[row])) this.context.onError('VALUE_DOMAIN', 'the row has no time', rowAt(batch, row));
      else this.context.onError('RECORD_LATE', 'the row changes a window that was closed', rowAt(batch, row));
    }
    return count === batch.length ? null : kept.subarray(0, count);
  }

  /** When the watermark is above this the row is final; NaN without a time. */
  #finalTimes(columns: readonly Column[], length: number): Float64Array {
    const finals = new Float64Array(length).fill(Number.NaN);
    for (const { column, lagMicros } of this.#plan.times) {
      const { values, nulls } = columns[column];
      for (let row = 0; row < length; row++) {
        if (!Number.isNaN(finals[row]) || (nulls !== null && nulls[row] === 1)) continue;
        finals[row] = Number(values[row]) + lagMicros;
      }
    }
    return finals;
  }

  #link(finals: Float64Array, length: number, slots: Int32Array, rows: Int32Array, count: number): void {
    this.#byTime.link([new PlainColumn(DOUBLE, length, finals, null)], length, slots, rows, count);
    for (let i = 0; i < count; i++) {
      const time = finals[rows[i]];
      if (time > this.#latest) this.#latest = time;
      if (this.#queued.has(time)) continue;
      this.#queued.add(time);
      this.#times.push(time, time);
    }
  }

  #weights(): Float64Array {
    return this.#rows.values[0].values as Float64Array;
  }

  #rebuild(): void {
    this.#byTime = new Chains([DOUBLE], true);
    this.#times = new TimeQueue();
    this.#queued.clear();
    this.#latest = Number.NEGATIVE_INFINITY;
    const slots = this.#rows.keys.aliveSlots().slice();
    const columns = this.#rows.keys.columns.map((column) => column.gather(slots, slots.length));
    const finals = this.#finalTimes(columns, slots.length);
    this.#link(finals, slots.length, slots, identity(slots.length), slots.length);
  }
}
