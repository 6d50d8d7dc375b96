import type { Clock, Timer } from '../../src/lib/clock.ts';

/** Time that moves only when told to. Timers run in order of their time, then of their setting. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; run: () => void }[] = [];

  nowMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  advance(ms: number): void {
    const end = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.reduce<{ atMs: number; run: () => void } | undefined>(
        (first, timer) => (timer.atMs <= end && (first === undefined || timer.atMs < first.atMs) ? timer : first),
        undefined,
      );
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = end;
  }

  get pending(): number {
    return this.#timers.length;
  }
}
