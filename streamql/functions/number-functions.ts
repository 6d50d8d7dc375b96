import { randomUUID } from 'node:crypto';
import { StreamError } from '../../src/lib/errors.ts';
import { bigPower, checkPrecision, type Exact, formatDecimal } from '../../src/values/decimal.ts';
import {
  BIGINT,
  BOOLEAN,
  canonicalInteger,
  DOUBLE,
  decimal,
  INTEGER,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  UUID,
} from '../../src/values/types.ts';
import { addBigint, finite, int32, zeroDivision } from './arithmetic.ts';
import { asDecimal } from './casts.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Postgres's mathematics beyond math.ts. */

function domain(name: string, why: string): never {
  throw new StreamError('VALUE_DOMAIN', `${name}: ${why}`);
}

type Example = readonly [string, string];

const double = (name: string, doc: string, run: (x: number) => number, example: Example): ScalarFunction =>
  own(`${name}(double)`, DOUBLE, doc, ([x]) => finite(run(x), x, 0), example);

/** Whose result may be infinite, at a pole or beyond the range of a double. */
const unbounded = (name: string, doc: string, run: (x: number) => number, example: Example): ScalarFunction =>
  own(`${name}(double)`, DOUBLE, doc, ([x]) => run(x), example);

/** The argument, when it is at least −1 and at most 1, or NaN. */
const ratio = (name: string, x: number): number =>
  x < -1 || x > 1 ? domain(name, 'the argument must be between −1 and 1') : x;

const angle = (name: string, x: number): number =>
  Number.isFinite(x) || x !== x ? x : domain(name, 'infinity is no angle');

const RADIANS = Math.PI / 180;

/** Sines from 0° to 30° and cosines from 0° to 60°, scaled so that the ends are exactly 1/2. */
const lowSine = (x: number): number => Math.sin(x * RADIANS) / Math.sin(30 * RADIANS) / 2;
const lowCosine = (x: number): number => 1 - (1 - Math.cos(x * RADIANS)) / (1 - Math.cos(60 * RADIANS)) / 2;

/** Of an angle from 0° to 90°. */
const quarterSine = (x: number): number => (x <= 30 ? lowSine(x) : lowCosine(90 - x));
const quarterCosine = (x: number): number => (x <= 60 ? lowCosine(x) : lowSine(90 - x));

/** An angle as one from 0° to 90°, with the signs of its sine and its cosine. */
function quarterOf(x: number): { quarter: number; sine: number; cosine: number } {
  const turn = Math.abs(x % 360);
  let sine = x < 0 || Object.is(x, -0) ? -1 : 1;
  const half = turn > 180 ? 360 - turn : turn;
  if (turn > 180) sine = -sine;
  return half > 90 ? { quarter: 180 - half, sine, cosine: -1 } : { quarter: half, sine, cosine: 1 };
}

function sind(x: number): number {
  const { quarter, sine } = quarterOf(x);
  return sine * quarterSine(quarter);
}

function cosd(x: number): number {
  const { quarter, cosine } = quarterOf(x);
  return cosine * quarterCosine(quarter);
}

/** Positive zeros only, as Postgres. */
const TANGENT_45 = quarterSine(45) / quarterCosine(45);
function tand(x: number): number {
  const { quarter, sine, cosine } = quarterOf(x);
  return (sine * cosine * (quarterSine(quarter) / quarterCosine(quarter))) / TANGENT_45 + 0;
}

const COTANGENT_45 = quarterCosine(45) / quarterSine(45);
function cotd(x: number): number {
  const { quarter, sine, cosine } = quarterOf(x);
  return (sine * cosine * (quarterCosine(quarter) / quarterSine(quarter))) / COTANGENT_45 + 0;
}

/** The whole number of degrees that a multiple of 15 is meant to be. */
function degrees(radians: number): number {
  const value = radians / RADIANS;
  const whole = Math.round(value);
  return Math.abs(value - whole) < 1e-13 * 180 && whole % 15 === 0 ? whole : value;
}

const trigonometry: ScalarFunction[] = [
  double('asin', 'The angle of a sine, in radians.', (x) => Math.asin(ratio('asin', x)), [
    'asin(1)',
    '1.5707963267948966',
  ]),
  double('acos', 'The angle of a cosine, in radians.', (x) => Math.acos(ratio('acos', x)), ['acos(1)', '0']),
  double('atan', 'The angle of a tangent, in radians.', Math.atan, ['atan(1)', '0.7853981633974483']),
  own('atan2(double, double)', DOUBLE, 'The angle of y / x, in radians.', ([y, x]) => Math.atan2(y, x), [
    'atan2(1, 1)',
    '0.7853981633974483',
  ]),
  unbounded('cot', 'The cotangent of an angle in radians.', (x) => 1 / Math.tan(angle('cot', x)), [
    'round(cot(pi() / 4))',
    '1',
  ]),
  unbounded('sinh', 'The hyperbolic sine.', Math.sinh, ['sinh(0)', '0']),
  unbounded('cosh', 'The hyperbolic cosine.', Math.cosh, ['cosh(0)', '1']),
  double('tanh', 'The hyperbolic tangent.', Math.tanh, ['tanh(0)', '0']),
  double('asinh', 'The inverse hyperbolic sine.', Math.asinh, ['asinh(0)', '0']),
  double(
    'acosh',
    'The inverse hyperbolic cosine.',
    (x) => (x < 1 ? domain('acosh', 'the argument must be at least 1') : Math.acosh(x)),
    ['acosh(1)', '0'],
  ),
  unbounded('atanh', 'The inverse hyperbolic tangent.', (x) => Math.atanh(ratio('atanh', x)), ['atanh(0)', '0']),
  double('sind', 'The sine of an angle in degrees.', (x) => sind(angle('sind', x)), ['sind(30)', '0.5']),
  double('cosd', 'The cosine of an angle in degrees.', (x) => cosd(angle('cosd', x)), ['cosd(60)', '0.5']),
  unbounded('tand', 'The tangent of an angle in degrees.', (x) => tand(angle('tand', x)), ['tand(45)', '1']),
  unbounded('cotd', 'The cotangent of an angle in degrees.', (x) => cotd(angle('cotd', x)), ['cotd(45)', '1']),
  double('asind', 'The angle of a sine, in degrees.', (x) => degrees(Math.asin(ratio('asind', x))), [
    'asind(0.5)',
    '30',
  ]),
  double('acosd', 'The angle of a cosine, in degrees.', (x) => degrees(Math.acos(ratio('acosd', x))), [
    'acosd(0.5)',
    '60',
  ]),
  double('atand', 'The angle of a tangent, in degrees.', (x) => degrees(Math.atan(x)), ['atand(1)', '45']),
  own('atan2d(double, double)', DOUBLE, 'The angle of y / x, in degrees.', ([y, x]) => degrees(Math.atan2(y, x)), [
    'atan2d(1, 1)',
    '45',
  ]),
];

const roots: ScalarFunction[] = [
  own('^(double, double)', DOUBLE, 'As power.', ([x, y]) => power(x, y), ['2 ^ 10', '1024']),
  own(
    'log(double, double)',
    DOUBLE,
    'The logarithm of the second to the base of the first.',
    ([base, x]) => {
      if (!(base > 0) || !(x > 0)) return domain('log', 'the logarithm of zero or less has no value');
      if (base === 1) return zeroDivision();
      return finite(base === 2 ? Math.log2(x) : base === 10 ? Math.log10(x) : Math.log(x) / Math.log(base), x, 0);
    },
    ['log(2, 64)', '6'],
  ),
  double(
    'log1p',
    'The natural logarithm of 1 + x.',
    (x) => (x <= -1 ? domain('log1p', 'there is no such logarithm') : Math.log1p(x)),
    ['log1p(0)', '0'],
  ),
  double('expm1', 'e to that power, less 1.', Math.expm1, ['expm1(0)', '0']),
  own(
    '|/(double)',
    DOUBLE,
    'The square root.',
    ([x]) => (x < 0 ? domain('|/', 'a negative number has no root') : Math.sqrt(x)),
    ['|/ 25', '5'],
  ),
  own('||/(double)', DOUBLE, 'The cube root.', ([x]) => Math.cbrt(x), ['||/ 27', '3']),
  own('@(double)', DOUBLE, 'The value without its sign.', ([x]) => Math.abs(x), ['@ -5.0::double', '5']),
];

function power(x: number, y: number): number {
  if (x < 0 && Number.isFinite(y) && !Number.isInteger(y))
    domain('power', 'a negative number to a fractional power has no value');
  if (x === 0 && y < 0) domain('power', 'zero to a negative power has no value');
  return x === 1 || y === 0 ? 1 : finite(x ** y, x, y);
}

function greatestDivisor(a: Exact, b: Exact): bigint {
  let [x, y] = [BigInt(a), BigInt(b)];
  while (y !== 0n) [x, y] = [y, x % y];
  return x < 0n ? -x : x;
}

const int64 = (value: bigint): Exact => addBigint(0, canonicalInteger(value));

function multiple(a: Exact, b: Exact): Exact {
  if (BigInt(a) === 0n || BigInt(b) === 0n) return 0;
  const product = (BigInt(a) / greatestDivisor(a, b)) * BigInt(b);
  return int64(product < 0n ? -product : product);
}

/** The least scale that shows a decimal whole. */
function leastScale(x: Exact, scale: number): number {
  const digits = formatDecimal(x, scale).split('.')[1] ?? '';
  return digits.replace(/0+$/, '').length;
}

const wide = (scale: number): SqlType => decimal(MAX_DECIMAL_PRECISION, scale);
const scaleOf = (type: SqlType): number => asDecimal(type).scale;

const exact: ScalarFunction[] = [
  own('gcd(integer, integer)', INTEGER, 'The greatest common divisor.', ([a, b]) =>
    int32(Number(greatestDivisor(a, b))),
  ),
  own('lcm(integer, integer)', INTEGER, 'The least common multiple.', ([a, b]) => int32(Number(multiple(a, b)))),
  own('gcd(bigint, bigint)', BIGINT, 'The greatest common divisor.', ([a, b]) => int64(greatestDivisor(a, b)), [
    'gcd(1071, 462)',
    '21',
  ]),
  own('lcm(bigint, bigint)', BIGINT, 'The least common multiple.', ([a, b]) => multiple(a, b), ['lcm(21, 6)', '42']),
  own(
    'factorial(bigint)',
    wide(0),
    'n!, of 0 to 33.',
    ([n]) => {
      if (n < 0) return domain('factorial', 'a negative number has no factorial');
      let product = 1n;
      if (n > 33) throw new StreamError('VALUE_OVERFLOW', 'factorial: the result has more than 38 digits');
      for (let i = 2n; i <= BigInt(n); i++) product *= i;
      return canonicalInteger(product);
    },
    ['factorial(5)', '120'],
  ),
  own(
    'div(decimal, decimal)',
    wide(0),
    'The quotient without what is behind the point.',
    ([a, b], [x, y]) => {
      if (BigInt(b) === 0n) return zeroDivision();
      const scale = Math.max(scaleOf(x), scaleOf(y));
      const quotient = (BigInt(a) * bigPower(scale - scaleOf(x))) / (BigInt(b) * bigPower(scale - scaleOf(y)));
      return checkPrecision(canonicalInteger(quotient), MAX_DECIMAL_PRECISION, 0);
    },
    ['div(9.5, 4)', '2'],
  ),
  own('scale(decimal)', INTEGER, 'The digits behind the point of its type.', (_, [type]) => scaleOf(type), [
    'scale(8.4100)',
    '4',
  ]),
  own(
    'min_scale(decimal)',
    INTEGER,
    'The digits behind the point that it needs.',
    ([x], [type]) => leastScale(x, scaleOf(type)),
    ['min_scale(8.4100)', '2'],
  ),
];

/** Which of count equal buckets of [low, high) a value falls into: 0 below, count + 1 above; low may be the greater. */
function bucketOf(position: number, count: number): number {
  if (position < 0) return 0;
  return position >= 1 ? count + 1 : Math.floor(position * count) + 1;
}

const others: ScalarFunction[] = [
  own(
    'width_bucket(double, double, double, integer)',
    INTEGER,
    'Which of n equal buckets between two bounds a value falls into: 0 below, n + 1 above.',
    ([x, low, high, count]) => {
      if (count <= 0) return domain('width_bucket', 'the count must be positive');
      if (!Number.isFinite(low) || !Number.isFinite(high) || low === high || x !== x)
        return domain('width_bucket', 'the bounds must be finite and differ');
      if (x === low) return 1;
      if (x === high) return int32(count + 1);
      return int32(bucketOf((x - low) / (high - low), count));
    },
    ['width_bucket(5.35, 0.024, 10.06, 5)', '3'],
  ),
  own('round(double, integer)', DOUBLE, 'Rounded to n digits after the point.', ([x, digits]) => rounded(x, digits), [
    'round(2.345::double, 2)',
    '2.35',
  ]),
  own('is_nan(double)', BOOLEAN, 'Whether it is NaN.', ([x]) => x !== x, ["is_nan('NaN'::double)", 'true']),
  own('is_finite(double)', BOOLEAN, 'Whether it is neither infinite nor NaN.', ([x]) => Number.isFinite(x), [
    'is_finite(1.5)',
    'true',
  ]),
  own('square(double)', DOUBLE, 'The number times itself.', ([x]) => finite(x * x, x, 0), ['square(1.5)', '2.25']),
];

/** Half away from zero on the shortest decimal text of the double. */
function rounded(x: number, digits: number): number {
  if (!Number.isFinite(x) || digits > 300) return x;
  const [mantissa, exponent = '0'] = x.toExponential().split('e');
  const shifted = Number(`${mantissa}e${Number(exponent) + digits}`);
  if (!Number.isFinite(shifted)) return x;
  const size = Math.round(Math.abs(shifted));
  return Number(`${Math.sign(x) < 0 ? '-' : ''}${size}e${-digits}`) + 0;
}

type Bits = (a: bigint, b: bigint) => bigint;
const BITWISE: readonly (readonly [sign: string, doc: string, run: Bits, example: Example])[] = [
  ['&', 'The bits that both have.', (a, b) => a & b, ['91 & 15', '11']],
  ['|', 'The bits that one of them has.', (a, b) => a | b, ['32 | 3', '35']],
  ['#', 'The bits that one of them has, not both.', (a, b) => a ^ b, ['17 # 5', '20']],
];

const bits: ScalarFunction[] = (['smallint', 'integer', 'bigint'] as const).flatMap((kind) => {
  const type: SqlType = { kind };
  const size = { smallint: 16, integer: 32, bigint: 64 }[kind];
  const narrow = (value: bigint): Exact => canonicalInteger(BigInt.asIntN(size, value));
  // A smallint is moved among 32 bits.
  const places = Math.max(size, 32);
  const shift = (n: number): bigint => BigInt(((n % places) + places) % places);
  return [
    ...BITWISE.map(([sign, doc, run, example]) =>
      own(
        `${sign}(${kind}, ${kind})`,
        type,
        doc,
        ([a, b]) => narrow(run(BigInt(a), BigInt(b))),
        kind === 'integer' ? example : undefined,
      ),
    ),
    own(
      `~(${kind})`,
      type,
      'The bits it has not.',
      ([a]) => narrow(~BigInt(a)),
      kind === 'integer' ? ['~ 1', '-2'] : undefined,
    ),
    own(
      `<<(${kind}, integer)`,
      type,
      'The bits moved to the left.',
      ([a, n]) => narrow(BigInt(a) << shift(n)),
      kind === 'integer' ? ['1 << 4', '16'] : undefined,
    ),
    own(
      `>>(${kind}, integer)`,
      type,
      'The bits moved to the right, the sign staying.',
      ([a, n]) => narrow(BigInt(a) >> shift(n)),
      kind === 'integer' ? ['-8 >> 2', '-2'] : undefined,
    ),
  ];
});

/** Their value changes from call to call: not in views. */
const chances: ScalarFunction[] = [
  own('random()', DOUBLE, 'A random number from 0 to below 1. Not in views.', () => Math.random(), undefined, {
    deterministic: false,
    own: false,
    duckdb: () => 'random()',
  }),
  own('gen_random_uuid()', UUID, 'A random UUID of version 4. Not in views.', () => randomUUID(), undefined, {
    deterministic: false,
    own: false,
    duckdb: () => 'CAST(gen_random_uuid() AS VARCHAR)',
  }),
];

export const NUMBERS: readonly ScalarFunction[] = [...chances, ...trigonometry, ...roots, ...exact, ...others, ...bits];
