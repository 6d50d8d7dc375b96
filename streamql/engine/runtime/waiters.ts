import type { Clock, Timer } from '../../../src/lib/clock.ts';
import { StreamError } from '../../../src/lib/errors.ts';

interface Waiter {
  readonly done: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: StreamError) => void;
  readonly timer: Timer | null;
}

/** Calls that wait for a condition which only an epoch's end, or DDL, can bring about. */
export class Waiters {
  readonly #clock: Clock;
  #waiting: Waiter[] = [];
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves once `done` says so; what it throws rejects. TIMEOUT after `timeoutMs`, CANCELLED when the engine closes. */
  until(done: () => boolean, what: string | (() => StreamError), timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(timeoutMs)
        ? this.#clock.setTimeout(() => {
            this.#waiting = this.#waiting.filter((other) => other !== waiter);
            reject(
              typeof what === 'string'
                ? new StreamError('TIMEOUT', `${what} takes longer than ${timeoutMs} ms`)
                : what(),
            );
          }, timeoutMs)
        : null;
      const waiter: Waiter = { done, resolve, reject, timer };
      this.#waiting.push(waiter);
      this.check();
    });
  }

  /** Looks at all conditions again. */
  check(): void {
    if (this.#closed) this.#end(this.#waiting, new StreamError('CANCELLED', 'the engine is closing'));
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      try {
        if (!waiter.done()) {
          this.#waiting.push(waiter);
          continue;
        }
        waiter.timer?.cancel();
        waiter.resolve();
      } catch (thrown) {
        waiter.timer?.cancel();
        waiter.reject(thrown as StreamError);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.check();
  }

  #end(waiting: readonly Waiter[], error: StreamError): void {
    this.#waiting = [];
    for (const waiter of waiting) {
      waiter.timer?.cancel();
      waiter.reject(error);
    }
  }
}
