import { StreamError } from '../lib/errors.ts';
import { parseBytea } from './bytea-text.ts';
import { formatDate, formatTime, formatTimestamp, parseDate, parseTime, parseTimestamp } from './datetime.ts';
import { checkPrecision, type Exact, formatDecimal, parseDecimal } from './decimal.ts';
import { formatInterval, parseInterval } from './interval.ts';
import { canonicalJsonText } from './json-text.ts';
import {
  compositeText,
  mapText,
  packPairs,
  packParts,
  pairsOf,
  parseComposite,
  parseMapText,
  partsOf,
} from './nested-text.ts';
import { timeZone } from './time-zone.ts';
import { canonicalInteger, type Datum, type Interval, type SqlType, typeName } from './types.ts';

/** A datum as Postgres prints it (CAST to text, CSV, the Postgres wire). Not NULL. */
export function datumToText(datum: Exclude<Datum, null>, type: SqlType): string {
  switch (type.kind) {
    case 'boolean':
      return datum ? 't' : 'f';
    case 'decimal':
      return formatDecimal(datum as Exact, type.scale);
    case 'real':
    case 'double':
      return doubleText(datum as number, type.kind === 'real');
    case 'date':
      return formatDate(datum as number);
    case 'time':
      return formatTime(datum as number);
    case 'timestamp':
      return formatTimestamp(datum as Exact);
    case 'timestamptz':
      return formatTimestamp(datum as Exact, ' ', '+00');
    case 'interval':
      return formatInterval(datum as Interval);
    case 'bytea':
      return `\\x${Buffer.from(datum as Uint8Array).toString('hex')}`;
    case 'array':
      return `{${(datum as readonly Datum[]).map((one) => (one === null ? 'NULL' : arrayElement(datumToText(one, type.element)))).join(',')}}`;
    case 'row':
      return compositeText(
        partsOf(datum as string).map((part, i) => (part === null ? null : unpackedText(part, type.fields[i].type))),
      );
    case 'map':
      return mapText(
        pairsOf(datum as string).map(([key, value]) => [
          unpackedText(key, type.key),
          value === null ? null : unpackedText(value, type.value),
        ]),
      );
    default:
      return String(datum);
  }
}

const unpackedText = (part: string, type: SqlType): string =>
  type.kind === 'row' || type.kind === 'map' ? datumToText(part, type) : part;

/** A field of a row, or a key or value of a map, inside the text of the whole. */
export function packPart(datum: Exclude<Datum, null>, type: SqlType): string {
  if (type.kind === 'row' || type.kind === 'map') return datum as string;
  return datum === 0 ? datumToText(0, type) : datumToText(datum, type);
}

const arrayElement = (text: string): string =>
  text === '' || /[{},"\\ \t\n\r\v\f]/.test(text) || /^null$/i.test(text)
    ? `"${text.replace(/(["\\])/g, '\\$1')}"`
    : text;

/** The shortest text that reads back as the same value: JavaScript's digits, Postgres's exponents. */
export function doubleText(value: number, single = false): string {
  if (value !== value) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const shortest = single ? shortestSingle(value) : String(value);
  const [mantissa, exponent] = Number(shortest).toExponential().split('e').map(String);
  const power = Number(exponent);
  if (power >= -4 && power < (single ? 6 : 15)) return plainDigits(mantissa, power);
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

function shortestSingle(value: number): string {
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}

function plainDigits(mantissa: string, power: number): string {
  const negative = mantissa.startsWith('-');
  const digits = mantissa.replace(/[-.]/g, '');
  let text: string;
  if (power < 0) text = `0.${'0'.repeat(-power - 1)}${digits}`;
  else if (digits.length <= power + 1) text = digits.padEnd(power + 1, '0');
  else text = `${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`;
  return negative ? `-${text}` : text;
}

const TRUE = /^\s*(t|tr|tru|true|y|ye|yes|on|1)\s*$/i;
const FALSE = /^\s*(f|fa|fal|fals|false|n|no|of|off|0)\s*$/i;
const UUID = /^\s*\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?\s*$/i;

const INTEGER_LIMITS = {
  smallint: [-32768n, 32767n],
  integer: [-2147483648n, 2147483647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

/** How a value of each type is written, for hints. */
const WRITTEN: Readonly<Record<SqlType['kind'], string>> = {
  boolean: "'true' or 'false'",
  smallint: "'42'",
  integer: "'42'",
  bigint: "'42'",
  decimal: "'12.50'",
  real: "'1.5', '2e3' or 'NaN'",
  double: "'1.5', '2e3' or 'NaN'",
  varchar: "'text'",
  bytea: "'\\x0a0b'",
  date: "'2026-01-31'",
  time: "'10:30:00'",
  timestamp: "'2026-01-31 10:30:00'",
  timestamptz: "'2026-01-31 10:30:00Z'",
  interval: "'10 seconds' or '1 day 02:00:00'",
  uuid: "'6f9619ff-8b86-d011-b42d-00cf4fc964ff'",
  jsonb: '\'{"a": 1}\'',
  array: "'{a,b}'",
  row: '\'{"a": 1}\'',
  map: '\'{"a": 1}\'',
  null: 'NULL',
};

/** Text as a value of the type (CAST from text, literals, keys in URLs). VALUE_CAST names text and type; VALUE_OVERFLOW. */
export function datumFromText(text: string, type: SqlType): Datum {
  const datum = tryFromText(text, type);
  if (datum === undefined)
    throw new StreamError(
      'VALUE_CAST',
      `${JSON.stringify(text.slice(0, 100))} is not a value of type ${typeName(type)}`,
      { hint: `one is written ${WRITTEN[type.kind]}; TRY_CAST gives NULL instead` },
    );
  return datum;
}

function tryFromText(text: string, type: SqlType): Datum | undefined {
  switch (type.kind) {
    case 'boolean':
      return TRUE.test(text) ? true : FALSE.test(text) ? false : undefined;
    case 'smallint':
    case 'integer':
    case 'bigint': {
      if (!/^\s*[+-]?\d+\s*$/.test(text)) return undefined;
      const value = BigInt(text.trim().replace(/^\+/, ''));
      const [least, most] = INTEGER_LIMITS[type.kind];
      if (value < least || value > most)
        throw new StreamError('VALUE_OVERFLOW', `${text.trim()} is out of range for ${typeName(type)}`);
      return canonicalInteger(value);
    }
    case 'decimal': {
      const value = parseDecimal(text, type.scale);
      return value === undefined ? undefined : checkPrecision(value, type.precision, type.scale);
    }
    case 'real':
    case 'double': {
      const value = parseDouble(text);
      if (value === undefined) return undefined;
      return type.kind === 'real' ? toReal(value) : value;
    }
    case 'varchar':
      return text;
    case 'bytea':
      return parseBytea(text);
    case 'date':
      return parseDate(text) ?? dayOf(text);
    case 'time':
      return parseTime(text);
    case 'timestamp':
    case 'timestamptz':
      return parseTimestamp(text)?.micros ?? inNamedZone(text);
    case 'interval':
      return parseInterval(text);
    case 'uuid':
      return UUID.exec(text)?.slice(1).join('-').toLowerCase();
    case 'jsonb':
      return canonicalJsonText(text);
    case 'array':
      return parseArray(text, type.element);
    case 'row': {
      const parts = parseComposite(text);
      if (parts?.length !== type.fields.length) return undefined;
      return packParts(parts.map((part, i) => (part === null ? null : packText(part, type.fields[i].type))));
    }
    case 'map': {
      const pairs = parseMapText(text);
      if (pairs === undefined) return undefined;
      return packPairs(
        pairs.map(([key, value]) => [packText(key, type.key), value === null ? null : packText(value, type.value)]),
      );
    }
    case 'null':
      return undefined;
  }
}

const packText = (text: string, type: SqlType): string =>
  packPart(datumFromText(text, type) as Exclude<Datum, null>, type);

/** A moment with the name of its zone behind. */
function inNamedZone(text: string): Exact | undefined {
  const match = /^(.*\d)\s+([A-Za-z]+(?:\/[A-Za-z_+-]+)*)\s*$/s.exec(text);
  if (match === null || /^(?:[ap]m|bc|ad)$/i.test(match[2])) return undefined;
  const local = parseTimestamp(match[1]);
  if (local === undefined || local.zoned) return undefined;
  try {
    return timeZone(match[2]).toUtc(local.micros);
  } catch {
    return undefined;
  }
}

/** The date part of a timestamp's text. */
function dayOf(text: string): number | undefined {
  const match = /^\s*([+-]?\d{4,7}-\d{1,2}-\d{1,2})[T ]/.exec(text);
  const era = /\sBC\s*$/i.test(text) ? ' BC' : '';
  return match !== null && parseTimestamp(text) !== undefined ? parseDate(match[1] + era) : undefined;
}

/** Rounded to a real; VALUE_OVERFLOW when it becomes an infinity or a zero by that. */
export function toReal(value: number): number {
  const real = Math.fround(value);
  if (Number.isFinite(real) === Number.isFinite(value) && (real !== 0 || value === 0)) return real;
  throw new StreamError('VALUE_OVERFLOW', `${doubleText(value)} is out of range for real`);
}

function parseDouble(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed)) {
    const value = Number(trimmed);
    if (!Number.isFinite(value)) throw new StreamError('VALUE_OVERFLOW', `${trimmed} is out of range for double`);
    return value;
  }
  if (/^nan$/i.test(trimmed)) return Number.NaN;
  const infinity = /^([+-]?)inf(inity)?$/i.exec(trimmed);
  if (infinity === null) return undefined;
  return infinity[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** `{1,2,NULL,"a b"}`, one dimension. */
function parseArray(text: string, element: SqlType): Datum[] | undefined {
  const body = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1];
  if (body === undefined) return undefined;
  if (body.trim() === '') return [];
  const out: Datum[] = [];
  const part = /\s*(?:"((?:[^"\\]|\\.)*)"|([^,"{}]*))\s*(,|$)/y;
  let end = '';
  do {
    const match = part.exec(body);
    if (match === null) return undefined;
    const [, quoted, plain = '', delimiter] = match;
    if (quoted === undefined && plain.trim() === '') return undefined;
    if (quoted !== undefined) out.push(datumFromText(quoted.replace(/\\(.)/g, '$1'), element));
    else out.push(/^\s*null\s*$/i.test(plain) ? null : datumFromText(plain.trim(), element));
    end = delimiter;
  } while (end === ',');
  return part.lastIndex === 0 || part.lastIndex === body.length ? out : undefined;
}
