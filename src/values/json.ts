import { StreamError } from '../lib/errors.ts';
import { formatIso, formatIsoDate, formatTime } from './datetime.ts';
import { type Exact, formatDecimal, multiplyExact } from './decimal.ts';
import { formatInterval } from './interval.ts';
import { canonicalJsonText } from './json-text.ts';
import { type Entry, keyText, packMap, packRow, unpackMap, unpackRow } from './nested.ts';
import { datumFromText } from './text.ts';
import { type Datum, type Interval, type SqlType, typeName } from './types.ts';

/** Values in JSON, by DESIGN 2.2: exact numbers as numbers while a double holds them, as strings beyond. */
export function datumToJson(datum: Datum, type: SqlType): unknown {
  if (datum === null) return null;
  switch (type.kind) {
    case 'bigint':
      return typeof datum === 'number' ? datum : String(datum);
    case 'decimal':
      return decimalJson(datum as Exact, type.scale);
    case 'real':
    case 'double':
      return Number.isFinite(datum) ? datum : String(datum);
    case 'date':
      return formatIsoDate(datum as number);
    case 'time':
      return formatTime(datum as number);
    case 'timestamp':
    case 'timestamptz':
      return formatIso(datum as Exact);
    case 'interval':
      return formatInterval(datum as Interval);
    case 'bytea':
      return `\\x${Buffer.from(datum as Uint8Array).toString('hex')}`;
    case 'jsonb':
      return JSON.parse(datum as string);
    case 'row':
      return Object.fromEntries(
        unpackRow(datum, type).map((one, i) => [type.fields[i].name, datumToJson(one, type.fields[i].type)]),
      );
    case 'map':
      return Object.fromEntries(
        unpackMap(datum, type).map(([key, value]) => [keyText(key, type), datumToJson(value, type.value)]),
      );
    case 'array':
      return (datum as readonly Datum[]).map((one) => datumToJson(one, type.element));
    default:
      return datum;
  }
}

/** A number when its shortest decimal text is the value. */
function decimalJson(value: Exact, scale: number): number | string {
  const text = formatDecimal(value, scale);
  const trimmed = scale === 0 ? text : text.replace(/0+$/, '').replace(/\.$/, '');
  const number = Number(trimmed);
  return plain(number) === trimmed ? number : text;
}

/** A double without an exponent where JavaScript would use one. */
function plain(number: number): string {
  const text = String(number);
  if (!text.includes('e')) return text;
  return number.toFixed(20).replace(/0+$/, '').replace(/\.$/, '');
}

/** A JSON value as a datum: parameters, keys, GraphQL arguments. VALUE_CAST when it is none of the type. */
export function datumFromJson(value: unknown, type: SqlType): Datum {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case 'jsonb':
      return canonicalJsonText(JSON.stringify(value)) as string;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'array':
      if (Array.isArray(value)) return value.map((one) => datumFromJson(one, type.element));
      break;
    case 'row':
      if (typeof value === 'object' && !Array.isArray(value)) {
        const given = value as Record<string, unknown>;
        return packRow(
          type.fields.map((field) =>
            Object.hasOwn(given, field.name) ? datumFromJson(given[field.name], field.type) : null,
          ),
          type,
        );
      }
      break;
    case 'map':
      if (typeof value === 'object' && !Array.isArray(value)) {
        const entries = Object.entries(value).map(
          ([key, one]): Entry => [datumFromText(key, type.key) as Exclude<Datum, null>, datumFromJson(one, type.value)],
        );
        return packMap(entries, type);
      }
      break;
    case 'timestamp':
    case 'timestamptz':
      // As in records: a number is milliseconds since 1970.
      if (typeof value === 'number' && Number.isSafeInteger(value)) return multiplyExact(value, 1000);
      break;
    case 'varchar':
      if (typeof value === 'object') return JSON.stringify(value);
      break;
    default:
  }
  if (typeof value === 'string' || typeof value === 'number') return datumFromText(String(value), type);
  if (type.kind === 'varchar') return String(value);
  throw new StreamError('VALUE_CAST', `${JSON.stringify(value)} is not a value of type ${typeName(type)}`);
}
