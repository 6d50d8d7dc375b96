import type { Datum } from '../../../src/values/types.ts';
import { grown } from '../state/arrays.ts';

/** Output rows of one match. */
export type MatchOutput = readonly (readonly Datum[])[];

/**
 * The searches that were made over a partition, by the row where each began: what it found and how far it looked. A change at a
 * position leaves alone all searches before the first that looked there.
 */
export class Attempts {
  count = 0;
  starts = new Int32Array(8);
  /** No search up to and with this one looked at this position or behind it. */
  reaches = new Int32Array(8);
  /** Matches up to and with this search. */
  numbers = new Int32Array(8);
  /** Searches given up since the last match, up to and with this one. */
  givenUp = new Int32Array(8);
  /** Null: nothing to show. A search without a match may show the row where it began. */
  outputs: (MatchOutput | null)[] = [];
  /** Where the next search begins. */
  next: number;
  #givenUpBefore = 0;
  /** Matches before the first of these searches. */
  #base: number;

  constructor(next = 0, base = 0) {
    this.next = next;
    this.#base = base;
  }

  get matches(): number {
    return this.count === 0 ? this.#base : this.numbers[this.count - 1];
  }

  givenUpBefore(index: number): number {
    return index === 0 ? this.#givenUpBefore : this.givenUp[index - 1];
  }

  matchesBefore(index: number): number {
    if (index >= this.count) return this.matches;
    return index === 0 ? this.#base : this.numbers[index - 1];
  }

  get bytes(): number {
    return this.starts.byteLength * 4 + this.outputs.length * 8;
  }

  push(start: number, reach: number, matches: number, output: MatchOutput | null, givenUp = 0): void {
    if (this.count === this.starts.length) {
      const capacity = Math.max(8, this.count * 2);
      this.starts = grown(this.starts, capacity);
      this.reaches = grown(this.reaches, capacity);
      this.numbers = grown(this.numbers, capacity);
      this.givenUp = grown(this.givenUp, capacity);
    }
    const before = this.count === 0 ? 0 : this.reaches[this.count - 1];
    this.starts[this.count] = start;
    this.reaches[this.count] = Math.max(before, reach);
    this.numbers[this.count] = matches;
    this.givenUp[this.count] = givenUp;
    this.outputs.push(output);
    this.count++;
  }

  /** The first search that looked at `position` or behind it; `count` when none did. */
  firstBeyond(position: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.reaches[middle] <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes off the searches from the first that looked at `position` or behind it. */
  cut(position: number): Attempts {
    const from = this.firstBeyond(position);
    const tail = new Attempts(this.next, this.matchesBefore(from));
    if (from === this.count) return tail;
    tail.count = this.count - from;
    tail.starts = this.starts.slice(from, this.count);
    tail.reaches = this.reaches.slice(from, this.count);
    tail.numbers = this.numbers.slice(from, this.count);
    tail.givenUp = this.givenUp.slice(from, this.count);
    tail.#givenUpBefore = this.givenUpBefore(from);
    tail.outputs = this.outputs.splice(from);
    this.count = from;
    this.next = tail.starts[0];
    return tail;
  }

  /** Forgets the first `count` searches and `rows` rows before the others, which must not look at them. */
  forget(count: number, rows: number): void {
    if (count > 0) {
      this.#base = this.numbers[count - 1];
      this.#givenUpBefore = this.givenUp[count - 1];
    }
    this.givenUp = this.givenUp.slice(count);
    this.starts = this.starts.slice(count).map((start) => start - rows);
    this.reaches = this.reaches.slice(count).map((reach) => reach - rows);
    this.numbers = this.numbers.slice(count);
    this.outputs.splice(0, count);
    this.count -= count;
    this.next -= rows;
  }

  /** Goes on with the searches of `tail` from its `index` on, all of whose rows now stand `shift` further. */
  resume(tail: Attempts, index: number, shift: number): void {
    const more = this.matches - tail.matchesBefore(index);
    for (let i = index; i < tail.count; i++) {
      this.push(
        tail.starts[i] + shift,
        tail.reaches[i] + shift,
        tail.numbers[i] + more,
        tail.outputs[i],
        tail.givenUp[i],
      );
    }
    this.next = tail.next + shift;
  }
}
