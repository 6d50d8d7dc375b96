import { StreamError } from '../../src/lib/errors.ts';
import {
  civilFromDays,
  daysFromCivil,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
} from '../../src/values/datetime.ts';
import type { Exact } from '../../src/values/decimal.ts';
import { type BytesForm, TextScratch } from './bytes/bytes-form.ts';

/** Patterns of to_char (Postgres) and date_format (Java, as in Flink), each a table of its fields, longer before shorter. */

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

/** The date of a moment, with what patterns ask of it. */
interface Day {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly dayOfYear: number;
  /** 0 is Sunday. */
  readonly dayOfWeek: number;
  readonly isoYear: number;
  readonly isoWeek: number;
}

/** 0 is Sunday. */
export const dayOfWeek = (days: number): number => (((days + 4) % 7) + 7) % 7;

/** ISO 8601: a week belongs to the year of its Thursday. */
export function isoWeek(days: number): { year: number; week: number } {
  const thursday = days - ((dayOfWeek(days) + 6) % 7) + 3;
  const { year } = civilFromDays(thursday);
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 };
}

function dayOf(days: number): Day {
  const civil = civilFromDays(days);
  const iso = isoWeek(days);
  return {
    ...civil,
    dayOfYear: days - daysFromCivil(civil.year, 1, 1) + 1,
    dayOfWeek: dayOfWeek(days),
    isoYear: iso.year,
    isoWeek: iso.week,
  };
}

type PrintDay = (day: Day) => string;
/** From the seconds since midnight and the microseconds after them. */
type PrintTime = (seconds: number, micros: number) => string;
/** `every`: microseconds for which it prints the same. */
type TimePart = { readonly time: PrintTime; readonly every: number };
/** `strftime`: how DuckDB's strftime spells the field; null where it cannot. */
type Field = readonly [text: string, strftime: string | null, part: { readonly day: PrintDay } | TimePart];
type Fields = readonly Field[];

const digits = (value: number, width: number): string => String(value).padStart(width, '0');
const twelve = (seconds: number): number => Math.floor(seconds / 3600) % 12 || 12;
const onDay = (text: string, strftime: string | null, day: PrintDay): Field => [text, strftime, { day }];
const inTime = (text: string, strftime: string | null, part: TimePart): Field => [text, strftime, part];
const noon = (am: string, pm: string): TimePart => ({
  time: (seconds) => (seconds < 43200 ? am : pm),
  every: 12 * MICROS_PER_HOUR,
});
const hourly = (time: PrintTime): TimePart => ({ time, every: MICROS_PER_HOUR });
const everySecond = (time: PrintTime): TimePart => ({ time, every: MICROS_PER_SECOND });

const HOUR = hourly((seconds) => digits(Math.floor(seconds / 3600), 2));
const HOUR12 = hourly((seconds) => digits(twelve(seconds), 2));
const MINUTE: TimePart = { time: (seconds) => digits(Math.floor(seconds / 60) % 60, 2), every: MICROS_PER_MINUTE };
const SECOND = everySecond((seconds) => digits(seconds % 60, 2));
const MILLIS: TimePart = { time: (_, micros) => digits(Math.floor(micros / 1000), 3), every: 1000 };
const MICROS: TimePart = { time: (_, micros) => digits(micros, 6), every: 1 };
const YEAR: PrintDay = ({ year }) => digits(year, 4);
const MONTH: PrintDay = ({ month }) => digits(month, 2);
const DAY: PrintDay = ({ day }) => digits(day, 2);

const POSTGRES: Fields = [
  onDay('YYYY', '%Y', YEAR),
  onDay('YY', '%y', ({ year }) => digits(year % 100, 2)),
  onDay('IYYY', '%G', ({ isoYear }) => digits(isoYear, 4)),
  onDay('IW', '%V', ({ isoWeek: week }) => digits(week, 2)),
  onDay('ID', '%u', ({ dayOfWeek: day }) => String(day || 7)),
  onDay('Month', null, ({ month }) => MONTHS[month - 1].padEnd(9)),
  onDay('MONTH', null, ({ month }) => MONTHS[month - 1].toUpperCase().padEnd(9)),
  onDay('month', null, ({ month }) => MONTHS[month - 1].toLowerCase().padEnd(9)),
  onDay('Mon', '%b', ({ month }) => MONTHS[month - 1].slice(0, 3)),
  onDay('MON', null, ({ month }) => MONTHS[month - 1].slice(0, 3).toUpperCase()),
  onDay('mon', null, ({ month }) => MONTHS[month - 1].slice(0, 3).toLowerCase()),
  onDay('MM', '%m', MONTH),
  inTime('MI', '%M', MINUTE),
  inTime('MS', '%g', MILLIS),
  inTime('US', '%f', MICROS),
  onDay('DDD', '%j', ({ dayOfYear }) => digits(dayOfYear, 3)),
  onDay('DD', '%d', DAY),
  onDay('Day', null, ({ dayOfWeek: day }) => DAYS[day].padEnd(9)),
  onDay('DAY', null, ({ dayOfWeek: day }) => DAYS[day].toUpperCase().padEnd(9)),
  onDay('day', null, ({ dayOfWeek: day }) => DAYS[day].toLowerCase().padEnd(9)),
  onDay('Dy', '%a', ({ dayOfWeek: day }) => DAYS[day].slice(0, 3)),
  onDay('DY', null, ({ dayOfWeek: day }) => DAYS[day].slice(0, 3).toUpperCase()),
  onDay('dy', null, ({ dayOfWeek: day }) => DAYS[day].slice(0, 3).toLowerCase()),
  onDay('D', null, ({ dayOfWeek: day }) => String(day + 1)),
  inTime('HH24', '%H', HOUR),
  inTime('HH12', '%I', HOUR12),
  inTime('HH', '%I', HOUR12),
  inTime(
    'SSSS',
    null,
    everySecond((seconds) => String(seconds)),
  ),
  inTime('SS', '%S', SECOND),
  inTime('AM', '%p', noon('AM', 'PM')),
  inTime('PM', '%p', noon('AM', 'PM')),
  inTime('am', null, noon('am', 'pm')),
  inTime('pm', null, noon('am', 'pm')),
  onDay('Q', null, ({ month }) => String(Math.ceil(month / 3))),
];

const JAVA: Fields = [
  onDay('yyyy', '%Y', YEAR),
  onDay('yy', '%y', ({ year }) => digits(year % 100, 2)),
  onDay('MMMM', '%B', ({ month }) => MONTHS[month - 1]),
  onDay('MMM', '%b', ({ month }) => MONTHS[month - 1].slice(0, 3)),
  onDay('MM', '%m', MONTH),
  onDay('M', '%-m', ({ month }) => String(month)),
  onDay('DDD', '%j', ({ dayOfYear }) => digits(dayOfYear, 3)),
  onDay('dd', '%d', DAY),
  onDay('d', '%-d', ({ day }) => String(day)),
  onDay('EEEE', '%A', ({ dayOfWeek: day }) => DAYS[day]),
  onDay('EEE', '%a', ({ dayOfWeek: day }) => DAYS[day].slice(0, 3)),
  inTime('HH', '%H', HOUR),
  inTime(
    'H',
    '%-H',
    hourly((seconds) => String(Math.floor(seconds / 3600))),
  ),
  inTime('hh', '%I', HOUR12),
  inTime('mm', '%M', MINUTE),
  inTime('ss', '%S', SECOND),
  inTime('SSSSSS', '%f', MICROS),
  inTime('SSS', '%g', MILLIS),
  inTime('a', '%p', noon('AM', 'PM')),
];

interface Dialect {
  readonly name: string;
  readonly fields: Fields;
  readonly quote: string;
  readonly known: Map<string, Pattern>;
}
const dialect = (name: string, fields: Fields, quote: string): Dialect => ({ name, fields, quote, known: new Map() });
const TO_CHAR = dialect('to_char', POSTGRES, '"');
const DATE_FORMAT = dialect('date_format', JAVA, "'");

/** A pattern taken apart once; remembers the day it printed last, for moments mostly come in order. */
interface Pattern {
  readonly parts: readonly (string | Field)[];
  /** Microseconds for which the text is the same: a day when the pattern has no time in it. */
  readonly every: number;
  lastDays: number;
  lastDay: Day;
  /** The whole text of that day when the pattern has no time in it. */
  lastText: string | null;
}

/** Patterns are nearly always constants: some stay taken apart. */
const CACHE_SIZE = 64;

function patternOf(pattern: string, of: Dialect): Pattern {
  const known = of.known.get(pattern);
  if (known !== undefined) return known;
  const parts = partsOf(pattern, of);
  const times = parts.map((part) => (typeof part !== 'string' && 'time' in part[2] ? part[2].every : MICROS_PER_DAY));
  const every = Math.min(MICROS_PER_DAY, ...times);
  const made: Pattern = { parts, every, lastDays: 0, lastDay: dayOf(0), lastText: null };
  if (of.known.size >= CACHE_SIZE) of.known.delete(of.known.keys().next().value as string);
  of.known.set(pattern, made);
  return made;
}

function partsOf(pattern: string, { name, fields, quote }: Dialect): (string | Field)[] {
  const parts: (string | Field)[] = [];
  for (let i = 0; i < pattern.length; ) {
    const field = fields.find(([text]) => pattern.startsWith(text, i));
    if (field !== undefined) {
      parts.push(field);
      i += field[0].length;
    } else if (pattern[i] === quote) {
      const end = pattern.indexOf(quote, i + 1);
      if (end < 0) throw new StreamError('VALUE_DOMAIN', `${name}: the pattern has an unclosed quote`);
      // Java: two quotes are one.
      parts.push(end === i + 1 && quote === "'" ? quote : pattern.slice(i + 1, end));
      i = end + 1;
    } else if (/[A-Za-z]/.test(pattern[i])) {
      throw new StreamError(
        'VALUE_DOMAIN',
        `${name}: ${pattern[i]} in the pattern is not supported; quote it to have it as it is`,
      );
    } else {
      parts.push(pattern[i++]);
    }
  }
  return parts;
}

function format(timestamp: Exact, text: string, of: Dialect): string {
  const pattern = patternOf(text, of);
  const { days, time } = splitTimestamp(timestamp);
  if (days !== pattern.lastDays) {
    pattern.lastDays = days;
    pattern.lastDay = dayOf(days);
    pattern.lastText = null;
  } else if (pattern.lastText !== null) {
    return pattern.lastText;
  }
  const seconds = Math.floor(time / MICROS_PER_SECOND);
  const micros = time - seconds * MICROS_PER_SECOND;
  let out = '';
  for (const part of pattern.parts) {
    if (typeof part === 'string') out += part;
    else out += 'day' in part[2] ? part[2].day(pattern.lastDay) : part[2].time(seconds, micros);
  }
  if (pattern.every === MICROS_PER_DAY) pattern.lastText = out;
  return out;
}

/** A moment by a constant pattern, in UTF-8. Moments mostly come in order, so the last text stays for as long as it is the same. */
const momentForm =
  (of: Dialect): BytesForm =>
  ([, pattern]) => {
    if (typeof pattern !== 'string') return undefined;
    const last = new TextScratch(pattern.length);
    let from = 0;
    let to = 0;
    return {
      yields: 'text',
      call: (scratch: TextScratch, micros: Exact): number => {
        if (micros < from || micros >= to) {
          const text = format(micros, pattern, of);
          const { every } = patternOf(pattern, of);
          last.length = 0;
          last.write(text);
          from = typeof micros === 'number' ? Math.floor(micros / every) * every : 0;
          to = typeof micros === 'number' ? from + every : 0;
        }
        return scratch.copy(last.bytes, 0, last.length);
      },
    };
  };
export const toCharForm = momentForm(TO_CHAR);
export const dateFormatForm = momentForm(DATE_FORMAT);

export const formatPostgres = (timestamp: Exact, pattern: string): string => format(timestamp, pattern, TO_CHAR);
export const formatFlink = (timestamp: Exact, pattern: string): string => format(timestamp, pattern, DATE_FORMAT);

/** DuckDB's strftime over printed SQL: the pattern has to be a constant that strftime can express. */
function duckdbFormat(of: Dialect) {
  return ([moment, printed]: readonly string[]): string => {
    const constant = /^'((?:[^']|'')*)'$/.exec(printed)?.[1].replaceAll("''", "'");
    const spelled =
      constant === undefined
        ? null
        : partsOf(constant, of).map((part) => (typeof part === 'string' ? part.replaceAll('%', '%%') : part[1]));
    if (spelled === null || spelled.includes(null)) {
      throw new StreamError('SQL_UNSUPPORTED', `${of.name} with the pattern ${printed} works in views only`, {
        hint: `Use a constant pattern without padded or upper-case names, or put ${of.name} into a view.`,
      });
    }
    return `strftime(${moment}, '${spelled.join('').replaceAll("'", "''")}')`;
  };
}
export const duckdbToChar = duckdbFormat(TO_CHAR);
export const duckdbDateFormat = duckdbFormat(DATE_FORMAT);
