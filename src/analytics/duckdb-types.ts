import { datumToText } from '../values/text.ts';
import { type Datum, type SqlType, typeName } from '../values/types.ts';

/** How DuckDB spells a type. uuid, jsonb, rows and maps travel as their canonical text; the type of a bare NULL is any. */
export function duckdbType(type: SqlType): string {
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`;
    case 'real':
      return 'FLOAT';
    case 'bytea':
      return 'BLOB';
    case 'timestamptz':
      return 'TIMESTAMPTZ';
    case 'uuid':
    case 'jsonb':
    case 'row':
    case 'map':
      return 'VARCHAR';
    case 'null':
      return 'INTEGER';
    case 'array':
      return `${duckdbType(type.element)}[]`;
    default:
      return typeName(type).toUpperCase();
  }
}

export const castTo = (text: string, type: SqlType): string => `CAST(${text} AS ${duckdbType(type)})`;

/** Text as a DuckDB literal; U+0000, which its lexer does not take, as chr(0). */
function quoteText(text: string): string {
  const quoted = text.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`);
  return quoted.length === 1 ? quoted[0] : `(${quoted.join(' || chr(0) || ')})`;
}

/** A constant, exactly, of exactly its type. */
export function printLiteral(value: Datum, type: SqlType): string {
  if (value === null) return castTo('NULL', type);
  switch (type.kind) {
    case 'boolean':
      return value === true ? 'TRUE' : 'FALSE';
    case 'smallint':
    case 'integer':
    case 'bigint':
    case 'decimal':
    case 'time':
      return castTo(`'${datumToText(value, type)}'`, type);
    case 'real':
    case 'double':
      return castTo(`'${Object.is(value, -0) ? '-0.0' : String(value)}'`, type);
    case 'bytea':
      return `unhex('${Buffer.from(value as Uint8Array).toString('hex')}')`;
    case 'date':
      return `(DATE '1970-01-01' + CAST(${String(value)} AS INTEGER))`;
    case 'timestamp':
      return `make_timestamp(CAST(${String(value)} AS BIGINT))`;
    case 'timestamptz':
      return `make_timestamptz(CAST(${String(value)} AS BIGINT))`;
    case 'interval': {
      const { months, days, micros } = value as { months: number; days: number; micros: number };
      return `(to_months(${months}) + to_days(${days}) + to_microseconds(${micros}))`;
    }
    case 'array':
      return castTo(`[${(value as readonly Datum[]).map((one) => printLiteral(one, type.element)).join(', ')}]`, type);
    default:
      return quoteText(String(value));
  }
}
