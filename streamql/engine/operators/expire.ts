import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { BIGINT } from '../../../src/values/types.ts';
import type { Expire } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/**
 * Passes rows on and takes them back a time later by the clock, or when told to let go of the oldest. What is taken back above and is here no
 * more has been taken back already: it goes no further. So what follows sees the input without its old rows. Rows that can be taken back
 * are found by what they hold, so equal ones are one row with several copies, as old as the newest.
 */
export class ExpireOperator extends OperatorBase {
  readonly #table: RowTable;
  readonly #afterMicros: number | null;
  readonly #appendOnly: boolean;
  /** Slots in the order in which their rows came last, with that time; an entry whose slot came again later is void. */
  #queue: { slot: number; atMicros: number }[] = [];
  #first = 0;
  /** Slots whose rows came since the last tick. */
  #fresh: number[] = [];
  #evictShare = 0;
  #slots = new Int32Array(0);

  constructor(info: OperatorInfo, context: OperatorContext, plan: Expire, appendOnly: boolean) {
    super(info, context);
    this.#afterMicros = plan.afterMicros;
    this.#appendOnly = appendOnly;
    const types = plan.schema.map((column) => column.type);
    // Weight, and when such a row came last.
    this.#table = new RowTable(`${this.id}.rows`, types, [BIGINT, BIGINT], {
      rebuilt: () => this.#requeue(),
      indexed: !appendOnly,
    });
    this.#table.holds = wholeRows(0, types.length);
  }

  override get state(): readonly StateTable[] {
    return [this.#table];
  }

  push(_port: number, batch: Batch): void {
    if (this.#slots.length < batch.length) this.#slots = new Int32Array(batch.length);
    const slots = this.#slots;
    if (this.#appendOnly) this.#table.append(batch.columns, batch.length, slots);
    else this.#table.upsert(batch.columns, batch.length, slots);
    const { weights } = batch;
    const totals = this.#totals;
    for (let row = 0; row < batch.length; row++) {
      const weight = weights === null ? 1 : weights[row];
      if (weight < 0) continue;
      totals[slots[row]] += weight;
      this.#fresh.push(slots[row]);
      this.#table.touch(slots[row]);
    }
    this.emit(weights === null ? batch : this.#withoutUnknown(batch, weights));
  }

  tick(nowMicros: number): void {
    this.#table.ready();
    const came = this.#table.values[1].values as Float64Array;
    for (const slot of this.#fresh) {
      if (!this.#table.keys.alive(slot) || came[slot] === nowMicros) continue;
      came[slot] = nowMicros;
      this.#queue.push({ slot, atMicros: nowMicros });
    }
    this.#fresh.length = 0;
    const gone: number[] = [];
    const before = this.#afterMicros === null ? Number.NEGATIVE_INFINITY : nowMicros - this.#afterMicros;
    let surplus = Math.ceil(this.#table.rows * this.#evictShare);
    this.#evictShare = 0;
    for (let head = this.#head(); head !== null && (head.atMicros <= before || surplus > 0); head = this.#head()) {
      this.#first++;
      surplus--;
      gone.push(head.slot);
      // Void for entries that come after.
      came[head.slot] = -1;
    }
    if (gone.length > 0) this.#takeBack(Int32Array.from(gone));
    if (this.#first > 1024 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
  }

  get wakeAtMicros(): number | null {
    if (this.#evictShare > 0) return 0;
    this.#table.ready();
    const head = this.#head();
    return head === null || this.#afterMicros === null ? null : head.atMicros + this.#afterMicros;
  }

  /** Lets go of this part of the rows, oldest first, with the next tick. */
  evict(share: number): void {
    this.#evictShare = share;
  }

  get #totals(): Float64Array {
    return this.#table.values[0].values as Float64Array;
  }

  /** The oldest entry that is not void. */
  #head(): { slot: number; atMicros: number } | null {
    const came = this.#table.values[1].values as Float64Array;
    for (; this.#first < this.#queue.length; this.#first++) {
      const head = this.#queue[this.#first];
      if (this.#table.keys.alive(head.slot) && came[head.slot] === head.atMicros) return head;
    }
    return null;
  }

  /** What goes takes no more copies along than are here. */
  #withoutUnknown(batch: Batch, weights: Int32Array): Batch {
    const totals = this.#totals;
    const rows = new Int32Array(batch.length);
    const kept = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      let weight = weights[row];
      const slot = this.#slots[row];
      if (weight < 0) {
        weight = -Math.min(-weight, totals[slot]);
        totals[slot] += weight;
        this.#table.touch(slot);
      }
      if (weight === 0) continue;
      rows[count] = row;
      kept[count++] = weight;
    }
    for (let row = 0; row < batch.length; row++) {
      const slot = this.#slots[row];
      if (totals[slot] === 0 && this.#table.keys.alive(slot)) this.#table.release(slot);
    }
    const { columns } = gatherBatch({ length: batch.length, columns: batch.columns, weights: null }, rows, count);
    return { length: count, columns, weights: kept.subarray(0, count) };
  }

  #takeBack(slots: Int32Array): void {
    const { columns } = this.#table.keys;
    const totals = this.#totals;
    const weights = Int32Array.from(slots, (slot) => -totals[slot]);
    const batch = {
      length: slots.length,
      columns: columns.map((column) => column.gather(slots, slots.length)),
      weights,
    };
    for (const slot of slots) this.#table.release(slot);
    this.emit(batch);
  }

  #requeue(): void {
    const came = this.#table.values[1].values as Float64Array;
    const slots = [...this.#table.keys.aliveSlots()].sort((a, b) => came[a] - came[b]);
    this.#queue = slots.map((slot) => ({ slot, atMicros: came[slot] }));
    this.#first = 0;
  }
}
