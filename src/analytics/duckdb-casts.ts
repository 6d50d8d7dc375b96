import { isInteger, type SqlType, sameType } from '../values/types.ts';
import { castTo, duckdbType } from './duckdb-types.ts';

/** Digits up to which a decimal's unscaled value and its power of ten are exact doubles, so that one division rounds once. */
const EXACT_DOUBLE_DIGITS = 15;

/**
 * A cast in DuckDB's own words where its meaning is ours (streamql/functions/casts.ts); undefined where it is not: texts, JSON,
 * doubles to decimals or text, arrays. Those run our own code inside DuckDB (foreign-calls.ts).
 */
export function nativeCast(text: string, from: SqlType, to: SqlType, safe: boolean): string | undefined {
  if (sameType(from, to)) return text;
  if (from.kind === 'null') return castTo('NULL', to);
  const plain = `${safe ? 'TRY_CAST' : 'CAST'}(${text} AS ${duckdbType(to)})`;
  switch (to.kind) {
    case 'varchar':
      if (from.kind === 'uuid' || from.kind === 'jsonb') return text;
      return from.kind === 'boolean' || isInteger(from) || from.kind === 'decimal' ? plain : undefined;
    case 'smallint':
    case 'integer':
    case 'bigint':
      if (isInteger(from) || from.kind === 'decimal' || from.kind === 'double' || from.kind === 'real') return plain;
      return from.kind === 'boolean' && to.kind === 'integer' ? plain : undefined;
    case 'decimal':
      return isInteger(from) || from.kind === 'decimal' ? plain : undefined;
    case 'real':
      return from.kind === 'smallint' || from.kind === 'integer' ? plain : undefined;
    case 'double':
      if (isInteger(from) || from.kind === 'real') return plain;
      return from.kind === 'decimal' && from.precision <= EXACT_DOUBLE_DIGITS ? plain : undefined;
    case 'boolean':
      return from.kind === 'integer' ? plain : undefined;
    case 'date':
    case 'time':
      if (from.kind === 'timestamp') return plain;
      return from.kind === 'timestamptz' ? castTo(`make_timestamp(epoch_us(${text}))`, to) : undefined;
    case 'timestamp':
    case 'timestamptz':
      if (from.kind === 'timestamp') return `make_timestamptz(epoch_us(${text}))`;
      if (from.kind === 'timestamptz') return `make_timestamp(epoch_us(${text}))`;
      return undefined;
    default:
      return undefined;
  }
}
