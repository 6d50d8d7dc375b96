import { assert } from '../../../src/lib/assert.ts';
import type { Column } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { StateTable } from '../operator.ts';
import { KeyTable } from './key-table.ts';
import { decodePiece, encodePiece } from './piece.ts';
import { grown, StateColumn } from './state-column.ts';

const NO_COLUMNS: readonly Column[] = [];

/**
 * The engine's hash table: rows of key columns and value columns, each in a slot that stays the same while the row
 * lives, also across save and load. Values are written in place by slot. Whoever writes calls `touch(slot)`, so that the
 * next save holds it.
 */
export class RowTable implements StateTable {
  readonly id: string;
  readonly keys: KeyTable;
  /** Value columns, indexed by slot; a new row starts with zeros (null in text and its like). */
  readonly values: readonly StateColumn[];
  fullBytes = 0;
  changeBytes = 0;
  readonly #types: readonly SqlType[];
  readonly #rebuilt: () => void;
  readonly #derivedBytes: () => number;
  #dirty: Uint8Array;
  #dirtySlots = new Int32Array(64);
  #dirtyCount = 0;
  #stale = false;

  /**
   * `rebuilt` runs before the first use after a load: users make anew what they derive from the rows, whose size
   * `derivedBytes` tells.
   */
  constructor(
    id: string,
    keyTypes: readonly SqlType[],
    valueTypes: readonly SqlType[],
    more: { rebuilt?: () => void; indexed?: boolean; derivedBytes?: () => number } = {},
  ) {
    this.id = id;
    this.keys = new KeyTable(keyTypes, more.indexed ?? true);
    this.values = valueTypes.map((type) => new StateColumn(type));
    this.#types = [...keyTypes, ...valueTypes];
    this.#rebuilt = more.rebuilt ?? (() => {});
    this.#derivedBytes = more.derivedBytes ?? (() => 0);
    this.#dirty = new Uint8Array(this.keys.capacity);
    for (const column of this.values) column.ensure(this.keys.capacity);
  }

  get rows(): number {
    this.ready();
    return this.keys.count;
  }

  get bytes(): number {
    let bytes = this.keys.bytes + this.#dirty.byteLength + this.#dirtySlots.byteLength + this.#derivedBytes();
    for (const column of this.values) bytes += column.bytes;
    return bytes;
  }

  /** Room for per-slot arrays of users. */
  get capacity(): number {
    return this.keys.capacity;
  }

  /** As KeyTable.upsert; new rows are `keys.fresh[0..n)`. */
  upsert(key: readonly Column[], length: number, slots: Int32Array): number {
    this.ready();
    const made = this.keys.upsert(key, length, slots);
    if (made > 0) this.#grow();
    return made;
  }

  append(key: readonly Column[], length: number, slots: Int32Array): void {
    this.ready();
    this.keys.append(key, length, slots);
    this.#grow();
  }

  lookup(key: readonly Column[], length: number, slots: Int32Array): void {
    this.ready();
    this.keys.lookup(key, length, slots);
  }

  lookupOne(key: readonly Datum[]): number {
    this.ready();
    return this.keys.lookupOne(key);
  }

  /** The one row of a table without key columns. */
  single(): number {
    this.ready();
    const slots = new Int32Array(1);
    this.upsert(NO_COLUMNS, 1, slots);
    return slots[0];
  }

  release(slot: number): void {
    this.touch(slot);
    this.keys.release(slot);
    for (const column of this.values) column.clear(slot);
  }

  aliveSlots(): Int32Array {
    this.ready();
    return this.keys.aliveSlots();
  }

  touch(slot: number): void {
    if (this.#dirty[slot] === 1) return;
    this.#dirty[slot] = 1;
    if (this.#dirtyCount === this.#dirtySlots.length) this.#dirtySlots = grown(this.#dirtySlots, this.#dirtyCount * 2);
    this.#dirtySlots[this.#dirtyCount++] = slot;
  }

  save(full: boolean): Uint8Array | null {
    this.ready();
    if (!full && this.#dirtyCount === 0) return null;
    const slots = full ? this.keys.aliveSlots() : this.#dirtySlots.slice(0, this.#dirtyCount).sort();
    const alive = new Uint8Array(slots.length);
    const living = new Int32Array(slots.length);
    let count = 0;
    for (let i = 0; i < slots.length; i++) {
      if (!this.keys.alive(slots[i])) continue;
      alive[i] = 1;
      living[count++] = slots[i];
    }
    const columns = this.#columns().map((column) => column.gather(living, count));
    const bytes = encodePiece({ full, slots, alive, columns });
    for (let i = 0; i < this.#dirtyCount; i++) this.#dirty[this.#dirtySlots[i]] = 0;
    this.#dirtyCount = 0;
    if (full) {
      this.fullBytes = bytes.byteLength;
      this.changeBytes = 0;
      this.#dirtySlots = new Int32Array(64);
    } else {
      this.changeBytes += bytes.byteLength;
    }
    return bytes;
  }

  load(bytes: Uint8Array): void {
    const piece = decodePiece(bytes, this.#types);
    if (piece.full) {
      assert(this.keys.end === 0, `${this.id}: full state loaded over other state`);
      this.fullBytes = bytes.byteLength;
      this.changeBytes = 0;
    } else {
      this.changeBytes += bytes.byteLength;
    }
    const living = new Int32Array(piece.slots.length);
    const rows = new Int32Array(piece.slots.length);
    let count = 0;
    let end = 0;
    for (let i = 0; i < piece.slots.length; i++) if (piece.slots[i] >= end) end = piece.slots[i] + 1;
    this.keys.reserve(end);
    this.#grow();
    for (let i = 0; i < piece.slots.length; i++) {
      const slot = piece.slots[i];
      this.keys.setAlive(slot, piece.alive[i] === 1);
      if (piece.alive[i] === 1) {
        living[count] = slot;
        rows[count] = count++;
      } else {
        for (const column of this.#columns()) column.clear(slot);
      }
    }
    this.#columns().forEach((column, c) => {
      column.scatter(piece.columns[c], rows, living, count);
    });
    this.#stale = true;
  }

  /** Makes index and derived structures current after a load. */
  ready(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.keys.rebuild();
    this.#rebuilt();
  }

  #columns(): StateColumn[] {
    return [...this.keys.columns, ...this.values];
  }

  #grow(): void {
    const capacity = this.keys.capacity;
    if (capacity === this.#dirty.length) return;
    this.#dirty = grown(this.#dirty, capacity);
    for (const column of this.values) column.ensure(capacity);
  }
}
