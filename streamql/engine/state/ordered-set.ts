import { assert } from '../../../src/lib/assert.ts';
import { grown, type HasArrays, type Visit } from './arrays.ts';

/** No slot: an empty set's root. */
export const EMPTY = -1;

/**
 * Many ordered sets of slots that share two link arrays: each set is a treap named by its root, priorities are a hash
 * of the slot. Insert, remove and the ends are O(log n) expected; with `weigh` also the slot at a position, where each slot fills as many
 * positions as it weighs. Every operation returns the set's new root, which the
 * caller keeps. `compare` is a total order on the slots of a set; what it reads must not change while a slot is in.
 * Not stored: rebuilt by inserting.
 */
export class OrderedSets implements HasArrays {
  readonly #compare: (a: number, b: number) => number;
  /** Child slot + 1, 0 for none. */
  #left = new Int32Array(16);
  #right = new Int32Array(16);
  /** By slot, the weight of its subtree; only with `weigh`. */
  #totals = new Float64Array(0);
  /** Where `#split` leaves the greater part. */
  #splitRight = 0;
  readonly #weigh: ((slot: number) => number) | null;

  constructor(compare: (a: number, b: number) => number, weigh: ((slot: number) => number) | null = null) {
    this.#compare = compare;
    this.#weigh = weigh;
    if (weigh !== null) this.#totals = new Float64Array(16);
  }

  arrays(visit: Visit): void {
    this.#left = visit(this.#left);
    this.#right = visit(this.#right);
    this.#totals = visit(this.#totals);
  }

  /** Whether totals and positions can be asked for. */
  get weighs(): boolean {
    return this.#weigh !== null;
  }

  insert(root: number, slot: number): number {
    if (slot >= this.#left.length) {
      const capacity = Math.max(slot + 1, this.#left.length * 2);
      this.#left = grown(this.#left, capacity);
      this.#right = grown(this.#right, capacity);
      if (this.#weigh !== null) this.#totals = grown(this.#totals, capacity);
    }
    return this.#insert(root + 1, slot + 1) - 1;
  }

  remove(root: number, slot: number): number {
    return this.#remove(root + 1, slot + 1) - 1;
  }

  /** The weight of a slot that is in changed. */
  reweigh(root: number, slot: number): void {
    this.#reweigh(root + 1, slot + 1);
  }

  /** The weight of all slots of a set. */
  total(root: number): number {
    return root === EMPTY ? 0 : this.#totals[root];
  }

  /** The slot at a position from 0 to total − 1. */
  at(root: number, position: number): number {
    let node = root + 1;
    let left = position;
    while (node !== 0) {
      const before = this.#totalOf(this.#left[node - 1]);
      if (left < before) {
        node = this.#left[node - 1];
        continue;
      }
      const weight = this.#weigh === null ? 1 : this.#weigh(node - 1);
      if (left < before + weight) return node - 1;
      left -= before + weight;
      node = this.#right[node - 1];
    }
    return EMPTY;
  }

  /** The least slot, or EMPTY. */
  first(root: number): number {
    let node = root + 1;
    if (node === 0) return EMPTY;
    while (this.#left[node - 1] !== 0) node = this.#left[node - 1];
    return node - 1;
  }

  /** The greatest slot, or EMPTY. */
  last(root: number): number {
    let node = root + 1;
    if (node === 0) return EMPTY;
    while (this.#right[node - 1] !== 0) node = this.#right[node - 1];
    return node - 1;
  }

  /**
   * The least slot for which `reached` is true, or EMPTY. It is false for all slots up to some place in the order and true from there on; so it
   * is for `before` and `walkFrom`.
   */
  from(root: number, reached: (slot: number) => boolean): number {
    let node = root + 1;
    let found = EMPTY;
    while (node !== 0) {
      if (reached(node - 1)) {
        found = node - 1;
        node = this.#left[node - 1];
      } else {
        node = this.#right[node - 1];
      }
    }
    return found;
  }

  /** The greatest slot for which `reached` is still false, or EMPTY. */
  before(root: number, reached: (slot: number) => boolean): number {
    let node = root + 1;
    let found = EMPTY;
    while (node !== 0) {
      if (reached(node - 1)) {
        node = this.#left[node - 1];
      } else {
        found = node - 1;
        node = this.#right[node - 1];
      }
    }
    return found;
  }

  /** Visits the slots for which `reached` is true in ascending order until `visit` returns false. */
  walkFrom(root: number, reached: (slot: number) => boolean, visit: (slot: number) => boolean): void {
    this.#walkFrom(root + 1, reached, visit);
  }

  #walkFrom(node: number, reached: (slot: number) => boolean, visit: (slot: number) => boolean): boolean {
    if (node === 0) return true;
    if (!reached(node - 1)) return this.#walkFrom(this.#right[node - 1], reached, visit);
    return (
      this.#walkFrom(this.#left[node - 1], reached, visit) &&
      visit(node - 1) &&
      this.#walk(this.#right[node - 1], visit)
    );
  }

  /** Visits slots in ascending order until `visit` returns false. */
  walk(root: number, visit: (slot: number) => boolean): void {
    this.#walk(root + 1, visit);
  }

  #walk(node: number, visit: (slot: number) => boolean): boolean {
    if (node === 0) return true;
    return this.#walk(this.#left[node - 1], visit) && visit(node - 1) && this.#walk(this.#right[node - 1], visit);
  }

  #totalOf(node: number): number {
    return node === 0 ? 0 : this.#totals[node - 1];
  }

  /** Makes the total of a node whose children or weight changed; returns the node. */
  #sum(node: number): number {
    if (this.#weigh === null) return node;
    this.#totals[node - 1] =
      this.#totalOf(this.#left[node - 1]) + this.#totalOf(this.#right[node - 1]) + this.#weigh(node - 1);
    return node;
  }

  #reweigh(root: number, node: number): void {
    assert(root !== 0, 'a value to weigh is not in its ordered set');
    if (root !== node) {
      const below = this.#compare(node - 1, root - 1) < 0 ? this.#left : this.#right;
      this.#reweigh(below[root - 1], node);
    }
    this.#sum(root);
  }

  #insert(root: number, node: number): number {
    if (root === 0) {
      this.#left[node - 1] = 0;
      this.#right[node - 1] = 0;
      return this.#sum(node);
    }
    const order = this.#compare(node - 1, root - 1);
    assert(order !== 0, 'a value is twice in an ordered set');
    if (priority(node) > priority(root)) {
      this.#left[node - 1] = this.#split(root, node);
      this.#right[node - 1] = this.#splitRight;
      return this.#sum(node);
    }
    if (order < 0) this.#left[root - 1] = this.#insert(this.#left[root - 1], node);
    else this.#right[root - 1] = this.#insert(this.#right[root - 1], node);
    return this.#sum(root);
  }

  /** Splits a tree into what is less than `node` (returned) and what is greater (`#splitRight`). */
  #split(root: number, node: number): number {
    if (root === 0) {
      this.#splitRight = 0;
      return 0;
    }
    if (this.#compare(node - 1, root - 1) < 0) {
      const less = this.#split(this.#left[root - 1], node);
      this.#left[root - 1] = this.#splitRight;
      this.#splitRight = this.#sum(root);
      return less;
    }
    this.#right[root - 1] = this.#split(this.#right[root - 1], node);
    return this.#sum(root);
  }

  #remove(root: number, node: number): number {
    assert(root !== 0, 'a value to remove is not in its ordered set');
    if (root === node) return this.#merge(this.#left[root - 1], this.#right[root - 1]);
    if (this.#compare(node - 1, root - 1) < 0) this.#left[root - 1] = this.#remove(this.#left[root - 1], node);
    else this.#right[root - 1] = this.#remove(this.#right[root - 1], node);
    return this.#sum(root);
  }

  #merge(less: number, greater: number): number {
    if (less === 0) return greater;
    if (greater === 0) return less;
    if (priority(less) > priority(greater)) {
      this.#right[less - 1] = this.#merge(this.#right[less - 1], greater);
      return this.#sum(less);
    }
    this.#left[greater - 1] = this.#merge(less, this.#left[greater - 1]);
    return this.#sum(greater);
  }
}

function priority(node: number): number {
  let h = Math.imul(node, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h, 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
