import { StreamError } from '../../src/lib/errors.ts';
import { civilFromDays, daysFromCivil, splitTimestamp } from '../../src/values/datetime.ts';
import type { Exact } from '../../src/values/decimal.ts';

/** Patterns of to_char (Postgres) and date_format (Java, as in Flink), each a table of its fields, longest first. */

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

interface Parts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly micros: number;
  readonly dayOfYear: number;
  readonly dayOfWeek: number;
}

function partsOf(timestamp: Exact): Parts {
  const { days, time } = splitTimestamp(timestamp);
  const { year, month, day } = civilFromDays(days);
  const seconds = Math.floor(time / 1e6);
  return {
    year,
    month,
    day,
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: seconds % 60,
    micros: time % 1e6,
    dayOfYear: days - daysFromCivil(year, 1, 1) + 1,
    dayOfWeek: (((days + 4) % 7) + 7) % 7,
  };
}

type Fields = readonly (readonly [pattern: string, print: (parts: Parts) => string])[];
const digits = (value: number, width: number): string => String(value).padStart(width, '0');
const twelve = (hour: number): number => hour % 12 || 12;

const POSTGRES: Fields = [
  ['YYYY', ({ year }) => digits(year, 4)],
  ['YY', ({ year }) => digits(year % 100, 2)],
  ['Month', ({ month }) => MONTHS[month - 1].padEnd(9)],
  ['MONTH', ({ month }) => MONTHS[month - 1].toUpperCase().padEnd(9)],
  ['Mon', ({ month }) => MONTHS[month - 1].slice(0, 3)],
  ['MON', ({ month }) => MONTHS[month - 1].slice(0, 3).toUpperCase()],
  ['MM', ({ month }) => digits(month, 2)],
  ['MI', ({ minute }) => digits(minute, 2)],
  ['MS', ({ micros }) => digits(Math.floor(micros / 1000), 3)],
  ['US', ({ micros }) => digits(micros, 6)],
  ['DDD', ({ dayOfYear }) => digits(dayOfYear, 3)],
  ['DD', ({ day }) => digits(day, 2)],
  ['Day', ({ dayOfWeek }) => DAYS[dayOfWeek].padEnd(9)],
  ['DAY', ({ dayOfWeek }) => DAYS[dayOfWeek].toUpperCase().padEnd(9)],
  ['Dy', ({ dayOfWeek }) => DAYS[dayOfWeek].slice(0, 3)],
  ['D', ({ dayOfWeek }) => String(dayOfWeek + 1)],
  ['HH24', ({ hour }) => digits(hour, 2)],
  ['HH12', ({ hour }) => digits(twelve(hour), 2)],
  ['HH', ({ hour }) => digits(twelve(hour), 2)],
  ['SSSS', ({ hour, minute, second }) => String(hour * 3600 + minute * 60 + second)],
  ['SS', ({ second }) => digits(second, 2)],
  ['AM', ({ hour }) => (hour < 12 ? 'AM' : 'PM')],
  ['PM', ({ hour }) => (hour < 12 ? 'AM' : 'PM')],
  ['Q', ({ month }) => String(Math.ceil(month / 3))],
];

const JAVA: Fields = [
  ['yyyy', ({ year }) => digits(year, 4)],
  ['yy', ({ year }) => digits(year % 100, 2)],
  ['MMMM', ({ month }) => MONTHS[month - 1]],
  ['MMM', ({ month }) => MONTHS[month - 1].slice(0, 3)],
  ['MM', ({ month }) => digits(month, 2)],
  ['M', ({ month }) => String(month)],
  ['DDD', ({ dayOfYear }) => digits(dayOfYear, 3)],
  ['dd', ({ day }) => digits(day, 2)],
  ['d', ({ day }) => String(day)],
  ['EEEE', ({ dayOfWeek }) => DAYS[dayOfWeek]],
  ['EEE', ({ dayOfWeek }) => DAYS[dayOfWeek].slice(0, 3)],
  ['HH', ({ hour }) => digits(hour, 2)],
  ['H', ({ hour }) => String(hour)],
  ['hh', ({ hour }) => digits(twelve(hour), 2)],
  ['mm', ({ minute }) => digits(minute, 2)],
  ['ss', ({ second }) => digits(second, 2)],
  ['SSSSSS', ({ micros }) => digits(micros, 6)],
  ['SSS', ({ micros }) => digits(Math.floor(micros / 1000), 3)],
  ['a', ({ hour }) => (hour < 12 ? 'AM' : 'PM')],
];

export const formatPostgres = (timestamp: Exact, pattern: string): string =>
  format(timestamp, pattern, POSTGRES, '"', 'to_char');
export const formatFlink = (timestamp: Exact, pattern: string): string =>
  format(timestamp, pattern, JAVA, "'", 'date_format');

function format(timestamp: Exact, pattern: string, fields: Fields, quote: string, name: string): string {
  const parts = partsOf(timestamp);
  let out = '';
  for (let i = 0; i < pattern.length; ) {
    if (pattern[i] === quote) {
      const end = pattern.indexOf(quote, i + 1);
      if (end < 0) throw new StreamError('VALUE_DOMAIN', `${name}: the pattern has an unclosed quote`);
      out += pattern.slice(i + 1, end);
      i = end + 1;
      continue;
    }
    const field = fields.find(([text]) => pattern.startsWith(text, i));
    if (field !== undefined) {
      out += field[1](parts);
      i += field[0].length;
    } else if (/[A-Za-z]/.test(pattern[i])) {
      throw new StreamError(
        'VALUE_DOMAIN',
        `${name}: ${pattern[i]} in the pattern is not supported; quote it to have it as it is`,
      );
    } else {
      out += pattern[i++];
    }
  }
  return out;
}
