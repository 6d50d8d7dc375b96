import type { Clock, Timer } from '../../../src/lib/clock.ts';

/** Time and chance as clients know them: simulated here, real in `real/`. */
export interface Times {
  readonly now: number;
  random(): number;
  after(delayMs: number, run: () => void): Timer;
  sleep(delayMs: number): Promise<void>;
  /** A whole number from `from` to `to`. */
  between(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
}

interface Event extends Timer {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/**
 * Virtual time and everything that happens in it, in one order: by time, then by when it was planned. Between two
 * events all promises and immediates of the event loop settle, so a seed gives the same run every time as long as nothing
 * waits for a real clock, disk or socket.
 */
export class World implements Times {
  /** Milliseconds since the world began. */
  now = 0;
  eventCount = 0;
  readonly random: () => number;
  #order = 0;
  readonly #heap: Event[] = [];

  constructor(random: () => number) {
    this.random = random;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.at(this.now + Math.max(0, delayMs), run);
  }

  at(ms: number, run: () => void): Timer {
    const event: Event = {
      at: ms,
      order: this.#order++,
      run,
      cancel() {
        this.run = undefined;
      },
    };
    this.#push(event);
    return event;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
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

  /** Lets events happen until the promise settles. Throws when time goes beyond `mostMs` or nothing is left to happen. */
  async run<T>(main: Promise<T>, mostMs: number): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
    };
    main.then(end, end);
    for (;;) {
      await settle();
      if (over) return main;
      const event = this.#pop();
      if (event === undefined) throw new Error(`at ${this.now} ms everybody waits and nothing can happen`);
      if (event.at > mostMs) throw new Error(`not over after ${mostMs} ms of simulated time`);
      this.now = Math.max(this.now, event.at);
      this.eventCount++;
      event.run!();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** The next event that was not cancelled. */
  #pop(): Event | undefined {
    const heap = this.#heap;
    while (heap.length > 0) {
      const first = heap[0]!;
      const last = heap.pop()!;
      if (heap.length > 0) {
        let at = 0;
        for (;;) {
          let child = 2 * at + 1;
          if (child >= heap.length) break;
          if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
          if (!before(heap[child]!, last)) break;
          heap[at] = heap[child]!;
          at = child;
        }
        heap[at] = last;
      }
      if (first.run !== undefined) return first;
    }
    return undefined;
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** 2026-01-01, so that timestamps look like any. */
const EPOCH_MS = 1_767_225_600_000;

/** The clock of one life of a machine: its timers end with it. The wall clock may jump, the monotonic one does not. */
export class LifeClock implements Clock {
  jumpMs = 0;
  #over = false;
  readonly #world: World;

  constructor(world: World, jumpMs: number) {
    this.#world = world;
    this.jumpMs = jumpMs;
  }

  nowMs(): number {
    return EPOCH_MS + Math.floor(this.#world.now) + this.jumpMs;
  }

  monotonicMs(): number {
    return this.#world.now;
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    return this.#world.after(delayMs, () => {
      if (!this.#over) run();
    });
  }

  end(): void {
    this.#over = true;
  }
}
