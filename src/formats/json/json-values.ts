import { StreamError } from '../../lib/errors.ts';
import { parseDate, parseTime, parseTimestamp } from '../../values/datetime.ts';
import { bigPower, parseDecimal } from '../../values/decimal.ts';
import { parseInterval } from '../../values/interval.ts';
import { type Json, parseJson, printJson } from '../../values/json-text.ts';
import { type Entry, packMap, packRow } from '../../values/nested.ts';
import { datumFromText } from '../../values/text.ts';
import {
  canonicalInteger,
  type Datum,
  type MapType,
  type RowType,
  type SqlType,
  typeName,
} from '../../values/types.ts';
import { canonicalJson, forEachElement } from './json-canonical.ts';

/**
 * What a JSON value is in a column of each SQL type. This is the meaning; the generated scanners only do the frequent
 * cases of it faster.
 *
 * | type | from a JSON number | from a JSON string | else |
 * | --- | --- | --- | --- |
 * | smallint, integer, bigint | whole numbers (5, 5.0), in range | the same in quotes | |
 * | decimal(p,s) | exactly, rounded half away from zero to s digits | the same | |
 * | real, double | the nearest | the same, NaN, Infinity, -Infinity | |
 * | boolean | | | true, false |
 * | varchar | its text | the string | the JSON text |
 * | date, time, interval, uuid | | as Postgres reads them | |
 * | timestamp, timestamptz | whole milliseconds since 1970 | ISO 8601 with T or space; without a zone it is UTC, with one it is converted to UTC | |
 * | bytea | | `\x` and hex digits, or base64 | |
 * | jsonb | any value, in canonical text | | |
 * | row | | | an object: fields by name, what is missing is NULL, other keys are passed over |
 * | map | | | an object; its keys are read as texts of the key's type |
 * | t[] | | | an array of what t takes, with null elements |
 *
 * `null` is NULL. What the table does not have is malformed.
 */
export type ReadValue = (b: Buffer, start: number, end: number) => Datum | undefined;

const QUOTE = 34;
const isNumberStart = (c: number): boolean => c === 45 || (c >= 48 && c <= 57);

const stringOf = (b: Buffer, start: number, end: number): string => {
  const text = b.utf8Slice(start, end);
  return text.indexOf('\\') < 0 ? text.slice(1, -1) : (JSON.parse(text) as string);
};

/** The text of a number, or of a string that should hold one. */
function scalarText(b: Buffer, start: number, end: number): string | undefined {
  if (b[start] === QUOTE) return stringOf(b, start, end).trim();
  return isNumberStart(b[start]) ? b.latin1Slice(start, end) : undefined;
}

const WHOLE = /^[+-]?(\d+)(?:\.0*)?$/;

/** A number of at most 15 digits and nothing else; NaN when it is anything else. */
export function smallInteger(b: Buffer, start: number, end: number): number {
  const digits = b[start] === 45 ? start + 1 : start;
  if (digits === end || end - digits > 15) return Number.NaN;
  let value = 0;
  for (let p = digits; p < end; p++) {
    const digit = b[p] - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return digits === start ? value : 0 - value;
}

function readInteger(least: bigint, most: bigint): ReadValue {
  const [low, high] = [Number(least), Number(most)];
  return (b, start, end) => {
    const small = smallInteger(b, start, end);
    if (small >= low && small <= high) return small;
    const text = scalarText(b, start, end);
    if (text === undefined) return undefined;
    const match = WHOLE.exec(text);
    if (match === null || match[1].length > 40) return undefined;
    const value = text.startsWith('-') ? -BigInt(match[1]) : BigInt(match[1]);
    return value >= least && value <= most ? canonicalInteger(value) : undefined;
  };
}

function readDecimal(precision: number, scale: number): ReadValue {
  const limit = bigPower(precision);
  return (b, start, end) => {
    const text = scalarText(b, start, end);
    if (text === undefined || text.length > 1000) return undefined;
    const value = parseDecimal(text, scale);
    if (value === undefined) return undefined;
    const big = BigInt(value);
    return big < limit && big > -limit ? value : undefined;
  };
}

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const SPECIAL: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  infinity: Number.POSITIVE_INFINITY,
  '-infinity': Number.NEGATIVE_INFINITY,
};

function readFloat(round: (value: number) => number): ReadValue {
  return (b, start, end) => {
    const text = scalarText(b, start, end);
    if (text === undefined) return undefined;
    if (!FLOAT.test(text)) return b[start] === QUOTE ? SPECIAL[text.toLowerCase()] : undefined;
    const value = round(Number(text));
    return Number.isFinite(value) ? value : undefined;
  };
}

const onString =
  (read: (text: string) => Datum | undefined): ReadValue =>
  (b, start, end) =>
    b[start] === QUOTE ? read(stringOf(b, start, end)) : undefined;

const readTimestamp: ReadValue = (b, start, end) => {
  if (b[start] === QUOTE) return parseTimestamp(stringOf(b, start, end))?.micros;
  const text = scalarText(b, start, end);
  if (text === undefined) return undefined;
  const match = WHOLE.exec(text);
  // Years 1 to 9999, as text has them.
  if (match === null || match[1].length > 15) return undefined;
  return canonicalInteger((text.startsWith('-') ? -BigInt(match[1]) : BigInt(match[1])) * 1000n);
};

const UUID_TEXT = /^\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$/i;

function readUuid(text: string): string | undefined {
  if (!UUID_TEXT.test(text)) return undefined;
  const hex = text.replace(/[{}-]/g, '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function readBytes(text: string): Uint8Array | undefined {
  if (/^\\x(?:[0-9a-f]{2})*$/i.test(text)) return Buffer.from(text.slice(2), 'hex');
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)
    ? Buffer.from(text, 'base64')
    : undefined;
}

function readArray(element: SqlType): ReadValue {
  const readElement = valueReader(element);
  return (b, start, end) => {
    if (b[start] !== 91) return undefined;
    const out: Datum[] = [];
    let sound = true;
    forEachElement(b, start + 1, end, (from, to) => {
      const datum = b[from] === 110 ? null : readElement(b, from, to);
      if (datum === undefined) sound = false;
      else out.push(datum);
    });
    return sound ? out : undefined;
  };
}

/** A value inside an object, which was taken apart into texts. */
function readPart(read: ReadValue, json: Json | undefined): Datum | undefined {
  if (json === null || json === undefined) return null;
  const bytes = Buffer.from(printJson(json));
  return read(bytes, 0, bytes.length);
}

function objectOf(b: Buffer, start: number, end: number): Map<string, Json> | undefined {
  const json = b[start] === 123 ? parseJson(b.utf8Slice(start, end)) : undefined;
  return json instanceof Map ? json : undefined;
}

function readRow(type: RowType): ReadValue {
  const readers = type.fields.map((field) => valueReader(field.type));
  return (b, start, end) => {
    const object = objectOf(b, start, end);
    if (object === undefined) return undefined;
    const values: Datum[] = [];
    for (let i = 0; i < readers.length; i++) {
      const datum = readPart(readers[i], object.get(type.fields[i].name));
      if (datum === undefined) return undefined;
      values.push(datum);
    }
    return packRow(values, type);
  };
}

function readMap(type: MapType): ReadValue {
  const read = valueReader(type.value);
  return (b, start, end) => {
    const object = objectOf(b, start, end);
    if (object === undefined) return undefined;
    const entries: Entry[] = [];
    for (const [text, json] of object) {
      const key = keyOf(text, type.key);
      const value = readPart(read, json);
      if (key === undefined || value === undefined) return undefined;
      entries.push([key, value]);
    }
    return packMap(entries, type);
  };
}

function keyOf(text: string, type: SqlType): Exclude<Datum, null> | undefined {
  try {
    return datumFromText(text, type) as Exclude<Datum, null>;
  } catch {
    return undefined;
  }
}

/** Reads a valid JSON value other than null; undefined when it has no place in the type. SQL_UNSUPPORTED. */
export function valueReader(type: SqlType): ReadValue {
  switch (type.kind) {
    case 'smallint':
      return readInteger(-32768n, 32767n);
    case 'integer':
      return readInteger(-2147483648n, 2147483647n);
    case 'bigint':
      return readInteger(-9223372036854775808n, 9223372036854775807n);
    case 'decimal':
      return readDecimal(type.precision, type.scale);
    case 'real':
      return readFloat(Math.fround);
    case 'double':
      return readFloat((value) => value);
    case 'boolean':
      return (b, start) => (b[start] === 116 ? true : b[start] === 102 ? false : undefined);
    case 'varchar':
      return (b, start, end) => (b[start] === QUOTE ? stringOf(b, start, end) : b.utf8Slice(start, end));
    case 'date':
      return onString(parseDate);
    case 'time':
      return onString(parseTime);
    case 'interval':
      return onString((text) => parseInterval(text));
    case 'uuid':
      return onString(readUuid);
    case 'bytea':
      return onString(readBytes);
    case 'timestamp':
    case 'timestamptz':
      return readTimestamp;
    case 'jsonb':
      return canonicalJson;
    case 'array':
      return readArray(type.element);
    case 'row':
      return readRow(type);
    case 'map':
      return readMap(type);
    case 'null':
      throw new StreamError('SQL_UNSUPPORTED', `a JSON source cannot have a column of type ${typeName(type)}`);
  }
}
