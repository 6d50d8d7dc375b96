import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { BIGINT } from '../../../src/values/types.ts';
import type { SetOp } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { Expiry, expiryOf } from '../state/expiry.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** INTERSECT and EXCEPT [ALL]: per distinct row its weight on each side, from which follows how often it shows. */
export class SetOperator extends OperatorBase {
  readonly #table: RowTable;
  readonly #shown: (left: number, right: number) => number;
  #slots = new Int32Array(0);

  readonly #expiry: Expiry | null;
  readonly advance?: (port: number, micros: number) => void;
  readonly output?: () => Batch;

  constructor(info: OperatorInfo, context: OperatorContext, plan: SetOp) {
    super(info, context);
    const types = plan.schema.map((column) => column.type);
    this.#table = new RowTable(`${this.id}.rows`, types, [BIGINT, BIGINT], {
      rebuilt: () => this.#expiry?.rebuild(),
      derived: (visit) => this.#expiry?.arrays(visit),
    });
    const expiry = expiryOf(plan);
    this.#expiry = expiry === null ? null : new Expiry(this.#table.keys, expiry, 2);
    if (this.#expiry !== null) this.advance = (port, micros) => this.#letGo(this.#expiry!, port, micros);
    // What was let go was shown, and nobody knows it any more.
    else this.output = () => this.#shownNow();
    this.#table.holds = wholeRows(0, types.length);
    this.#shown = SHOWN[plan.kind][plan.all ? 'all' : 'distinct'];
  }

  override get state(): readonly StateTable[] {
    return [this.#table];
  }

  push(port: number, batch: Batch): void {
    if (this.#slots.length < batch.length) this.#slots = new Int32Array(batch.length);
    const slots = this.#slots;
    const made = this.#table.upsert(batch.columns, batch.length, slots);
    this.#expiry?.add(this.#table.keys.fresh, made);
    const mine = this.#table.values[port].values as Float64Array;
    const [left, right] = this.#table.values.map((column) => column.values as Float64Array);
    const rows = new Int32Array(batch.length);
    const weights = new Int32Array(batch.length);
    let count = 0;
    let allOne = true;
    for (let row = 0; row < batch.length; row++) {
      const slot = slots[row];
      const before = this.#shown(left[slot], right[slot]);
      mine[slot] += batch.weights === null ? 1 : batch.weights[row];
      this.#table.touch(slot);
      const change = this.#shown(left[slot], right[slot]) - before;
      if (change === 0) continue;
      if (change !== 1) allOne = false;
      weights[count] = change;
      rows[count++] = row;
    }
    if (batch.weights !== null) this.#dropGone(batch.length, left, right);
    if (count === 0) return;
    const { columns } = gatherBatch({ length: batch.length, columns: batch.columns, weights: null }, rows, count);
    this.emit({ length: count, columns, weights: allOne ? null : weights.subarray(0, count) });
  }

  #shownNow(): Batch {
    const all = this.#table.aliveSlots();
    const [left, right] = this.#table.values.map((column) => column.values as Float64Array);
    const slots = all.filter((slot) => this.#shown(left[slot], right[slot]) > 0);
    const columns = this.#table.keys.columns.map((column) => column.gather(slots, slots.length));
    return { length: slots.length, columns, weights: slots.map((slot) => this.#shown(left[slot], right[slot])) };
  }

  #letGo(expiry: Expiry, port: number, micros: number): void {
    this.#table.ready();
    expiry.advance(port, micros);
    for (const slot of expiry.due()) this.#table.release(slot);
  }

  #dropGone(length: number, left: Float64Array, right: Float64Array): void {
    for (let row = 0; row < length; row++) {
      const slot = this.#slots[row];
      if (!this.#table.keys.alive(slot)) continue;
      assert(left[slot] >= 0 && right[slot] >= 0, `${this.id}: a row was taken back that is not there`);
      if (left[slot] === 0 && right[slot] === 0) this.#table.release(slot);
    }
  }
}

/** How often a row shows that is so many times left and right. Within an epoch a weight may be below 0 for a moment. */
const SHOWN = {
  intersect: {
    all: (left: number, right: number) => Math.max(0, Math.min(left, right)),
    distinct: (left: number, right: number) => (left > 0 && right > 0 ? 1 : 0),
  },
  except: {
    all: (left: number, right: number) => Math.max(0, left - Math.max(right, 0)),
    distinct: (left: number, right: number) => (left > 0 && right <= 0 ? 1 : 0),
  },
} as const;
