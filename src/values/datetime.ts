import { StreamError } from '../lib/errors.ts';
import type { Exact } from './decimal.ts';
import { canonicalInteger } from './types.ts';

/**
 * Dates and times without `Date`: days and microseconds since 1970-01-01, proleptic Gregorian. A timestamp without a zone is read and
 * printed as UTC. Parsers give undefined for what is no such value.
 */
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND;
export const MICROS_PER_HOUR = 60 * MICROS_PER_MINUTE;
export const MICROS_PER_DAY = 24 * MICROS_PER_HOUR;

/** The time of day that so many microseconds from midnight on, or before it, lead to. */
export const timeInDay = (micros: number): number => ((micros % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY;

export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Days since 1970-01-01 of a civil date. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468;
}

export function civilFromDays(days: number): CivilDate {
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const dayOfEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

export const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
export const daysInMonth = (year: number, month: number): number =>
  month === 2 && isLeapYear(year) ? 29 : MONTH_DAYS[month - 1];

/** The day of a date as it is written, years before the first negative; undefined where there is none. */
export function dayOfYmd(year: number, month: number, day: number): number | undefined {
  if (year === 0 || month < 1 || month > 12) return undefined;
  const civil = year < 0 ? year + 1 : year;
  return day < 1 || day > daysInMonth(civil, month) ? undefined : daysFromCivil(civil, month, day);
}

/** Splits a timestamp into its day and the microseconds since that day's midnight. */
export function splitTimestamp(micros: Exact): { days: number; time: number } {
  if (typeof micros === 'number') {
    const days = Math.floor(micros / MICROS_PER_DAY);
    return { days, time: micros - days * MICROS_PER_DAY };
  }
  const day = BigInt(MICROS_PER_DAY);
  let days = micros / day;
  if (micros % day < 0n) days -= 1n;
  return { days: Number(days), time: Number(micros - days * day) };
}

export function joinTimestamp(days: number, time: number): Exact {
  const micros = days * MICROS_PER_DAY + time;
  return Number.isSafeInteger(micros) ? micros : canonicalInteger(BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(time));
}

/** 4713 BC, where Julian days begin, as in Postgres; the ends are those of a day in 32 bits and of 64-bit microseconds. */
const FIRST_DAY = -2_440_588;
const LAST_DAY = 2_145_042_905;
const FIRST_MICROS = FIRST_DAY * MICROS_PER_DAY;
const LAST_MICROS = 2n ** 63n - 1n;

export function checkDate(days: number): number {
  if (days >= FIRST_DAY && days <= LAST_DAY) return days;
  throw new StreamError('VALUE_OVERFLOW', 'the result is out of range for date');
}

export function checkTimestamp(micros: Exact): Exact {
  if (micros >= FIRST_MICROS && (typeof micros === 'number' || micros <= LAST_MICROS)) return micros;
  throw new StreamError('VALUE_OVERFLOW', 'the result is out of range for timestamp');
}

/** A sign is ISO 8601's, with the year 0 before 1; Postgres writes BC and has no such year. */
const DATE = /^\s*([+-]?\d{4,7})-(\d{1,2})-(\d{1,2})(\s+BC)?\s*$/i;
const TIME = /^\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,30}))?)?\s*([AP]M)?\s*$/i;
const TIMESTAMP =
  /^\s*([+-]?\d{4,7}-\d{1,2}-\d{1,2})(?:[T ]+(\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d{1,30})?)?(?:\s*[AP]M)?))?\s*(Z|UTC|[+-]\d{1,2}(?::?\d{2})?)?(\s+BC)?\s*$/i;

/** ISO 8601's basic form, and dates with the name of their month. */
const BASIC_DATE = /^\s*(\d{4})(\d{2})(\d{2})(?=\s*$|[T ])/;
const BASIC_TIME = /^(\s*\d{4}-\d{2}-\d{2}[T ]|\s*)(\d{2})(\d{2})(\d{2})(?=$|[^\d:-])/;
const NAMED =
  /^\s*(?:(\d{4})[- ]([a-z]{3,9})[- ](\d{1,2})|(\d{1,2})[- ]([a-z]{3,9})[- ](\d{4})|([a-z]{3,9})\s+(\d{1,2}),?\s+(\d{4}))(?=\s*$|[T ])/i;
const MONTH_NAMES = [
  ...['january', 'february', 'march', 'april', 'may', 'june'],
  ...['july', 'august', 'september', 'october', 'november', 'december'],
];

/** Other spellings of Postgres as the usual one; undefined where the text is none of them. Not the ones that depend on a setting or on the clock. */
function usualSpelling(text: string): string | undefined {
  if (/^\s*epoch\s*$/i.test(text)) return '1970-01-01';
  const named = NAMED.exec(text);
  if (named !== null) {
    const [year, name, day] = [
      named[1] ?? named[6] ?? named[9],
      named[2] ?? named[5] ?? named[7],
      named[3] ?? named[4] ?? named[8],
    ];
    const month = MONTH_NAMES.findIndex((one) => one === name.toLowerCase() || one.slice(0, 3) === name.toLowerCase());
    return month < 0 ? undefined : `${year}-${month + 1}-${day}${text.slice(named[0].length)}`;
  }
  const usual = text.replace(BASIC_DATE, '$1-$2-$3').replace(BASIC_TIME, '$1$2:$3:$4');
  return usual === text ? undefined : usual;
}

export function parseDate(text: string): number | undefined {
  const match = DATE.exec(text);
  if (match === null) {
    const usual = usualSpelling(text);
    return usual === undefined ? undefined : parseDate(usual);
  }
  const [written, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const signed = /^\s*[+-]/.test(text);
  if (signed ? match[4] !== undefined : written < 1) return undefined;
  const year = match[4] === undefined ? written : 1 - written;
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  const days = daysFromCivil(year, month, day);
  return days < FIRST_DAY || days > LAST_DAY ? undefined : days;
}

/** Microseconds since midnight; 24:00 is a valid end of day and a second 60 the next minute, as in Postgres. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) {
    const usual = text.replace(BASIC_TIME, '$1$2:$3:$4');
    return usual === text ? undefined : parseTime(usual);
  }
  const [written, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (match[5] !== undefined && written > 12) return undefined;
  const hour = match[5] === undefined ? written : (written % 12) + (/p/i.test(match[5]) ? 12 : 0);
  const micros = Math.round(Number((match[4] ?? '').padEnd(7, '0').slice(0, 7)) / 10);
  const total = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
  return minute > 59 || second > 60 || total > MICROS_PER_DAY ? undefined : total;
}

export interface ParsedTimestamp {
  /** UTC. */
  readonly micros: Exact;
  readonly zoned: boolean;
}

export function parseTimestamp(text: string): ParsedTimestamp | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) {
    const usual = usualSpelling(text);
    return usual === undefined ? undefined : parseTimestamp(usual);
  }
  const days = parseDate(match[1] + (match[4] ?? ''));
  const time = match[2] === undefined ? 0 : parseTime(match[2]);
  const offset = match[3] === undefined ? 0 : parseOffset(match[3]);
  if (days === undefined || time === undefined || offset === undefined) return undefined;
  const micros = joinTimestamp(days, time - offset);
  if (micros < FIRST_MICROS || micros > LAST_MICROS) return undefined;
  return { micros, zoned: match[3] !== undefined };
}

function parseOffset(text: string): number | undefined {
  const match = /^([+-])(\d{1,2}):?(\d{2})?$/.exec(text);
  if (match === null) return 0;
  const [hours, minutes] = [Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 15 || minutes > 59) return undefined;
  const micros = hours * MICROS_PER_HOUR + minutes * MICROS_PER_MINUTE;
  return match[1] === '-' ? -micros : micros;
}

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

const four = (year: number): string => String(year).padStart(4, '0');

/** As Postgres: `0044-03-15 BC` before the year 1. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days);
  return year < 1 ? `${four(1 - year)}-${two(month)}-${two(day)} BC` : `${four(year)}-${two(month)}-${two(day)}`;
}

/** `03:04:05.5`: trailing zeros of the fraction are dropped. */
export function formatTime(micros: number): string {
  const seconds = Math.floor(micros / MICROS_PER_SECOND);
  const fraction = micros - seconds * MICROS_PER_SECOND;
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
}

/** ISO 8601; years beyond four digits have a sign and six of them. */
export function formatIsoDate(days: number): string {
  const { year, month, day } = civilFromDays(days);
  const sign = year < 0 ? '-' : '+';
  const text = year < 0 || year > 9999 ? `${sign}${String(Math.abs(year)).padStart(6, '0')}` : four(year);
  return `${text}-${two(month)}-${two(day)}`;
}

/** As Postgres: `2026-01-02 03:04:05.678`; ISO 8601 with 'T'. Without a zone but for the given text. */
export function formatTimestamp(micros: Exact, separator: ' ' | 'T' = ' ', zone = ''): string {
  const { days, time } = splitTimestamp(micros);
  if (separator === 'T') return `${formatIsoDate(days)}T${formatTime(time)}${zone}`;
  const date = formatDate(days);
  return date.endsWith(' BC')
    ? `${date.slice(0, -3)} ${formatTime(time)}${zone} BC`
    : `${date} ${formatTime(time)}${zone}`;
}

/** ISO 8601 in UTC with a Z: how timestamps travel over HTTP. */
export const formatIso = (micros: Exact): string => formatTimestamp(micros, 'T', 'Z');
