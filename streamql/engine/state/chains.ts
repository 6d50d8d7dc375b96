import type { Column } from '../../../src/values/column.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { grown, type HasArrays, type Visit } from './arrays.ts';
import { KeyTable } from './key-table.ts';

/** End of a chain; also the key slot of a key that is not there. */
export const NONE = -1;

/**
 * An index that is not unique: each key leads to a chain of the row slots (of some other table) that have it. Adding and
 * taking out a row is O(1) whatever the length of its chain. Derived, never saved.
 */
export class Chains implements HasArrays {
  /** The distinct keys; a key whose chain is empty is released. */
  keys: KeyTable;
  /** First row slot, by key slot. */
  heads = new Int32Array(16);
  /** Next row slot, by row slot. */
  next = new Int32Array(16);
  readonly #types: readonly SqlType[];
  readonly #removable: boolean;
  /** By row slot; kept only where rows can be taken out. */
  #previous = new Int32Array(16);
  #keyOf = new Int32Array(16);
  #keySlots = new Int32Array(0);

  constructor(types: readonly SqlType[], removable: boolean) {
    this.#types = types;
    this.#removable = removable;
    this.keys = new KeyTable(types);
  }

  arrays(visit: Visit): void {
    this.keys.arrays(visit);
    this.heads = visit(this.heads);
    this.next = visit(this.next);
    this.#previous = visit(this.#previous);
    this.#keyOf = visit(this.#keyOf);
  }

  /**
   * Puts row slots `slots[0..count)` into the chains of their keys: that of slot i is row `rows[i]` of `keys`, which has
   * `length` rows. The other rows of `keys` must have keys that are there already.
   */
  link(keys: readonly Column[], length: number, slots: Int32Array, rows: Int32Array, count: number): void {
    if (count === 0) return;
    if (this.#keySlots.length < length) this.#keySlots = new Int32Array(length);
    const made = this.keys.upsert(keys, length, this.#keySlots);
    if (this.heads.length < this.keys.capacity) this.heads = grown(this.heads, this.keys.capacity);
    for (let i = 0; i < made; i++) this.heads[this.keys.fresh[i]] = NONE;
    let most = 0;
    for (let i = 0; i < count; i++) if (slots[i] > most) most = slots[i];
    this.#room(most + 1);
    for (let i = 0; i < count; i++) this.#push(slots[i], this.#keySlots[rows[i]]);
  }

  unlink(slot: number): void {
    const after = this.next[slot];
    const before = this.#previous[slot];
    if (after !== NONE) this.#previous[after] = before;
    if (before !== NONE) {
      this.next[before] = after;
      return;
    }
    const key = this.#keyOf[slot];
    this.heads[key] = after;
    if (after === NONE) this.keys.release(key);
  }

  reset(): void {
    this.keys = new KeyTable(this.#types);
  }

  #room(slots: number): void {
    if (this.next.length >= slots) return;
    const capacity = Math.max(slots, this.next.length * 2);
    this.next = grown(this.next, capacity);
    if (!this.#removable) return;
    this.#previous = grown(this.#previous, capacity);
    this.#keyOf = grown(this.#keyOf, capacity);
  }

  #push(slot: number, key: number): void {
    const head = this.heads[key];
    this.next[slot] = head;
    this.heads[key] = slot;
    if (!this.#removable) return;
    if (head !== NONE) this.#previous[head] = slot;
    this.#previous[slot] = NONE;
    this.#keyOf[slot] = key;
  }
}
