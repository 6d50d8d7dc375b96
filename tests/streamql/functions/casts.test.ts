import { describe, expect, test } from 'vitest';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  NULL_TYPE,
  REAL,
  SMALLINT,
  type SqlType,
  sameType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  typeName,
  UUID,
  VARCHAR,
} from '../../../src/values/types.ts';
import { aggregateType, finishAverage } from '../../../streamql/functions/aggregates.ts';
import { canCast, castDatum, commonType } from '../../../streamql/functions/casts.ts';
import { COLUMN_TYPES, DATUMS } from '../expr/random-expr.ts';
import { isWellFormed } from '../expr/well-formed.ts';

const D12 = decimal(12, 3);

describe('casts', () => {
  // As Postgres answers.
  test.each<readonly [Exclude<Datum, null>, SqlType, SqlType, Datum]>([
    [2.5, DOUBLE, INTEGER, 2],
    [3.5, DOUBLE, INTEGER, 4],
    [-2.5, DOUBLE, BIGINT, -2],
    [2500, D12, INTEGER, 3],
    [-2500, D12, INTEGER, -3],
    [9007199254740993n, BIGINT, DOUBLE, 9007199254740992],
    [0.1, DOUBLE, decimal(20, 18), 100000000000000000n],
    [1.005, DOUBLE, decimal(5, 2), 101],
    [1234, D12, decimal(5, 1), 12],
    [1250, D12, decimal(5, 1), 13],
    [5, INTEGER, D12, 5000],
    [1500, D12, VARCHAR, '1.500'],
    [true, BOOLEAN, VARCHAR, 'true'],
    [true, BOOLEAN, INTEGER, 1],
    [7, INTEGER, BOOLEAN, true],
    [-1, TIMESTAMP, DATE, -1],
    [-1, TIMESTAMP, TIME, 86_399_999_999],
    [1, DATE, TIMESTAMP, 86_400_000_000],
    ['12', VARCHAR, BIGINT, 12],
    ['2015-07-15T00:00:01.001Z', VARCHAR, TIMESTAMP, 1436918401001000],
    ['4 seconds', VARCHAR, INTERVAL, { months: 0, days: 0, micros: 4_000_000 }],
    ['1.50', JSONB, D12, 1500],
    [0.5, REAL, DOUBLE, 0.5],
    [9007199254740993n, BIGINT, JSONB, '9007199254740993'],
    [['1', null], arrayOf(VARCHAR), arrayOf(INTEGER), [1, null]],
  ])('%s from %o to %o is %s', (datum, from, to, expected) => {
    expect(castDatum(datum, from, to)).toEqual(expected);
  });

  test.each<readonly [Exclude<Datum, null>, SqlType, SqlType, string]>([
    [32768, INTEGER, SMALLINT, 'VALUE_OVERFLOW'],
    [2 ** 63, DOUBLE, BIGINT, 'VALUE_OVERFLOW'],
    [Number.NaN, DOUBLE, INTEGER, 'VALUE_OVERFLOW'],
    [Number.NaN, DOUBLE, D12, 'VALUE_CAST'],
    [1e300, DOUBLE, REAL, 'VALUE_OVERFLOW'],
    [1_000_000, BIGINT, decimal(5, 2), 'VALUE_OVERFLOW'],
    ['x', VARCHAR, INTEGER, 'VALUE_CAST'],
    ['"1"', JSONB, INTEGER, 'VALUE_CAST'],
    [2145042905, DATE, TIMESTAMP, 'VALUE_OVERFLOW'],
  ])('%s from %o to %o has no value', (datum, from, to, code) => {
    expect(() => castDatum(datum, from, to)).toThrow(expect.objectContaining({ code }));
  });

  test('whatever may be cast yields a value of the type or says why not; what may not is refused', () => {
    for (const from of COLUMN_TYPES) {
      for (const to of COLUMN_TYPES) {
        for (const datum of DATUMS[typeName(from)]) {
          const where = `${String(datum)}: ${typeName(from)} → ${typeName(to)}`;
          let cast: Datum;
          try {
            cast = castDatum(datum as Exclude<Datum, null>, from, to);
          } catch (thrown) {
            expect([where, (thrown as { code: string }).code]).toEqual([where, expect.stringMatching(/^VALUE_/)]);
            continue;
          }
          expect([where, isWellFormed(cast, to)]).toEqual([where, true]);
          expect([where, canCast(from, to, 'explicit')]).toEqual([where, true]);
        }
      }
    }
  });

  test('what happens by itself loses nothing but digits of a double', () => {
    const silent = (from: SqlType, to: SqlType): boolean => canCast(from, to, 'implicit');
    expect(silent(INTEGER, BIGINT)).toBe(true);
    expect(silent(BIGINT, INTEGER)).toBe(false);
    expect(silent(BIGINT, D12)).toBe(true);
    expect(silent(D12, DOUBLE)).toBe(true);
    expect(silent(DOUBLE, D12)).toBe(false);
    expect(silent(DATE, TIMESTAMP)).toBe(true);
    expect(silent(TIMESTAMP, DATE)).toBe(false);
    expect(silent(INTEGER, VARCHAR)).toBe(false);
    expect(silent(NULL_TYPE, UUID)).toBe(true);
    expect(canCast(INTEGER, VARCHAR, 'assignment')).toBe(true);
    expect(canCast(BIGINT, INTEGER, 'assignment')).toBe(true);
    expect(canCast(VARCHAR, INTEGER, 'assignment')).toBe(false);
    expect(canCast(UUID, INTEGER, 'explicit')).toBe(false);
  });
});

describe('common types', () => {
  test.each<readonly [readonly SqlType[], SqlType | undefined]>([
    [[INTEGER, BIGINT, SMALLINT], BIGINT],
    [[NULL_TYPE, DATE, TIMESTAMP], TIMESTAMP],
    [[TIMESTAMP, TIMESTAMPTZ], TIMESTAMPTZ],
    [[decimal(5, 2), decimal(10, 4)], decimal(10, 4)],
    [[decimal(5, 2), BIGINT], decimal(21, 2)],
    [[decimal(5, 2), DOUBLE], DOUBLE],
    [[REAL, INTEGER], REAL],
    [[VARCHAR, INTEGER], undefined],
    [[], NULL_TYPE],
    [[NULL_TYPE], NULL_TYPE],
    [[arrayOf(INTEGER), arrayOf(BIGINT)], arrayOf(BIGINT)],
  ])('of %o is %o', (types, expected) => {
    expect(commonType(types)).toEqual(expected);
    // In whatever order.
    expect(commonType([...types].reverse())).toEqual(expected);
  });

  test('every type casts to the common one by itself', () => {
    for (const a of COLUMN_TYPES) {
      for (const b of COLUMN_TYPES) {
        const common = commonType([a, b]);
        if (common === undefined) continue;
        const exact = common.kind !== 'decimal' || common.precision < 38;
        if (exact && a.kind !== 'real') expect(sameType(a, common) || canCast(a, common, 'implicit')).toBe(true);
      }
    }
  });
});

describe('aggregates', () => {
  test('result types', () => {
    const of = (fn: 'sum' | 'avg' | 'min' | 'count', type: SqlType): string | undefined => {
      const result = aggregateType(fn, type);
      return result && typeName(result);
    };
    expect(of('count', VARCHAR)).toBe('bigint');
    expect([of('sum', SMALLINT), of('sum', INTEGER), of('sum', BIGINT)]).toEqual(['bigint', 'bigint', 'decimal(38,0)']);
    expect([of('sum', D12), of('sum', REAL), of('sum', VARCHAR)]).toEqual(['decimal(38,3)', 'double', undefined]);
    expect([of('avg', INTEGER), of('avg', decimal(38, 20)), of('avg', DOUBLE)]).toEqual([
      'decimal(38,16)',
      'decimal(38,20)',
      'double',
    ]);
    expect([of('min', TIMESTAMP), of('min', JSONB)]).toEqual(['timestamp', undefined]);
  });

  test('averages are exact to their scale, halves away from zero', () => {
    expect(finishAverage(10, 0, 3, 16)).toBe(33333333333333333n);
    expect(finishAverage(-20, 0, 3, 16)).toBe(-66666666666666667n);
    expect(finishAverage(1, 3, 2, 3)).toBe(1);
    expect(finishAverage(10n ** 30n, 0, 1, 0)).toBe(10n ** 30n);
  });
});
