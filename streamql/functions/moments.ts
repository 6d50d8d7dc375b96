import { StreamError } from '../../src/lib/errors.ts';
import { quotientOfUnits, toUnits, UNIT_BITS } from '../../src/values/double-units.ts';
import type { GroupRows } from './group-rows.ts';

/**
 * Variance, covariance and regression from exact sums: of doubles in units of 2^−1074, the products as a rounded product and what it
 * lost. Nothing cancels, no order shows, and taking a row back leaves no trace.
 */
export interface Moments {
  readonly count: number;
  /** An infinity or NaN is among the arguments. */
  readonly special: boolean;
  /** A product of finite arguments is beyond a double. */
  readonly overflow: boolean;
  readonly x: bigint;
  readonly y: bigint;
  readonly xx: bigint;
  readonly yy: bigint;
  readonly xy: bigint;
}

const SPLIT = 134217729; // 2^27 + 1

/** What `a × b` loses when it is rounded (Dekker); 0 where that is beyond a double itself. */
export function productError(a: number, b: number, product: number): number {
  const a1 = a * SPLIT - (a * SPLIT - a);
  const b1 = b * SPLIT - (b * SPLIT - b);
  const a2 = a - a1;
  const b2 = b - b1;
  const error = a2 * b2 - (product - a1 * b1 - a2 * b1 - a1 * b2);
  return Number.isFinite(error) ? error : 0;
}

/** Of a group's rows; `pairs`: of functions of two arguments, y and x. */
export function momentsOf(rows: GroupRows, pairs: boolean): Moments {
  const sums = { count: 0, x: 0n, y: 0n, xx: 0n, yy: 0n, xy: 0n };
  let special = false;
  let overflow = false;
  const product = (a: number, b: number): bigint => {
    const high = a * b;
    if (!Number.isFinite(high)) {
      overflow = true;
      return 0n;
    }
    return toUnits(high) + toUnits(productError(a, b, high));
  };
  rows.each((a, b, count) => {
    const x = (pairs ? b : a) as number;
    const y = pairs ? (a as number) : 0;
    const times = BigInt(count);
    sums.count += count;
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      special = true;
      return true;
    }
    sums.x += toUnits(x) * times;
    sums.xx += product(x, x) * times;
    if (!pairs) return true;
    sums.y += toUnits(y) * times;
    sums.yy += product(y, y) * times;
    sums.xy += product(x, y) * times;
    return true;
  });
  return { special, overflow, ...sums };
}

/** n Σab − Σa Σb, in units of 2^−2148: n² times a covariance. */
const central = (count: number, products: bigint, a: bigint, b: bigint): bigint =>
  ((BigInt(count) * products) << BigInt(UNIT_BITS)) - a * b;

const CENTRAL_POWER = -2 * UNIT_BITS;

type Finish = (moments: Moments) => number | null;

const variance =
  (sample: boolean): Finish =>
  (m) => {
    const divisor = sample ? m.count - 1 : m.count;
    if (divisor < 1) return null;
    return checked(m, () =>
      quotientOfUnits(central(m.count, m.xx, m.x, m.x), BigInt(m.count) * BigInt(divisor), CENTRAL_POWER),
    );
  };

const covariance =
  (sample: boolean): Finish =>
  (m) => {
    const divisor = sample ? m.count - 1 : m.count;
    if (divisor < 1) return null;
    return checked(m, () =>
      quotientOfUnits(central(m.count, m.xy, m.x, m.y), BigInt(m.count) * BigInt(divisor), CENTRAL_POWER),
    );
  };

const root =
  (of: Finish): Finish =>
  (m) => {
    const value = of(m);
    return value === null ? null : Math.sqrt(value);
  };

/** A function of the three central sums (each n times the sum of squares), NULL without rows. */
const ofCentral =
  (finish: (sxx: bigint, syy: bigint, sxy: bigint, m: Moments) => number | null): Finish =>
  (m) => {
    if (m.count === 0) return null;
    return checked(m, () =>
      finish(central(m.count, m.xx, m.x, m.x), central(m.count, m.yy, m.y, m.y), central(m.count, m.xy, m.x, m.y), m),
    );
  };

function checked(m: Moments, value: () => number | null): number | null {
  if (m.special) return Number.NaN;
  const result = m.overflow ? Number.POSITIVE_INFINITY : value();
  if (result === null || Number.isFinite(result)) return result;
  throw new StreamError('VALUE_OVERFLOW', 'the result of an aggregate is out of range for double');
}

const perRow = (sum: bigint, m: Moments): number => quotientOfUnits(sum, BigInt(m.count), CENTRAL_POWER);

/** a / b for b > 0. */
const ratio = (a: bigint, b: bigint): number => quotientOfUnits(a, b, 0);

/** r², rounded once; its root keeps 15 digits. */
const squared = (sxx: bigint, syy: bigint, sxy: bigint): number => ratio(sxy * sxy, sxx * syy);

/** Postgres's argument order: the dependent variable first. y is the first argument and x the second. */
export const MOMENTS: Readonly<Record<string, Finish>> = {
  var_pop: variance(false),
  var_samp: variance(true),
  variance: variance(true),
  stddev_pop: root(variance(false)),
  stddev_samp: root(variance(true)),
  stddev: root(variance(true)),
  covar_pop: covariance(false),
  covar_samp: covariance(true),
  corr: ofCentral((sxx, syy, sxy) => {
    if (sxx === 0n || syy === 0n) return null;
    const size = Math.min(1, Math.sqrt(squared(sxx, syy, sxy)));
    return sxy < 0n ? -size : size;
  }),
  regr_r2: ofCentral((sxx, syy, sxy) => (sxx === 0n ? null : syy === 0n ? 1 : squared(sxx, syy, sxy))),
  regr_slope: ofCentral((sxx, _, sxy) => (sxx === 0n ? null : ratio(sxy, sxx))),
  // (Σy sxx − Σx sxy) / (n sxx)
  regr_intercept: ofCentral((sxx, _, sxy, m) =>
    sxx === 0n ? null : quotientOfUnits(m.y * sxx - m.x * sxy, BigInt(m.count) * sxx, -UNIT_BITS),
  ),
  regr_sxx: ofCentral((sxx, _syy, _sxy, m) => perRow(sxx, m)),
  regr_syy: ofCentral((_, syy, _sxy, m) => perRow(syy, m)),
  regr_sxy: ofCentral((_sxx, _syy, sxy, m) => perRow(sxy, m)),
  regr_avgx: ofCentral((_sxx, _syy, _sxy, m) => quotientOfUnits(m.x, BigInt(m.count), -UNIT_BITS)),
  regr_avgy: ofCentral((_sxx, _syy, _sxy, m) => quotientOfUnits(m.y, BigInt(m.count), -UNIT_BITS)),
  regr_count: (m) => m.count,
};
