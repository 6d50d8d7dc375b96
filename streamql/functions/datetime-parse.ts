import { StreamError } from '../../src/lib/errors.ts';
import { remembered } from '../../src/lib/remembered.ts';
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
import { isoWeekStart, JULIAN_DAY_OF_1970 } from './calendar.ts';
import { quotedAt } from './quoted-text.ts';

/** to_timestamp and to_date of Postgres: a text read by a pattern. */

interface Parsed {
  /** 0, as 1 BC, where the pattern has no year. */
  year: number;
  month: number;
  day: number;
  dayOfYear: number | null;
  isoYear: number | null;
  isoWeek: number;
  isoDay: number;
  julian: number | null;
  beforeChrist: boolean;
  hour: number;
  minute: number;
  second: number;
  micros: number;
  /** Of a clock of twelve hours. */
  afternoon: boolean | null;
  zoneHours: number;
  zoneMinutes: number;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const ROMAN = ['i', 'ii', 'iii', 'iv', 'v', 'vi', 'vii', 'viii', 'ix', 'x', 'xi', 'xii'];
const LONG_MONTH = /january|february|march|april|may|june|july|august|september|october|november|december/iy;
const SHORT_MONTH = /jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec/iy;
const LONG_DAY = /sunday|monday|tuesday|wednesday|thursday|friday|saturday/iy;
const SHORT_DAY = /sun|mon|tue|wed|thu|fri|sat/iy;

type Read = (parsed: Parsed, text: string) => void;

interface Field {
  readonly name: string;
  /** Most digits of a number, which has any number of them where no number follows. */
  readonly digits?: number;
  readonly text?: RegExp;
  readonly read: Read;
}

type Part = { [K in keyof Parsed]: Parsed[K] extends number | null ? K : never }[keyof Parsed];

const number = (
  name: string,
  digits: number,
  part: Part,
  of: (value: number, text: string) => number = (n) => n,
): Field => ({
  name,
  digits,
  read: (parsed, text) => {
    (parsed as unknown as Record<Part, number>)[part] = of(Number(text), text);
  },
});
const words = (name: string, text: RegExp, read: Read = () => {}): Field => ({ name, text, read });

/** Years of fewer than four digits are those next to 2020. */
const near2020 = (value: number, text: string): number => {
  if (text.length > 3) return value;
  if (value < 70) return 2000 + value;
  if (value < 100) return 1900 + value;
  return value < 520 ? 2000 + value : 1000 + value;
};
const fraction = (name: string, digits: number): Field => ({
  name,
  digits,
  read: (parsed, text) => {
    parsed.micros = Math.round(Number(`0.${text}`) * MICROS_PER_SECOND);
  },
});
const month: Read = (parsed, text) => {
  parsed.month = MONTHS.indexOf(text.slice(0, 3).toLowerCase()) + 1;
};
const noon: Read = (parsed, text) => {
  parsed.afternoon = text[0].toLowerCase() === 'p';
};
const era: Read = (parsed, text) => {
  parsed.beforeChrist = text[0].toLowerCase() === 'b';
};
const twelve = (name: string): Field => ({
  name,
  digits: 2,
  read: (parsed, text) => {
    parsed.hour = Number(text);
    parsed.afternoon ??= false;
  },
});
const secondsOfDay = (name: string): Field => ({
  name,
  digits: 5,
  read: (parsed, text) => {
    const seconds = Number(text);
    Object.assign(parsed, {
      hour: Math.floor(seconds / 3600),
      minute: Math.floor(seconds / 60) % 60,
      second: seconds % 60,
    });
  },
});

/** Longer before shorter. Names take any case. */
const FIELDS: readonly Field[] = [
  words('Y,YYY', /\d+,\d{3}/y, (parsed, text) => {
    parsed.year = Number(text.replace(',', ''));
  }),
  number('YYYY', 4, 'year'),
  number('YYY', 3, 'year', near2020),
  number('YY', 2, 'year', near2020),
  number('Y', 1, 'year', near2020),
  number('IYYY', 4, 'isoYear'),
  number('IYY', 3, 'isoYear', near2020),
  number('IY', 2, 'isoYear', near2020),
  words('MONTH', LONG_MONTH, month),
  words('MON', SHORT_MONTH, month),
  number('MM', 2, 'month'),
  words('RM', /viii|vii|vi|v|iv|iii|ii|ix|i|xii|xi|x/iy, (parsed, text) => {
    parsed.month = ROMAN.indexOf(text.toLowerCase()) + 1;
  }),
  number('MI', 2, 'minute'),
  fraction('MS', 3),
  fraction('US', 6),
  ...[1, 2, 3, 4, 5, 6].map((digits) => fraction(`FF${digits}`, digits)),
  words('DAY', LONG_DAY),
  words('DY', SHORT_DAY),
  number('IDDD', 3, 'isoDay'),
  number('DDD', 3, 'dayOfYear'),
  number('DD', 2, 'day'),
  words('D', /\d/y),
  number('IW', 2, 'isoWeek'),
  number('ID', 1, 'isoDay'),
  number('I', 1, 'isoYear', near2020),
  number('WW', 2, 'dayOfYear', (week) => (week - 1) * 7 + 1),
  number('W', 1, 'day', (week) => (week - 1) * 7 + 1),
  words('Q', /\d/y),
  number('J', 7, 'julian'),
  number('HH24', 2, 'hour'),
  twelve('HH12'),
  twelve('HH'),
  secondsOfDay('SSSSS'),
  secondsOfDay('SSSS'),
  number('SS', 2, 'second'),
  ...['A.M.', 'P.M.'].map((name) => words(name, /[ap]\.m\./iy, noon)),
  ...['AM', 'PM'].map((name) => words(name, /[ap]m/iy, noon)),
  ...['B.C.', 'A.D.'].map((name) => words(name, /b\.c\.|a\.d\./iy, era)),
  ...['BC', 'AD'].map((name) => words(name, /bc|ad/iy, era)),
  words('TZH', /[+-]?\d{1,2}/y, (parsed, text) => {
    parsed.zoneHours = Number(text);
  }),
  words('TZM', /\d{1,2}/y, (parsed, text) => {
    parsed.zoneMinutes = Number(text);
  }),
];

const cannot = (why: string): StreamError => new StreamError('VALUE_CAST', `the text is not of the pattern: ${why}`);

/** One step of a pattern: a field, a sign that any sign or none may stand for, or another character, which any stands for. */
type Step = Field | 'sign' | 'character';

function stepsOf(pattern: string): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < pattern.length; ) {
    if (pattern[i] === '"') {
      const { text, end } = quotedAt(pattern, i);
      for (const _ of text) steps.push('character');
      i = end;
      continue;
    }
    const prefix = /(?:FM|TM|FX)*/iy;
    prefix.lastIndex = i;
    const at = i + (prefix.exec(pattern) as RegExpExecArray)[0].length;
    const rest = pattern.slice(at, at + 5).toUpperCase();
    const field = FIELDS.find(({ name }) => rest.startsWith(name));
    if (field !== undefined) {
      steps.push(field);
      i = at + field.name.length;
      // 1st, 2nd: two characters that say nothing.
      if (/^th/i.test(pattern.slice(i)) && field.digits !== undefined) {
        steps.push('character', 'character');
        i += 2;
      }
    } else {
      const [sign] = pattern.slice(i);
      steps.push(/[\p{L}\p{N}]/u.test(sign) ? 'character' : 'sign');
      i += sign.length;
    }
  }
  return steps;
}

const stepsOfKnown = remembered(64, stepsOf);

/** As many digits as there are where something else than a number follows. */
function expressionOf(field: Field, next: Step | undefined): RegExp {
  if (field.text !== undefined) return field.text;
  const numberFollows = typeof next === 'object' && next.digits !== undefined;
  return new RegExp(numberFollows ? `\\d{1,${field.digits}}` : '\\d+', 'y');
}

/** Microseconds since 1970 in UTC. VALUE_CAST. What the pattern has beyond the text's end counts as left out. */
export function parsePattern(text: string, pattern: string): Exact {
  const parsed: Parsed = {
    ...{ year: 0, month: 1, day: 1, dayOfYear: null, isoYear: null, isoWeek: 1, isoDay: 1, julian: null },
    ...{ hour: 0, minute: 0, second: 0, micros: 0, afternoon: null },
    ...{ beforeChrist: false, zoneHours: 0, zoneMinutes: 0 },
  };
  const steps = stepsOfKnown(pattern);
  let at = 0;
  for (let i = 0; i < steps.length && at < text.length; i++) {
    const step = steps[i];
    if (step === 'character') at++;
    else if (step === 'sign') {
      if (/[^\p{L}\p{N}]/u.test(text[at])) at++;
    } else {
      while (text[at] === ' ') at++;
      if (at === text.length) break;
      const expression = expressionOf(step, steps[i + 1]);
      expression.lastIndex = at;
      const found = expression.exec(text)?.[0];
      if (found === undefined) throw cannot(`no ${step.name} at "${text.slice(at, at + 20)}"`);
      step.read(parsed, found);
      at += found.length;
    }
  }
  return momentOf(parsed);
}

function momentOf(parsed: Parsed): Exact {
  const { hour, minute, second, micros, afternoon, zoneHours, zoneMinutes } = parsed;
  if (afternoon !== null && (hour < 1 || hour > 12)) throw cannot(`${hour} is no hour of twelve`);
  const hours = afternoon === null ? hour : (hour % 12) + (afternoon ? 12 : 0);
  if (hours > 23 || minute > 59 || second > 59) throw cannot('there is no such time of day');
  if (Math.abs(zoneHours) > 15 || zoneMinutes > 59) throw cannot('there is no such zone');
  const time = hours * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
  const east = zoneHours * MICROS_PER_HOUR + (zoneHours < 0 ? -1 : 1) * zoneMinutes * MICROS_PER_MINUTE;
  return joinTimestamp(dayOfParsed(parsed), time - east);
}

const MOST_YEARS = 294_276;

function dayOfParsed({
  month,
  day,
  dayOfYear,
  isoYear,
  isoWeek,
  isoDay,
  julian,
  beforeChrist,
  ...rest
}: Parsed): number {
  if (julian !== null) return julian - JULIAN_DAY_OF_1970;
  const year = beforeChrist && rest.year > 0 ? 1 - rest.year : rest.year;
  if (year > MOST_YEARS || (isoYear ?? 0) > MOST_YEARS) throw cannot('there is no such date');
  if (isoYear !== null) {
    if (isoWeek < 1 || isoWeek > 53) throw cannot('there is no such week');
    return isoWeekStart(isoYear, isoWeek) + isoDay - 1;
  }
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw cannot('there is no such date');
  if (dayOfYear === null) return daysFromCivil(year, month, day);
  if (dayOfYear < 1 || dayOfYear > (isLeapYear(year) ? 366 : 365)) throw cannot('there is no such day of the year');
  return daysFromCivil(year, 1, 1) + dayOfYear - 1;
}
