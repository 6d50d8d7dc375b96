import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { ColumnBuilder } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { BIGINT, type Datum, type SqlType } from '../../../src/values/types.ts';
import type { Over } from '../../plan/plan.ts';
import { type StateTable, wholeRows } from '../operator.ts';
import type { Visit } from '../state/arrays.ts';
import { Expiry, type ExpiryColumn, partitionExpiry } from '../state/expiry.ts';
import { KeyTable } from '../state/key-table.ts';
import { type RowOrder, sortKeyOrder, totalOrder } from '../state/row-order.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';
import { affected, evaluateOver, type OrderedPartition, type OverContext } from './over-functions.ts';
import { TouchedRows } from './touched-rows.ts';

/** A partition's rows in order, a row of weight 2 twice, and what was last shown beside each. */
interface Partition {
  slots: number[];
  /** Per call. */
  values: Datum[][];
}

/**
 * Window functions over rows that come and go. State: the distinct rows with their weights; order and values are made anew from them.
 * An epoch costs, per partition that it touches, O(changes · log rows) to find the places, a copy of what stands behind the first
 * of them, and the evaluation of the rows that can see a change: those behind it for ranks and running totals, a neighbourhood for frames
 * of so many ROWS, lag and lead, all for percent_rank and its like.
 */
export class OverOperator extends OperatorBase {
  readonly #plan: Over;
  readonly #evaluation: OverContext;
  readonly #order: RowOrder;
  readonly #peers: RowOrder;
  /** Whole rows → weight. */
  readonly #rows: RowTable;
  /** Derived from the rows. */
  #keys: KeyTable;
  #partitions: Partition[] = [];
  readonly #touched: TouchedRows;
  #partitionSlots = new Int32Array(0);
  readonly #expires: ExpiryColumn | null;
  #expiry: Expiry | null = null;
  readonly advance?: (port: number, micros: number) => void;
  readonly output?: () => Batch;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Over) {
    super(info, context);
    this.#plan = plan;
    const types = plan.input.schema.map((column) => column.type);
    this.#evaluation = { types, orderBy: plan.orderBy };
    this.#rows = new RowTable(`${this.id}.rows`, types, [BIGINT], {
      rebuilt: () => this.#rebuild(),
      derived: (visit) => this.#derived(visit),
      derivedBytes: () => this.#derivedBytes(),
    });
    this.#rows.holds = wholeRows(0, types.length);
    this.#order = totalOrder(types.length, plan.orderBy);
    this.#touched = new TouchedRows(this.id, this.#rows, this.#order);
    this.#peers = sortKeyOrder(plan.orderBy);
    this.#expires = partitionExpiry(plan);
    this.#keys = this.#newKeys();
    if (this.#expires !== null) this.advance = (port, micros) => this.#advance(port, micros);
    // What partitions that were let go showed nobody knows any more.
    else this.output = () => this.#shown();
  }

  override get state(): readonly StateTable[] {
    return [this.#rows];
  }

  push(_port: number, batch: Batch): void {
    const keys = this.#plan.partitionBy.map((column) => batch.columns[column]);
    this.#touched.take(batch, () => this.#partitionsOf(keys, batch.length));
  }

  override endEpoch(): void {
    if (!this.#touched.isEmpty) this.#finish();
    if (this.#expiry !== null) this.#letGo(this.#expiry);
  }

  #advance(port: number, micros: number): void {
    this.#rows.ready();
    this.#expiry!.advance(port, micros);
  }

  /** What partitions showed stays. */
  #letGo(expiry: Expiry): void {
    for (const partition of expiry.due()) {
      for (const slot of new Set(this.#partitions[partition].slots)) this.#rows.release(slot);
      this.#partitions[partition] = { slots: [], values: [] };
      this.#keys.release(partition);
    }
  }

  #finish(): void {
    const gone = new Output(this.#plan);
    const come = new Output(this.#plan);
    for (const [partition, changed] of this.#touched.partitions) this.#refresh(partition, changed, gone, come);
    this.#emitRows(gone, -1);
    this.#emitRows(come, 1);
    this.#touched.end((partition) => {
      if (this.#partitions[partition].slots.length === 0) this.#keys.release(partition);
    });
  }

  /** Brings a partition up to date and collects what shows differently. */
  #refresh(at: number, touched: readonly number[], gone: Output, come: Output): void {
    const weights = this.#touched.weights;
    const partition = this.#partitions[at];
    const { columns } = this.#rows.keys;
    const changed = this.#touched.changed(touched);
    if (changed.length === 0) return;
    const low = this.#touched.lowerBound(partition.slots, changed[0]);
    const oldSlots = partition.slots.splice(low);
    const oldValues = partition.values.map((values) => values.splice(low));
    // What stood in the tail before, by its place there, or −1 for a row that came.
    const origins: number[] = [];
    let high = low;
    let from = 0;
    for (const slot of changed) {
      while (from < oldSlots.length && this.#order(columns, oldSlots[from], columns, slot) < 0) {
        origins.push(from);
        partition.slots.push(oldSlots[from++]);
      }
      const before = this.#touched.before(slot);
      for (let copy = 0; copy < weights[slot]; copy++) {
        origins.push(copy < before ? from + copy : -1);
        partition.slots.push(slot);
      }
      for (let copy = weights[slot]; copy < before; copy++) gone.add(slot, oldValues, from + copy);
      from += before;
      high = partition.slots.length;
    }
    for (; from < oldSlots.length; from++) {
      origins.push(from);
      partition.slots.push(oldSlots[from]);
    }
    this.#evaluate(partition, low, high, origins, oldValues);
    for (let i = 0; i < origins.length; i++) {
      const origin = origins[i];
      const position = low + i;
      if (origin >= 0 && this.#same(partition, position, oldValues, origin)) continue;
      if (origin >= 0) gone.add(partition.slots[position], oldValues, origin);
      come.add(partition.slots[position], partition.values, position);
    }
    this.#emitHead(partition, low, gone, come);
  }

  /** Rows before the first change whose values changed: frames that look ahead. */
  #head: { position: number; before: Datum[] }[] = [];

  #emitHead(partition: Partition, low: number, gone: Output, come: Output): void {
    for (const { position, before } of this.#head) {
      assert(position < low, 'a row of the head stands before the change');
      gone.addRow(partition.slots[position], before);
      come.add(partition.slots[position], partition.values, position);
    }
    this.#head = [];
  }

  #evaluate(
    partition: Partition,
    low: number,
    high: number,
    origins: readonly number[],
    oldValues: readonly (readonly Datum[])[],
  ): void {
    const { calls } = this.#plan;
    const view = this.#view(partition);
    const ranges = calls.map((call) => affected(call, view, low, high, this.#evaluation));
    const first = Math.min(low, ...ranges.map(([from]) => from));
    // What rows before the change showed.
    const head = partition.values.map((values) => values.slice(first, low));
    calls.forEach((call, c) => {
      const values = partition.values[c];
      for (let i = 0; i < origins.length; i++) values.push(origins[i] < 0 ? null : oldValues[c][origins[i]]);
      const [from, to] = ranges[c];
      if (from < to)
        this.#attempt(() => evaluateOver(call, view, from, to, values, this.#evaluation), values, from, to);
    });
    for (let position = first; position < low; position++) {
      const before = head.map((values) => values[position - first]);
      const isSame = calls.every((call, c) => equalDatums(before[c], partition.values[c][position], call.type));
      if (!isSame) this.#head.push({ position, before });
    }
  }

  /** A value that does not exist (a sum beyond its type) is NULL, and an error row says so. */
  #attempt(run: () => void, values: Datum[], from: number, to: number): void {
    try {
      run();
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
      for (let i = from; i < to; i++) values[i] = null;
      this.context.onError(thrown.code, thrown.message, []);
    }
  }

  #same(partition: Partition, position: number, oldValues: readonly (readonly Datum[])[], origin: number): boolean {
    return this.#plan.calls.every((call, c) =>
      equalDatums(oldValues[c][origin], partition.values[c][position], call.type),
    );
  }

  #view({ slots }: Partition): OrderedPartition {
    const { columns } = this.#rows.keys;
    return {
      get length() {
        return slots.length;
      },
      datum: (position, column) => columns[column].get(slots[position]),
      arePeers: (a, b) => this.#peers(columns, slots[a], columns, slots[b]) === 0,
    };
  }

  #shown(): Batch {
    this.#rows.ready();
    const all = new Output(this.#plan);
    for (const at of this.#keys.aliveSlots()) {
      const { slots, values } = this.#partitions[at];
      for (let position = 0; position < slots.length; position++) all.add(slots[position], values, position);
    }
    return this.#rowsOf(all, 1);
  }

  #emitRows(out: Output, weight: 1 | -1): void {
    if (out.slots.length > 0) this.emit(this.#rowsOf(out, weight));
  }

  #rowsOf(out: Output, weight: 1 | -1): Batch {
    const count = out.slots.length;
    const slots = Int32Array.from(out.slots);
    const columns = this.#rows.keys.columns.map((column) => column.gather(slots, count));
    return {
      length: count,
      columns: [...columns, ...out.columns.map((builder) => builder.finish())],
      weights: weight === 1 ? null : new Int32Array(count).fill(-1),
    };
  }

  #newKeys(): KeyTable {
    const keys = new KeyTable(this.#plan.partitionBy.map((column) => this.#rows.keys.columns[column].type));
    this.#expiry = this.#expires === null ? null : new Expiry(keys, this.#expires);
    return keys;
  }

  /** The partition of each row; new ones are made. */
  #partitionsOf(keys: Parameters<KeyTable['upsert']>[0], length: number): Int32Array {
    if (this.#partitionSlots.length < length) this.#partitionSlots = new Int32Array(length);
    const made = this.#keys.upsert(keys, length, this.#partitionSlots);
    for (let i = 0; i < made; i++) {
      this.#partitions[this.#keys.fresh[i]] = { slots: [], values: this.#plan.calls.map(() => []) };
    }
    this.#expiry?.add(this.#keys.fresh, made);
    return this.#partitionSlots;
  }

  #derived(visit: Visit): void {
    this.#keys.arrays(visit);
    this.#touched.arrays(visit);
    this.#expiry?.arrays(visit);
  }

  /** The rows and values of partitions, which are objects. */
  #derivedBytes(): number {
    const weights = this.#touched.weights;
    let rows = 0;
    for (const slot of this.#rows.keys.aliveSlots()) rows += weights[slot];
    return rows * 8 * (1 + 2 * this.#plan.calls.length);
  }

  #rebuild(): void {
    const slots = this.#rows.keys.aliveSlots();
    const count = slots.length;
    const { columns } = this.#rows.keys;
    this.#keys = this.#newKeys();
    this.#partitions = [];
    const keys = this.#plan.partitionBy.map((column) => columns[column].gather(slots, count));
    const partitions = this.#partitionsOf(keys, count);
    const weights = this.#touched.weights;
    for (let i = 0; i < count; i++) {
      for (let copy = 0; copy < weights[slots[i]]; copy++) this.#partitions[partitions[i]].slots.push(slots[i]);
    }
    for (const partition of this.#partitions) {
      if (partition === undefined) continue;
      partition.slots.sort((a, b) => this.#order(columns, a, columns, b));
      const view = this.#view(partition);
      this.#plan.calls.forEach((call, c) => {
        const values = new Array<Datum>(view.length).fill(null);
        this.#attempt(() => evaluateOver(call, view, 0, view.length, values, this.#evaluation), values, 0, view.length);
        partition.values[c] = values;
      });
    }
    this.#touched.reset();
  }
}

/** Rows to show or take back: their slots and the calls' values. */
class Output {
  readonly slots: number[] = [];
  readonly columns: ColumnBuilder[];

  constructor(plan: Over) {
    this.columns = plan.calls.map((call): ColumnBuilder => new ColumnBuilder(call.type as SqlType));
  }

  add(slot: number, values: readonly (readonly Datum[])[], at: number): void {
    this.slots.push(slot);
    for (let c = 0; c < this.columns.length; c++) this.columns[c].push(values[c][at]);
  }

  addRow(slot: number, row: readonly Datum[]): void {
    this.slots.push(slot);
    for (let c = 0; c < this.columns.length; c++) this.columns[c].push(row[c]);
  }
}
