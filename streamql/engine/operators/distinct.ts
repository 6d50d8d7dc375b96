import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { BIGINT } from '../../../src/values/types.ts';
import type { Distinct } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Expiry, expiryOf } from '../state/expiry.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** DISTINCT: a row shows while its weight is above 0. Over append-only input the rows themselves are all the state. */
export class DistinctOperator extends OperatorBase {
  readonly #table: RowTable;
  readonly #appendOnly: boolean;
  #slots = new Int32Array(0);
  readonly #expiry: Expiry | null;
  readonly advance?: (port: number, micros: number) => void;
  readonly output?: () => Batch;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Distinct, appendOnly: boolean) {
    super(info, context);
    this.#appendOnly = appendOnly;
    const types = plan.schema.map((column) => column.type);
    this.#table = new RowTable(`${this.id}.rows`, types, appendOnly ? [] : [BIGINT], {
      rebuilt: () => this.#expiry?.rebuild(),
      derived: (visit) => this.#expiry?.arrays(visit),
    });
    const expiry = expiryOf(plan);
    this.#expiry = expiry === null ? null : new Expiry(this.#table.keys, expiry);
    if (this.#expiry !== null) this.advance = (port, micros) => this.#letGo(this.#expiry!, port, micros);
    // What was let go was shown, and nobody knows it any more.
    else this.output = () => this.#shown();
    this.#table.holds = wholeRows(0, types.length);
  }

  override get state(): readonly StateTable[] {
    return [this.#table];
  }

  push(_port: number, batch: Batch): void {
    if (this.#slots.length < batch.length) this.#slots = new Int32Array(batch.length);
    const made = this.#table.upsert(batch.columns, batch.length, this.#slots);
    this.#expiry?.add(this.#table.keys.fresh, made);
    if (this.#appendOnly) this.#emitFirsts(batch, made);
    else this.#emitTransitions(batch);
  }

  #shown(): Batch {
    const slots = this.#table.aliveSlots();
    const columns = this.#table.keys.columns.map((column) => column.gather(slots, slots.length));
    return { length: slots.length, columns, weights: null };
  }

  /** What the watermark has passed comes no more, so that there is nothing to tell it from. */
  #letGo(expiry: Expiry, port: number, micros: number): void {
    this.#table.ready();
    expiry.advance(port, micros);
    for (const slot of expiry.due()) this.#table.release(slot);
  }

  #emitFirsts(batch: Batch, made: number): void {
    assert(batch.weights === null, `${this.id}: a weight came to an input that is only appended to`);
    const { fresh, freshRows } = this.#table.keys;
    for (let i = 0; i < made; i++) this.#table.touch(fresh[i]);
    if (made > 0) this.emit(made === batch.length ? batch : gatherBatch(batch, freshRows, made));
  }

  #emitTransitions(batch: Batch): void {
    const slots = this.#slots;
    const counts = this.#table.values[0].values as Float64Array;
    const rows = new Int32Array(batch.length);
    const weights = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      const slot = slots[row];
      const before = counts[slot];
      const after = before + (batch.weights === null ? 1 : batch.weights[row]);
      counts[slot] = after;
      this.#table.touch(slot);
      if (before > 0 === after > 0) continue;
      weights[count] = after > 0 ? 1 : -1;
      rows[count++] = row;
    }
    if (batch.weights !== null) this.#dropGone(batch.length, counts);
    if (count === 0) return;
    const { columns } = gatherBatch({ length: batch.length, columns: batch.columns, weights: null }, rows, count);
    this.emit({ length: count, columns, weights: weights.subarray(0, count) });
  }

  #dropGone(length: number, counts: Float64Array): void {
    for (let row = 0; row < length; row++) {
      const slot = this.#slots[row];
      if (counts[slot] > 0 || !this.#table.keys.alive(slot)) continue;
      assert(counts[slot] === 0, `${this.id}: a row was taken back that is not there`);
      this.#table.release(slot);
    }
  }
}
