import { assert } from '../../../src/lib/assert.ts';
import type { StreamError } from '../../../src/lib/errors.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { BIGINT } from '../../../src/values/types.ts';
import type { Aggregate } from '../../plan/plan.ts';
import type { StateTable } from '../operator.ts';
import { grown, type Visit } from '../state/arrays.ts';
import { Expiry, expiryOf } from '../state/expiry.ts';
import { makeColumn } from '../state/make-column.ts';
import { markDifferent } from '../state/row-hash.ts';
import { RowTable } from '../state/row-table.ts';
import { identity, type StateColumn } from '../state/state-column.ts';
import { AggregateState } from './aggregate-state.ts';
import { allWeights, OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** Groups per emitted batch. */
const CHUNK = 4096;

/** What a group showed when the epoch began. */
const ABSENT = 0;
const SHOWN = 1;
const FAILED = 2;

/**
 * GROUP BY. State: one row per group with its row count and accumulators. A group's result is a pure function of that
 * row, so what was emitted last is not kept: it is read once more when a group is first touched in an epoch, and at
 * the end of the epoch compared with the new result. Each group emits at most one retraction and one insertion per epoch.
 *
 * Where the watermark says that a group cannot change any more, it is let go; what it showed stays.
 *
 * Without GROUP BY there is one group, from the first epoch on, even over no rows.
 */
export class AggregateOperator extends OperatorBase {
  readonly #groupBy: readonly number[];
  readonly #table: RowTable;
  readonly #parts: AggregateState;
  /** A single group that never goes. */
  readonly #global: boolean;
  /** The single group's row was emitted in an earlier epoch. */
  #globalShown = false;
  /** By slot: 1 if in `#touched`. */
  #mark = new Uint8Array(16);
  #touched = new Int32Array(64);
  #touchedCount = 0;
  /** By position in `#touched`. */
  #before = new Uint8Array(64);
  readonly #old: readonly StateColumn[];
  #slots = new Int32Array(0);
  readonly #expiry: Expiry | null;
  readonly advance?: (port: number, micros: number) => void;
  readonly output?: () => Batch;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Aggregate, appendOnly: boolean) {
    super(info, context);
    this.#groupBy = plan.groupBy;
    this.#global = plan.groupBy.length === 0;
    const rowCount = { column: makeColumn(BIGINT) };
    const expiry = expiryOf(plan);
    this.#parts = new AggregateState(this.id, plan, appendOnly, rowCount, expiry !== null);
    this.#table = new RowTable(
      `${this.id}.groups`,
      plan.groupBy.map((column) => plan.input.schema[column].type),
      [BIGINT, ...this.#parts.accumulators.flatMap((part) => part.types)],
      { rebuilt: () => this.#rebuilt(), derived: (visit) => this.#derived(visit) },
    );
    this.#expiry = expiry === null ? null : new Expiry(this.#table.keys, expiry);
    if (this.#expiry !== null) this.advance = (port, micros) => this.#expiry!.advance(port, micros);
    // Of groups that were let go nobody knows what they showed.
    else this.output = () => this.#shown();
    this.#table.holds = { port: 0, columns: plan.groupBy };
    for (const table of this.#parts.tables) table.holds = { slotsOf: this.#table };
    rowCount.column = this.#table.values[0];
    let at = 1;
    for (const part of this.#parts.accumulators) {
      part.attach(this.#table.values.slice(at, at + part.types.length));
      at += part.types.length;
    }
    this.#old = this.#parts.results.map((result) => makeColumn(result.type));
    for (const column of this.#old) column.ensure(this.#touched.length);
  }

  override get state(): readonly StateTable[] {
    return [this.#table, ...this.#parts.tables];
  }

  push(_port: number, batch: Batch): void {
    const length = batch.length;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    const keys = this.#groupBy.map((column) => batch.columns[column]);
    const made = this.#table.upsert(keys, length, slots);
    if (made > 0) this.#init(this.#table.keys.fresh, made);
    this.#touch(slots, length);
    const counts = this.#table.values[0].values as Float64Array;
    const weights = batch.weights;
    if (weights === null) for (let row = 0; row < length; row++) counts[slots[row]]++;
    else for (let row = 0; row < length; row++) counts[slots[row]] += weights[row];
    this.#parts.update(batch, slots);
  }

  override endEpoch(): void {
    if (this.#global && !this.#globalIsShown()) this.#touchGlobal();
    if (this.#touchedCount > 0) this.#finish();
    if (this.#expiry !== null) this.#letGo(this.#expiry);
  }

  #shown(): Batch {
    const slots = this.#table.aliveSlots();
    const failed = new Uint8Array(slots.length);
    const results = this.#parts.results.map((result) =>
      result.gather(slots, slots.length, (i) => {
        failed[i] = 1;
      }),
    );
    const kept = identity(slots.length).filter((i) => failed[i] === 0);
    const columns = [
      ...this.#keysOf(slots, kept, kept.length),
      ...results.map((column) => column.gather(kept, kept.length)),
    ];
    return { length: kept.length, columns, weights: null };
  }

  #letGo(expiry: Expiry): void {
    this.#table.ready();
    for (const slot of expiry.due()) {
      this.#parts.drop(slot);
      this.#table.release(slot);
    }
  }

  #finish(): void {
    for (const part of this.#parts.accumulators) part.endEpoch();
    for (let from = 0; from < this.#touchedCount; from += CHUNK) {
      this.#emitChanges(from, Math.min(from + CHUNK, this.#touchedCount));
    }
    this.#forget();
  }

  #globalIsShown(): boolean {
    this.#table.ready();
    return this.#globalShown;
  }

  #touchGlobal(): void {
    const slots = new Int32Array(1);
    const made = this.#table.upsert([], 1, slots);
    if (made > 0) this.#init(slots, 1);
    this.#touch(slots, 1);
  }

  #derived(visit: Visit): void {
    this.#mark = visit(this.#mark);
    this.#touched = visit(this.#touched);
    this.#before = visit(this.#before);
    for (const column of this.#old) column.arrays(visit);
    this.#expiry?.arrays(visit);
  }

  #rebuilt(): void {
    this.#globalShown = this.#global && this.#table.keys.count > 0;
    this.#expiry?.rebuild();
  }

  #init(slots: Int32Array, count: number): void {
    if (this.#mark.length < this.#table.capacity) this.#mark = grown(this.#mark, this.#table.capacity);
    for (const part of this.#parts.accumulators) part.init(slots, count);
    this.#expiry?.add(slots, count);
  }

  /** Notes the groups that this epoch had not touched yet, and what they showed. Comes before the state changes. */
  #touch(slots: Int32Array, length: number): void {
    if (this.#mark.length < this.#table.capacity) this.#mark = grown(this.#mark, this.#table.capacity);
    const room = this.#touchedCount + length;
    if (room > this.#touched.length) {
      const capacity = Math.max(Math.min(room, this.#touchedCount + this.#table.keys.count), this.#touched.length);
      if (capacity > this.#touched.length) this.#growTouched(Math.max(capacity, this.#touched.length * 2));
    }
    const mark = this.#mark;
    const touched = this.#touched;
    const from = this.#touchedCount;
    let count = from;
    for (let row = 0; row < length; row++) {
      const slot = slots[row];
      if (mark[slot] === 0) {
        mark[slot] = 1;
        touched[count++] = slot;
      }
    }
    this.#touchedCount = count;
    if (count > from) this.#remember(from, count);
  }

  #growTouched(capacity: number): void {
    this.#touched = grown(this.#touched, capacity);
    this.#before = grown(this.#before, capacity);
    for (const column of this.#old) column.ensure(capacity);
  }

  #remember(from: number, to: number): void {
    const counts = this.#table.values[0].values as Float64Array;
    const slots = new Int32Array(to - from);
    const positions = new Int32Array(to - from);
    let shown = 0;
    for (let p = from; p < to; p++) {
      const slot = this.#touched[p];
      this.#table.touch(slot);
      const exists = this.#global ? this.#globalShown : counts[slot] > 0;
      this.#before[p] = exists ? SHOWN : ABSENT;
      if (!exists) continue;
      slots[shown] = slot;
      positions[shown++] = p;
    }
    if (shown === 0) return;
    const rows = identity(shown);
    this.#parts.results.forEach((result, r) => {
      const column = result.gather(slots, shown, (i) => {
        this.#before[positions[i]] = FAILED;
      });
      this.#old[r].scatter(column, rows, positions, shown);
    });
  }

  #emitChanges(from: number, to: number): void {
    const length = to - from;
    const counts = this.#table.values[0].values as Float64Array;
    const slots = this.#touched.subarray(from, to);
    const exists = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      assert(counts[slots[i]] >= 0, `${this.id}: more rows of a group were taken back than came`);
      exists[i] = this.#global || counts[slots[i]] > 0 ? 1 : 0;
    }
    const results = this.#parts.results.map((result) =>
      result.gather(slots, length, (i, error) => {
        if (exists[i] === 1 && this.#before[from + i] !== FAILED) this.#report(slots[i], error);
        exists[i] = 0;
      }),
    );
    const both = new Int32Array(length);
    for (let i = 0; i < length; i++) both[i] = exists[i] === 1 && this.#before[from + i] === SHOWN ? from + i : -1;
    const differs = new Uint8Array(length);
    markDifferent(results, this.#old, both, length, differs);
    const gone = new Int32Array(length);
    const come = new Int32Array(length);
    let goneCount = 0;
    let comeCount = 0;
    for (let i = 0; i < length; i++) {
      if (both[i] >= 0 && differs[i] === 0) continue;
      if (this.#before[from + i] === SHOWN) gone[goneCount++] = i;
      if (exists[i] === 1) come[comeCount++] = i;
    }
    if (goneCount > 0) {
      const positions = new Int32Array(goneCount);
      for (let i = 0; i < goneCount; i++) positions[i] = from + gone[i];
      const olds = this.#old.map((column) => column.gather(positions, goneCount));
      this.emit({
        length: goneCount,
        columns: [...this.#keysOf(slots, gone, goneCount), ...olds],
        weights: allWeights(goneCount, -1),
      });
    }
    if (comeCount > 0) {
      const news = results.map((column) => (comeCount === length ? column : column.gather(come, comeCount)));
      this.emit({ length: comeCount, columns: [...this.#keysOf(slots, come, comeCount), ...news], weights: null });
    }
  }

  #keysOf(slots: Int32Array, at: Int32Array, count: number) {
    const wanted = new Int32Array(count);
    for (let i = 0; i < count; i++) wanted[i] = slots[at[i]];
    return this.#table.keys.columns.map((column) => column.gather(wanted, count));
  }

  #report(slot: number, error: StreamError): void {
    const key = this.#table.keys.columns.map((column) => column.get(slot));
    this.context.onError(error.code, error.message, key);
  }

  #forget(): void {
    const counts = this.#table.values[0].values as Float64Array;
    for (let p = 0; p < this.#touchedCount; p++) {
      const slot = this.#touched[p];
      this.#mark[slot] = 0;
      if (this.#global || counts[slot] > 0) continue;
      for (const part of this.#parts.accumulators) part.release(slot);
      this.#table.release(slot);
    }
    this.#touchedCount = 0;
    if (this.#global) this.#globalShown = true;
  }
}
