interface Waiter {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Promises that wait until a log has passed an offset. */
export class OffsetWaiters {
  /** Sorted by offset; nearly always appended to at the end. */
  #waiters: Waiter[] = [];

  add(offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let at = this.#waiters.length;
      while (at > 0 && this.#waiters[at - 1]!.offset > offset) at--;
      if (at === this.#waiters.length) this.#waiters.push({ offset, resolve, reject });
      else this.#waiters.splice(at, 0, { offset, resolve, reject });
    });
  }

  /** Everything below `end` is reached. */
  advance(end: number): void {
    if (this.#waiters.length === 0 || this.#waiters[0]!.offset >= end) return;
    let count = 1;
    while (count < this.#waiters.length && this.#waiters[count]!.offset < end) count++;
    for (const waiter of this.#waiters.splice(0, count)) waiter.resolve();
  }

  /** What is at or beyond `from` will not be reached. */
  fail(from: number, reason: unknown): void {
    const at = this.#waiters.findIndex((waiter) => waiter.offset >= from);
    if (at >= 0) for (const waiter of this.#waiters.splice(at)) waiter.reject(reason);
  }
}
