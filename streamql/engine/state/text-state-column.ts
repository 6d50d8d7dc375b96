import { StreamError } from '../../../src/lib/errors.ts';
import { type Column, PlainColumn, TextColumn } from '../../../src/values/column.ts';
import { compareText } from '../../../src/values/compare.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { grown, type Visit } from './arrays.ts';
import type { StateColumn } from './state-column.ts';
import { TextHeap } from './text-heap.ts';
import { viewOf } from './text-words.ts';

/** A column of state whose datums are strings. They come as ranges of bytes and go on as such; only `get` makes strings of them. */
export class TextStateColumn implements StateColumn {
  readonly type: SqlType;
  nulls: Uint8Array | null = null;
  readonly objectBytes = 0;
  readonly #heap = new TextHeap();

  constructor(type: SqlType) {
    this.type = type;
  }

  get values(): never {
    throw new StreamError('INVARIANT', 'texts of state are read slot by slot');
  }

  get length(): number {
    return this.#heap.lengths.length;
  }

  arrays(visit: Visit): void {
    if (this.nulls !== null) this.nulls = visit(this.nulls);
    this.#heap.arrays(visit);
  }

  get textBytes(): number {
    return this.#heap.memoryBytes;
  }

  ensure(capacity: number): void {
    if (capacity <= this.length) return;
    if (this.nulls !== null) this.nulls = grown(this.nulls, capacity);
    this.#heap.ensure(capacity);
  }

  get(slot: number): string | null {
    return this.#heap.lengths[slot] < 0 ? null : this.#heap.get(slot);
  }

  set(slot: number, datum: Datum): void {
    if (datum === null) {
      this.nulls ??= new Uint8Array(this.length);
      this.nulls[slot] = 1;
      this.#heap.drop(slot);
      return;
    }
    if (this.nulls !== null) this.nulls[slot] = 0;
    this.#heap.putString(slot, datum as string);
  }

  clear(slot: number): void {
    if (this.nulls !== null) this.nulls[slot] = 0;
    this.#heap.drop(slot);
  }

  equals(slot: number, datum: Datum): boolean {
    if (datum === null || this.#heap.lengths[slot] < 0) return datum === null && this.#heap.lengths[slot] < 0;
    return this.#heap.isString(slot, datum as string);
  }

  scatter(from: Column, rows: Int32Array, slots: Int32Array, count: number): void {
    const heap = this.#heap;
    if (from instanceof TextColumn && from.nulls === null && this.nulls === null) {
      const { bytes, starts, ends } = from;
      const view = viewOf(bytes);
      for (let i = 0; i < count; i++) heap.put(slots[i], bytes, view, starts[rows[i]], ends[rows[i]]);
      return;
    }
    const { nulls } = from;
    const range = from instanceof TextColumn ? from : null;
    const view = range === null ? null : viewOf(range.bytes);
    const values = range === null ? (from.values as readonly Datum[]) : null;
    for (let i = 0; i < count; i++) {
      const row = rows[i];
      if (nulls !== null && nulls[row] === 1) {
        this.set(slots[i], null);
      } else if (range === null) {
        // Null where a slot that an old checkpoint saved was never written.
        if (values![row] === null) this.clear(slots[i]);
        else this.set(slots[i], values![row]);
      } else {
        if (this.nulls !== null) this.nulls[slots[i]] = 0;
        heap.put(slots[i], range.bytes, view!, range.starts[row], range.ends[row]);
      }
    }
  }

  gather(slots: Int32Array, count: number): Column {
    const { lengths } = this.#heap;
    let nulls: Uint8Array | null = null;
    for (let i = 0; i < count; i++) {
      if (lengths[slots[i]] >= 0) continue;
      nulls ??= new Uint8Array(count);
      nulls[i] = 1;
    }
    const texts = this.#heap.gather(slots, count);
    if (texts !== null) return new TextColumn(this.type, count, texts.bytes, texts.starts, texts.ends, nulls);
    const strings = Array.from(slots.subarray(0, count), (slot) => this.get(slot));
    return new PlainColumn(this.type, count, strings, nulls);
  }

  /** Whether the slot holds what a row of a batch's column has; NULL is as NULL. */
  equalsRow(slot: number, from: Column, row: number): boolean {
    const isNull = this.#heap.lengths[slot] < 0;
    if (isNull || (from.nulls !== null && from.nulls[row] === 1))
      return isNull && from.nulls !== null && from.nulls[row] === 1;
    return from instanceof TextColumn
      ? this.#heap.isBytes(slot, from.bytes, viewOf(from.bytes), from.starts[row], from.ends[row])
      : this.#heap.isString(slot, from.values[row] as string);
  }

  /** As markDifferent of row-hash.ts, for this column alone. */
  markDifferent(from: Column, slots: Int32Array, length: number, differs: Uint8Array): number {
    const heap = this.#heap;
    let count = 0;
    if (from instanceof TextColumn && from.nulls === null && this.nulls === null) {
      const { bytes, starts, ends } = from;
      const view = viewOf(bytes);
      for (let row = 0; row < length; row++) {
        const slot = slots[row];
        if (slot < 0 || differs[row] === 1 || heap.isBytes(slot, bytes, view, starts[row], ends[row])) continue;
        differs[row] = 1;
        count++;
      }
      return count;
    }
    for (let row = 0; row < length; row++) {
      if (slots[row] < 0 || differs[row] === 1 || this.equalsRow(slots[row], from, row)) continue;
      differs[row] = 1;
      count++;
    }
    return count;
  }

  /** The order of a slot's text and that of row `row` of a column of texts, of state or of a batch. Neither is NULL. */
  compareWith(slot: number, other: Column, row: number): number {
    if (other instanceof TextStateColumn) return this.#heap.compare(slot, other.#heap, row);
    if (other instanceof TextColumn)
      return this.#heap.compareBytes(slot, other.bytes, other.starts[row], other.ends[row]);
    return compareText(this.#heap.get(slot), other.values[row] as string);
  }
}
