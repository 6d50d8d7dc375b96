import { assert } from '../../../src/lib/assert.ts';
import { type Column, PlainColumn } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { FormerTables, StateSize, StateTable, TablePick, TableRows } from '../operator.ts';
import { bytesOf, grown, type HasArrays, type Visit } from './arrays.ts';
import { ABSENT, KeyTable } from './key-table.ts';
import { makeColumn } from './make-column.ts';
import { bytesOfParts, decodePiece, encodePiece, type Parts } from './piece.ts';
import { identity, type StateColumn } from './state-column.ts';

const NO_COLUMNS: readonly Column[] = [];

/**
 * The engine's hash table: rows of key columns and value columns, each in a slot that stays the same while the row
 * lives, also across save and load. Values are written in place by slot. Whoever writes calls `touch(slot)`, so that the
 * next save holds it.
 */
export class RowTable implements StateTable, HasArrays {
  readonly id: string;
  readonly keys: KeyTable;
  /** Value columns, indexed by slot; a new row starts with zeros (null in text and its like). */
  readonly values: readonly StateColumn[];
  /** Those of the keys, then `values`. */
  readonly columns: readonly StateColumn[];
  fullBytes = 0;
  changeBytes = 0;
  readonly #types: readonly SqlType[];
  readonly #rebuilt: () => void;
  readonly #derived: HasArrays['arrays'][];
  readonly #derivedBytes: () => number;
  /** Set by whoever makes the table, if its rows can move between shards. */
  holds: TableRows | undefined;
  /** Set where this table stands in for others of before. */
  formerly: FormerTables | undefined;
  #dirty: Uint8Array;
  #dirtySlots = new Int32Array(64);
  #dirtyCount = 0;
  /** Bytes saved since the renewal at work began: of rows that did not change, and of those that did. */
  #renewed = { rows: 0, changes: 0 };
  #stale = false;

  /**
   * `rebuilt` runs before the first use after a load: users make anew what they derive from the rows. `derived` are its arrays, `derivedBytes` what its
   * objects use.
   */
  constructor(
    id: string,
    keyTypes: readonly SqlType[],
    valueTypes: readonly SqlType[],
    more: {
      rebuilt?: () => void;
      indexed?: boolean;
      derived?: HasArrays['arrays'];
      derivedBytes?: () => number;
    } = {},
  ) {
    this.id = id;
    this.keys = new KeyTable(keyTypes, more.indexed ?? true);
    this.values = valueTypes.map(makeColumn);
    this.columns = [...this.keys.columns, ...this.values];
    this.#types = [...keyTypes, ...valueTypes];
    this.#rebuilt = more.rebuilt ?? (() => {});
    this.#derived = more.derived === undefined ? [] : [more.derived];
    this.#derivedBytes = more.derivedBytes ?? (() => 0);
    this.#dirty = new Uint8Array(this.keys.capacity);
    for (const column of this.values) column.ensure(this.keys.capacity);
  }

  get rows(): number {
    this.ready();
    return this.keys.count;
  }

  /** These arrays go by its rows too. */
  goesWith(arrays: HasArrays['arrays']): void {
    this.#derived.push(arrays);
  }

  arrays(visit: Visit): void {
    this.keys.arrays(visit);
    for (const column of this.values) column.arrays(visit);
    this.#dirty = visit(this.#dirty);
    this.#dirtySlots = visit(this.#dirtySlots);
    for (const derived of this.#derived) derived(visit);
  }

  get size(): StateSize {
    const { inMemory, texts, spilled } = bytesOf((visit) => this.arrays(visit));
    let objects = this.#derivedBytes();
    let live = 0;
    for (const column of this.columns) {
      objects += column.objectBytes;
      live += column.textBytes;
    }
    const used = objects + live + (inMemory * this.keys.count) / this.keys.capacity;
    return { bytes: objects + texts + inMemory + spilled, used, spilled };
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

  save(full: boolean): Parts | null {
    this.ready();
    if (!full && this.#dirtyCount === 0) return null;
    const piece = this.#encode(full, full ? this.keys.aliveSlots() : this.#changed());
    const bytes = bytesOfParts(piece);
    this.#clean();
    if (full) {
      this.fullBytes = bytes;
      this.changeBytes = 0;
      this.#dirtySlots = new Int32Array(64);
    } else {
      this.changeBytes += bytes;
    }
    return piece;
  }

  /** O(rows that changed + rows renewed + slots passed). */
  renew(from: number, bytes: number): { piece: Parts | null; next: number | null } {
    this.ready();
    if (from === 0) this.#renewed = { rows: 0, changes: 0 };
    const changed = this.#changed();
    const slots = changed.length;
    const { used, spilled } = this.size;
    const room = Math.max(slots, Math.ceil((bytes * this.keys.count) / Math.max(1, used + spilled)), 1);
    const all = new Int32Array(slots + Math.min(room, this.keys.count));
    all.set(changed);
    let count = slots;
    let slot = from;
    for (; slot < this.keys.end && count < all.length; slot++)
      if (this.#dirty[slot] === 0 && this.keys.alive(slot)) all[count++] = slot;
    const piece = count === 0 ? null : this.#encode(false, all.subarray(0, count));
    this.#clean();
    const saved = piece === null ? 0 : bytesOfParts(piece);
    const changeBytes = count === 0 ? 0 : (saved * slots) / count;
    this.#renewed.changes += changeBytes;
    this.#renewed.rows += saved - changeBytes;
    this.changeBytes += saved;
    if (slot < this.keys.end) return { piece, next: slot };
    this.fullBytes = this.#renewed.rows;
    this.changeBytes = this.#renewed.changes;
    return { piece, next: null };
  }

  #changed(): Int32Array {
    return this.#dirtySlots.slice(0, this.#dirtyCount).sort();
  }

  #clean(): void {
    for (let i = 0; i < this.#dirtyCount; i++) this.#dirty[this.#dirtySlots[i]] = 0;
    this.#dirtyCount = 0;
  }

  #encode(full: boolean, slots: Int32Array): Parts {
    const alive = new Uint8Array(slots.length);
    const living = new Int32Array(slots.length);
    let count = 0;
    for (let i = 0; i < slots.length; i++) {
      if (!this.keys.alive(slots[i])) continue;
      alive[i] = 1;
      living[count++] = slots[i];
    }
    const columns = this.columns.map((column) => column.gather(living, count));
    return encodePiece({ full, slots, alive, columns });
  }

  load(bytes: Uint8Array): void {
    const piece = decodePiece(bytes, this.#types);
    assert(!piece.full || this.keys.end === 0, `${this.id}: full state loaded over other state`);
    if (this.keys.end === 0) this.fullBytes = bytes.byteLength;
    else this.changeBytes += bytes.byteLength;
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
        for (const column of this.columns) column.clear(slot);
      }
    }
    this.columns.forEach((column, c) => {
      column.scatter(piece.columns[c], rows, living, count);
    });
    this.#stale = true;
  }

  takeOver(pieces: readonly Uint8Array[], { mine, slots, meets }: TablePick): Int32Array {
    const types = [this.keys.columns, this.values].map((columns) => columns.map((column) => column.type));
    const other = new RowTable(this.id, types[0], types[1], { indexed: false });
    for (const piece of pieces) other.load(piece);
    const all = other.aliveSlots();
    const keys = other.keys.columns.map((column) => column.gather(all, all.length));
    const isMine = mine?.(keys, all.length) ?? null;
    const wanted = Int32Array.from(all.keys()).filter(
      (row) => (isMine === null || isMine[row] === 1) && (slots === null || slots[keys[0].values[row] as number] >= 0),
    );
    const count = wanted.length;
    const taken = keys.map((column) => column.gather(wanted, count));
    if (slots !== null) {
      const leading = Int32Array.from(wanted, (row) => slots[keys[0].values[row] as number]);
      taken[0] = new PlainColumn(taken[0].type, count, leading, null);
    }
    const to = new Int32Array(count);
    const before = this.rows;
    if (this.keys.indexed) this.upsert(taken, count, to);
    else this.append(taken, count, to);
    const from = wanted.map((row) => all[row]);
    if (meets !== 'never') {
      const isNew = new Set(this.keys.fresh.subarray(0, this.keys.freshCount));
      for (let i = 0; i < count; i++) {
        const value = Number(other.values[0].get(from[i]));
        const there = isNew.has(to[i]) ? null : Number(this.values[0].get(to[i]));
        this.values[0].set(to[i], there === null ? value : meets === 'add' ? there + value : Math.max(there, value));
      }
    } else {
      assert(this.rows === before + count, `${this.id}: two shards had the same row`);
      const rows = identity(count);
      this.values.forEach((column, c) => {
        column.scatter(other.values[c].gather(from, count), rows, to, count);
      });
    }
    for (let i = 0; i < count; i++) this.touch(to[i]);
    // What is derived from the rows is made anew before they are used.
    this.#stale = true;
    const moved = new Int32Array(other.keys.end).fill(ABSENT);
    for (let i = 0; i < count; i++) moved[from[i]] = to[i];
    return moved;
  }

  /** Makes index and derived structures current after a load. */
  ready(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.keys.rebuild();
    this.#rebuilt();
  }

  #grow(): void {
    const capacity = this.keys.capacity;
    if (capacity === this.#dirty.length) return;
    this.#dirty = grown(this.#dirty, capacity);
    for (const column of this.values) column.ensure(capacity);
  }
}
