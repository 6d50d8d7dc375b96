import type * as Api from '@duckdb/node-api';
import { StreamError } from '../lib/errors.ts';
import { type Column, ColumnBuilder, datumAt } from '../values/column.ts';
import { checkInterval } from '../values/interval.ts';
import { canonicalInteger, type Datum, type Interval, type SqlType } from '../values/types.ts';

/** Single values and list vectors through the library's own classes: for arrays, which are rare. */

type DuckDb = typeof Api;

/** The library's type of ours. */
export function apiType(api: DuckDb, type: SqlType): Api.DuckDBType {
  switch (type.kind) {
    case 'boolean':
      return api.BOOLEAN;
    case 'smallint':
      return api.SMALLINT;
    case 'integer':
    case 'null':
      return api.INTEGER;
    case 'bigint':
      return api.BIGINT;
    case 'decimal':
      return api.DECIMAL(type.precision, type.scale);
    case 'real':
      return api.FLOAT;
    case 'double':
      return api.DOUBLE;
    case 'bytea':
      return api.BLOB;
    case 'date':
      return api.DATE;
    case 'time':
      return api.TIME;
    case 'timestamp':
      return api.TIMESTAMP;
    case 'timestamptz':
      return api.TIMESTAMPTZ;
    case 'interval':
      return api.INTERVAL;
    case 'array':
      return api.LIST(apiType(api, type.element));
    default:
      return api.VARCHAR;
  }
}

function toApiValue(api: DuckDb, datum: Datum, type: SqlType): Api.DuckDBValue {
  if (datum === null) return null;
  switch (type.kind) {
    case 'bigint':
      return BigInt(datum as number);
    case 'decimal':
      return new api.DuckDBDecimalValue(BigInt(datum as number), type.precision, type.scale);
    case 'bytea':
      return new api.DuckDBBlobValue(datum as Uint8Array);
    case 'date':
      return new api.DuckDBDateValue(datum as number);
    case 'time':
      return new api.DuckDBTimeValue(BigInt(datum as number));
    case 'timestamp':
      return new api.DuckDBTimestampValue(BigInt(datum as number));
    case 'timestamptz':
      return new api.DuckDBTimestampTZValue(BigInt(datum as number));
    case 'interval': {
      const { months, days, micros } = datum as Interval;
      return new api.DuckDBIntervalValue(months, days, BigInt(micros));
    }
    case 'array':
      return new api.DuckDBListValue((datum as readonly Datum[]).map((one) => toApiValue(api, one, type.element)));
    default:
      return datum as Api.DuckDBValue;
  }
}

function fromApiValue(value: Api.DuckDBValue, type: SqlType): Datum {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case 'bigint':
      return canonicalInteger(value as bigint);
    case 'decimal':
      return canonicalInteger((value as Api.DuckDBDecimalValue).value);
    case 'bytea':
      return Uint8Array.from((value as Api.DuckDBBlobValue).bytes);
    case 'date':
      return (value as Api.DuckDBDateValue).days;
    case 'time':
      return Number((value as Api.DuckDBTimeValue).micros);
    case 'timestamp':
    case 'timestamptz':
      return canonicalInteger((value as Api.DuckDBTimestampValue).micros);
    case 'interval': {
      const { months, days, micros } = value as Api.DuckDBIntervalValue;
      return checkInterval(months, days, Number(micros));
    }
    case 'array':
      return (value as Api.DuckDBListValue).items.map((one) => fromApiValue(one, type.element));
    case 'null':
      throw new StreamError('INVARIANT', 'a value of the type of NULL');
    default:
      return value as Datum;
  }
}

export function writeLists(api: DuckDb, vector: Api.DuckDBVector, column: Column, start: number, count: number): void {
  for (let i = 0; i < count; i++) vector.setItem(i, toApiValue(api, datumAt(column, start + i), column.type));
  vector.flush();
}

export function readLists(vector: Api.DuckDBVector, type: SqlType, count: number): Column {
  const builder = new ColumnBuilder(type, count);
  for (let i = 0; i < count; i++) builder.push(fromApiValue(vector.getItem(i) as Api.DuckDBValue, type));
  return builder.finish();
}
