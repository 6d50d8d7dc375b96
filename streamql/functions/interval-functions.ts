import { StreamError } from '../../src/lib/errors.ts';
import {
  checkTimestamp,
  civilFromDays,
  daysInMonth,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
  timeInDay,
} from '../../src/values/datetime.ts';
import { addExact, type Exact, multiplyExact } from '../../src/values/decimal.ts';
import { addInterval, checkInterval, intervalUnit, negateInterval } from '../../src/values/interval.ts';
import { DOUBLE, INTERVAL, type Interval, type SqlType, TIME, TIMESTAMP, VARCHAR } from '../../src/values/types.ts';
import { zeroDivision } from './arithmetic.ts';
import type { ScalarFunction } from './function-table.ts';
import { halfEven } from './math.ts';
import { own } from './own-function.ts';
import { formatIntervalBy } from './to-char.ts';

/** Arithmetic of intervals, dates and times of day, as Postgres has it. */

/** Fractions of a month become days of a 30-day month, fractions of a day a time; `of` multiplies or divides a part. */
function scaled({ months, days, micros }: Interval, of: (part: number) => number): Interval {
  const [allMonths, allDays, allMicros] = [of(months), of(days), of(micros)];
  if (![allMonths, allDays, allMicros].every(Number.isFinite))
    throw new StreamError('VALUE_OVERFLOW', 'the result is out of range for interval');
  const [wholeMonths, wholeDays] = [Math.trunc(allMonths), Math.trunc(allDays)];
  const restDays = sixDigits((allMonths - wholeMonths) * 30);
  const seconds = sixDigits((allDays - wholeDays + restDays - Math.trunc(restDays)) * 86_400);
  const carried = Math.abs(seconds) >= 86_400 ? Math.trunc(seconds / 86_400) : 0;
  return checkInterval(
    wholeMonths,
    wholeDays + Math.trunc(restDays) + carried,
    halfEven(allMicros + (seconds - carried * 86_400) * MICROS_PER_SECOND),
  );
}

/** Without the noise of binary fractions. */
const sixDigits = (value: number): number => halfEven(value * 1e6) / 1e6;

/** The beginning of a unit that an interval consists of: smaller units become 0. */
function truncated(unit: string, { months, days, micros }: Interval): Interval {
  const name = intervalUnit(unit) ?? unit.toLowerCase();
  const whole = MONTHS_OF[name];
  if (whole !== undefined) return checkInterval(Math.trunc(months / whole) * whole, 0, 0);
  if (name === 'day') return checkInterval(months, days, 0);
  const size = MICROS_OF[name];
  if (size === undefined)
    throw new StreamError('VALUE_DOMAIN', `date_trunc: an interval is not cut to ${unit.slice(0, 40)}`);
  return checkInterval(months, days, Math.trunc(micros / size) * size);
}
const MONTHS_OF: Readonly<Record<string, number>> = {
  millennium: 12_000,
  century: 1200,
  decade: 120,
  year: 12,
  quarter: 3,
  month: 1,
};
const MICROS_OF: Readonly<Record<string, number>> = {
  hour: MICROS_PER_HOUR,
  minute: MICROS_PER_MINUTE,
  second: MICROS_PER_SECOND,
  millisecond: 1000,
  microsecond: 1,
};

/** Whole days of 24 hours move from the time to the days. */
function justifyHours({ months, days, micros }: Interval): Interval {
  const whole = Math.trunc(micros / MICROS_PER_DAY);
  let rest = micros - whole * MICROS_PER_DAY;
  let sum = days + whole;
  if (sum > 0 && rest < 0) [sum, rest] = [sum - 1, rest + MICROS_PER_DAY];
  else if (sum < 0 && rest > 0) [sum, rest] = [sum + 1, rest - MICROS_PER_DAY];
  return checkInterval(months, sum, rest);
}

/** Whole months of 30 days move from the days to the months. */
function justifyDays({ months, days, micros }: Interval): Interval {
  const whole = Math.trunc(days / 30);
  let rest = days - whole * 30;
  let sum = months + whole;
  if (sum > 0 && rest < 0) [sum, rest] = [sum - 1, rest + 30];
  else if (sum < 0 && rest > 0) [sum, rest] = [sum + 1, rest - 30];
  return checkInterval(sum, rest, micros);
}

/** Both, and one sign for all parts. */
function justify(interval: Interval): Interval {
  let { months, days, micros } = justifyDays(justifyHours(interval));
  if (months > 0 && (days < 0 || (days === 0 && micros < 0))) [months, days] = [months - 1, days + 30];
  else if (months < 0 && (days > 0 || (days === 0 && micros > 0))) [months, days] = [months + 1, days - 30];
  if (days > 0 && micros < 0) [days, micros] = [days - 1, micros + MICROS_PER_DAY];
  else if (days < 0 && micros > 0) [days, micros] = [days + 1, micros - MICROS_PER_DAY];
  return checkInterval(months, days, micros);
}

/** The years, months, days and time from one moment to another. */
export function age(a: Exact, b: Exact): Interval {
  if (a < b) return negateInterval(age(b, a));
  const [x, y] = [splitTimestamp(a), splitTimestamp(b)];
  const [later, earlier] = [civilFromDays(x.days), civilFromDays(y.days)];
  let months = (later.year - earlier.year) * 12 + later.month - earlier.month;
  let days = later.day - earlier.day;
  let micros = x.time - y.time;
  if (micros < 0) [days, micros] = [days - 1, micros + MICROS_PER_DAY];
  // As Postgres: a missing month has the days of the earlier moment's month.
  while (days < 0) [months, days] = [months - 1, days + daysInMonth(earlier.year, earlier.month)];
  return checkInterval(months, days, micros);
}

/** Microseconds since midnight, up to 24:00:00; undefined where there is no such time. 60 seconds are a minute. */
export function timeOfDay(hour: number, minute: number, second: number): number | undefined {
  const micros = halfEven(second * MICROS_PER_SECOND);
  const time = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + micros;
  const fits = hour >= 0 && minute >= 0 && minute < 60 && micros >= 0 && micros <= MICROS_PER_MINUTE;
  return fits && time <= MICROS_PER_DAY ? time : undefined;
}

function refuseTime(): never {
  throw new StreamError('VALUE_DOMAIN', 'make_time: there is no such time of day');
}

const dateMoment = (days: number): Exact => multiplyExact(days, MICROS_PER_DAY);

const interval = (months: number, days: number, hours: number, minutes: number, seconds: number): Interval =>
  checkInterval(
    months,
    days,
    hours * MICROS_PER_HOUR + minutes * MICROS_PER_MINUTE + Math.round(seconds * MICROS_PER_SECOND),
  );

const ages: ScalarFunction[] = (['timestamp', 'timestamptz'] as const).map((kind) =>
  own(
    `age(${kind}, ${kind})`,
    INTERVAL,
    'The years, months, days and time from the second to the first.',
    ([a, b]) => age(a, b),
    kind === 'timestamp' ? ["age(timestamp '2024-03-15', timestamp '2023-01-20')", '1 year 1 mon 26 days'] : undefined,
  ),
);

const finites: ScalarFunction[] = (['date', 'timestamp', 'timestamptz', 'interval'] as const).map((kind) =>
  own(
    `isfinite(${kind})`,
    { kind: 'boolean' } as SqlType,
    'Whether it is finite: always true, as there are no infinite times.',
    () => true,
    kind === 'date' ? ["isfinite(date '2024-01-01')", 'true'] : undefined,
  ),
);

export const INTERVALS: readonly ScalarFunction[] = [
  own('-(interval)', INTERVAL, 'The negative.', ([a]) => negateInterval(a), [
    "- interval '1 day 2 hours'",
    '-1 days -02:00:00',
  ]),
  own(
    '*(interval, double)',
    INTERVAL,
    'The interval that many times; fractions of months become days, of days a time.',
    ([a, by]) => scaled(a, (part) => part * by),
    ["interval '1 hour' * 3.5::double", '03:30:00'],
  ),
  own('*(double, interval)', INTERVAL, 'The interval that many times.', ([by, a]) => scaled(a, (part) => part * by), [
    "2 * interval '1 month'",
    '2 mons',
  ]),
  own(
    '/(interval, double)',
    INTERVAL,
    'The part of an interval.',
    ([a, by]) => (by === 0 ? zeroDivision() : scaled(a, (part) => part / by)),
    ["interval '1 hour' / 2", '00:30:00'],
  ),
  own(
    '+(date, interval)',
    TIMESTAMP,
    'The moment that much after the beginning of the date.',
    ([a, b]) => addInterval(dateMoment(a), b),
    ["date '2024-01-31' + interval '1 month'", '2024-02-29 00:00:00'],
  ),
  own('+(interval, date)', TIMESTAMP, 'The moment that much after the beginning of the date.', ([a, b]) =>
    addInterval(dateMoment(b), a),
  ),
  own('-(date, interval)', TIMESTAMP, 'The moment that much before the beginning of the date.', ([a, b]) =>
    addInterval(dateMoment(a), negateInterval(b)),
  ),
  own(
    '+(integer, date)',
    { kind: 'date' },
    'The date that many days later.',
    ([n, a]) => splitTimestamp(checkTimestamp(multiplyExact(a + n, MICROS_PER_DAY))).days,
  ),
  own('+(time, date)', TIMESTAMP, 'The moment of a date and a time of day.', ([time, a]) =>
    checkTimestamp(addExact(dateMoment(a), time)),
  ),
  own(
    '+(time, interval)',
    TIME,
    'The time of day that much later, round the clock.',
    ([a, b]) => timeInDay(a + (b as Interval).micros),
    ["time '23:30' + interval '1 hour'", '00:30:00'],
  ),
  own('-(time, interval)', TIME, 'The time of day that much earlier, round the clock.', ([a, b]) =>
    timeInDay(a - (b as Interval).micros),
  ),
  own('-(time, time)', INTERVAL, 'The time between two times of day.', ([a, b]) => ({
    months: 0,
    days: 0,
    micros: a - b,
  })),
  own(
    'date_trunc(varchar, interval)',
    INTERVAL,
    'The interval with all parts below a unit 0.',
    ([unit, a]) => truncated(unit, a),
    ["date_trunc('hour', interval '2 days 03:40:50')", '2 days 03:00:00'],
  ),
  own(
    'to_char(interval, varchar)',
    VARCHAR,
    'An interval by a Postgres pattern: its years, months, days, and time in hours beyond a day.',
    ([a, pattern]) => formatIntervalBy(a, pattern),
    ["to_char(interval '15h 2m 12s', 'HH24:MI:SS')", '15:02:12'],
  ),
  own('to_char(time, varchar)', VARCHAR, 'A time of day by a Postgres pattern.', ([a, pattern]) =>
    formatIntervalBy({ months: 0, days: 0, micros: a }, pattern),
  ),
  ...ages,
  ...finites,
  own('justify_hours(interval)', INTERVAL, '24 hours become a day.', ([a]) => justifyHours(a), [
    "justify_hours(interval '27 hours')",
    '1 day 03:00:00',
  ]),
  own('justify_days(interval)', INTERVAL, '30 days become a month.', ([a]) => justifyDays(a), [
    "justify_days(interval '35 days')",
    '1 mon 5 days',
  ]),
  own('justify_interval(interval)', INTERVAL, 'Both, with one sign for all parts.', ([a]) => justify(a), [
    "justify_interval(interval '1 mon -1 hour')",
    '29 days 23:00:00',
  ]),
  own(
    'make_interval(integer, integer, integer, integer, integer, integer, double)',
    INTERVAL,
    'Of years, months, weeks, days, hours, minutes and seconds.',
    ([years, months, weeks, days, hours, minutes, seconds]) =>
      interval(years * 12 + months, weeks * 7 + days, hours, minutes, seconds),
    ['make_interval(0, 1, 0, 2, 3, 0, 4.5)', '1 mon 2 days 03:00:04.5'],
  ),
  own(
    'make_time(integer, integer, double)',
    TIME,
    'The time of day of an hour, a minute and seconds.',
    ([hour, minute, second]) => timeOfDay(hour, minute, second) ?? refuseTime(),
    ['make_time(8, 15, 23.5)', '08:15:23.5'],
  ),
  own(
    'interval_seconds(interval)',
    DOUBLE,
    'The seconds of an interval; a month has 30 days.',
    ([a]: readonly [Interval]) => (a.months * 30 + a.days) * 86_400 + a.micros / MICROS_PER_SECOND,
    ["interval_seconds(interval '1 day 1 second')", '86401'],
  ),
];
