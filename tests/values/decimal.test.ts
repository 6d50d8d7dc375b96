import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addExact,
  checkPrecision,
  divideDecimal,
  divideTruncating,
  type Exact,
  formatDecimal,
  multiplyExact,
  negateExact,
  parseDecimal,
  remainderExact,
  rescale,
  subtractExact,
} from '../../src/values/decimal.ts';
import { canonicalInteger } from '../../src/values/types.ts';

/** Around the border between numbers and bigints most of the time. */
const exact: fc.Arbitrary<Exact> = fc
  .oneof(
    fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
    fc.bigInt({ min: -20n, max: 20n }).map((n) => n + 2n ** 53n),
    fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
    fc.bigInt({ min: -1000n, max: 1000n }),
  )
  .map(canonicalInteger);
const scale = fc.integer({ min: 0, max: 20 });

const is = (value: Exact, expected: bigint): void => {
  const canonical = canonicalInteger(expected);
  expect(Object.is(value, canonical) || (typeof value === 'bigint' && value === canonical)).toBe(true);
};
const absolute = (n: bigint): bigint => (n < 0n ? -n : n);
/** Half away from zero, by the schoolbook. */
function rounded(a: bigint, b: bigint): bigint {
  const size = (2n * absolute(a) + absolute(b)) / (2n * absolute(b));
  return a < 0n === b < 0n ? size : -size;
}

describe('exact arithmetic is that of the integers, in canonical form', () => {
  test('sums, differences, products, quotients, remainders', () => {
    fc.assert(
      fc.property(exact, exact, (a, b) => {
        const [x, y] = [BigInt(a), BigInt(b)];
        is(addExact(a, b), x + y);
        is(subtractExact(a, b), x - y);
        is(multiplyExact(a, b), x * y);
        is(negateExact(a), -x);
        if (b === 0) return;
        is(divideTruncating(a, b), x / y);
        is(remainderExact(a, b), x % y);
      }),
      { numRuns: 500 },
    );
  });

  test('scales and quotients round half away from zero', () => {
    fc.assert(
      fc.property(exact, exact, scale, scale, scale, (a, b, from, to, result) => {
        const shift = BigInt(to - from);
        is(rescale(a, from, to), shift >= 0n ? BigInt(a) * 10n ** shift : rounded(BigInt(a), 10n ** -shift));
        if (b === 0) return;
        const [n, d] = [BigInt(a) * 10n ** BigInt(result + to), BigInt(b) * 10n ** BigInt(from)];
        is(divideDecimal(a, from, b, to, result), rounded(n, d));
      }),
      { numRuns: 500 },
    );
  });

  test('texts read back as what was written', () => {
    fc.assert(fc.property(exact, scale, (a, s) => is(parseDecimal(formatDecimal(a, s), s) ?? 0, BigInt(a))));
  });
});

test.each([
  ['1.5', 3, 1500],
  ['.5', 0, 1],
  ['-0.5', 0, -1],
  ['-0.49', 0, 0],
  ['1e3', 2, 100000],
  ['12.345e-2', 2, 12],
  [' +7. ', 1, 70],
  ['1e-9999', 3, 0],
  ['', 0, undefined],
  ['.', 0, undefined],
  ['1_000', 0, undefined],
  ['0x10', 0, undefined],
  ['NaN', 0, undefined],
])('%s at scale %i is %s', (text, digits, expected) => {
  expect(parseDecimal(text, digits)).toBe(expected);
});

test('every digit of the scale is printed', () => {
  expect(formatDecimal(-5, 3)).toBe('-0.005');
  expect(formatDecimal(1500, 3)).toBe('1.500');
  expect(formatDecimal(0, 2)).toBe('0.00');
  expect(formatDecimal(12345678901234567890n, 0)).toBe('12345678901234567890');
});

test('a value with more digits than its type is VALUE_OVERFLOW', () => {
  expect(checkPrecision(999, 3, 1)).toBe(999);
  expect(() => checkPrecision(1000, 3, 1)).toThrow('100.0 does not fit decimal(3,1)');
  expect(checkPrecision(10n ** 38n - 1n, 38, 0)).toBe(10n ** 38n - 1n);
  expect(() => checkPrecision(10n ** 38n, 38, 0)).toThrow(/does not fit/);
  expect(() => divideDecimal(1, 0, 0, 0, 2)).toThrow('division by zero');
});
