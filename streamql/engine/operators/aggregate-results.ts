import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Column, ColumnBuilder } from '../../../src/values/column.ts';
import { canonicalInteger, type Datum, type SqlType, typeName } from '../../../src/values/types.ts';
import type { AggregateFunction, AggregateInfo } from '../../functions/aggregate-table.ts';
import type { GroupRows } from '../../functions/group-rows.ts';
import type { Moments } from '../../functions/moments.ts';
import type { StateColumn } from '../state/state-column.ts';
import type { ExactSum } from './accumulators.ts';
import type { DoubleSum } from './double-sum.ts';
import type { Extreme } from './extremes.ts';
import type { MomentSums } from './moment-sums.ts';
import type { SteppedState } from './stepped-state.ts';

/** What becomes of group `slots[i]` whose result has no value: called in place of giving one. */
export type OnFailure = (i: number, error: StreamError) => void;

/** Reads one aggregate's value out of the state of groups. Pure: the same state gives the same value. */
export interface AggregateResult {
  readonly type: SqlType;
  gather(slots: Int32Array, count: number, onFailure: OnFailure): Column;
}

/** By slot, how many values are not NULL: what makes sum and avg NULL at 0. */
export interface Counted {
  readonly column: StateColumn;
}

export function countResult(type: SqlType, counter: Counted): AggregateResult {
  return { type, gather: (slots, count) => counter.column.gather(slots, count) };
}

export function extremeResult(type: SqlType, extreme: Extreme): AggregateResult {
  return { type, gather: (slots, count) => extreme.gather(slots, count) };
}

/** The sum at the argument's scale, turned into `type`. */
export function exactSumResult(type: SqlType, scale: number, sum: ExactSum, counter: Counted): AggregateResult {
  return perGroup(type, (slot) => {
    if (counter.column.values[slot] === 0) return null;
    return convertExact(sum.column.values[slot] as number | bigint, scale, 1, type);
  });
}

export function exactAvgResult(type: SqlType, scale: number, sum: ExactSum, counter: Counted): AggregateResult {
  return perGroup(type, (slot) => {
    const count = counter.column.values[slot] as number;
    return count === 0 ? null : convertExact(sum.column.values[slot] as number | bigint, scale, count, type);
  });
}

export function doubleSumResult(type: SqlType, sum: DoubleSum, counter: Counted): AggregateResult {
  return perGroup(type, (slot) => (counter.column.values[slot] === 0 ? null : finishDouble(sum, slot, 1, type)));
}

export function doubleAvgResult(type: SqlType, sum: DoubleSum, counter: Counted): AggregateResult {
  return perGroup(type, (slot) => {
    const count = counter.column.values[slot] as number;
    return count === 0 ? null : finishDouble(sum, slot, count, type);
  });
}

/** Of an aggregate over a group's rows in order. */
export function rowsResult(
  type: SqlType,
  rows: { rowsOf(slot: number): GroupRows },
  row: AggregateFunction,
  info: AggregateInfo,
): AggregateResult {
  const { finish } = row;
  assert(finish !== undefined, `${row.name} has no way to read rows`);
  return perGroup(type, (slot) => finish(rows.rowsOf(slot), info));
}

/** Of an aggregate that keeps a state of its own. */
export function steppedResult(type: SqlType, state: SteppedState): AggregateResult {
  return perGroup(type, (slot) => state.value(slot));
}

export function momentsResult(
  type: SqlType,
  sums: MomentSums,
  counter: Counted,
  finish: (moments: Moments) => number | null,
): AggregateResult {
  return perGroup(type, (slot) => finish(sums.moments(slot, counter.column.values[slot] as number)));
}

function perGroup(type: SqlType, value: (slot: number) => Datum): AggregateResult {
  return {
    type,
    gather(slots, count, onFailure) {
      const out = new ColumnBuilder(type, count);
      for (let i = 0; i < count; i++) {
        try {
          out.push(value(slots[i]));
        } catch (thrown) {
          if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
          out.push(null);
          onFailure(i, thrown);
        }
      }
      return out.finish();
    },
  };
}

function finishDouble(sum: DoubleSum, slot: number, count: number, type: SqlType): number {
  const total = sum.total(slot);
  const value = type.kind === 'real' ? Math.fround(total / count) : total / count;
  if (!Number.isFinite(value) && !sum.special(slot)) throw overflow(type);
  return value;
}

const LIMITS: { readonly [kind: string]: bigint } = { smallint: 1n << 15n, integer: 1n << 31n, bigint: 1n << 63n };

/** `unscaled × 10^−scale / divisor` as a value of `type`; decimals round half away from zero, as Postgres's numeric. */
function convertExact(unscaled: number | bigint, scale: number, divisor: number, type: SqlType): number | bigint {
  if (type.kind === 'double' || type.kind === 'real') {
    const value = scale === 0 ? Number(unscaled) / divisor : Number(unscaled) / 10 ** scale / divisor;
    return type.kind === 'real' ? Math.fround(value) : value;
  }
  const toScale = type.kind === 'decimal' ? type.scale : 0;
  if (typeof unscaled === 'number' && divisor === 1 && scale === toScale && (type.kind === 'bigint' || roomy(type))) {
    return unscaled;
  }
  if (typeof unscaled === 'number' && toScale >= scale && type.kind === 'decimal') {
    const scaled = unscaled * POWERS[toScale - scale];
    if (Number.isSafeInteger(scaled)) {
      const quotient = divideRounded(scaled, divisor);
      if (Math.abs(quotient) >= 10 ** type.precision) throw overflow(type);
      return quotient;
    }
  }
  const up = toScale >= scale ? 10n ** BigInt(toScale - scale) : 1n;
  const down = BigInt(divisor) * (toScale < scale ? 10n ** BigInt(scale - toScale) : 1n);
  const numerator = BigInt(unscaled) * up;
  const size = numerator < 0n ? -numerator : numerator;
  const rounded = (size * 2n + down) / (down * 2n);
  const value = numerator < 0n ? -rounded : rounded;
  if (type.kind === 'decimal') {
    if (rounded >= 10n ** BigInt(type.precision)) throw overflow(type);
  } else if (value >= LIMITS[type.kind] || value < -LIMITS[type.kind]) {
    throw overflow(type);
  }
  return canonicalInteger(value);
}

/** Powers of ten; beyond 10^22 a double is not exact, but then no product below is safe either unless it is 0. */
const POWERS = Array.from({ length: 40 }, (_, power) => 10 ** power);

/** Safe integers; half away from zero. */
function divideRounded(numerator: number, divisor: number): number {
  const rest = numerator % divisor;
  const quotient = (numerator - rest) / divisor;
  return Math.abs(rest) * 2 >= divisor ? quotient + Math.sign(rest) : quotient;
}

/** Whether every safe integer fits the type. */
const roomy = (type: SqlType): boolean => type.kind === 'decimal' && type.precision >= 16;

function overflow(type: SqlType): StreamError {
  return new StreamError('VALUE_OVERFLOW', `the result of an aggregate is out of range for ${typeName(type)}`);
}
