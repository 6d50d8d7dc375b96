import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareDatums, compareNullable, compareText, equalDatums } from '../../src/values/compare.ts';
import { hashDatum } from '../../src/values/hash.ts';
import { datumFromJson, datumToJson } from '../../src/values/json.ts';
import { canonicalJsonText } from '../../src/values/json-text.ts';
import { datumFromText, datumToText, doubleText } from '../../src/values/text.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  canonicalInteger,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  REAL,
  SMALLINT,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  typeName,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';

/** Any value of each type. */
const big = (least: bigint, most: bigint): fc.Arbitrary<Datum> =>
  fc.oneof(fc.bigInt({ min: least, max: most }), fc.bigInt({ min: -9n, max: 9n })).map(canonicalInteger);
const moment = big(-210866803200000000n, 2n ** 63n - 1n);
/** Without the JSON null, which as a JSON value is SQL's NULL. */
const jsonDatum = (text: string): string => canonicalJsonText(text === 'null' ? '0' : text) as string;
const VALUES: readonly (readonly [SqlType, fc.Arbitrary<Datum>])[] = [
  [BOOLEAN, fc.boolean()],
  [SMALLINT, fc.integer({ min: -32768, max: 32767 })],
  [INTEGER, fc.integer()],
  [BIGINT, big(-(2n ** 63n), 2n ** 63n - 1n)],
  [decimal(38, 10), big(1n - 10n ** 38n, 10n ** 38n - 1n)],
  [decimal(5, 2), fc.integer({ min: -99999, max: 99999 })],
  [REAL, fc.float()],
  [DOUBLE, fc.double()],
  [VARCHAR, fc.string({ unit: 'binary' })],
  [BYTEA, fc.uint8Array({ maxLength: 20 })],
  [DATE, fc.integer({ min: -2440588, max: 2145042905 })],
  [TIME, fc.integer({ min: 0, max: 86_400_000_000 })],
  [TIMESTAMP, moment],
  [TIMESTAMPTZ, moment],
  [INTERVAL, fc.record({ months: fc.integer(), days: fc.integer(), micros: fc.maxSafeInteger() })],
  [UUID, fc.uuid()],
  [JSONB, fc.json().map(jsonDatum)],
];
const withArrays: typeof VALUES = [
  ...VALUES,
  ...VALUES.map(([type, values]): readonly [SqlType, fc.Arbitrary<Datum>] => [
    arrayOf(type),
    fc.array(fc.option(values), { maxLength: 4 }),
  ]),
];
const named = withArrays.map(([type, values]) => [typeName(type), type, values] as const);
const runs = { numRuns: 60 };

describe('a value written and read again is the same value', () => {
  test.each(named)('%s', (_, type, values) => {
    fc.assert(
      fc.property(values, (datum) => {
        const text = datumFromText(datumToText(datum as Exclude<Datum, null>, type), type);
        expect(equalDatums(text, datum, type)).toBe(true);
        const json = JSON.parse(JSON.stringify(datumToJson(datum, type)));
        expect(equalDatums(datumFromJson(json, type), datum, type)).toBe(true);
      }),
      runs,
    );
  });
});

describe('comparing is a total order that equality and hashes agree with', () => {
  test.each(named)('%s', (_, type, values) => {
    const some = fc.option(values, { freq: 6 });
    fc.assert(
      fc.property(some, some, some, (a, b, c) => {
        const order = (x: Datum, y: Datum): number => Math.sign(compareNullable(x, y, type)) + 0;
        expect(order(a, a)).toBe(0);
        expect(order(a, b)).toBe(0 - order(b, a));
        if (order(a, b) <= 0 && order(b, c) <= 0) expect(order(a, c)).toBeLessThanOrEqual(0);
        expect(equalDatums(a, b, type)).toBe(order(a, b) === 0);
        if (equalDatums(a, b, type)) expect(hashDatum(a, type)).toBe(hashDatum(b, type));
      }),
      runs,
    );
  });

  test('texts are ordered as their UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(Math.sign(compareText(a, b)) + 0).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
    expect(compareText('\uffff', '\u{10000}')).toBeLessThan(0);
  });

  test('NaN is the greatest double, −0 equals 0', () => {
    expect(compareDatums(Number.NaN, Number.POSITIVE_INFINITY, DOUBLE)).toBeGreaterThan(0);
    expect(compareDatums(Number.NaN, Number.NaN, DOUBLE)).toBe(0);
    expect(equalDatums(-0, 0, DOUBLE)).toBe(true);
    expect(hashDatum(-0, DOUBLE)).toBe(hashDatum(0, DOUBLE));
    const one = { months: 1, days: 0, micros: 0 };
    expect(equalDatums(one, { months: 0, days: 29, micros: 86_400_000_000 }, INTERVAL)).toBe(true);
  });
});

// As Postgres 17 prints them.
test.each([
  [0.1, '0.1'],
  [100, '100'],
  [1e15, '1e+15'],
  [123456789012345, '123456789012345'],
  [1e-4, '0.0001'],
  [1e-5, '1e-05'],
  [1.5e300, '1.5e+300'],
  [5e-324, '5e-324'],
  [-0, '-0'],
  [Number.NaN, 'NaN'],
  [Number.NEGATIVE_INFINITY, '-Infinity'],
])('the double %s is printed %s', (value, text) => {
  expect(doubleText(value)).toBe(text);
});

test('reals have their own shortest digits', () => {
  expect(datumToText(Math.fround(0.1), REAL)).toBe('0.1');
  expect(datumToText(Math.fround(1e6), REAL)).toBe('1e+06');
  expect(datumToText(Math.fround(123456), REAL)).toBe('123456');
});

test.each([
  ['yes', BOOLEAN, true],
  ['OFF', BOOLEAN, false],
  [' 42 ', INTEGER, 42],
  ['9223372036854775807', BIGINT, 9223372036854775807n],
  ['-0', BIGINT, 0],
  ['2015-07-15 10:00', DATE, 16631],
  ['{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}', UUID, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  [' {"b":1.50, "a":[ 1,"x" ], "b":2.0} ', JSONB, '{"a":[1,"x"],"b":2.0}'],
  ['{1,NULL," 3 "}', arrayOf(INTEGER), [1, null, 3]],
])('%s is read', (text, type, expected) => {
  expect(datumFromText(text, type as SqlType)).toEqual(expected);
});

test.each([
  ['maybe', BOOLEAN, 'VALUE_CAST'],
  ['1.5', INTEGER, 'VALUE_CAST'],
  ['2147483648', INTEGER, 'VALUE_OVERFLOW'],
  ['9223372036854775808', BIGINT, 'VALUE_OVERFLOW'],
  ['1000', decimal(5, 2), 'VALUE_OVERFLOW'],
  ['1e39', REAL, 'VALUE_OVERFLOW'],
  ['1e400', DOUBLE, 'VALUE_OVERFLOW'],
  ['{"a":}', JSONB, 'VALUE_CAST'],
  ["{'a':1}", JSONB, 'VALUE_CAST'],
  [`${'['.repeat(5000)}${']'.repeat(5000)}`, JSONB, 'VALUE_CAST'],
  ['{1,2', arrayOf(INTEGER), 'VALUE_CAST'],
  ['\\xabc', BYTEA, 'VALUE_CAST'],
  ['12', UUID, 'VALUE_CAST'],
])('%s is refused', (text, type, code) => {
  expect(() => datumFromText(text, type as SqlType)).toThrow(expect.objectContaining({ code }));
});

test('JSON: numbers while a double holds them, texts beyond; timestamps in ISO 8601', () => {
  expect(datumToJson(9007199254740991, BIGINT)).toBe(9007199254740991);
  expect(datumToJson(9007199254740993n, BIGINT)).toBe('9007199254740993');
  expect(datumToJson(1500, decimal(12, 3))).toBe(1.5);
  expect(datumToJson(12345678901234567890n, decimal(38, 10))).toBe('1234567890.1234567890');
  expect(datumToJson(Number.NaN, DOUBLE)).toBe('NaN');
  expect(datumToJson(-1, TIMESTAMP)).toBe('1969-12-31T23:59:59.999999Z');
  expect(datumToJson('{"a":[1]}', JSONB)).toEqual({ a: [1] });
  expect(datumToJson(Uint8Array.of(0, 255), BYTEA)).toBe('\\x00ff');
  expect(datumFromJson(1436918401001, TIMESTAMP)).toBe(1436918401001000);
  expect(() => datumFromJson({}, INTEGER)).toThrow('{} is not a value of type integer');
});
