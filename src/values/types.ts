/**
 * SQL types and how a value of each is held in memory, everywhere between a decoder and the edge.
 *
 * | type | datum (a JS value; SQL NULL is `null`) | column storage |
 * | --- | --- | --- |
 * | boolean | `true` / `false` | Uint8Array of 0/1 |
 * | smallint, integer | number | Int32Array |
 * | bigint | number while |v| ≤ 2^53−1, else JS bigint; never a bigint that would fit a safe number | Float64Array, or plain array when one value needs a bigint |
 * | decimal(p,s) | the unscaled integer (value × 10^s), number or bigint by the same rule | as bigint |
 * | real, double | number (real rounded by Math.fround); NaN and ±Infinity are values | Float64Array |
 * | varchar, uuid, jsonb | string (uuid lower case; jsonb as canonical compact text) | TextColumn or plain array |
 * | bytea | Uint8Array | plain array |
 * | date | days since 1970-01-01 | Int32Array |
 * | time | microseconds since midnight | Float64Array |
 * | timestamp, timestamptz | microseconds since 1970-01-01T00:00:00Z, number or bigint by bigint's rule | as bigint |
 * | interval | `Interval` | plain array |
 * | array | JS array of datums | plain array |
 * | row, map | string: the canonical text of `nested.ts`, equal for equal values | as varchar |
 *
 * The rule "number if safe, else bigint" makes each value have exactly one representation, so `===` is equality for
 * everything but NaN, bytea, interval and array.
 */
export type SqlType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'smallint' }
  | { readonly kind: 'integer' }
  | { readonly kind: 'bigint' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'real' }
  | { readonly kind: 'double' }
  | { readonly kind: 'varchar' }
  | { readonly kind: 'bytea' }
  | { readonly kind: 'date' }
  | { readonly kind: 'time' }
  | { readonly kind: 'timestamp' }
  | { readonly kind: 'timestamptz' }
  | { readonly kind: 'interval' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'jsonb' }
  | { readonly kind: 'array'; readonly element: SqlType }
  | { readonly kind: 'row'; readonly fields: readonly RowField[] }
  | { readonly kind: 'map'; readonly key: SqlType; readonly value: SqlType }
  /** The type of a bare NULL; casts to anything. */
  | { readonly kind: 'null' };

export interface RowField {
  readonly name: string;
  readonly type: SqlType;
}

export type RowType = Extract<SqlType, { kind: 'row' }>;
export type MapType = Extract<SqlType, { kind: 'map' }>;

export type TypeKind = SqlType['kind'];

/** Postgres's interval: months and days do not convert into microseconds. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: number;
}

export type Datum = null | boolean | number | bigint | string | Uint8Array | Interval | readonly Datum[];

export const BOOLEAN: SqlType = { kind: 'boolean' };
export const SMALLINT: SqlType = { kind: 'smallint' };
export const INTEGER: SqlType = { kind: 'integer' };
export const BIGINT: SqlType = { kind: 'bigint' };
export const REAL: SqlType = { kind: 'real' };
export const DOUBLE: SqlType = { kind: 'double' };
export const VARCHAR: SqlType = { kind: 'varchar' };
export const BYTEA: SqlType = { kind: 'bytea' };
export const DATE: SqlType = { kind: 'date' };
export const TIME: SqlType = { kind: 'time' };
export const TIMESTAMP: SqlType = { kind: 'timestamp' };
export const TIMESTAMPTZ: SqlType = { kind: 'timestamptz' };
export const INTERVAL: SqlType = { kind: 'interval' };
export const UUID: SqlType = { kind: 'uuid' };
export const JSONB: SqlType = { kind: 'jsonb' };
export const NULL_TYPE: SqlType = { kind: 'null' };
export const decimal = (precision: number, scale: number): SqlType => ({ kind: 'decimal', precision, scale });
export const arrayOf = (element: SqlType): SqlType => ({ kind: 'array', element });
export const rowOf = (fields: readonly RowField[]): RowType => ({ kind: 'row', fields });
export const mapOf = (key: SqlType, value: SqlType): MapType => ({ kind: 'map', key, value });

/** The widest precision of a decimal. */
export const MAX_DECIMAL_PRECISION = 38;

export function sameType(a: SqlType, b: SqlType): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'decimal' && b.kind === 'decimal') return a.precision === b.precision && a.scale === b.scale;
  if (a.kind === 'array' && b.kind === 'array') return sameType(a.element, b.element);
  if (a.kind === 'map' && b.kind === 'map') return sameType(a.key, b.key) && sameType(a.value, b.value);
  if (a.kind === 'row' && b.kind === 'row') {
    return (
      a.fields.length === b.fields.length &&
      a.fields.every(({ name, type }, i) => name === b.fields[i].name && sameType(type, b.fields[i].type))
    );
  }
  return true;
}

/** As a user writes it: `decimal(23,3)`, `varchar`, `bigint[]`. */
export function typeName(type: SqlType): string {
  if (type.kind === 'decimal') return `decimal(${type.precision},${type.scale})`;
  if (type.kind === 'array') return `${typeName(type.element)}[]`;
  if (type.kind === 'map') return `map(${typeName(type.key)},${typeName(type.value)})`;
  if (type.kind === 'row')
    return `row(${type.fields.map((field) => `${fieldName(field.name)} ${typeName(field.type)}`).join(',')})`;
  if (type.kind === 'null') return 'unknown';
  return type.kind;
}

const fieldName = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : JSON.stringify(name));

const NUMERIC_KINDS: ReadonlySet<TypeKind> = new Set(['smallint', 'integer', 'bigint', 'decimal', 'real', 'double']);
export const isNumeric = (type: SqlType): boolean => NUMERIC_KINDS.has(type.kind);
export const isInteger = (type: SqlType): boolean =>
  type.kind === 'smallint' || type.kind === 'integer' || type.kind === 'bigint';

/** Whether datums of the type are strings. */
export const isText = (type: SqlType): boolean =>
  type.kind === 'varchar' ||
  type.kind === 'uuid' ||
  type.kind === 'jsonb' ||
  type.kind === 'row' ||
  type.kind === 'map';

/** Whether datums of the type are held as "number if safe, else bigint". */
export const isExact64 = (type: SqlType): boolean =>
  type.kind === 'bigint' || type.kind === 'decimal' || type.kind === 'timestamp' || type.kind === 'timestamptz';

/** The one representation of an integer value: a number while it is safe, a bigint beyond. */
export function canonicalInteger(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}
