import { StreamError } from '../lib/errors.ts';

interface Waiter<T> {
  readonly take: (item: T) => void;
  readonly fail: (error: StreamError) => void;
}

/** A few things lent one query at a time; those who wait are served in order. Beyond `maxWaiting`: OVERLOADED. */
export class Pool<T> {
  readonly #free: T[];
  readonly #waiting = new Set<Waiter<T>>();
  readonly #maxWaiting: number;

  constructor(items: readonly T[], maxWaiting: number) {
    this.#free = [...items];
    this.#maxWaiting = maxWaiting;
  }

  /** `onWaiting` gets the means to give up waiting with an error. */
  acquire(onWaiting: (giveUp: (error: StreamError) => void) => void): Promise<T> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    if (this.#waiting.size >= this.#maxWaiting) {
      const detail = `${this.#maxWaiting} queries wait already`;
      return Promise.reject(new StreamError('OVERLOADED', detail, { hint: 'try again in a moment' }));
    }
    return new Promise((take, reject) => {
      const waiter: Waiter<T> = { take, fail: reject };
      this.#waiting.add(waiter);
      onWaiting((error) => {
        if (this.#waiting.delete(waiter)) reject(error);
      });
    });
  }

  release(item: T): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free.push(item);
      return;
    }
    this.#waiting.delete(next);
    next.take(item);
  }
}
