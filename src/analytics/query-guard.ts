import { StreamError } from '../lib/errors.ts';

/** How often a query that must end is told so again: an interrupt between two steps of DuckDB is lost. */
const REPEAT_MS = 25;

export interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** The bounds of one query in time: ends it by TIMEOUT, CANCELLED or what `stop` says. */
export class QueryGuard {
  #error: StreamError | undefined;
  #interrupt: ((error: StreamError) => void) | undefined;
  #repeat: NodeJS.Timeout | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.stop(new StreamError('CANCELLED', 'the client went away'));

  constructor({ timeoutMs, signal }: Limits) {
    const late = (): void => this.stop(new StreamError('TIMEOUT', `the query took longer than ${timeoutMs} ms`));
    // setTimeout takes 31 bits.
    this.#timer = setTimeout(late, Math.min(Math.max(0, timeoutMs), 2 ** 31 - 1));
    this.#signal = signal;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Why the query has to end, if it has. */
  get error(): StreamError | undefined {
    return this.#error;
  }

  check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  stop(error: StreamError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#interrupt?.(error);
    this.#repeat = setInterval(() => this.#interrupt?.(error), REPEAT_MS);
  }

  /** What to do to end the query from now on; at once if it has to end already. */
  onStop(interrupt: (error: StreamError) => void): void {
    this.#interrupt = interrupt;
    if (this.#error !== undefined) interrupt(this.#error);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearInterval(this.#repeat);
    this.#interrupt = undefined;
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
