import { StreamError } from '../../src/lib/errors.ts';
import {
  checkDate,
  checkTimestamp,
  civilFromDays,
  dayOfYmd,
  daysFromCivil,
  joinTimestamp,
  MICROS_PER_DAY,
  MICROS_PER_HOUR,
  MICROS_PER_MINUTE,
  MICROS_PER_SECOND,
  splitTimestamp,
} from '../../src/values/datetime.ts';
import { addExact, divideTruncating, type Exact, multiplyExact, subtractExact } from '../../src/values/decimal.ts';
import {
  canonicalInteger,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  type Interval,
  type SqlType,
  TIMESTAMP,
  TIMESTAMPTZ,
  VARCHAR,
} from '../../src/values/types.ts';
import { momentForm } from './bytes/moment-form.ts';
import { dayOfWeek, isoWeek, JULIAN_DAY_OF_1970 } from './calendar.ts';
import { flinkEvery, formatFlink } from './datetime-format.ts';
import type { ScalarFunction } from './function-table.ts';
import { formatPostgres, postgresEvery } from './to-char.ts';

/** What extract yields: seconds have six digits after the point, everything else is whole. */
const EXTRACTED = decimal(20, 6);
const MILLION = 1_000_000;

interface Moment {
  readonly days: number;
  /** Microseconds since midnight. */
  readonly time: number;
}

/** There is no year 0: the one before 1 is −1, as 1 BC is written. */
const writtenYear = (year: number): number => (year < 1 ? year - 1 : year);
/** The century or millennium, of which there is no 0 either. */
const spanOf = (year: number, years: number): number =>
  year > 0 ? Math.ceil(year / years) : -Math.floor((years - year) / years);

/** Field names of extract and date_part: the value in millionths. */
const FIELDS: Readonly<Record<string, (moment: Moment) => Exact>> = {
  year: ({ days }) => writtenYear(civilFromDays(days).year) * MILLION,
  month: ({ days }) => civilFromDays(days).month * MILLION,
  day: ({ days }) => civilFromDays(days).day * MILLION,
  hour: ({ time }) => Math.floor(time / MICROS_PER_HOUR) * MILLION,
  minute: ({ time }) => (Math.floor(time / MICROS_PER_MINUTE) % 60) * MILLION,
  second: ({ time }) => time % MICROS_PER_MINUTE,
  millisecond: ({ time }) => (time % MICROS_PER_MINUTE) * 1000,
  microsecond: ({ time }) => (time % MICROS_PER_MINUTE) * MILLION,
  epoch: ({ days, time }) => joinTimestamp(days, time),
  dow: ({ days }) => dayOfWeek(days) * MILLION,
  isodow: ({ days }) => (dayOfWeek(days) || 7) * MILLION,
  doy: ({ days }) => (days - daysFromCivil(civilFromDays(days).year, 1, 1) + 1) * MILLION,
  week: ({ days }) => isoWeek(days).week * MILLION,
  isoyear: ({ days }) => writtenYear(isoWeek(days).year) * MILLION,
  quarter: ({ days }) => Math.ceil(civilFromDays(days).month / 3) * MILLION,
  decade: ({ days }) => Math.floor(civilFromDays(days).year / 10) * MILLION,
  century: ({ days }) => spanOf(civilFromDays(days).year, 100) * MILLION,
  millennium: ({ days }) => spanOf(civilFromDays(days).year, 1000) * MILLION,
  julian: ({ days, time }) => (days + JULIAN_DAY_OF_1970) * MILLION + Math.round(time / 86_400),
};

/** Of moments: all are in UTC. */
const ZONE_FIELDS: ReadonlySet<string> = new Set(['timezone', 'timezone_hour', 'timezone_minute']);

/** Fields of a time of day; a date has all the others. Both have an epoch. */
const TIME_FIELDS: ReadonlySet<string> = new Set(['hour', 'minute', 'second', 'millisecond', 'microsecond']);

/** By kind and name: fields are nearly always constants. */
const knownFields = new Map<string, Map<string, (moment: Moment) => Exact>>();
const MOST_KNOWN = 64;

function field(name: string, type: SqlType): (moment: Moment) => Exact {
  let known = knownFields.get(type.kind);
  if (known === undefined) {
    known = new Map();
    knownFields.set(type.kind, known);
  }
  let found = known.get(name);
  if (found === undefined) {
    found = findField(name, type);
    if (known.size < MOST_KNOWN) known.set(name, found);
  }
  return found;
}

function findField(name: string, type: SqlType): (moment: Moment) => Exact {
  const lower = name.toLowerCase();
  if (type.kind.startsWith('timestamp') && ZONE_FIELDS.has(lower)) return () => 0;
  const singular = FIELDS[lower] === undefined ? lower.replace(/s$/, '') : lower;
  const found = FIELDS[singular];
  const fits =
    singular === 'epoch' ||
    (type.kind === 'date' ? !TIME_FIELDS.has(singular) : type.kind !== 'time' || TIME_FIELDS.has(singular));
  if (found !== undefined && !fits)
    throw new StreamError('VALUE_DOMAIN', `extract: a ${type.kind} has no field ${name}`);
  if (found === undefined)
    throw new StreamError(
      'VALUE_DOMAIN',
      `extract: there is no field ${name}; there are ${Object.keys(FIELDS).join(', ')}`,
    );
  return found;
}

function momentOf(datum: any, type: SqlType): Moment {
  if (type.kind === 'date') return { days: datum, time: 0 };
  if (type.kind === 'time') return { days: 0, time: datum };
  return splitTimestamp(datum);
}

function extractOf(name: string, datum: any, type: SqlType): Exact {
  if (type.kind !== 'interval') return field(name, type)(momentOf(datum, type));
  const { months, days, micros } = datum as Interval;
  switch (name.toLowerCase().replace(/s$/, '')) {
    case 'year':
      return Math.trunc(months / 12) * MILLION + 0;
    case 'month':
      return (months % 12) * MILLION + 0;
    case 'day':
      return days * MILLION;
    case 'hour':
      return Math.trunc(micros / MICROS_PER_HOUR) * MILLION + 0;
    case 'minute':
      return (Math.trunc(micros / MICROS_PER_MINUTE) % 60) * MILLION + 0;
    case 'second':
      return (micros % MICROS_PER_MINUTE) + 0;
    case 'millisecond':
      return (micros % MICROS_PER_MINUTE) * 1000 + 0;
    case 'microsecond':
      return (micros % MICROS_PER_MINUTE) * MILLION + 0;
    case 'quarter':
      return (Math.trunc((months % 12) / 3) + 1) * MILLION;
    case 'decade':
      return Math.trunc(months / 120) * MILLION + 0;
    case 'century':
      return Math.trunc(months / 1200) * MILLION + 0;
    case 'millennium':
      return Math.trunc(months / 12_000) * MILLION + 0;
    case 'epoch':
      // As Postgres: a year has 365.25 days, a month 30.
      return addExact(
        multiplyExact(Math.trunc(months / 12) * 36525 * 864 + ((months % 12) * 30 + days) * 86400, MILLION),
        micros,
      );
    default:
      throw new StreamError('VALUE_DOMAIN', `extract: an interval has no field ${name}`);
  }
}

/** Hours and minutes of moments as text of code: the fields that queries ask for of every row. */
function inlineExtract(name: Datum | undefined, x: string, { kind }: SqlType): string | undefined {
  if (kind !== 'timestamp' && kind !== 'timestamptz') return undefined;
  if (name === 'hour') return `wholeUnits(${x}, ${MICROS_PER_HOUR}, 24) * ${MILLION}`;
  if (name === 'minute') return `wholeUnits(${x}, ${MICROS_PER_MINUTE}, 60) * ${MILLION}`;
  return undefined;
}

function fieldsOf(kind: string): string[] {
  if (kind === 'interval')
    return [
      'millennium',
      'century',
      'decade',
      'year',
      'quarter',
      'month',
      'day',
      'hour',
      'minute',
      'second',
      'millisecond',
      'microsecond',
      'epoch',
    ];
  return Object.keys(FIELDS).filter(
    (name) => name === 'epoch' || (kind === 'date' ? !TIME_FIELDS.has(name) : kind !== 'time' || TIME_FIELDS.has(name)),
  );
}

const TEMPORAL = ['timestamp', 'timestamptz', 'date', 'time', 'interval'] as const;

/** Exact where DuckDB's own division would make a double of it. */
const duckdbMillionths = (text: string): string => `(CAST(${text} AS DECIMAL(32,0)) * 0.000001::DECIMAL(6,6))`;

function duckdbExtract(name: string, x: string, kind: string): string {
  const plain = name.replace(/'/g, '').toLowerCase().replace(/s$/, '');
  if (plain === 'second') return duckdbMillionths(`microsecond(${x})`);
  if (plain === 'millisecond') return `(${duckdbMillionths(`microsecond(${x})`)} * 1000)`;
  if (plain === 'epoch' && kind === 'interval') {
    const seconds = `year(${x}) * 31557600 + month(${x}) * 2592000 + day(${x}) * 86400 + hour(${x}) * 3600 + minute(${x}) * 60`;
    return duckdbMillionths(`(${seconds}) * 1000000 + microsecond(${x})`);
  }
  if (plain === 'epoch')
    return duckdbMillionths(kind === 'date' ? `epoch_us(CAST(${x} AS TIMESTAMP))` : `epoch_us(${x})`);
  const part = `date_part(${name}, ${x})`;
  return plain === 'year' && kind !== 'interval' ? `(${part} - CASE WHEN ${part} < 1 THEN 1 ELSE 0 END)` : part;
}

const extracts: ScalarFunction[] = TEMPORAL.flatMap((kind): ScalarFunction[] => [
  {
    name: 'extract',
    id: `extract.${kind}`,
    args: ['varchar', kind],
    returns: () => EXTRACTED,
    call: ([name, datum], types) => extractOf(name, datum, types[1]),
    inline: ([, x], types, [name]) => inlineExtract(name, x, types[1]),
    duckdb: ([name, x]) => duckdbExtract(name, x, kind),
    doc: `A field of a ${kind}: ${fieldsOf(kind).join(', ')}. Written extract(field FROM x).`,
  },
  {
    name: 'date_part',
    id: `date_part.${kind}`,
    args: ['varchar', kind],
    returns: () => DOUBLE,
    // Of a date it is that of its midnight, so there are hours.
    call: ([name, datum], types) =>
      Number(kind === 'date' ? field(name, TIMESTAMP)({ days: datum, time: 0 }) : extractOf(name, datum, types[1])) /
      MILLION,
    duckdb: ([name, x]) => duckdbExtract(name, x, kind),
    doc: 'As extract, as a double.',
  },
]);

/** The beginning of the unit that a moment falls into. */
export function truncate(unit: string, micros: Exact): Exact {
  const { days, time } = splitTimestamp(micros);
  const { year, month } = civilFromDays(days);
  const whole: Readonly<Record<string, number>> = {
    hour: MICROS_PER_HOUR,
    minute: MICROS_PER_MINUTE,
    second: MICROS_PER_SECOND,
    millisecond: 1000,
    microsecond: 1,
  };
  const name = unit.toLowerCase().replace(/s$/, '');
  if (whole[name] !== undefined) return joinTimestamp(days, time - (time % whole[name]));
  switch (name) {
    case 'day':
      return joinTimestamp(days, 0);
    case 'week':
      return joinTimestamp(days - ((dayOfWeek(days) + 6) % 7), 0);
    case 'month':
      return joinTimestamp(daysFromCivil(year, month, 1), 0);
    case 'quarter':
      return joinTimestamp(daysFromCivil(year, month - ((month - 1) % 3), 1), 0);
    case 'year':
      return joinTimestamp(daysFromCivil(year, 1, 1), 0);
    case 'millennium':
      return joinTimestamp(daysFromCivil(Math.floor((year - 1) / 1000) * 1000 + 1, 1, 1), 0);
    case 'decade':
      return joinTimestamp(daysFromCivil(Math.floor(year / 10) * 10, 1, 1), 0);
    case 'century':
      return joinTimestamp(daysFromCivil(Math.floor((year - 1) / 100) * 100 + 1, 1, 1), 0);
    default:
      throw new StreamError('VALUE_DOMAIN', `date_trunc: there is no unit ${unit}`, {
        hint: 'there are microsecond, millisecond, second, minute, hour, day, week, month, quarter, year, decade, century and millennium',
      });
  }
}

function binOf({ months, days, micros }: Interval, value: Exact, origin: Exact): Exact {
  const stride = days * MICROS_PER_DAY + micros;
  if (months !== 0 || stride <= 0)
    throw new StreamError('VALUE_DOMAIN', 'date_bin: the stride must be positive and without months');
  const distance = subtractExact(value, origin);
  const steps = divideTruncating(distance, stride);
  const start = multiplyExact(steps, stride);
  return addExact(origin, start > distance ? subtractExact(start, stride) : start);
}

const moments = (['timestamp', 'timestamptz'] as const).flatMap((kind): ScalarFunction[] => {
  const type: SqlType = { kind };
  return [
    {
      name: 'date_trunc',
      id: `date_trunc.${kind}`,
      args: ['varchar', kind],
      returns: () => type,
      call: ([unit, x]) => truncate(unit, x),
      duckdb: ([unit, x]) => `CAST(date_trunc(${unit}, ${x}) AS ${kind === 'timestamp' ? 'TIMESTAMP' : 'TIMESTAMPTZ'})`,
      doc: 'The beginning of the century, decade, year, quarter, month, week, day, hour, minute, second or millisecond of a moment.',
    },
    {
      name: 'date_bin',
      id: `date_bin.${kind}`,
      args: ['interval', kind, kind],
      returns: () => type,
      call: ([stride, x, origin]) => binOf(stride, x, origin),
      duckdb: ([stride, x, origin]) => `time_bucket(${stride}, ${x}, ${origin})`,
      doc: 'The beginning of the bin of that width, counted from the origin.',
    },
    {
      name: 'to_char',
      id: `to_char.${kind}`,
      args: [kind, 'varchar'],
      returns: () => VARCHAR,
      call: ([x, pattern]) => formatPostgres(x, pattern),
      bytes: momentForm(formatPostgres, postgresEvery),
      own: true,
      example: ["to_char(timestamp '2024-01-02 15:04:05', 'FMDDth Mon YYYY HH12:MI AM')", '2nd Jan 2024 03:04 PM'],
      doc: 'A moment by a Postgres pattern: all fields of Postgres, with FM before and TH behind; "quoted" text and what is no field stay.',
    },
    {
      name: 'date_format',
      id: `date_format.${kind}`,
      args: [kind, 'varchar'],
      returns: () => VARCHAR,
      call: ([x, pattern]) => formatFlink(x, pattern),
      bytes: momentForm(formatFlink, flinkEvery),
      own: true,
      example: ["date_format(timestamp '2024-01-02 03:04:05', 'yyyy/MM/dd')", '2024/01/02'],
      doc: "A moment by a Java pattern, as in Flink: yyyy, MM, dd, HH, mm, ss, SSS; 'quoted' text stays.",
    },
    {
      name: 'hour',
      id: `hour.${kind}`,
      args: [kind],
      returns: () => ({ kind: 'bigint' }),
      call: ([x]) => Math.floor(splitTimestamp(x).time / MICROS_PER_HOUR),
      doc: 'The hour of day, as in Flink.',
    },
  ];
});

export const DATETIMES: readonly ScalarFunction[] = [
  ...extracts,
  ...moments,
  {
    name: 'to_timestamp',
    id: 'to_timestamp.double',
    args: ['double'],
    returns: () => TIMESTAMPTZ,
    call: ([seconds]) => {
      const micros = Math.round(seconds * MILLION);
      if (!Number.isFinite(micros)) throw new StreamError('VALUE_OVERFLOW', 'to_timestamp: out of range');
      return checkTimestamp(canonicalInteger(BigInt(micros)));
    },
    duckdb: ([x]) => `make_timestamptz(CAST(round(${x} * 1000000) AS BIGINT))`,
    doc: 'The moment that many seconds after 1970.',
  },
  {
    name: 'to_timestamp_ms',
    id: 'to_timestamp_ms',
    args: ['bigint'],
    returns: () => TIMESTAMP,
    call: ([ms]) => checkTimestamp(multiplyExact(ms, 1000)),
    duckdb: ([x]) => `make_timestamp(${x} * 1000)`,
    doc: 'The moment that many milliseconds after 1970.',
  },
  {
    name: 'make_date',
    id: 'make_date',
    args: ['integer', 'integer', 'integer'],
    returns: () => DATE,
    call: ([year, month, day]) => {
      const days = dayOfYmd(year, month, day);
      if (days === undefined) throw new StreamError('VALUE_DOMAIN', `make_date: ${year}-${month}-${day} is no date`);
      return checkDate(days);
    },
    own: true,
    example: ['make_date(2024, 2, 29)', '2024-02-29'],
    doc: 'The date of a year, month and day.',
  },
  {
    name: 'now',
    id: 'now',
    args: [],
    returns: () => TIMESTAMPTZ,
    call: () => Date.now() * 1000,
    duckdb: () => 'now()',
    deterministic: false,
    doc: 'The moment when the statement began. Not in views.',
  },
];
