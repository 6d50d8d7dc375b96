import { StreamError } from '../../src/lib/errors.ts';
import {
  checkTimestamp,
  civilFromDays,
  dayOfYmd,
  daysFromCivil,
  daysInMonth,
  joinTimestamp,
  MICROS_PER_DAY,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
} from '../../src/values/datetime.ts';
import { addExact, divideTruncating, type Exact, multiplyExact, subtractExact } from '../../src/values/decimal.ts';
import { addInterval, intervalUnit, parseInterval } from '../../src/values/interval.ts';
import { timeZone } from '../../src/values/time-zone.ts';
import {
  BIGINT,
  canonicalInteger,
  DATE,
  DOUBLE,
  type Interval,
  type SqlType,
  TIMESTAMP,
  TIMESTAMPTZ,
  VARCHAR,
} from '../../src/values/types.ts';
import { dayOfWeek, isoWeek } from './calendar.ts';
import { truncate } from './datetime.ts';
import { parsePattern } from './datetime-parse.ts';
import type { ScalarFunction } from './function-table.ts';
import { age, timeOfDay } from './interval-functions.ts';
import { own } from './own-function.ts';

/** Dates and moments beyond datetime.ts: zones, construction, parsing, parts and differences. */

const fixed = (offset: Interval): number => {
  if (offset.months !== 0 || offset.days !== 0 || Math.abs(offset.micros) > MICROS_PER_DAY)
    throw new StreamError('VALUE_DOMAIN', 'the offset of a time zone is less than a day');
  return offset.micros;
};

const zones: ScalarFunction[] = [
  own(
    'timezone(varchar, timestamptz)',
    TIMESTAMP,
    'The local time of a moment in a zone. Written x AT TIME ZONE zone.',
    ([zone, x]) => checkTimestamp(timeZone(zone).toLocal(x)),
    ["timestamptz '2024-07-01 10:00:00+00' AT TIME ZONE 'Europe/Berlin'", '2024-07-01 12:00:00'],
  ),
  own(
    'timezone(varchar, timestamp)',
    TIMESTAMPTZ,
    'The moment of a local time in a zone. Written x AT TIME ZONE zone.',
    ([zone, x]) => checkTimestamp(timeZone(zone).toUtc(x)),
    ["timestamp '2024-01-01 12:00:00' AT TIME ZONE 'America/New_York'", '2024-01-01 17:00:00+00'],
  ),
  own(
    'timezone(interval, timestamptz)',
    TIMESTAMP,
    'The local time of a moment at an offset east of UTC.',
    ([offset, x]) => checkTimestamp(addExact(x, fixed(offset))),
    ["timestamptz '2024-01-01 00:00:00+00' AT TIME ZONE interval '5:30'", '2024-01-01 05:30:00'],
  ),
  own(
    'timezone(interval, timestamp)',
    TIMESTAMPTZ,
    'The moment of a local time at an offset east of UTC.',
    ([offset, x]) => checkTimestamp(subtractExact(x, fixed(offset))),
  ),
  own(
    'date_trunc(varchar, timestamptz, varchar)',
    TIMESTAMPTZ,
    'The beginning of a unit as the clocks of a zone have it.',
    ([unit, x, zone]) => {
      const at = timeZone(zone);
      return checkTimestamp(at.toUtc(truncate(unit, at.toLocal(x))));
    },
    ["date_trunc('day', timestamptz '2024-07-01 23:30:00+00', 'Europe/Berlin')", '2024-07-01 22:00:00+00'],
  ),
  own(
    'timezone_offset(varchar, timestamptz)',
    { kind: 'interval' },
    'How far a zone is ahead of UTC at a moment.',
    ([zone, x]) => ({
      months: 0,
      days: 0,
      micros: timeZone(zone).offsetAt(x),
    }),
    ["timezone_offset('Asia/Kolkata', timestamptz '2024-01-01 00:00:00+00')", '05:30:00'],
  ),
];

function momentOf(name: string, [year, month, day, hour, minute, second]: readonly number[]): Exact {
  const days = dayOfYmd(year, month, day);
  const time = timeOfDay(hour, minute, second);
  if (days === undefined || time === undefined)
    throw new StreamError('VALUE_DOMAIN', `${name}: there is no such moment`);
  return checkTimestamp(joinTimestamp(days, time));
}

const PARTS = 'integer, integer, integer, integer, integer, double';
const constructed: ScalarFunction[] = [
  own(
    `make_timestamp(${PARTS})`,
    TIMESTAMP,
    'Of year, month, day, hour, minute and seconds.',
    (args) => momentOf('make_timestamp', args),
    ['make_timestamp(2024, 7, 15, 8, 15, 23.5)', '2024-07-15 08:15:23.5'],
  ),
  own(
    `make_timestamptz(${PARTS})`,
    TIMESTAMPTZ,
    'Of year, month, day, hour, minute and seconds in UTC.',
    (args) => momentOf('make_timestamptz', args),
    ['make_timestamptz(2024, 7, 15, 8, 15, 0)', '2024-07-15 08:15:00+00'],
  ),
  own(`make_timestamptz(${PARTS}, varchar)`, TIMESTAMPTZ, 'The same in a zone.', (args) =>
    checkTimestamp(timeZone(args[6]).toUtc(momentOf('make_timestamptz', args))),
  ),
  own(
    'to_timestamp(varchar, varchar)',
    TIMESTAMPTZ,
    'A text by a Postgres pattern (as of to_char), in UTC.',
    ([text, pattern]) => checkTimestamp(parsePattern(text, pattern)),
    ["to_timestamp('05 Dec 2000 10:30', 'DD Mon YYYY HH24:MI')", '2000-12-05 10:30:00+00'],
  ),
  own(
    'to_date(varchar, varchar)',
    DATE,
    'A date by a Postgres pattern (as of to_char).',
    ([text, pattern]) => splitTimestamp(parsePattern(text, pattern)).days,
    ["to_date('20240229', 'YYYYMMDD')", '2024-02-29'],
  ),
  own(
    'from_unixtime(double)',
    TIMESTAMPTZ,
    'The moment that many seconds after 1970.',
    ([seconds]) => fromSeconds(seconds),
    ['from_unixtime(86400)', '1970-01-02 00:00:00+00'],
  ),
  own(
    'from_epoch_ms(bigint)',
    TIMESTAMPTZ,
    'The moment that many milliseconds after 1970.',
    ([n]) => checkTimestamp(multiplyExact(n, 1000)),
    ['from_epoch_ms(1500)', '1970-01-01 00:00:01.5+00'],
  ),
  own(
    'from_epoch_us(bigint)',
    TIMESTAMPTZ,
    'The moment that many microseconds after 1970.',
    ([n]) => checkTimestamp(n),
    ['from_epoch_us(1500000)', '1970-01-01 00:00:01.5+00'],
  ),
];

function fromSeconds(seconds: number): Exact {
  if (!Number.isFinite(seconds) || Math.abs(seconds) > 1e13)
    throw new StreamError('VALUE_OVERFLOW', 'from_unixtime: out of range');
  return checkTimestamp(canonicalInteger(BigInt(Math.round(seconds * MICROS_PER_SECOND))));
}

/** Toward the past, also before 1970. */
function floorDivide(a: Exact, by: number): Exact {
  const quotient = divideTruncating(a, by);
  return multiplyExact(quotient, by) > a ? subtractExact(quotient, 1) : quotient;
}

/** [name, of the days, of the microseconds of the day, what it is] */
type Part = readonly [name: string, of: (days: number, time: number) => number, doc: string, value: string];
const PART_ROWS: readonly Part[] = [
  ['year', (days) => civilFromDays(days).year, 'The year.', '2024'],
  ['quarter', (days) => Math.ceil(civilFromDays(days).month / 3), 'The quarter, 1 to 4.', '3'],
  ['month', (days) => civilFromDays(days).month, 'The month, 1 to 12.', '7'],
  ['week', (days) => isoWeek(days).week, 'The week of ISO 8601.', '29'],
  [
    'dayofyear',
    (days) => days - daysFromCivil(civilFromDays(days).year, 1, 1) + 1,
    'The day of the year, from 1.',
    '199',
  ],
  ['dayofmonth', (days) => civilFromDays(days).day, 'The day of the month.', '17'],
  ['dayofweek', (days) => dayOfWeek(days) + 1, 'The day of the week; 1 is Sunday.', '4'],
];
const TIME_ROWS: readonly Part[] = [
  ['minute', (_, time) => Math.floor(time / MICROS_PER_MINUTE) % 60, 'The minute.', '8'],
  ['second', (_, time) => Math.floor(time / MICROS_PER_SECOND) % 60, 'The whole second.', '9'],
];
const AT = "timestamp '2024-07-17 07:08:09.5'";

const parts: ScalarFunction[] = [
  ...PART_ROWS.map(([name, of, doc]) => own(`${name}(date)`, BIGINT, `${doc} As in Flink.`, ([x]) => of(x, 0))),
  ...[...PART_ROWS, ...TIME_ROWS].flatMap(([name, of, doc, value]) =>
    (['timestamp', 'timestamptz'] as const).map((kind) =>
      own(
        `${name}(${kind})`,
        BIGINT,
        `${doc} As in Flink.`,
        ([x]) => {
          const { days, time } = splitTimestamp(x);
          return of(days, time);
        },
        kind === 'timestamp' ? [`${name}(${AT})`, value] : undefined,
      ),
    ),
  ),
];

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

const dates: ScalarFunction[] = [
  own(
    'last_day(date)',
    DATE,
    'The last day of the month.',
    ([x]) => {
      const { year, month, day } = civilFromDays(x);
      return x - day + daysInMonth(year, month);
    },
    ["last_day(date '2024-02-10')", '2024-02-29'],
  ),
  own('dayname(date)', VARCHAR, 'The English name of the day of the week.', ([x]) => DAYS[dayOfWeek(x)], [
    "dayname(date '2024-02-29')",
    'Thursday',
  ]),
  own('monthname(date)', VARCHAR, 'The English name of the month.', ([x]) => MONTHS[civilFromDays(x).month - 1], [
    "monthname(date '2024-02-29')",
    'February',
  ]),
];

/** Whole units from `from` to `to`, toward zero. */
function difference(unit: string, from: Exact, to: Exact): Exact {
  const name = intervalUnit(unit);
  const one = name === undefined ? undefined : parseInterval(`1 ${name}`);
  if (one === undefined) throw new StreamError('VALUE_DOMAIN', `date_diff: there is no unit ${unit}`);
  if (one.months > 0) return Math.trunc(age(to, from).months / one.months) + 0;
  return divideTruncating(subtractExact(to, from), one.days * MICROS_PER_DAY + one.micros);
}

function moved(unit: string, count: number, x: Exact): Exact {
  const name = intervalUnit(unit);
  const by = name === undefined ? undefined : parseInterval(`${count} ${name}`);
  if (by === undefined) throw new StreamError('VALUE_DOMAIN', `date_add: no such unit or too many of it: ${unit}`);
  return addInterval(x, by);
}

const spans: ScalarFunction[] = (['timestamp', 'timestamptz'] as const).flatMap((kind) => {
  const type: SqlType = { kind };
  const first = kind === 'timestamp';
  return [
    own(
      `date_diff(varchar, ${kind}, ${kind})`,
      BIGINT,
      'The whole units from the first moment to the second.',
      ([unit, a, b]) => difference(unit, a, b),
      first ? ["date_diff('month', timestamp '2024-01-31', timestamp '2024-03-30')", '1'] : undefined,
    ),
    own(
      `date_add(varchar, integer, ${kind})`,
      type,
      'The moment that many units later.',
      ([unit, n, x]) => moved(unit, n, x),
      first ? ["date_add('month', 1, timestamp '2024-01-31')", '2024-02-29 00:00:00'] : undefined,
    ),
    own(
      `to_unixtime(${kind})`,
      DOUBLE,
      'The seconds since 1970.',
      ([x]) => Number(x) / MICROS_PER_SECOND,
      first ? ["to_unixtime(timestamp '1970-01-01 00:01:00.5')", '60.5'] : undefined,
    ),
    own(
      `unix_timestamp(${kind})`,
      BIGINT,
      'The whole seconds since 1970.',
      ([x]) => floorDivide(x, MICROS_PER_SECOND),
      first ? ["unix_timestamp(timestamp '1970-01-02')", '86400'] : undefined,
    ),
    own(
      `epoch_ms(${kind})`,
      BIGINT,
      'The whole milliseconds since 1970.',
      ([x]) => floorDivide(x, 1000),
      first ? ["epoch_ms(timestamp '1970-01-01 00:00:01')", '1000'] : undefined,
    ),
    own(
      `epoch_us(${kind})`,
      BIGINT,
      'The microseconds since 1970.',
      ([x]) => x,
      first ? ["epoch_us(timestamp '1970-01-01 00:00:01')", '1000000'] : undefined,
    ),
  ];
});

export const MOMENTS_MORE: readonly ScalarFunction[] = [...zones, ...constructed, ...parts, ...dates, ...spans];
