import { StreamError } from '../../src/lib/errors.ts';
import { bigPower, checkPrecision, type Exact, rescale } from '../../src/values/decimal.ts';
import {
  canonicalInteger,
  DOUBLE,
  decimal,
  INTEGER,
  MAX_DECIMAL_PRECISION,
  type SqlType,
} from '../../src/values/types.ts';
import { finite, int16, int32, negateBigint } from './arithmetic.ts';
import { asDecimal } from './casts.ts';
import type { ScalarFunction } from './function-table.ts';

const scaleOf = (type: SqlType): number => asDecimal(type).scale;

/** Postgres: a double in, a double out; what has no value is VALUE_DOMAIN. */
function double(name: string, doc: string, run: (x: number) => number, duckdb?: (x: string) => string): ScalarFunction {
  return {
    name,
    id: `${name}.double`,
    args: ['double'],
    returns: () => DOUBLE,
    call: ([x]) => finite(run(x), x, 0),
    ...(duckdb ? { duckdb: ([x]: readonly string[]) => duckdb(x) } : {}),
    doc,
  };
}

function domain(name: string, why: string): never {
  throw new StreamError('VALUE_DOMAIN', `${name}: ${why}`);
}

const positive = (name: string, x: number): number =>
  x > 0 || x !== x ? x : domain(name, 'the logarithm of zero or less has no value');

const angle = (name: string, x: number): number =>
  x === Number.POSITIVE_INFINITY || x === Number.NEGATIVE_INFINITY ? domain(name, 'infinity is no angle') : x;

/** ceil, floor, trunc and round of a decimal to an integer; `direction` picks among the neighbours. */
function integral(name: 'ceil' | 'floor' | 'trunc' | 'round', doc: string): ScalarFunction[] {
  const onDouble = { ceil: Math.ceil, floor: Math.floor, trunc: Math.trunc, round: halfEven }[name];
  return [
    {
      name,
      id: `${name}.decimal`,
      args: ['decimal'],
      returns: ([type]) => decimal(Math.min(MAX_DECIMAL_PRECISION, asDecimal(type).precision - scaleOf(type) + 1), 0),
      call: ([x], [type]) => toWhole(x, scaleOf(type), name),
      doc,
    },
    {
      name,
      id: `${name}.double`,
      args: ['double'],
      returns: () => DOUBLE,
      call: ([x]) => onDouble(x),
      ...(name === 'round' ? { duckdb: ([x]: readonly string[]) => `round_even(${x}, 0)` } : {}),
      doc,
    },
  ];
}

/** To the nearest integer, halves to the even one. */
export function halfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  const even = floor % 2 === 0 ? floor : floor + 1;
  return even === 0 && x < 0 ? -0 : even;
}

function toWhole(x: Exact, scale: number, name: 'ceil' | 'floor' | 'trunc' | 'round'): Exact {
  if (scale === 0) return x;
  if (name === 'round') return rescale(x, scale, 0);
  const power = bigPower(scale);
  const big = BigInt(x);
  const quotient = big / power;
  const exact = quotient * power === big;
  if (exact || name === 'trunc') return canonicalInteger(quotient);
  if (name === 'ceil') return canonicalInteger(big > 0n ? quotient + 1n : quotient);
  return canonicalInteger(big < 0n ? quotient - 1n : quotient);
}

/** round(x, n) and trunc(x, n) of a decimal keep the type's scale, with zeros behind the n-th digit. */
function toDigits(name: 'round' | 'trunc', doc: string): ScalarFunction {
  return {
    name,
    id: `${name}.decimal.integer`,
    args: ['decimal', 'integer'],
    returns: ([type]) => decimal(Math.min(MAX_DECIMAL_PRECISION, asDecimal(type).precision + 1), scaleOf(type)),
    call: ([x, digits], [type, , result]) => {
      const scale = scaleOf(type);
      if (digits >= scale) return x;
      const drop = Math.min(scale - digits, 60);
      const cut = name === 'round' ? rescale(x, drop, 0) : canonicalInteger(BigInt(x) / bigPower(drop));
      return checkPrecision(rescale(cut, 0, drop), asDecimal(result).precision, scale);
    },
    doc,
  };
}

function absolute(): ScalarFunction[] {
  const doc = 'The value without its sign.';
  const negative = (x: Exact): Exact => (x < 0 ? negateBigint(x) : x);
  return [
    {
      name: 'abs',
      id: 'abs.smallint',
      args: ['smallint'],
      returns: ([type]) => type,
      call: ([x]) => int16(Math.abs(x)),
      doc,
    },
    {
      name: 'abs',
      id: 'abs.integer',
      args: ['integer'],
      returns: ([type]) => type,
      call: ([x]) => int32(Math.abs(x)),
      inline: ([x]) => `int32(Math.abs(${x}))`,
      doc,
    },
    { name: 'abs', id: 'abs.bigint', args: ['bigint'], returns: ([type]) => type, call: ([x]) => negative(x), doc },
    {
      name: 'abs',
      id: 'abs.decimal',
      args: ['decimal'],
      returns: ([type]) => type,
      call: ([x]) => (x < 0 ? canonicalInteger(-BigInt(x)) : x),
      doc,
    },
    {
      name: 'abs',
      id: 'abs.double',
      args: ['double'],
      returns: () => DOUBLE,
      call: ([x]) => Math.abs(x),
      inline: ([x]) => `Math.abs(${x})`,
      doc,
    },
  ];
}

export const MATH: readonly ScalarFunction[] = [
  ...absolute(),
  ...integral('ceil', 'The next integer not below.'),
  ...integral('floor', 'The next integer not above.'),
  ...integral('trunc', 'The integer part, toward zero.'),
  ...integral('round', 'The nearest integer: halves away from zero for exact numbers, to even for double.'),
  toDigits('round', 'Rounded to n digits after the point, halves away from zero.'),
  toDigits('trunc', 'Cut after n digits behind the point.'),
  {
    name: 'sign',
    id: 'sign.decimal',
    args: ['decimal'],
    returns: () => INTEGER,
    call: ([x]) => (x > 0 ? 1 : x < 0 ? -1 : 0),
    doc: '−1, 0 or 1.',
  },
  {
    name: 'sign',
    id: 'sign.double',
    args: ['double'],
    returns: () => DOUBLE,
    call: ([x]) => (x > 0 ? 1 : x < 0 ? -1 : 0),
    duckdb: ([x]) => `CASE WHEN isnan(${x}) THEN 0 ELSE sign(${x}) END`,
    doc: '−1, 0 or 1.',
  },
  double('sqrt', 'The square root.', (x) =>
    x < 0 ? domain('sqrt', 'the square root of a negative number has no value') : Math.sqrt(x),
  ),
  double('cbrt', 'The cube root.', Math.cbrt),
  double('exp', 'e to that power.', Math.exp),
  double('ln', 'The natural logarithm.', (x) => Math.log(positive('ln', x))),
  double(
    'log',
    'The logarithm to base 10.',
    (x) => Math.log10(positive('log', x)),
    (x) => `log10(${x})`,
  ),
  double('log10', 'The logarithm to base 10.', (x) => Math.log10(positive('log10', x))),
  double('log2', 'The logarithm to base 2.', (x) => Math.log2(positive('log2', x))),
  double('sin', 'The sine of an angle in radians.', (x) => Math.sin(angle('sin', x))),
  double('cos', 'The cosine of an angle in radians.', (x) => Math.cos(angle('cos', x))),
  double('tan', 'The tangent of an angle in radians.', (x) => Math.tan(angle('tan', x))),
  double('degrees', 'Radians as degrees.', (x) => (x * 180) / Math.PI),
  double('radians', 'Degrees as radians.', (x) => (x * Math.PI) / 180),
  {
    name: 'power',
    id: 'power.double',
    args: ['double', 'double'],
    returns: () => DOUBLE,
    call: ([x, y]) => {
      if (x < 0 && Number.isFinite(y) && !Number.isInteger(y))
        return domain('power', 'a negative number to a fractional power has no value');
      if (x === 0 && y < 0) return domain('power', 'zero to a negative power has no value');
      // IEEE: 1 to any power, and anything to the power 0, is 1; JavaScript says NaN for 1^NaN.
      return x === 1 || y === 0 ? 1 : finite(x ** y, x, y);
    },
    doc: 'x to the power y.',
  },
  { name: 'pi', id: 'pi', args: [], returns: () => DOUBLE, call: () => Math.PI, doc: 'π.' },
];
