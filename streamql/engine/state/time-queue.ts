import { grown } from './state-column.ts';

/**
 * Things to look at when a time has come, the earliest first: a binary heap. What changed its mind stays in and is judged by whoever takes
 * it out. Not stored: rebuilt from the state that it points to.
 */
export class TimeQueue<T> {
  #times = new Float64Array(16);
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  get bytes(): number {
    return this.#times.byteLength + this.#items.length * 8;
  }

  /** The earliest time; +Infinity when empty. */
  get next(): number {
    return this.#items.length === 0 ? Number.POSITIVE_INFINITY : this.#times[0];
  }

  push(time: number, item: T): void {
    let at = this.#items.length;
    if (at === this.#times.length) this.#times = grown(this.#times, at * 2);
    this.#items.push(item);
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
  pop(): T {
    const first = this.#items[0];
    const item = this.#items.pop() as T;
    const length = this.#items.length;
    if (length > 0) this.#sink(item, this.#times[length], length);
    return first;
  }

  #sink(item: T, time: number, length: number): void {
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
