import { StreamError } from '../../src/lib/errors.ts';
import { remembered } from '../../src/lib/remembered.ts';
import {
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
} from '../../src/values/datetime.ts';
import type { Exact } from '../../src/values/decimal.ts';
import { DAYS, type Day, dayOf, MONTHS } from './calendar.ts';

/** Java's patterns, which Flink's date_format takes: a table of the fields, longer before shorter. */

type PrintDay = (day: Day) => string;
/** From the seconds since midnight and the microseconds after them. */
type PrintTime = (seconds: number, micros: number) => string;
type Field = readonly [text: string, part: { day: PrintDay } | { time: PrintTime }];
type Fields = readonly Field[];

const digits = (value: number, width: number): string => String(value).padStart(width, '0');
const twelve = (seconds: number): number => Math.floor(seconds / 3600) % 12 || 12;
const onDay = (text: string, day: PrintDay): Field => [text, { day }];
const inTime = (text: string, time: PrintTime): Field => [text, { time }];
const noon =
  (am: string, pm: string): PrintTime =>
  (seconds) =>
    seconds < 43200 ? am : pm;

const HOUR: PrintTime = (seconds) => digits(Math.floor(seconds / 3600), 2);
const HOUR12: PrintTime = (seconds) => digits(twelve(seconds), 2);
const MINUTE: PrintTime = (seconds) => digits(Math.floor(seconds / 60) % 60, 2);
const SECOND: PrintTime = (seconds) => digits(seconds % 60, 2);
const MILLIS: PrintTime = (_, micros) => digits(Math.floor(micros / 1000), 3);
const MICROS: PrintTime = (_, micros) => digits(micros, 6);
const YEAR: PrintDay = ({ year }) => digits(year, 4);
const MONTH: PrintDay = ({ month }) => digits(month, 2);
const DAY: PrintDay = ({ day }) => digits(day, 2);

const JAVA: Fields = [
  onDay('yyyy', YEAR),
  onDay('yy', ({ year }) => digits(year % 100, 2)),
  onDay('MMMM', ({ month }) => MONTHS[month - 1]),
  onDay('MMM', ({ month }) => MONTHS[month - 1].slice(0, 3)),
  onDay('MM', MONTH),
  onDay('M', ({ month }) => String(month)),
  onDay('DDD', ({ dayOfYear }) => digits(dayOfYear, 3)),
  onDay('dd', DAY),
  onDay('d', ({ day }) => String(day)),
  onDay('EEEE', ({ dayOfWeek: day }) => DAYS[day]),
  onDay('EEE', ({ dayOfWeek: day }) => DAYS[day].slice(0, 3)),
  inTime('HH', HOUR),
  inTime('H', (seconds) => String(Math.floor(seconds / 3600))),
  inTime('hh', HOUR12),
  inTime('mm', MINUTE),
  inTime('ss', SECOND),
  inTime('SSSSSS', MICROS),
  inTime('SSS', MILLIS),
  inTime('a', noon('AM', 'PM')),
];

/** A pattern taken apart once; remembers the day it printed last, for moments mostly come in order. */
interface Pattern {
  readonly parts: readonly (string | Field)[];
  readonly hasTime: boolean;
  lastDays: number;
  lastDay: Day;
  /** The whole text of that day when the pattern has no time in it. */
  lastText: string | null;
}

const patternOf = remembered(64, (pattern): Pattern => {
  const parts = partsOf(pattern);
  const hasTime = parts.some((part) => typeof part !== 'string' && 'time' in part[1]);
  return { parts, hasTime, lastDays: 0, lastDay: dayOf(0), lastText: null };
});

function partsOf(pattern: string): (string | Field)[] {
  const parts: (string | Field)[] = [];
  for (let i = 0; i < pattern.length; ) {
    const field = JAVA.find(([text]) => pattern.startsWith(text, i));
    if (field !== undefined) {
      parts.push(field);
      i += field[0].length;
    } else if (pattern[i] === "'") {
      const end = pattern.indexOf("'", i + 1);
      if (end < 0) throw new StreamError('VALUE_DOMAIN', 'date_format: the pattern has an unclosed quote');
      // Two quotes are one.
      parts.push(end === i + 1 ? "'" : pattern.slice(i + 1, end));
      i = end + 1;
    } else if (/[A-Za-z]/.test(pattern[i])) {
      throw new StreamError(
        'VALUE_DOMAIN',
        `date_format: ${pattern[i]} in the pattern is not supported; quote it to have it as it is`,
      );
    } else {
      parts.push(pattern[i++]);
    }
  }
  return parts;
}

export function formatFlink(timestamp: Exact, text: string): string {
  const pattern = patternOf(text);
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
    else out += 'day' in part[1] ? part[1].day(pattern.lastDay) : part[1].time(seconds, micros);
  }
  if (!pattern.hasTime) pattern.lastText = out;
  return out;
}

/** Microseconds for which a field of the time prints the same. */
const EVERY: Readonly<Record<string, number>> = {
  HH: MICROS_PER_HOUR,
  H: MICROS_PER_HOUR,
  hh: MICROS_PER_HOUR,
  mm: MICROS_PER_MINUTE,
  ss: MICROS_PER_SECOND,
  SSSSSS: 1,
  SSS: 1000,
  a: 12 * MICROS_PER_HOUR,
};

/** Microseconds for which a pattern prints the same. */
export const flinkEvery = (pattern: string): number =>
  Math.min(
    MICROS_PER_DAY,
    ...patternOf(pattern).parts.map((part) =>
      typeof part === 'string' ? MICROS_PER_DAY : (EVERY[part[0]] ?? MICROS_PER_DAY),
    ),
  );
