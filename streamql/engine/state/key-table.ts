import { assert } from '../../../src/lib/assert.ts';
import type { Column } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { grown, type HasArrays, replaced, type Visit } from './arrays.ts';
import { makeColumn } from './make-column.ts';
import { hashOne, hashRows, markDifferent, sameRow } from './row-hash.ts';
import { BLOCK, blocksOf, type StateColumn } from './state-column.ts';

/** What `lookup` leaves for a row whose key is not there. */
export const ABSENT = -1;

/**
 * A set of keys: each distinct key has a slot, a small integer that stays its own until it is released; other columns
 * are indexed by slot. Open addressing with linear probing over slot numbers, hashes cached per slot, no tombstones.
 * Lookups take columns of a batch; no key object is built. Whole batches first match by hash alone and are then
 * compared column by column; the rare rows whose hash met another key go one by one.
 */
export class KeyTable implements HasArrays {
  readonly columns: readonly StateColumn[];
  /** Slots that the last `upsert` gave out, `fresh[0..freshCount)`, and the rows that brought them. */
  fresh = new Int32Array(64);
  freshRows = new Int32Array(64);
  freshCount = 0;
  /** Live keys. */
  count = 0;
  /** Slots from here on were never used. */
  end = 0;
  #alive = new Uint8Array(16);
  #slotHashes = new Int32Array(16);
  /** slot + 1, or 0 for empty; a power of two long, at most 5/8 full. */
  #index = new Int32Array(32);
  #free = new Int32Array(0);
  #freeCount = 0;
  /** Scratch, per row of a batch. */
  #hashes = new Int32Array(0);
  #differs = new Uint8Array(0);

  /** Whether keys can be looked up; without it the table is a plain store of rows, for `append` only. */
  indexed: boolean;

  constructor(types: readonly SqlType[], indexed = true) {
    this.indexed = indexed;
    this.columns = types.map(makeColumn);
    for (const column of this.columns) column.ensure(this.#alive.length);
  }

  arrays(visit: Visit): void {
    this.#alive = visit(this.#alive);
    this.#slotHashes = visit(this.#slotHashes);
    this.#index = visit(this.#index);
    this.#free = visit(this.#free);
    for (const column of this.columns) column.arrays(visit);
  }

  /** How many slots the per-slot arrays of users should have room for. */
  get capacity(): number {
    return this.#alive.length;
  }

  alive(slot: number): boolean {
    return this.#alive[slot] === 1;
  }

  /** From here on rows are only appended. */
  dropIndex(): void {
    this.indexed = false;
    this.#index = new Int32Array(0);
    this.#slotHashes = new Int32Array(0);
  }

  /** Sets `slots[row]` for every row to the slot of its key, making those that are missing. Returns how many were made. */
  upsert(keys: readonly Column[], length: number, slots: Int32Array): number {
    this.freshCount = 0;
    this.#prepare(keys, length);
    const hashes = this.#hashes;
    let index = this.#index;
    let mask = index.length - 1;
    let slotHashes = this.#slotHashes;
    for (let row = 0; row < length; row++) {
      const hash = hashes[row];
      let at = hash & mask;
      let entry = index[at];
      while (entry !== 0 && slotHashes[entry - 1] !== hash) {
        at = (at + 1) & mask;
        entry = index[at];
      }
      if (entry !== 0) {
        slots[row] = entry - 1;
      } else {
        slots[row] = this.#add(row, hash, at);
        index = this.#index;
        mask = index.length - 1;
        slotHashes = this.#slotHashes;
      }
    }
    this.#copyFresh(keys, 0);
    // Where every row is new, every row is its own key's.
    if (this.freshCount < length && this.#mark(keys, length, slots) > 0) this.#upsertDiffering(keys, length, slots);
    return this.freshCount;
  }

  /** Gives every row a slot of its own (only when not indexed). */
  append(keys: readonly Column[], length: number, slots: Int32Array): void {
    this.freshCount = 0;
    for (let row = 0; row < length; row++) slots[row] = this.#allocate(row);
    this.#copyFresh(keys, 0);
  }

  /** Sets `slots[row]` to the slot of the row's key, or ABSENT. */
  lookup(keys: readonly Column[], length: number, slots: Int32Array): void {
    this.#prepare(keys, length);
    const hashes = this.#hashes;
    const index = this.#index;
    const mask = index.length - 1;
    const slotHashes = this.#slotHashes;
    for (let row = 0; row < length; row++) {
      const hash = hashes[row];
      let at = hash & mask;
      let entry = index[at];
      while (entry !== 0 && slotHashes[entry - 1] !== hash) {
        at = (at + 1) & mask;
        entry = index[at];
      }
      slots[row] = entry - 1;
    }
    if (this.#mark(keys, length, slots) === 0) return;
    for (let row = 0; row < length; row++) {
      if (this.#differs[row] === 0) continue;
      this.#differs[row] = 0;
      slots[row] = index[this.#probe(keys, row, hashes[row])] - 1;
    }
  }

  /** The slot of one key, or ABSENT. */
  lookupOne(key: readonly Datum[]): number {
    const hash = hashOne(key, this.columns);
    const mask = this.#index.length - 1;
    for (let at = hash & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      const slot = this.#index[at] - 1;
      if (this.#slotHashes[slot] === hash && this.columns.every((column, c) => column.equals(slot, key[c]))) {
        return slot;
      }
    }
    return ABSENT;
  }

  /** Gives a slot back; its key is gone at once and the slot may be given out again. */
  release(slot: number): void {
    if (this.indexed) this.#unlink(slot);
    this.#alive[slot] = 0;
    for (const column of this.columns) column.clear(slot);
    if (this.#freeCount === this.#free.length) this.#free = grown(this.#free, Math.max(16, this.#freeCount * 2));
    this.#free[this.#freeCount++] = slot;
    this.count--;
  }

  /** For loading: makes room for slots below `end` so that their columns can be written directly; `rebuild` follows. */
  reserve(end: number): void {
    if (end > this.capacity) this.#growSlots(Math.max(end, this.capacity * 2));
    if (end > this.end) this.end = end;
  }

  setAlive(slot: number, alive: boolean): void {
    this.#alive[slot] = alive ? 1 : 0;
  }

  /** Builds index and free list anew from the slots that are alive. */
  rebuild(): void {
    const slots = this.aliveSlots();
    this.count = slots.length;
    this.#freeCount = 0;
    this.#free = replaced(this.#free, this.end - this.count);
    for (let slot = this.end - 1; slot >= 0; slot--) {
      if (this.#alive[slot] === 0) this.#free[this.#freeCount++] = slot;
    }
    if (!this.indexed) return;
    const hashes = new Int32Array(Math.min(slots.length, BLOCK));
    for (const block of blocksOf(slots)) {
      const keys = this.columns.map((column) => column.gather(block, block.length));
      hashRows(keys, block.length, hashes);
      for (let i = 0; i < block.length; i++) this.#slotHashes[block[i]] = hashes[i];
    }
    let size = 32;
    while (slots.length > size * 0.625) size *= 2;
    this.#reindex(size);
  }

  aliveSlots(): Int32Array {
    const slots = new Int32Array(this.end);
    let count = 0;
    for (let slot = 0; slot < this.end; slot++) if (this.#alive[slot] === 1) slots[count++] = slot;
    return slots.subarray(0, count);
  }

  #prepare(keys: readonly Column[], length: number): void {
    assert(this.indexed, 'a key is looked up in a table without an index');
    if (this.#hashes.length < length) {
      this.#hashes = new Int32Array(length);
      this.#differs = new Uint8Array(length);
    }
    hashRows(keys, length, this.#hashes);
  }

  #mark(keys: readonly Column[], length: number, slots: Int32Array): number {
    return markDifferent(keys, this.columns, slots, length, this.#differs);
  }

  #upsertDiffering(keys: readonly Column[], length: number, slots: Int32Array): void {
    for (let row = 0; row < length; row++) {
      if (this.#differs[row] === 0) continue;
      this.#differs[row] = 0;
      const at = this.#probe(keys, row, this.#hashes[row]);
      if (this.#index[at] !== 0) {
        slots[row] = this.#index[at] - 1;
        continue;
      }
      const from = this.freshCount;
      slots[row] = this.#add(row, this.#hashes[row], at);
      this.#copyFresh(keys, from);
    }
  }

  /** The place in the index of a row's key, or the empty place where it belongs. */
  #probe(keys: readonly Column[], row: number, hash: number): number {
    const mask = this.#index.length - 1;
    let at = hash & mask;
    for (; this.#index[at] !== 0; at = (at + 1) & mask) {
      const slot = this.#index[at] - 1;
      if (this.#slotHashes[slot] === hash && sameRow(keys, row, this.columns, slot)) break;
    }
    return at;
  }

  #add(row: number, hash: number, at: number): number {
    const slot = this.#allocate(row);
    this.#slotHashes[slot] = hash;
    this.#index[at] = slot + 1;
    if (this.count > this.#index.length * 0.625) this.#reindex(this.#index.length * 2);
    return slot;
  }

  #allocate(row: number): number {
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount] : this.end++;
    if (slot >= this.capacity) this.#growSlots(this.capacity * 2);
    this.#alive[slot] = 1;
    this.count++;
    if (this.freshCount === this.fresh.length) {
      this.fresh = grown(this.fresh, this.freshCount * 2);
      this.freshRows = grown(this.freshRows, this.freshCount * 2);
    }
    this.fresh[this.freshCount] = slot;
    this.freshRows[this.freshCount++] = row;
    return slot;
  }

  #copyFresh(keys: readonly Column[], from: number): void {
    const count = this.freshCount - from;
    if (count === 0) return;
    const rows = from === 0 ? this.freshRows : this.freshRows.subarray(from);
    const slots = from === 0 ? this.fresh : this.fresh.subarray(from);
    for (let c = 0; c < keys.length; c++) this.columns[c].scatter(keys[c], rows, slots, count);
  }

  #growSlots(capacity: number): void {
    this.#alive = grown(this.#alive, capacity);
    if (this.indexed) this.#slotHashes = grown(this.#slotHashes, capacity);
    for (const column of this.columns) column.ensure(capacity);
  }

  #reindex(size: number): void {
    // Where its slots are, in memory or in a file.
    const index = replaced(this.#slotHashes, size);
    const mask = size - 1;
    for (let slot = 0; slot < this.end; slot++) {
      if (this.#alive[slot] === 0) continue;
      let at = this.#slotHashes[slot] & mask;
      while (index[at] !== 0) at = (at + 1) & mask;
      index[at] = slot + 1;
    }
    this.#index = index;
  }

  /** Takes a slot out of the index and moves later entries of its run up, so that no probe stops early. */
  #unlink(slot: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let hole = this.#slotHashes[slot] & mask;
    while (index[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = this.#slotHashes[index[at] - 1] & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      index[hole] = index[at];
      hole = at;
    }
    index[hole] = 0;
  }
}
