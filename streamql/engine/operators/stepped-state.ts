import { StreamError } from '../../../src/lib/errors.ts';
import { BIGINT, type Datum, VARCHAR } from '../../../src/values/types.ts';
import type { AggregateSteps } from '../../functions/aggregate-table.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';

/** Begins the state of a group in which a step failed; the message follows. No state's text begins so. */
const FAILED = '!';

/**
 * A state that a function made with CREATE AGGREGATE steps forward and back, as the text that checkpoints hold. A group in which a step failed stays so until it has no rows: which rows were counted is not known.
 */
export class SteppedState implements Accumulator {
  readonly types = [VARCHAR, BIGINT];
  readonly tables = [];
  readonly #steps: AggregateSteps;
  readonly #args: readonly number[];
  #state!: StateColumn;
  /** How many rows are in the state. */
  #count!: StateColumn;
  /** Groups that had no rows after some batch of the epoch. */
  readonly #emptied = new Set<number>();

  /** `args`: positions of the arguments in the input. */
  constructor(steps: AggregateSteps, args: readonly number[]) {
    this.#steps = steps;
    this.#args = args;
  }

  attach([state, count]: readonly StateColumn[]): void {
    this.#state = state;
    this.#count = count;
  }

  init(): void {}

  update({ columns, slots, weights, rows, count }: Contribution): void {
    const counts = this.#count.values as Float64Array;
    const groups = new Map<number, number>();
    const states: (string | null)[] = [];
    const changes = { rows: new Int32Array(count), groups: new Int32Array(count), times: new Int32Array(count) };
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[row];
      const times = weights === null ? 1 : weights[row];
      counts[slot] += times;
      let group = groups.get(slot);
      if (group === undefined) {
        const state = this.#state.get(slot) as string | null;
        group = state?.startsWith(FAILED) ? -1 : states.push(state) - 1;
        groups.set(slot, group);
      }
      if (group < 0) continue;
      changes.rows[kept] = row;
      changes.groups[kept] = group;
      changes.times[kept++] = times;
    }
    const args = this.#args.map((arg) => columns[arg]);
    const after = this.#steps.advance(states, { args, ...changes, count: kept });
    for (const [slot, group] of groups) {
      if (counts[slot] === 0) this.#emptied.add(slot);
      if (group < 0) continue;
      const state = after[group];
      this.#state.set(slot, state instanceof StreamError ? FAILED + state.message : state);
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
}
