import { fromUnits, toUnits } from '../../../src/values/double-units.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { arrayOf, BIGINT, DOUBLE } from '../../../src/values/types.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';

/** [how many NaN, +Infinity, −Infinity, the rest of the sum in units of 2^−1074]. */
type Odd = readonly [nans: number, plus: number, minus: number, rest: bigint];

/**
 * The exact sum of doubles, rounded once when it is read: it does not depend on the order of the rows, and taking a
 * value back leaves no trace, so a view equals the batch answer. Two doubles hold the sum and its rounding error
 * (Knuth's TwoSum); what does not fit in 106 bits, and what is not finite, goes to `odd`, which most groups never have.
 */
export class DoubleSum implements Accumulator {
  readonly types: readonly SqlType[] = [DOUBLE, DOUBLE, arrayOf(BIGINT)];
  readonly tables = [];
  #high!: StateColumn;
  #low!: StateColumn;
  #odd!: StateColumn;

  attach(columns: readonly StateColumn[]): void {
    [this.#high, this.#low, this.#odd] = columns;
  }

  init(): void {}

  update({ values, slots, weights, rows, count }: Contribution): void {
    const highs = this.#high.values as Float64Array;
    const lows = this.#low.values as Float64Array;
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      const slot = slots[row];
      const weight = weights === null ? 1 : weights[row];
      const value = (values as Float64Array)[row];
      const change = weight === 1 ? value : weight === -1 ? -value : Number.NaN;
      const high = highs[slot];
      const sum = high + change;
      const other = sum - high;
      const error = high - (sum - other) + (change - other);
      const low = lows[slot];
      const lowSum = low + error;
      const lowOther = lowSum - low;
      const lost = low - (lowSum - lowOther) + (error - lowOther);
      if (lost === 0) {
        highs[slot] = sum;
        lows[slot] = lowSum;
      } else {
        this.#addOdd(slot, value, weight);
      }
    }
  }

  /** The sum, correctly rounded; ±Infinity when it is beyond the range or such a value is in it. */
  total(slot: number): number {
    const high = (this.#high.values as Float64Array)[slot];
    const low = (this.#low.values as Float64Array)[slot];
    const odd = this.#odd.values[slot] as unknown as Odd | null;
    if (odd === null) return high + low;
    const [nans, plus, minus, rest] = odd;
    if (nans > 0 || (plus > 0 && minus > 0)) return Number.NaN;
    if (plus > 0) return Number.POSITIVE_INFINITY;
    if (minus > 0) return Number.NEGATIVE_INFINITY;
    return rest === 0n ? high + low : fromUnits(rest + toUnits(high) + toUnits(low));
  }

  /** The sum of the finite values, in units of 2^−1074. */
  units(slot: number): bigint {
    const high = toUnits((this.#high.values as Float64Array)[slot]);
    const low = toUnits((this.#low.values as Float64Array)[slot]);
    const odd = this.#odd.values[slot] as unknown as Odd | null;
    return high + low + BigInt(odd === null ? 0n : odd[3]);
  }

  /** Whether an infinity or NaN in the total comes from the values, not from overflow. */
  special(slot: number): boolean {
    const odd = this.#odd.values[slot] as unknown as Odd | null;
    return odd !== null && (odd[0] > 0 || odd[1] > 0 || odd[2] > 0);
  }

  release(): void {}
  endEpoch(): void {}

  #addOdd(slot: number, value: number, weight: number): void {
    const odd = (this.#odd.values[slot] as unknown as Odd | null) ?? ([0, 0, 0, 0n] as const);
    let [nans, plus, minus, rest] = odd;
    if (Number.isNaN(value)) nans += weight;
    else if (value === Number.POSITIVE_INFINITY) plus += weight;
    else if (value === Number.NEGATIVE_INFINITY) minus += weight;
    else rest += toUnits(value) * BigInt(weight);
    const none = nans === 0 && plus === 0 && minus === 0 && rest === 0n;
    this.#odd.set(slot, none ? null : ([nans, plus, minus, rest] as unknown as Datum));
  }
}
