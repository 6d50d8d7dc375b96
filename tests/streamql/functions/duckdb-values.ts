import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUUIDValue,
} from '@duckdb/node-api';
import { datumToText } from '../../../src/values/text.ts';
import { canonicalInteger, type Datum, type Interval, type SqlType, typeName } from '../../../src/values/types.ts';

/** Types and values to and from DuckDB, for comparing answers. */
export function duckdbType(type: SqlType): string {
  switch (type.kind) {
    case 'bytea':
      return 'BLOB';
    case 'jsonb':
      return 'JSON';
    case 'array':
      return `${duckdbType(type.element)}[]`;
    case 'row':
    case 'map':
      return 'VARCHAR';
    case 'real':
      return 'FLOAT';
    default:
      return typeName(type);
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export function duckdbLiteral(datum: Datum, type: SqlType): string {
  if (datum === null) return `CAST(NULL AS ${duckdbType(type)})`;
  switch (type.kind) {
    case 'varchar':
    case 'row':
    case 'map':
      return quoted(datum as string);
    case 'bytea':
      return `unhex('${Buffer.from(datum as Uint8Array).toString('hex')}')`;
    case 'interval': {
      const { months, days, micros } = datum as Interval;
      return `(to_months(${months}) + to_days(${days}) + to_microseconds(${micros}))`;
    }
    case 'array': {
      const items = (datum as readonly Datum[]).map((one) => duckdbLiteral(one, type.element));
      return `CAST([${items.join(', ')}] AS ${duckdbType(type)})`;
    }
    case 'timestamp':
      return `make_timestamp(CAST(${datum} AS BIGINT))`;
    case 'timestamptz':
      return `make_timestamptz(CAST(${datum} AS BIGINT))`;
    case 'date':
      return `(DATE '1970-01-01' + CAST(${datum} AS INTEGER))`;
    default:
      return `CAST(${quoted(datumToText(datum, type))} AS ${duckdbType(type)})`;
  }
}

export function datumOfDuckdb(value: unknown): Datum {
  if (typeof value === 'bigint') return canonicalInteger(value);
  if (value instanceof DuckDBDecimalValue) return canonicalInteger(value.value);
  if (
    value instanceof DuckDBTimestampValue ||
    value instanceof DuckDBTimestampTZValue ||
    value instanceof DuckDBTimeValue
  )
    return canonicalInteger(value.micros);
  if (value instanceof DuckDBDateValue) return value.days;
  if (value instanceof DuckDBIntervalValue)
    return { months: value.months, days: value.days, micros: Number(value.micros) };
  if (value instanceof DuckDBBlobValue) return value.bytes;
  if (value instanceof DuckDBUUIDValue) return value.toString();
  if (value instanceof DuckDBListValue) return value.items.map(datumOfDuckdb);
  return value as Datum;
}
