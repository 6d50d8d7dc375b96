import { allocate, type Column, type ColumnValues, PlainColumn } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { SpillFile } from './spill-file.ts';
import { TextPages } from './text-pages.ts';

/**
 * One column of state: a growable array indexed by slot, stored as src/values/types.ts says and writable in place.
 * Integers beyond 2^53 turn a Float64Array into a plain array for good. Hot loops may hold on to `values` and `nulls`
 * only until the next call that writes or grows.
 */
export class StateColumn implements Column {
  readonly type: SqlType;
  values: Uint8Array | Int32Array | Float64Array | Datum[];
  nulls: Uint8Array | null = null;
  #capacity = 0;
  /** Estimated bytes of strings and other objects that `values` refers to. */
  #heapBytes = 0;
  /** What an unused slot holds. */
  readonly #empty: 0 | null;
  /** Of texts of which some may be out of memory; these are null in `values`. */
  #pages: TextPages | null = null;

  constructor(type: SqlType) {
    this.type = type;
    this.values = allocate(type, 0);
    this.#empty = Array.isArray(this.values) ? null : 0;
  }

  /** Slots there is room for. */
  get length(): number {
    return this.#capacity;
  }

  get bytes(): number {
    const stored = Array.isArray(this.values) ? this.#capacity * 8 : this.values.byteLength;
    return stored + (this.nulls === null ? 0 : this.nulls.byteLength) + this.#heapBytes;
  }

  /** From here on blocks of texts can be put out of memory. Null for what is no text. */
  pagedInto(file: SpillFile): TextPages | null {
    if (!Array.isArray(this.values) || this.type.kind !== 'varchar') return null;
    this.#pages ??= new TextPages(file, this.values, heapBytes, (bytes) => {
      this.#heapBytes += bytes;
    });
    return this.#pages;
  }

  /** Whoever reads `values` at these slots finds them there; negative ones are no slots. */
  bringIn(slots: Int32Array, count: number): void {
    if (this.#pages === null) return;
    for (let i = 0; i < count; i++) if (slots[i] >= 0) this.#pages.bringIn(slots[i]);
  }

  bringInOne(slot: number): void {
    this.#pages?.bringIn(slot);
  }

  /** Part of `bytes`: texts and other objects. */
  get heapBytes(): number {
    return this.#heapBytes;
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
    if (this.#pages !== null && this.#pages.outCount > 0) return this.#pages.get(slot);
    const value = this.values[slot];
    return this.type.kind === 'boolean' ? value === 1 : value;
  }

  set(slot: number, datum: Datum): void {
    this.#pages?.bringIn(slot);
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

  /** Back to what an unused slot holds: zero, or null for types kept in a plain array. Keeps nothing alive. */
  clear(slot: number): void {
    this.#pages?.bringIn(slot);
    if (Array.isArray(this.values)) {
      this.#heapBytes -= heapBytes(this.values[slot]);
      this.values[slot] = this.#empty;
    } else {
      this.values[slot] = 0;
    }
    if (this.nulls !== null) this.nulls[slot] = 0;
  }

  /** Writes row `rows[i]` of a batch's column to slot `slots[i]`, for i below `count`. The types are the same. */
  scatter(from: Column, rows: Int32Array, slots: Int32Array, count: number): void {
    const values = from.values;
    const nulls = from.nulls;
    this.bringIn(slots, count);
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
    if (nulls === null && this.nulls === null && Array.isArray(this.values) && this.type.kind === 'varchar') {
      const own = this.values;
      let heap = 0;
      for (let i = 0; i < count; i++) {
        const text = values[rows[i]] as Datum; // null where a saved slot was never written
        const slot = slots[i];
        heap += heapBytes(text) - heapBytes(own[slot]);
        own[slot] = text;
      }
      this.#heapBytes += heap;
      return;
    }
    for (let i = 0; i < count; i++) {
      const row = rows[i];
      this.set(slots[i], nulls !== null && nulls[row] === 1 ? null : (values[row] as Datum));
    }
  }

  /** An immutable copy of the given slots. */
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
      const pages = this.#pages;
      if (pages !== null && pages.outCount > 0) for (let i = 0; i < count; i++) copy[i] = pages.get(slots[i]);
      else for (let i = 0; i < count; i++) copy[i] = values[slots[i]];
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

const STRING_BYTES = 24;

function heapBytes(datum: Datum | undefined): number {
  if (datum === null || datum === undefined || typeof datum === 'boolean') return 0;
  if (typeof datum === 'string') return STRING_BYTES + datum.length;
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

export function grown<T extends Uint8Array | Int32Array | Float64Array>(array: T, length: number): T {
  const bigger = new (array.constructor as new (length: number) => T)(length);
  bigger.set(array);
  return bigger;
}

/** 0, 1, 2, … */
export function identity(length: number): Int32Array {
  const rows = new Int32Array(length);
  for (let i = 0; i < length; i++) rows[i] = i;
  return rows;
}
