import { StreamError } from '../../../src/lib/errors.ts';
import { datumAt } from '../../../src/values/column.ts';
import { BIGINT, type Datum, VARCHAR } from '../../../src/values/types.ts';
import type { AggregateSteps } from '../../functions/aggregate-table.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';

/** Begins the state of a group in which a step failed; the message follows. No state's text begins so. */
const FAILED = '!';

/**
 * A state that a function made with CREATE AGGREGATE steps forward and back, as the text that checkpoints hold. Of a batch each group's state is read and
 * written once; what comes goes before what goes. A group in which a step failed stays so until it has no rows: which rows were counted is not known.
 */
export class SteppedState implements Accumulator {
  readonly types = [VARCHAR, BIGINT];
  readonly tables = [];
  readonly #steps: AggregateSteps;
  readonly #a: number;
  readonly #b: number | null;
  #state!: StateColumn;
  /** How many rows are in the state. */
  #count!: StateColumn;
  /** Groups that had no rows after some batch of the epoch. */
  readonly #emptied = new Set<number>();

  /** `a` and `b`: positions of the arguments in the input. */
  constructor(steps: AggregateSteps, a: number, b: number | null) {
    this.#steps = steps;
    this.#a = a;
    this.#b = b;
  }

  attach([state, count]: readonly StateColumn[]): void {
    this.#state = state;
    this.#count = count;
  }

  init(): void {}

  update({ columns, slots, weights, rows, count }: Contribution): void {
    const counts = this.#count.values as Float64Array;
    /** By group, the last of its rows; `before` leads to the others. */
    const lasts = new Map<number, number>();
    const before = new Int32Array(count);
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[row];
      before[k] = lasts.get(slot) ?? -1;
      lasts.set(slot, k);
      counts[slot] += weights === null ? 1 : weights[row];
    }
    const a = columns[this.#a];
    const b = this.#b === null ? null : columns[this.#b];
    for (const [slot, last] of lasts) {
      if (counts[slot] === 0) this.#emptied.add(slot);
      this.#advance(slot, (visit) => {
        for (const sign of weights === null ? [1] : [1, -1]) {
          for (let k = last; k >= 0; k = before[k]) {
            const row = rows === null ? k : rows[k];
            const times = weights === null ? 1 : weights[row];
            if (times * sign > 0) visit(datumAt(a, row), b === null ? null : datumAt(b, row), times);
          }
        }
      });
    }
  }

  value(slot: number): Datum {
    const state = this.#state.get(slot) as string | null;
    if (state?.startsWith(FAILED)) throw new StreamError('VALUE_FUNCTION', state.slice(FAILED.length));
    return this.#steps.finish(state);
  }

  release(): void {}

  endEpoch(): void {
    const counts = this.#count.values as Float64Array;
    for (const slot of this.#emptied) if (counts[slot] === 0) this.#state.set(slot, null);
    this.#emptied.clear();
  }

  #advance(slot: number, each: Parameters<AggregateSteps['advance']>[1]): void {
    const state = this.#state.get(slot) as string | null;
    if (state?.startsWith(FAILED)) return;
    try {
      this.#state.set(slot, this.#steps.advance(state, each));
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
      this.#state.set(slot, FAILED + thrown.message);
    }
  }
}
