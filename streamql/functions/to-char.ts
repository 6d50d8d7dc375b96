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
import type { Interval } from '../../src/values/types.ts';
import { DAYS, type Day, dayOf, MONTHS } from './calendar.ts';
import { quotedAt } from './quoted-text.ts';

/** to_char of moments and intervals: Postgres's patterns, a table of their fields. */

/** What is printed: a day, and the time since its midnight (of an interval of any size, and signed). */
interface Moment {
  day: Day;
  /** As it is written: 1 BC is 1; of an interval how many. */
  year: number;
  seconds: number;
  micros: number;
}

type Value = (at: Moment) => number;
type Words = (at: Moment) => string;

interface Field {
  /** Digits are filled with zeros to the width, words with spaces behind; FM leaves that out. */
  readonly width: number;
  readonly number?: Value;
  /** Of words; `word` has the case of the pattern already. */
  readonly word?: Words;
  /** Whether an interval has it. */
  readonly interval: boolean;
  readonly time: boolean;
  /** The sign of a negative number is one of the width. */
  readonly tight?: boolean;
}

const dated = (width: number, number: Value, interval = false): Field => ({ width, number, interval, time: false });
const timed = (width: number, number: Value): Field => ({ width, number, interval: true, time: true });
const worded = (width: number, word: Words, time = false): Field => ({ width, word, interval: time, time });

const shown = (year: number): number => (year < 1 ? 1 - year : year);
const century = (year: number): number => (year > 0 ? Math.ceil(year / 100) : -Math.floor((100 - year) / 100));
const hours = (seconds: number): number => Math.trunc(seconds / 3600);
const fraction = (digits: number): Field => timed(digits, ({ micros }) => Math.trunc(micros / 10 ** (6 - digits)));
const noon =
  (am: string, pm: string): Words =>
  ({ seconds }) =>
    ((hours(seconds) % 24) + 24) % 24 < 12 ? am : pm;
const era =
  (ad: string, bc: string): Words =>
  ({ day }) =>
    day.year < 1 ? bc : ad;
const ROMAN = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'];
const month: Words = ({ day }) => MONTHS[day.month - 1];
const weekday: Words = ({ day }) => DAYS[day.dayOfWeek];
const thousands: Words = ({ year }) => `${Math.floor(year / 1000)},${String(year % 1000).padStart(3, '0')}`;

/** In upper case, and in lower case with the same meaning but for the case of words. */
const FIELDS: Readonly<Record<string, Field>> = {
  'Y,YYY': worded(0, thousands),
  YYYY: dated(4, ({ year }) => year, true),
  YYY: dated(3, ({ year }) => year % 1000, true),
  YY: dated(2, ({ year }) => year % 100, true),
  Y: dated(1, ({ year }) => year % 10, true),
  IYYY: dated(4, ({ day }) => shown(day.isoYear)),
  IYY: dated(3, ({ day }) => shown(day.isoYear) % 1000),
  IY: dated(2, ({ day }) => shown(day.isoYear) % 100),
  I: dated(1, ({ day }) => shown(day.isoYear) % 10),
  CC: dated(2, ({ day }) => century(day.year)),
  Q: dated(1, ({ day }) => Math.ceil(day.month / 3)),
  MM: dated(2, ({ day }) => day.month, true),
  WW: dated(2, ({ day }) => Math.floor((day.dayOfYear - 1) / 7) + 1),
  W: dated(1, ({ day }) => Math.floor((day.day - 1) / 7) + 1),
  IW: dated(2, ({ day }) => day.isoWeek),
  DDD: dated(3, ({ day }) => day.dayOfYear),
  IDDD: dated(3, ({ day }) => (day.isoWeek - 1) * 7 + (day.dayOfWeek || 7)),
  DD: { ...dated(2, ({ day }) => day.day, true), tight: true },
  D: dated(1, ({ day }) => day.dayOfWeek + 1),
  ID: dated(1, ({ day }) => day.dayOfWeek || 7),
  J: dated(1, ({ day }) => day.julian),
  HH24: timed(2, ({ seconds }) => hours(seconds)),
  HH12: timed(2, ({ seconds }) => hours(seconds) % 12 || 12),
  HH: timed(2, ({ seconds }) => hours(seconds) % 12 || 12),
  MI: timed(2, ({ seconds }) => Math.trunc(seconds / 60) % 60),
  SS: timed(2, ({ seconds }) => seconds % 60),
  SSSSS: timed(1, ({ seconds }) => seconds),
  SSSS: timed(1, ({ seconds }) => seconds),
  MS: fraction(3),
  US: fraction(6),
  FF1: fraction(1),
  FF2: fraction(2),
  FF3: fraction(3),
  FF4: fraction(4),
  FF5: fraction(5),
  FF6: fraction(6),
  MONTH: worded(9, month),
  MON: worded(0, (at) => month(at).slice(0, 3)),
  DAY: worded(9, weekday),
  DY: worded(0, (at) => weekday(at).slice(0, 3)),
  RM: worded(4, ({ day }) => ROMAN[day.month - 1]),
  'A.D.': worded(0, era('A.D.', 'B.C.')),
  'B.C.': worded(0, era('A.D.', 'B.C.')),
  AD: worded(0, era('AD', 'BC')),
  BC: worded(0, era('AD', 'BC')),
  'A.M.': worded(0, noon('A.M.', 'P.M.'), true),
  'P.M.': worded(0, noon('A.M.', 'P.M.'), true),
  AM: worded(0, noon('AM', 'PM'), true),
  PM: worded(0, noon('AM', 'PM'), true),
  // Everything is in UTC.
  TZH: worded(0, () => '+00'),
  TZM: worded(0, () => '00'),
  TZ: worded(0, () => 'UTC'),
  OF: worded(0, () => '+00'),
};

type Case = (text: string) => string;
const asIs: Case = (text) => text;
const lower: Case = (text) => text.toLowerCase();
const upper: Case = (text) => text.toUpperCase();

/** How a field may be spelled, longer before shorter. Names of months and days also begin with a capital. */
const SPELLED: readonly (readonly [text: string, field: Field, as: Case])[] = Object.entries(FIELDS)
  .flatMap(([name, field]): [string, Field, Case][] => [
    [name, field, upper],
    [name.toLowerCase(), field, lower],
    ...(/^(MONTH|MON|DAY|DY)$/.test(name)
      ? ([[name[0] + name.slice(1).toLowerCase(), field, asIs]] as [string, Field, Case][])
      : []),
  ])
  .sort(([a], [b]) => b.length - a.length);

interface Piece {
  readonly print: (at: Moment) => string;
  readonly field: Field | null;
}

/** 1st, 2nd, 3rd, 4th … */
export function ordinal(digits: string): string {
  if (/1\d$/.test(digits)) return 'th';
  return { '1': 'st', '2': 'nd', '3': 'rd' }[digits.at(-1) as '1'] ?? 'th';
}

function digitsOf(value: number, width: number, tight = false): string {
  if (value >= 0) return String(value).padStart(width, '0');
  return `-${String(-value).padStart(tight ? width - 1 : width, '0')}`;
}

function piece(field: Field, as: Case, filled: boolean, suffix: string): Piece {
  const { number, word } = field;
  const width = filled ? field.width : 0;
  if (word !== undefined) return { field, print: (at) => as(word(at)).padEnd(width) };
  const value = number as Value;
  if (suffix === '') return { field, print: (at) => digitsOf(value(at), width, field.tight) };
  const cased = suffix === 'TH' ? upper : asIs;
  return {
    field,
    print: (at) => {
      const digits = digitsOf(value(at), width, field.tight);
      return digits + cased(ordinal(digits));
    },
  };
}

const text = (literal: string): Piece => ({ field: null, print: () => literal });

/** What is no field stands for itself, as do texts in quotes. */
function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  for (let i = 0; i < pattern.length; ) {
    if (pattern[i] === '"') {
      const quoted = quotedAt(pattern, i);
      pieces.push(text(quoted.text));
      i = quoted.end;
      continue;
    }
    const prefix = /(?:FM|fm|TM|tm|FX|fx)*/y;
    prefix.lastIndex = i;
    const [before] = prefix.exec(pattern) as RegExpExecArray;
    const at = i + before.length;
    const found = SPELLED.find(([spelled]) => pattern.startsWith(spelled, at));
    if (found !== undefined) {
      const [spelled, field, as] = found;
      const end = at + spelled.length;
      const suffix = /(?:TH|th|SP|sp)?/y;
      suffix.lastIndex = end;
      const [after] = suffix.exec(pattern) as RegExpExecArray;
      pieces.push(piece(field, as, !/fm/i.test(before), /th/i.test(after) ? after : ''));
      i = end + after.length;
    } else if (pattern.startsWith('\\"', i)) {
      pieces.push(text('"'));
      i += 2;
    } else {
      const [sign] = pattern.slice(i);
      pieces.push(text(sign));
      i += sign.length;
    }
  }
  return pieces;
}

/** A pattern taken apart once; remembers the day it printed last, for moments mostly come in order. */
interface Pattern {
  readonly pieces: readonly Piece[];
  readonly hasTime: boolean;
  readonly moment: Moment;
  lastDays: number;
  /** The whole text of that day when the pattern has no time in it. */
  lastText: string | null;
}

const patternOf = remembered(64, (pattern): Pattern => {
  const pieces = piecesOf(pattern);
  const hasTime = pieces.some(({ field }) => field?.time === true);
  const moment = { day: dayOf(0), year: 1970, seconds: 0, micros: 0 };
  return { pieces, hasTime, moment, lastDays: 0, lastText: null };
});

export function formatPostgres(timestamp: Exact, template: string): string {
  const pattern = patternOf(template);
  const { moment, pieces } = pattern;
  const { days, time } = splitTimestamp(timestamp);
  if (days !== pattern.lastDays) {
    pattern.lastDays = days;
    moment.day = dayOf(days);
    moment.year = shown(moment.day.year);
    pattern.lastText = null;
  } else if (pattern.lastText !== null) {
    return pattern.lastText;
  }
  moment.seconds = Math.floor(time / MICROS_PER_SECOND);
  moment.micros = time - moment.seconds * MICROS_PER_SECOND;
  let out = '';
  for (const { print } of pieces) out += print(moment);
  if (!pattern.hasTime) pattern.lastText = out;
  return out;
}

export function formatIntervalBy({ months, days, micros }: Interval, template: string): string {
  const { pieces } = patternOf(template);
  const seconds = Math.trunc(micros / MICROS_PER_SECOND);
  const day: Day = { ...dayOf(0), month: months % 12, day: days };
  const moment: Moment = { day, year: Math.trunc(months / 12), seconds, micros: micros - seconds * MICROS_PER_SECOND };
  let out = '';
  for (const { field, print } of pieces) {
    if (field !== null && !field.interval)
      throw new StreamError('VALUE_DOMAIN', 'to_char: an interval has only parts that are counted, and no names');
    out += print(moment);
  }
  return out;
}

/** Microseconds for which a field of the time prints the same; the first that fits a name. */
const EVERY: readonly (readonly [name: RegExp, micros: number])[] = [
  [/^HH/, MICROS_PER_HOUR],
  [/^MI/, MICROS_PER_MINUTE],
  [/^SS/, MICROS_PER_SECOND],
  [/^[AP]\.?M/, 12 * MICROS_PER_HOUR],
  [/^(?:MS|FF3)/, 1000],
];
const everyByField = new Map(
  Object.entries(FIELDS).map(([name, field]) => [
    field,
    field.time ? (EVERY.find(([names]) => names.test(name))?.[1] ?? 1) : MICROS_PER_DAY,
  ]),
);

/** Microseconds for which a pattern prints the same. */
export const postgresEvery = (template: string): number =>
  Math.min(
    MICROS_PER_DAY,
    ...patternOf(template).pieces.map(({ field }) =>
      field === null ? MICROS_PER_DAY : (everyByField.get(field) ?? 1),
    ),
  );
