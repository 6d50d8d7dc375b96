import { StreamError } from '../../src/lib/errors.ts';
import { checkDate, splitTimestamp } from '../../src/values/datetime.ts';
import {
  addExact,
  checkPrecision,
  divideDecimal,
  divideTruncating,
  type Exact,
  multiplyExact,
  negateExact,
  remainderExact,
  rescale,
  subtractExact,
} from '../../src/values/decimal.ts';
import { toReal } from '../../src/values/text.ts';

/**
 * Arithmetic as generated code calls it, by name: small functions that a JIT inlines, each with a fast path on plain
 * numbers. Integer results out of range are VALUE_OVERFLOW.
 */
const SAFE = Number.MAX_SAFE_INTEGER;
const INT64 = 2n ** 63n;

export function overflow(kind: string): never {
  throw new StreamError('VALUE_OVERFLOW', `the result is out of range for ${kind}`);
}

export function zeroDivision(): never {
  throw new StreamError('VALUE_DIVISION_BY_ZERO', 'division by zero');
}

/** The checks of the small integers add 0 so that −5 × 0 is 0 and not JavaScript's −0. */
export function int16(value: number): number {
  return value >= -32768 && value <= 32767 ? value + 0 : overflow('smallint');
}

export function int32(value: number): number {
  return value >= -2147483648 && value <= 2147483647 ? value + 0 : overflow('integer');
}

function int64(value: Exact): Exact {
  if (typeof value === 'number' || (value < INT64 && value >= -INT64)) return value;
  return overflow('bigint');
}

/** How many whole units of so many microseconds a moment is into the next greater one, of `per` of them: hours of the day, minutes of the hour. */
export function wholeUnits(micros: Exact, unit: number, per: number): number {
  const units = Math.floor((typeof micros === 'number' ? micros : splitTimestamp(micros).time) / unit);
  return units - Math.floor(units / per) * per;
}

export function addBigint(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (sum <= SAFE && sum >= -SAFE) return sum;
  }
  return int64(addExact(a, b));
}

export function subtractBigint(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (difference <= SAFE && difference >= -SAFE) return difference;
  }
  return int64(subtractExact(a, b));
}

export function multiplyBigint(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    if (product <= SAFE && product >= -SAFE) return product + 0;
  }
  return int64(multiplyExact(a, b));
}

export function divideBigint(a: Exact, b: Exact): Exact {
  if (b === 0) return zeroDivision();
  return int64(divideTruncating(a, b));
}

export function remainderInteger(a: Exact, b: Exact): Exact {
  if (b === 0) return zeroDivision();
  return remainderExact(a, b);
}

export const negateBigint = (a: Exact): Exact => int64(negateExact(a));

/** Decimals of one scale. */
export const addDecimal = (a: Exact, b: Exact): Exact => addExact(a, b);
export const subtractDecimal = (a: Exact, b: Exact): Exact => subtractExact(a, b);

export { checkDate, checkPrecision, divideDecimal, multiplyExact, negateExact, rescale, toReal };

export function finite(value: number, a: number, b: number): number {
  if (value - value === 0 || !Number.isFinite(a) || !Number.isFinite(b)) return value;
  return overflow('double');
}

export function divideDouble(a: number, b: number): number {
  if (b === 0) return zeroDivision();
  return finite(a / b, a, b);
}
