import { allocate, type Column, type ColumnValues, PlainColumn } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { grown, type Visit } from './arrays.ts';
import type { StateColumn } from './state-column.ts';

/**
 * A column of state of anything but text: a growable array indexed by slot, stored as src/values/types.ts says and writable in place.
 * Integers beyond 2^53 turn a Float64Array into a plain array for good. Hot loops may hold on to `values` and `nulls`
 * only until the next call that writes or grows.
 */
export class PlainStateColumn implements StateColumn {
  readonly type: SqlType;
  values: Uint8Array | Int32Array | Float64Array | Datum[];
  nulls: Uint8Array | null = null;
  readonly textBytes = 0;
  #capacity = 0;
  /** Estimated bytes of the objects that `values` refers to. */
  #heapBytes = 0;
  /** What an unused slot holds. */
  readonly #empty: 0 | null;

  constructor(type: SqlType) {
    this.type = type;
    this.values = allocate(type, 0);
    this.#empty = Array.isArray(this.values) ? null : 0;
  }

  get length(): number {
    return this.#capacity;
  }

  arrays(visit: Visit): void {
    if (!Array.isArray(this.values)) this.values = visit(this.values);
    if (this.nulls !== null) this.nulls = visit(this.nulls);
  }

  get objectBytes(): number {
    return this.#heapBytes + (Array.isArray(this.values) ? this.#capacity * 8 : 0);
  }

  ensure(capacity: number): void {
    if (capacity <= this.#capacity) return;
    if (Array.isArray(this.values)) {
      for (let i = this.values.length; i < capacity; i++) this.values.push(this.#empty);
    } else {
      this.values = grown(this.values, capacity);
    }
    if (this.nulls !== null) this.nulls = grown(this.nulls, capacity) as Uint8Array;
    this.#capacity = capacity;
  }

  get(slot: number): Datum {
    if (this.nulls !== null && this.nulls[slot] === 1) return null;
    const value = this.values[slot];
    return this.type.kind === 'boolean' ? value === 1 : value;
  }

  set(slot: number, datum: Datum): void {
    if (Array.isArray(this.values)) {
      this.#heapBytes += heapBytes(datum) - heapBytes(this.values[slot]);
      this.values[slot] = datum;
    } else if (typeof datum === 'bigint') {
      this.#toPlain();
      this.set(slot, datum);
      return;
    } else {
      this.values[slot] = datum === null ? 0 : Number(datum);
    }
    if (datum === null) {
      if (this.nulls === null) this.nulls = new Uint8Array(this.#capacity);
      this.nulls[slot] = 1;
    } else if (this.nulls !== null) {
      this.nulls[slot] = 0;
    }
  }

  clear(slot: number): void {
    if (Array.isArray(this.values)) {
      this.#heapBytes -= heapBytes(this.values[slot]);
      this.values[slot] = this.#empty;
    } else {
      this.values[slot] = 0;
    }
    if (this.nulls !== null) this.nulls[slot] = 0;
  }

  equals(slot: number, datum: Datum): boolean {
    return equalDatums(this.get(slot), datum, this.type);
  }

  scatter(from: Column, rows: Int32Array, slots: Int32Array, count: number): void {
    const values = from.values;
    const nulls = from.nulls;
    if (nulls === null && this.nulls === null && !Array.isArray(this.values)) {
      if (values instanceof Float64Array && this.values instanceof Float64Array) {
        scatterFloat64(values, this.values, rows, slots, count);
        return;
      }
      if (values instanceof Int32Array && this.values instanceof Int32Array) {
        scatterInt32(values, this.values, rows, slots, count);
        return;
      }
    }
    for (let i = 0; i < count; i++) {
      const row = rows[i];
      this.set(slots[i], nulls !== null && nulls[row] === 1 ? null : (values[row] as Datum));
    }
  }

  gather(slots: Int32Array, count: number): Column {
    const values = this.values;
    let out: ColumnValues;
    if (values instanceof Float64Array) {
      const copy = new Float64Array(count);
      for (let i = 0; i < count; i++) copy[i] = values[slots[i]];
      out = copy;
    } else if (values instanceof Int32Array) {
      const copy = new Int32Array(count);
      for (let i = 0; i < count; i++) copy[i] = values[slots[i]];
      out = copy;
    } else if (values instanceof Uint8Array) {
      const copy = new Uint8Array(count);
      for (let i = 0; i < count; i++) copy[i] = values[slots[i]];
      out = copy;
    } else {
      const copy = new Array<Datum>(count);
      for (let i = 0; i < count; i++) copy[i] = values[slots[i]];
      out = copy;
    }
    let nulls: Uint8Array | null = null;
    if (this.nulls !== null) {
      nulls = new Uint8Array(count);
      let any = 0;
      for (let i = 0; i < count; i++) any |= nulls[i] = this.nulls[slots[i]];
      if (any === 0) nulls = null;
    }
    return new PlainColumn(this.type, count, out, nulls);
  }

  #toPlain(): void {
    this.values = Array.from(this.values as Float64Array);
  }
}

function heapBytes(datum: Datum | undefined): number {
  if (datum === null || datum === undefined || typeof datum === 'boolean') return 0;
  if (typeof datum === 'string') return 24 + datum.length;
  if (typeof datum === 'number') return 12;
  if (typeof datum === 'bigint') return 24;
  if (datum instanceof Uint8Array) return 96 + datum.byteLength;
  if (Array.isArray(datum)) return datum.reduce((sum: number, item: Datum) => sum + 8 + heapBytes(item), 32);
  return 48;
}

function scatterFloat64(
  from: Float64Array,
  to: Float64Array,
  rows: Int32Array,
  slots: Int32Array,
  count: number,
): void {
  for (let i = 0; i < count; i++) to[slots[i]] = from[rows[i]];
}

function scatterInt32(from: Int32Array, to: Int32Array, rows: Int32Array, slots: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) to[slots[i]] = from[rows[i]];
}
