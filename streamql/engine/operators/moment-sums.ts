import type { SqlType } from '../../../src/values/types.ts';
import { type Moments, productError } from '../../functions/moments.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { Accumulator, Contribution } from './accumulators.ts';
import { DoubleSum } from './double-sum.ts';

/**
 * Exact sums of x, x² and, with two arguments y and x, of y, y² and xy: each product as the rounded one and what it lost, so that taking a
 * row back leaves no trace. Contributions carry the first argument in `values`; the second is a column of the batch.
 */
export class MomentSums implements Accumulator {
  readonly types: readonly SqlType[];
  readonly tables = [];
  readonly #x = new DoubleSum();
  readonly #xx = new ProductSum();
  readonly #y = new DoubleSum();
  readonly #yy = new ProductSum();
  readonly #xy = new ProductSum();
  readonly #parts: readonly Accumulator[];
  readonly #second: number | null;

  /** `second`: position of the second argument in the input. */
  constructor(second: number | null) {
    this.#second = second;
    this.#parts = second === null ? [this.#x, this.#xx] : [this.#x, this.#xx, this.#y, this.#yy, this.#xy];
    this.types = this.#parts.flatMap((part) => part.types);
  }

  attach(columns: readonly StateColumn[]): void {
    let at = 0;
    for (const part of this.#parts) {
      part.attach(columns.slice(at, at + part.types.length));
      at += part.types.length;
    }
  }

  init(): void {}

  update(from: Contribution): void {
    const first = from.values as Float64Array;
    const x = this.#second === null ? first : (from.columns[this.#second].values as Float64Array);
    this.#x.update({ ...from, values: x });
    this.#xx.add(from, x, x);
    if (this.#second === null) return;
    this.#y.update(from);
    this.#yy.add(from, first, first);
    this.#xy.add(from, x, first);
  }

  moments(slot: number, count: number): Moments {
    const two = this.#second !== null;
    const special = this.#x.special(slot) || (two && this.#y.special(slot));
    const overflow = this.#xx.overflow(slot) || (two && (this.#yy.overflow(slot) || this.#xy.overflow(slot)));
    return {
      count,
      special,
      overflow,
      x: this.#x.units(slot),
      xx: this.#xx.units(slot),
      y: two ? this.#y.units(slot) : 0n,
      yy: two ? this.#yy.units(slot) : 0n,
      xy: two ? this.#xy.units(slot) : 0n,
    };
  }

  release(): void {}
  endEpoch(): void {}
}

/** The exact sum of products of doubles. */
class ProductSum implements Accumulator {
  readonly #high = new DoubleSum();
  readonly #low = new DoubleSum();
  readonly types = [...this.#high.types, ...this.#low.types];
  readonly tables = [];

  attach(columns: readonly StateColumn[]): void {
    this.#high.attach(columns.slice(0, this.#high.types.length));
    this.#low.attach(columns.slice(this.#high.types.length));
  }

  add(from: Contribution, a: Float64Array, b: Float64Array): void {
    const high = new Float64Array(a.length);
    const low = new Float64Array(a.length);
    const { rows, count } = from;
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      high[row] = a[row] * b[row];
      low[row] = productError(a[row], b[row], high[row]);
    }
    this.#high.update({ ...from, values: high });
    this.#low.update({ ...from, values: low });
  }

  units(slot: number): bigint {
    return this.#high.units(slot) + this.#low.units(slot);
  }

  /** Whether a product was no finite number. */
  overflow(slot: number): boolean {
    return this.#high.special(slot);
  }

  init(): void {}
  update(): void {}
  release(): void {}
  endEpoch(): void {}
}
