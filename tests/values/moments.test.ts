import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  formatDate,
  formatIso,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
  splitTimestamp,
} from '../../src/values/datetime.ts';
import { addInterval, formatInterval, intervalMicros, parseInterval } from '../../src/values/interval.ts';
import { canonicalInteger, type Interval } from '../../src/values/types.ts';

const days = fc.integer({ min: -2440588, max: 2145042905 });
const micros = fc.bigInt({ min: -210866803200000000n, max: 2n ** 63n - 1n }).map(canonicalInteger);
const recent = fc.integer({ min: -(2 ** 51), max: 2 ** 51 });
const interval: fc.Arbitrary<Interval> = fc.record({
  months: fc.integer(),
  days: fc.integer(),
  micros: fc.maxSafeInteger(),
});

describe('dates and times', () => {
  test('days and civil dates are one to one, and agree with Date where it reaches', () => {
    fc.assert(
      fc.property(days, (day) => {
        const { year, month, day: dayOfMonth } = civilFromDays(day);
        expect(daysFromCivil(year, month, dayOfMonth)).toBe(day);
        expect(month >= 1 && month <= 12 && dayOfMonth >= 1 && dayOfMonth <= daysInMonth(year, month)).toBe(true);
        if (Math.abs(day) > 100_000_000) return;
        const date = new Date(day * 86_400_000);
        expect([year, month, dayOfMonth]).toEqual([date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]);
      }),
    );
  });

  test('texts read back as what was written', () => {
    fc.assert(
      fc.property(days, micros, fc.integer({ min: 0, max: 86_400_000_000 }), (day, moment, time) => {
        expect(parseDate(formatDate(day))).toBe(day);
        expect(parseTime(formatTime(time))).toBe(time);
        expect(parseTimestamp(formatTimestamp(moment))?.micros).toBe(moment);
        expect(parseTimestamp(formatIso(moment))).toEqual({ micros: moment, zoned: true });
        const split = splitTimestamp(moment);
        expect(BigInt(split.days) * 86_400_000_000n + BigInt(split.time)).toBe(BigInt(moment));
        expect(split.time >= 0 && split.time < 86_400_000_000).toBe(true);
      }),
    );
  });

  test.each([
    ['2015-07-15 00:00:01.001', '2015-07-15 00:00:01.001'],
    ['2015-07-15T00:00:01.0010000001Z', '2015-07-15 00:00:01.001'],
    ['2015-07-15 00:00:01+05:30', '2015-07-14 18:30:01'],
    ['1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999'],
    ['2016-12-31 23:59:60', '2017-01-01 00:00:00'],
    ['2015-07-15 24:00', '2015-07-16 00:00:00'],
    ['0044-03-15 12:00 BC', '0044-03-15 12:00:00 BC'],
    ['-0043-03-15T12:00Z', '0044-03-15 12:00:00 BC'],
    ['294247-01-10 04:00:54.775807', '294247-01-10 04:00:54.775807'],
    ['294247-01-10 04:00:54.775808', undefined],
    ['2023-02-29', undefined],
    ['2023-13-01', undefined],
    ['2023-01-01 25:00', undefined],
    ['0000-01-01', undefined],
    ['yesterday', undefined],
  ])('%s is %s', (text, expected) => {
    const parsed = parseTimestamp(text);
    expect(parsed === undefined ? undefined : formatTimestamp(parsed.micros)).toBe(expected);
  });
});

describe('intervals', () => {
  test('texts read back as what was written', () => {
    fc.assert(
      fc.property(interval, (one) => {
        expect(parseInterval(formatInterval(one))).toEqual(one);
      }),
    );
  });

  // As Postgres 17 answers SELECT interval '…'.
  test.each([
    ['1 day 02:03', '1 day 02:03:00'],
    ['4 seconds', '00:00:04'],
    ['1h30m', '01:30:00'],
    ['1.5 days', '1 day 12:00:00'],
    ['1.5 months', '1 mon 15 days'],
    ['-13 months', '-1 years -1 mons'],
    ['1 day -00:00:01.5', '1 day -00:00:01.5'],
    ['-1 day 01:00', '-1 days +01:00:00'],
    ['-1 mon +2 days', '-1 mons +2 days'],
    ['2 days 3 hours ago', '-2 days -03:00:00'],
    ['P1Y2M3DT4H5M6.7S', '1 year 2 mons 3 days 04:05:06.7'],
    ['1 century 2 decades', '120 years'],
    ['100:00:00', '100:00:00'],
    ['0', '00:00:00'],
    ['', undefined],
    ['P', undefined],
    ['5 moons', undefined],
    ['99999999999 years', undefined],
  ])('%s is %s', (text, expected) => {
    const parsed = parseInterval(text);
    expect(parsed && formatInterval(parsed)).toBe(expected);
  });

  test('a unit gives a bare number its meaning', () => {
    expect(parseInterval('10', 'SECOND')).toEqual({ months: 0, days: 0, micros: 10_000_000 });
    expect(parseInterval('-2', 'month')).toEqual({ months: -2, days: 0, micros: 0 });
  });

  test('adding months keeps the day where the month has it; days and microseconds are exact', () => {
    const at = (text: string) => parseTimestamp(text)?.micros ?? 0;
    const add = (text: string, one: string) => formatTimestamp(addInterval(at(text), parseInterval(one) as Interval));
    expect(add('2024-01-31 10:00', '1 month')).toBe('2024-02-29 10:00:00');
    expect(add('2024-03-31 10:00', '-1 month')).toBe('2024-02-29 10:00:00');
    expect(add('1969-12-31 23:59:59', '1 month 1 day 00:00:02')).toBe('1970-02-02 00:00:01');
    expect(add('0001-01-01', '-1 day')).toBe('0001-12-31 00:00:00 BC');
    fc.assert(
      fc.property(recent, fc.integer({ min: -10000, max: 10000 }), recent, (moment, count, more) => {
        const sum = addInterval(moment, { months: 0, days: count, micros: more });
        expect(BigInt(sum)).toBe(BigInt(moment) + BigInt(count) * 86_400_000_000n + BigInt(more));
      }),
    );
  });

  test('a month counts 30 days where sizes are compared', () => {
    expect(intervalMicros({ months: 1, days: 0, micros: 0 })).toBe(intervalMicros({ months: 0, days: 30, micros: 0 }));
  });
});
