import { StreamError } from '../lib/errors.ts';
import {
  checkTimestamp,
  civilFromDays,
  daysFromCivil,
  daysInMonth,
  formatTime,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
} from './datetime.ts';
import { addExact, type Exact } from './decimal.ts';
import { canonicalInteger, type Interval } from './types.ts';

type Unit = { readonly months?: number; readonly days?: number; readonly micros?: number };

const UNITS: Readonly<Record<string, Unit>> = {
  year: { months: 12 },
  month: { months: 1 },
  week: { days: 7 },
  millennium: { months: 12_000 },
  century: { months: 1200 },
  decade: { months: 120 },
  day: { days: 1 },
  hour: { micros: MICROS_PER_HOUR },
  minute: { micros: MICROS_PER_MINUTE },
  second: { micros: MICROS_PER_SECOND },
  millisecond: { micros: 1000 },
  microsecond: { micros: 1 },
};

const SHORT: Readonly<Record<string, string>> = {
  y: 'year',
  yr: 'year',
  mon: 'month',
  w: 'week',
  d: 'day',
  h: 'hour',
  hr: 'hour',
  m: 'minute',
  min: 'minute',
  s: 'second',
  sec: 'second',
  ms: 'millisecond',
  msec: 'millisecond',
  us: 'microsecond',
  usec: 'microsecond',
};

export function intervalUnit(word: string): string | undefined {
  const lower = word.toLowerCase();
  const single = lower.length > 3 && lower.endsWith('s') ? lower.slice(0, -1) : lower;
  if (UNITS[single] !== undefined) return single;
  return SHORT[lower] ?? SHORT[single] ?? SHORT[lower.replace(/s$/, '')];
}

/** `4 seconds`, `1 day 02:03:04`, `1 02:03:04`, `1-6` (years and months), `-1 month`, `@ 2 days ago`, `P1DT2H`; with a unit also a bare number, as in INTERVAL '10' SECOND. */
export function parseInterval(text: string, unit?: string | null): Interval | undefined {
  const trimmed = text.trim().replace(/^@\s*/, '');
  const bare = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/.test(trimmed);
  if (bare) {
    const one = scaleUnit(Number(trimmed), unit ?? 'second');
    return one !== undefined && isInterval(one.months, one.days, one.micros) ? one : undefined;
  }
  let months = 0;
  let days = 0;
  let micros = 0;
  const ago = /\s+ago$/i.exec(trimmed);
  let rest = /^P(?=.)/i.test(trimmed) ? isoParts(trimmed) : trimmed.slice(0, trimmed.length - (ago?.[0].length ?? 0));
  if (rest === '') return undefined;
  while (rest !== '') {
    const clock = /^([+-]?)(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?(?:\s+|$)/.exec(rest);
    const part = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([a-zA-Z]+)(?:\s+|$|(?=\d))/.exec(rest);
    const yearsMonths = /^([+-]?)(\d+)-(\d{1,2})(?:\s+|$)/.exec(rest);
    const daysBefore = /^([+-]?\d+)\s+(?=[+-]?\d+:)/.exec(rest);
    if (clock !== null) {
      if (Number(clock[3]) > 59 || Number(clock[4] ?? 0) >= 60) return undefined;
      const size =
        Number(clock[2]) * MICROS_PER_HOUR +
        Number(clock[3]) * MICROS_PER_MINUTE +
        Math.round(Number(clock[4] ?? 0) * MICROS_PER_SECOND);
      micros += clock[1] === '-' ? -size : size;
      rest = rest.slice(clock[0].length);
    } else if (yearsMonths !== null && Number(yearsMonths[3]) < 12) {
      const size = Number(yearsMonths[2]) * 12 + Number(yearsMonths[3]);
      months += yearsMonths[1] === '-' ? -size : size;
      rest = rest.slice(yearsMonths[0].length);
    } else if (daysBefore !== null) {
      days += Number(daysBefore[1]);
      rest = rest.slice(daysBefore[0].length);
    } else if (part !== null) {
      const one = scaleUnit(Number(part[1]), part[2]);
      if (one === undefined) return undefined;
      months += one.months;
      days += one.days;
      micros += one.micros;
      rest = rest.slice(part[0].length);
    } else {
      return undefined;
    }
  }
  if (!isInterval(months, days, micros)) return undefined;
  const sign = ago === null ? 1 : -1;
  return { months: months * sign + 0, days: days * sign + 0, micros: micros * sign + 0 };
}

/** ISO 8601's `P1Y2M3DT4H5M6.7S` as words; empty when it is none. */
function isoParts(text: string): string {
  const number = '([+-]?\\d+(?:\\.\\d+)?)';
  const part = (letter: string): string => `(?:${number}${letter})?`;
  const pattern = new RegExp(`^P${'YMWD'.replace(/./g, part)}(?:T${'HMS'.replace(/./g, part)})?$`, 'i');
  const units = ['years', 'months', 'weeks', 'days', 'hours', 'minutes', 'seconds'];
  const found = pattern.exec(text)?.slice(1) ?? [];
  return found.flatMap((size, i) => (size === undefined ? [] : [`${size} ${units[i]}`])).join(' ');
}

/** Months and days have 32 bits; microseconds are kept to what a double holds exactly, some 285 years. */
const isInterval = (months: number, days: number, micros: number): boolean =>
  (months | 0) === months && (days | 0) === days && Number.isSafeInteger(micros);

/** The interval, without negative zeros; VALUE_OVERFLOW. */
export function checkInterval(months: number, days: number, micros: number): Interval {
  if (isInterval(months, days, micros)) return { months: months + 0, days: days + 0, micros: micros + 0 };
  throw new StreamError('VALUE_OVERFLOW', 'the result is out of range for interval');
}

/** Fractions of a month become days of a 30-day month, fractions of a day microseconds, as in Postgres. */
function scaleUnit(amount: number, word: string): Interval | undefined {
  const name = intervalUnit(word);
  if (name === undefined) return undefined;
  const unit = UNITS[name];
  if (unit.micros !== undefined) return { months: 0, days: 0, micros: Math.round(amount * unit.micros) + 0 };
  let months = 0;
  let days = (unit.days ?? 0) * amount;
  if (unit.months !== undefined) {
    months = Math.trunc(amount * unit.months);
    days = (amount * unit.months - months) * 30;
  }
  const wholeDays = Math.trunc(days);
  return { months: months + 0, days: wholeDays + 0, micros: Math.round((days - wholeDays) * MICROS_PER_DAY) + 0 };
}

/** As Postgres prints it: `1 year 2 mons 3 days 04:05:06.5`. */
export function formatInterval({ months, days, micros }: Interval): string {
  const parts: string[] = [];
  const years = Math.trunc(months / 12);
  const rest = months - years * 12;
  // A part after a negative one says its plus.
  let negative = false;
  const add = (count: number, word: string): void => {
    if (count === 0) return;
    parts.push(`${negative && count > 0 ? '+' : ''}${count} ${word}${count === 1 ? '' : 's'}`);
    negative = count < 0;
  };
  add(years, 'year');
  add(rest, 'mon');
  add(days, 'day');
  if (micros !== 0 || parts.length === 0) {
    const size = Math.abs(micros);
    const hours = Math.floor(size / MICROS_PER_HOUR);
    const clock = formatTime(size % MICROS_PER_HOUR).slice(2);
    parts.push(`${micros < 0 ? '-' : negative ? '+' : ''}${hours < 10 ? '0' : ''}${hours}${clock}`);
  }
  return parts.join(' ');
}

/** Comparable size: a month counts 30 days, a day 24 hours, as Postgres compares intervals. */
export const intervalMicros = ({ months, days, micros }: Interval): bigint =>
  (BigInt(months) * 30n + BigInt(days)) * BigInt(MICROS_PER_DAY) + BigInt(micros);

export const negateInterval = ({ months, days, micros }: Interval): Interval =>
  checkInterval(0 - months, 0 - days, 0 - micros);

export const addIntervals = (a: Interval, b: Interval): Interval =>
  checkInterval(a.months + b.months, a.days + b.days, a.micros + b.micros);

/** Months first (the day is cut to the month's last), then days, then microseconds; VALUE_OVERFLOW. */
export function addInterval(timestamp: Exact, interval: Interval): Exact {
  let start = timestamp;
  let { days } = interval;
  if (interval.months !== 0) {
    const split = splitTimestamp(timestamp);
    start = split.time;
    days += addMonths(split.days, interval.months);
  }
  const shift = days * MICROS_PER_DAY + interval.micros;
  const sum = Number.isSafeInteger(shift)
    ? addExact(start, shift)
    : canonicalInteger(BigInt(start) + BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(interval.micros));
  return checkTimestamp(sum);
}

function addMonths(days: number, months: number): number {
  const { year, month, day } = civilFromDays(days);
  const index = year * 12 + (month - 1) + months;
  const newYear = Math.floor(index / 12);
  const newMonth = index - newYear * 12 + 1;
  return daysFromCivil(newYear, newMonth, Math.min(day, daysInMonth(newYear, newMonth)));
}
