import { StreamError } from '../../src/lib/errors.ts';
import {
  daysFromCivil,
  daysInMonth,
  isLeapYear,
  joinTimestamp,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
} from '../../src/values/datetime.ts';
import type { Exact } from '../../src/values/decimal.ts';

/** to_timestamp and to_date of Postgres: a text read by a pattern. */

interface Parsed {
  year: number;
  month: number;
  day: number;
  dayOfYear: number | null;
  hour: number;
  minute: number;
  second: number;
  micros: number;
  /** Of a clock of twelve hours. */
  afternoon: boolean | null;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

type Read = (parsed: Parsed, text: string) => void;
type Field = readonly [pattern: string, text: RegExp, read: Read];

const number = (pattern: string, digits: number, set: (parsed: Parsed, value: number) => void): Field => [
  pattern,
  new RegExp(`\\d{1,${digits}}`, 'y'),
  (parsed, text) => set(parsed, Number(text)),
];

const month: Read = (parsed, text) => {
  parsed.month = MONTHS.indexOf(text.slice(0, 3).toLowerCase()) + 1;
};
const LONG_MONTH = /january|february|march|april|may|june|july|august|september|october|november|december/iy;
const SHORT_MONTH = /jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec/iy;
const LONG_DAY = /sunday|monday|tuesday|wednesday|thursday|friday|saturday/iy;
const SHORT_DAY = /sun|mon|tue|wed|thu|fri|sat/iy;
const nothing: Read = () => {};
const noon: Read = (parsed, text) => {
  parsed.afternoon = text[0].toLowerCase() === 'p';
};

/** Longer before shorter. Names take any case. */
const FIELDS: readonly Field[] = [
  number('YYYY', 4, (p, value) => Object.assign(p, { year: value })),
  number('YY', 2, (p, value) => Object.assign(p, { year: value < 70 ? 2000 + value : 1900 + value })),
  ['MONTH', LONG_MONTH, month],
  ['MON', SHORT_MONTH, month],
  number('MM', 2, (p, value) => Object.assign(p, { month: value })),
  number('MI', 2, (p, value) => Object.assign(p, { minute: value })),
  ['MS', /\d{1,3}/y, (p, text) => Object.assign(p, { micros: Number(text.padEnd(3, '0')) * 1000 })],
  ['US', /\d{1,6}/y, (p, text) => Object.assign(p, { micros: Number(text.padEnd(6, '0')) })],
  ['DAY', LONG_DAY, nothing],
  ['DY', SHORT_DAY, nothing],
  number('DDD', 3, (p, value) => Object.assign(p, { dayOfYear: value })),
  number('DD', 2, (p, value) => Object.assign(p, { day: value })),
  number('HH24', 2, (p, value) => Object.assign(p, { hour: value })),
  number('HH12', 2, (p, value) => Object.assign(p, { hour: value, afternoon: p.afternoon ?? false })),
  number('HH', 2, (p, value) => Object.assign(p, { hour: value, afternoon: p.afternoon ?? false })),
  number('SS', 2, (p, value) => Object.assign(p, { second: value })),
  ['AM', /am|pm/iy, noon],
  ['PM', /am|pm/iy, noon],
];

const cannot = (why: string): StreamError => new StreamError('VALUE_CAST', `the text is not of the pattern: ${why}`);

/** Microseconds since 1970 in the zone that the text means. VALUE_CAST, VALUE_DOMAIN for a pattern with unknown letters. */
export function parsePattern(text: string, pattern: string): Exact {
  const parsed: Parsed = {
    ...{ year: 1, month: 1, day: 1, dayOfYear: null, hour: 0, minute: 0, second: 0, micros: 0 },
    afternoon: null,
  };
  let at = 0;
  for (let i = 0; i < pattern.length; ) {
    const rest = pattern.slice(i, i + 5).toUpperCase();
    const field = FIELDS.find(([name]) => rest.startsWith(name));
    if (field !== undefined) {
      while (text[at] === ' ') at++;
      field[1].lastIndex = at;
      const found = field[1].exec(text)?.[0];
      if (found === undefined) throw cannot(`no ${field[0]} at "${text.slice(at, at + 20)}"`);
      field[2](parsed, found);
      at += found.length;
      i += field[0].length;
    } else if (pattern[i] === '"') {
      const end = pattern.indexOf('"', i + 1);
      if (end < 0) throw new StreamError('VALUE_DOMAIN', 'the pattern has an unclosed quote');
      at += end - i - 1;
      i = end + 1;
    } else if (/[A-Za-z]/.test(pattern[i])) {
      throw new StreamError('VALUE_DOMAIN', `${pattern[i]} in the pattern is not supported; quote it to pass over it`);
    } else {
      // A sign of the pattern stands for any sign of the text.
      if (at < text.length && /[^A-Za-z0-9]/.test(text[at])) at++;
      i++;
    }
  }
  return momentOf(parsed);
}

function momentOf({ year, month, day, dayOfYear, hour, minute, second, micros, afternoon }: Parsed): Exact {
  if (afternoon !== null && (hour < 1 || hour > 12)) throw cannot(`${hour} is no hour of twelve`);
  const hours = afternoon === null ? hour : (hour % 12) + (afternoon ? 12 : 0);
  if (hours > 23 || minute > 59 || second > 59) throw cannot('there is no such time of day');
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) {
    throw cannot('there is no such date');
  }
  if (dayOfYear !== null && (dayOfYear < 1 || dayOfYear > (isLeapYear(year) ? 366 : 365))) {
    throw cannot('there is no such day of the year');
  }
  const days = dayOfYear === null ? daysFromCivil(year, month, day) : daysFromCivil(year, 1, 1) + dayOfYear - 1;
  const time = hours * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
  return joinTimestamp(days, time);
}
