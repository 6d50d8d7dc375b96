import type { Clock, Timer } from '../../lib/clock.ts';

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
}

/** Time that stands still until it is moved; the timers of what was passed then run, in the order of their times. */
export class VirtualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  readonly #waiting = new Set<Waiting>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs - this.#startMs;
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer: Waiting = { atMs: this.#nowMs + Math.max(0, delayMs), run };
    this.#waiting.add(timer);
    return { cancel: () => void this.#waiting.delete(timer) };
  }

  /** Each timer runs at most once, however far the step; one that is set meanwhile counts from the new time. */
  moveTo(nowMs: number): void {
    this.#nowMs = nowMs;
    const due = [...this.#waiting].filter((timer) => timer.atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
    for (const timer of due) if (this.#waiting.delete(timer)) timer.run();
  }
}
