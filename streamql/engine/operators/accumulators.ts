import { type Column, PlainColumn } from '../../../src/values/column.ts';
import { BIGINT, INTEGER, type SqlType } from '../../../src/values/types.ts';
import type { StateTable } from '../operator.ts';
import type { StateColumn } from '../state/state-column.ts';

/**
 * The rows of one batch that count for an accumulator: for k below `count`, row `rows[k]` (k itself when `rows` is
 * null) adds its value to group slot `slots[row]`, `weights[row]` times (once when `weights` is null). No value is NULL.
 */
export interface Contribution {
  /** All columns of the batch, for accumulators that look at more than one. */
  readonly columns: readonly Column[];
  readonly values: Column['values'];
  readonly slots: Int32Array;
  readonly weights: Int32Array | null;
  readonly rows: Int32Array | null;
  readonly count: number;
}

/** Part of a group's state: some value columns of the group's row, perhaps tables of its own. Updates commute. */
export interface Accumulator {
  /** Types of the columns it wants in the group's row; `attach` hands them over once they exist. */
  readonly types: readonly SqlType[];
  readonly tables: readonly StateTable[];
  attach(columns: readonly StateColumn[]): void;
  /** Slots `slots[0..count)` are new groups. */
  init(slots: Int32Array, count: number): void;
  update(from: Contribution): void;
  /** The group is gone; every contribution was taken back before. */
  release(slot: number): void;
  /** The group is let go of with what it holds, at the end of an epoch; absent where that is nothing but its columns. */
  drop?(slot: number): void;
  /** The batch's contributions are all in: what must hold between batches is checked here. */
  endEpoch(): void;
}

/** The contributing rows as a batch of two columns: group slot and value. */
export function groupAndValue(from: Contribution, type: SqlType): readonly Column[] {
  const { values, slots, rows, count } = from;
  const column = new PlainColumn(type, values.length, values, null);
  if (rows === null) return [new PlainColumn(INTEGER, count, slots, null), column];
  const groups = new Int32Array(count);
  for (let k = 0; k < count; k++) groups[k] = slots[rows[k]];
  return [new PlainColumn(INTEGER, count, groups, null), column.gather(rows, count)];
}

/** How many values that are not NULL. */
export class Counter implements Accumulator {
  readonly types = [BIGINT];
  readonly tables = [];
  /** By slot. */
  column!: StateColumn;

  attach(columns: readonly StateColumn[]): void {
    this.column = columns[0];
  }

  init(): void {}

  update({ slots, weights, rows, count }: Contribution): void {
    const totals = this.column.values as Float64Array;
    if (rows === null && weights === null) {
      for (let row = 0; row < count; row++) totals[slots[row]]++;
      return;
    }
    for (let k = 0; k < count; k++) {
      const row = rows === null ? k : rows[k];
      totals[slots[row]] += weights === null ? 1 : weights[row];
    }
  }

  release(): void {}
  endEpoch(): void {}
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** The exact sum of integers or of decimals' unscaled integers: doubles while they are safe, bigints beyond. */
export class ExactSum implements Accumulator {
  readonly types = [BIGINT];
  readonly tables = [];
  /** By slot; a number while safe, else a bigint. */
  column!: StateColumn;

  attach(columns: readonly StateColumn[]): void {
    this.column = columns[0];
  }

  init(): void {}

  update(from: Contribution): void {
    const { values, slots, weights, rows, count } = from;
    const sums = this.column.values;
    if (!(sums instanceof Float64Array)) {
      for (let k = 0; k < count; k++) this.#add(from, rows === null ? k : rows[k]);
    } else if (rows === null && weights === null && values instanceof Float64Array) {
      for (let row = 0; row < count; row++) {
        const sum = sums[slots[row]] + values[row];
        if (sum <= MAX_SAFE && sum >= -MAX_SAFE) sums[slots[row]] = sum;
        else this.#add(from, row);
        // After #add the sums may live in a plain array; the typed one is then no longer ours to write.
        if (this.column.values !== sums) {
          for (let rest = row + 1; rest < count; rest++) this.#add(from, rest);
          return;
        }
      }
    } else {
      for (let k = 0; k < count; k++) {
        const row = rows === null ? k : rows[k];
        const value = values[row];
        const change = typeof value === 'number' ? (weights === null ? value : value * weights[row]) : Number.NaN;
        const sum = sums[slots[row]] + change;
        if (sum <= MAX_SAFE && sum >= -MAX_SAFE && change <= MAX_SAFE && change >= -MAX_SAFE) {
          sums[slots[row]] = sum;
          continue;
        }
        for (let rest = k; rest < count; rest++) this.#add(from, rows === null ? rest : rows[rest]);
        return;
      }
    }
  }

  release(): void {}
  endEpoch(): void {}

  #add({ values, slots, weights }: Contribution, row: number): void {
    const column = this.column;
    const slot = slots[row];
    const sum = column.values[slot] as number | bigint;
    const value = values[row] as number | bigint;
    const weight = weights === null ? 1 : weights[row];
    if (typeof sum === 'number' && typeof value === 'number') {
      const change = value * weight;
      const next = sum + change;
      if (change <= MAX_SAFE && change >= -MAX_SAFE && next <= MAX_SAFE && next >= -MAX_SAFE) {
        (column.values as number[])[slot] = next;
        return;
      }
    }
    const exact = BigInt(sum) + BigInt(value) * BigInt(weight);
    column.set(slot, exact >= -9007199254740991n && exact <= 9007199254740991n ? Number(exact) : exact);
  }
}
