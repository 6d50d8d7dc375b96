import type { Batch } from '../../src/values/batch.ts';
import type { Operator } from './operator.ts';

/** Gives each operator the time between entering it and leaving it, less what those it emitted to took. */
export class BusyClock {
  #since = 0;
  #current: Operator | null = null;

  /** At rest none, unless one threw. */
  get current(): Operator | null {
    return this.#current;
  }

  push(operator: Operator, port: number, batch: Batch): void {
    const outer = this.#switchTo(operator);
    operator.push(port, batch);
    this.#switchTo(outer);
  }

  run(operator: Operator, work: () => void): void {
    const outer = this.#switchTo(operator);
    work();
    this.#switchTo(outer);
  }

  #switchTo(operator: Operator | null): Operator | null {
    const now = performance.now();
    const before = this.#current;
    if (before !== null) before.stats.busyMs += now - this.#since;
    this.#current = operator;
    this.#since = now;
    return before;
  }
}
