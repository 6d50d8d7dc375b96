import { grown, type HasArrays, type Visit } from './arrays.ts';

/**
 * Things to look at when a time has come, each a number, the earliest first: a binary heap. What changed its mind stays in and is judged by whoever takes
 * it out. Not stored: rebuilt from the state that it points to.
 */
export class TimeQueue implements HasArrays {
  size = 0;
  #times = new Float64Array(16);
  #items = new Float64Array(16);

  arrays(visit: Visit): void {
    this.#times = visit(this.#times);
    this.#items = visit(this.#items);
  }

  /** The earliest time; +Infinity when empty. */
  get next(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.#times[0];
  }

  push(time: number, item: number): void {
    let at = this.size++;
    if (at === this.#times.length) {
      this.#times = grown(this.#times, at * 2);
      this.#items = grown(this.#items, at * 2);
    }
    const times = this.#times;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (times[parent] <= time) break;
      times[at] = times[parent];
      this.#items[at] = this.#items[parent];
      at = parent;
    }
    times[at] = time;
    this.#items[at] = item;
  }

  /** Takes out the earliest; there is one. */
  pop(): number {
    const first = this.#items[0];
    const length = --this.size;
    if (length > 0) this.#sink(this.#items[length], this.#times[length], length);
    return first;
  }

  #sink(item: number, time: number, length: number): void {
    const times = this.#times;
    let at = 0;
    for (let child = 1; child < length; child = at * 2 + 1) {
      if (child + 1 < length && times[child + 1] < times[child]) child++;
      if (times[child] >= time) break;
      times[at] = times[child];
      this.#items[at] = this.#items[child];
      at = child;
    }
    times[at] = time;
    this.#items[at] = item;
  }
}
