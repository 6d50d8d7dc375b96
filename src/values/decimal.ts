import { StreamError } from '../lib/errors.ts';
import { canonicalInteger } from './types.ts';

/**
 * Exact decimal arithmetic on unscaled integers (value × 10^scale), held as a number while safe and as a bigint beyond
 * (types.ts). Rounding is half away from zero, as Postgres's numeric. Every result is in canonical form.
 */
export type Exact = number | bigint;

const MAX = Number.MAX_SAFE_INTEGER;

/** 10^0 … 10^15 as numbers, exact. */
const POWERS = Array.from({ length: 16 }, (_, i) => 10 ** i);
const BIG_POWERS: bigint[] = Array.from({ length: 80 }, (_, i) => 10n ** BigInt(i));

export const bigPower = (exponent: number): bigint => BIG_POWERS[exponent] ?? 10n ** BigInt(exponent);

export function addExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (sum <= MAX && sum >= -MAX) return sum;
  }
  return canonicalInteger(BigInt(a) + BigInt(b));
}

export function subtractExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (difference <= MAX && difference >= -MAX) return difference;
  }
  return canonicalInteger(BigInt(a) - BigInt(b));
}

export function multiplyExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    // + 0 turns −0 into 0.
    if (product <= MAX && product >= -MAX) return product + 0;
  }
  return canonicalInteger(BigInt(a) * BigInt(b));
}

export function negateExact(a: Exact): Exact {
  return typeof a === 'number' ? 0 - a : canonicalInteger(-a);
}

/** a / b toward zero; `b` is not 0. */
export function divideTruncating(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b) + 0;
  return canonicalInteger(BigInt(a) / BigInt(b));
}

/** The remainder with a's sign; `b` is not 0. */
export function remainderExact(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0;
  return canonicalInteger(BigInt(a) % BigInt(b));
}

/** a / b rounded half away from zero; `b` is not 0. */
function divideRounding(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  const remainder = a % b;
  const twice = remainder < 0n ? -2n * remainder : 2n * remainder;
  if (twice < (b < 0n ? -b : b)) return quotient;
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n;
}

/** From one scale to another; rounds when digits are dropped. */
export function rescale(value: Exact, from: number, to: number): Exact {
  if (from === to) return value;
  if (to > from) {
    const shift = to - from;
    return shift < 16 ? multiplyExact(value, POWERS[shift]) : canonicalInteger(BigInt(value) * bigPower(shift));
  }
  const shift = from - to;
  if (typeof value === 'number' && shift < 16) {
    const power = POWERS[shift];
    const quotient = Math.trunc(value / power);
    const rest = Math.abs(value - quotient * power);
    return (rest * 2 >= power ? quotient + (value < 0 ? -1 : 1) : quotient) + 0;
  }
  return canonicalInteger(divideRounding(BigInt(value), bigPower(shift)));
}

/** The quotient of two decimals at `scale`; VALUE_DIVISION_BY_ZERO. */
export function divideDecimal(a: Exact, aScale: number, b: Exact, bScale: number, scale: number): Exact {
  if (b === 0) throw new StreamError('VALUE_DIVISION_BY_ZERO', 'division by zero');
  const shift = scale + bScale - aScale;
  const numerator = shift >= 0 ? BigInt(a) * bigPower(shift) : BigInt(a);
  const denominator = shift >= 0 ? BigInt(b) : BigInt(b) * bigPower(-shift);
  return canonicalInteger(divideRounding(numerator, denominator));
}

/** The value itself, or VALUE_OVERFLOW when it has more than `precision` digits. */
export function checkPrecision(value: Exact, precision: number, scale: number): Exact {
  if (typeof value === 'number' ? precision > 15 || (value < POWERS[precision] && value > -POWERS[precision]) : false)
    return value;
  const big = BigInt(value);
  const limit = bigPower(precision);
  if (big < limit && big > -limit) return value;
  const text = formatDecimal(value, scale);
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  throw new StreamError('VALUE_OVERFLOW', `${shown} does not fit decimal(${precision},${scale})`);
}

const DECIMAL = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?\s*$/;

/** Text to an unscaled integer at `scale`, rounded; undefined when it is no number. */
export function parseDecimal(text: string, scale: number): Exact | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  const digits = BigInt(whole + fraction || '0');
  const shift = scale - fraction.length + Number(exponent);
  const magnitude = shift >= 0 ? digits * bigPower(shift) : divideRounding(digits, bigPower(-shift));
  return canonicalInteger(sign === '-' ? -magnitude : magnitude);
}

/** With all `scale` digits after the point, as Postgres prints it. */
export function formatDecimal(value: Exact, scale: number): string {
  if (scale === 0) return String(value);
  const negative = value < 0;
  const digits = String(negative ? -value : value).padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${negative ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
}

export const decimalToNumber = (value: Exact, scale: number): number =>
  typeof value === 'number' && scale < 16 ? value / POWERS[scale] : Number(formatDecimal(value, scale));
