import { assert } from '../../../src/lib/assert.ts';
import { type Batch, weightAt } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { compareDatums } from '../../../src/values/compare.ts';
import { BIGINT, type Datum, type SqlType } from '../../../src/values/types.ts';
import { grown, type Visit } from './arrays.ts';
import type { KeyTable } from './key-table.ts';
import { EMPTY, OrderedSets } from './ordered-set.ts';
import { RowTable } from './row-table.ts';
import { BLOCK, blocksOf, type StateColumn } from './state-column.ts';

export interface TimelineShape {
  readonly types: readonly SqlType[];
  /** Columns of the key; none of them, nor the time, is NULL in a row that is kept. */
  readonly keyColumns: readonly number[];
  readonly time: number;
  /** The order of rows of one time; absent: any. */
  readonly ties?: (columns: readonly Column[], a: number, b: number) => number;
  /** Value columns of the caller's, after the weight. */
  readonly extra?: readonly SqlType[];
  /** False: rows are only appended, each in a slot of its own, and all weigh 1. */
  readonly retractable: boolean;
}

/**
 * One side of a join over time: the rows of each key in the order of their times, so that those of a range are found in O(log n). Equal rows
 * share a slot with a weight. The keys' table is the caller's and shared by both sides. Saved are the rows alone.
 */
export class Timeline {
  readonly table: RowTable;
  readonly sets: OrderedSets;
  /** Slots whose weight changed since the last `settle`, and by slot what it was before. */
  readonly touched: number[] = [];
  before = new Float64Array(16);
  /** Key slot, by row slot. */
  keyOf = new Int32Array(16);
  readonly #shape: TimelineShape;
  readonly #keys: KeyTable;
  readonly #emptied: (key: number) => void;
  readonly #time: StateColumn;
  /** By key slot. */
  #roots = new Int32Array(16).fill(EMPTY);
  #seen = new Uint8Array(16);
  #slots = new Int32Array(0);

  /** `emptied` is told of keys that have no more rows on this side; `rebuilt` is called before the first use after a load. */
  constructor(
    id: string,
    shape: TimelineShape,
    keys: KeyTable,
    emptied: (key: number) => void,
    rebuilt: () => void = () => undefined,
  ) {
    this.#shape = shape;
    this.#emptied = emptied;
    this.#keys = keys;
    const extra = shape.extra ?? [];
    this.table = new RowTable(id, shape.types, shape.retractable ? [BIGINT, ...extra] : extra, {
      indexed: shape.retractable,
      rebuilt: () => {
        this.#rebuild();
        rebuilt();
      },
      derived: (visit) => this.#derived(visit),
    });
    this.#time = this.table.keys.columns[shape.time];
    this.sets = new OrderedSets((a, b) => this.order(a, b));
  }

  /** By row slot, or null when all are 1. */
  get weights(): Float64Array | null {
    return this.#shape.retractable ? (this.table.values[0].values as Float64Array) : null;
  }

  /** The n-th of the caller's own value columns. */
  extra(n: number): StateColumn {
    return this.table.values[this.#shape.retractable ? n + 1 : n];
  }

  get columns(): readonly StateColumn[] {
    return this.table.keys.columns;
  }

  get time(): StateColumn {
    return this.#time;
  }

  /** Of two slots of a key. Zero only for the same slot. */
  order(a: number, b: number): number {
    const byTime = compareTimes(this.#time, a, this.#time, b);
    if (byTime !== 0) return byTime;
    const { ties } = this.#shape;
    return ties === undefined ? a - b : ties(this.columns, a, b);
  }

  root(key: number): number {
    return key < this.#roots.length ? this.#roots[key] : EMPTY;
  }

  /** Takes in changes of rows whose keys are at `keySlots`; `slots` of the batch's rows are returned, valid until the next call. */
  add(batch: Batch, keySlots: Int32Array): Int32Array {
    const { length } = batch;
    if (this.#slots.length < length) this.#slots = new Int32Array(length);
    const slots = this.#slots;
    const { table } = this;
    if (this.#shape.retractable) table.upsert(batch.columns, length, slots);
    else table.append(batch.columns, length, slots);
    this.#room();
    const { fresh, freshRows, freshCount } = table.keys;
    for (let i = 0; i < freshCount; i++) this.#insert(fresh[i], keySlots[freshRows[i]]);
    const weights = this.weights;
    if (weights === null) {
      assert(batch.weights === null, `${table.id}: a weight came to a side that is only appended to`);
      for (let row = 0; row < length; row++) table.touch(slots[row]);
      return slots;
    }
    for (let row = 0; row < length; row++) {
      const slot = slots[row];
      if (this.#seen[slot] === 0) {
        this.#seen[slot] = 1;
        this.before[slot] = weights[slot];
        this.touched.push(slot);
      }
      weights[slot] += weightAt(batch, row);
      table.touch(slot);
    }
    return slots;
  }

  /** Takes the touched rows that are gone out of the order; they can be read until `settle`. */
  unsetGone(): void {
    const weights = this.weights;
    if (weights === null) return;
    for (const slot of this.touched) {
      if (weights[slot] > 0) continue;
      assert(weights[slot] === 0, `${this.table.id}: a row was taken back that is not there`);
      const key = this.keyOf[slot];
      this.#roots[key] = this.sets.remove(this.#roots[key], slot);
    }
  }

  /** Lets go of the rows that `unsetGone` took out. */
  settle(): void {
    const weights = this.weights;
    if (weights === null) return;
    for (const slot of this.touched) {
      this.#seen[slot] = 0;
      if (weights[slot] > 0) continue;
      this.table.release(slot);
      if (this.#roots[this.keyOf[slot]] === EMPTY) this.#emptied(this.keyOf[slot]);
    }
    this.touched.length = 0;
  }

  /** As Arrangement.apply: adds and takes back rows at once, whose keys get their slots here. */
  apply(batch: Batch, fresh: (slots: Int32Array, rows: Int32Array, count: number) => void): void {
    const keySlots = new Int32Array(batch.length);
    this.#keys.upsert(
      this.#shape.keyColumns.map((column) => batch.columns[column]),
      batch.length,
      keySlots,
    );
    this.add(batch, keySlots);
    const { keys } = this.table;
    fresh(keys.fresh, keys.freshRows, keys.freshCount);
    this.unsetGone();
    this.settle();
  }

  /** Takes out a row that is not touched. */
  drop(slot: number): void {
    const key = this.keyOf[slot];
    this.#roots[key] = this.sets.remove(this.#roots[key], slot);
    this.table.release(slot);
    if (this.#roots[key] === EMPTY) this.#emptied(key);
  }

  #insert(slot: number, key: number): void {
    if (key >= this.#roots.length) {
      const length = this.#roots.length;
      this.#roots = grown(this.#roots, Math.max(key + 1, length * 2)).fill(EMPTY, length);
    }
    this.keyOf[slot] = key;
    this.#roots[key] = this.sets.insert(this.#roots[key], slot);
  }

  #room(): void {
    const { capacity } = this.table;
    if (this.keyOf.length >= capacity) return;
    this.keyOf = grown(this.keyOf, capacity);
    this.before = grown(this.before, capacity);
    this.#seen = grown(this.#seen, capacity);
  }

  #derived(visit: Visit): void {
    this.sets.arrays(visit);
    this.#roots = visit(this.#roots);
    this.keyOf = visit(this.keyOf);
    this.before = visit(this.before);
    this.#seen = visit(this.#seen);
  }

  #rebuild(): void {
    const slots = this.table.keys.aliveSlots();
    const keySlots = new Int32Array(Math.min(slots.length, BLOCK));
    this.#roots.fill(EMPTY);
    this.#room();
    for (const block of blocksOf(slots)) {
      const keys = this.#shape.keyColumns.map((column) => this.columns[column].gather(block, block.length));
      this.#keys.upsert(keys, block.length, keySlots);
      for (let i = 0; i < block.length; i++) this.#insert(block[i], keySlots[i]);
    }
  }
}

/** Neither is NULL; both are of one type. */
export function compareTimes(a: Column, i: number, b: Column, j: number): number {
  const x = a.values[i] as NonNullable<Datum>;
  const y = b.values[j] as NonNullable<Datum>;
  if (typeof x === 'number') {
    if (x < (y as number)) return -1;
    if (x > (y as number)) return 1;
  }
  return x === y ? 0 : compareDatums(x, y, a.type);
}
