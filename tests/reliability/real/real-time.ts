import type { Timer } from '../../../src/lib/clock.ts';
import type { Times } from '../sim/world.ts';

/** The machine's own time; only chance comes from the seed. */
export class RealTime implements Times {
  readonly random: () => number;
  readonly #began = performance.now();

  constructor(random: () => number) {
    this.random = random;
  }

  get now(): number {
    return performance.now() - this.#began;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  between(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }
}
