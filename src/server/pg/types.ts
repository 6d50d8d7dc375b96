import type { SqlType, TypeKind } from '../../values/types.ts';

/** Postgres's own type ids (pg_type) and sizes, so that drivers decode values; every value travels as text. */
const TYPES: Readonly<Record<TypeKind, { oid: number; size: number }>> = {
  boolean: { oid: 16, size: 1 },
  bytea: { oid: 17, size: -1 },
  bigint: { oid: 20, size: 8 },
  smallint: { oid: 21, size: 2 },
  integer: { oid: 23, size: 4 },
  varchar: { oid: 25, size: -1 },
  real: { oid: 700, size: 4 },
  double: { oid: 701, size: 8 },
  date: { oid: 1082, size: 4 },
  time: { oid: 1083, size: 8 },
  timestamp: { oid: 1114, size: 8 },
  timestamptz: { oid: 1184, size: 8 },
  interval: { oid: 1186, size: 16 },
  decimal: { oid: 1700, size: -1 },
  uuid: { oid: 2950, size: 16 },
  jsonb: { oid: 3802, size: -1 },
  array: { oid: 25, size: -1 },
  row: { oid: 25, size: -1 },
  map: { oid: 25, size: -1 },
  null: { oid: 25, size: -1 },
};

const ARRAY_OIDS: Readonly<Partial<Record<TypeKind, number>>> = {
  bigint: 1016,
  integer: 1007,
  varchar: 1009,
  double: 1022,
  boolean: 1000,
};

export const hasArrayType = (element: SqlType): boolean => ARRAY_OIDS[element.kind] !== undefined;

export function pgType(type: SqlType): { oid: number; size: number } {
  if (type.kind === 'array') return { oid: ARRAY_OIDS[type.element.kind] ?? 25, size: -1 };
  return TYPES[type.kind];
}

const NUMERIC_OIDS: ReadonlySet<number> = new Set([20, 21, 23, 26, 700, 701, 1700]);

/** A parameter's text as the JSON value that the binder takes: numbers by their declared type, all else as text. */
export function parameterValue(text: string, oid: number): unknown {
  if (oid === 16) return text === 't' || text === 'true' || text === '1';
  if (!NUMERIC_OIDS.has(oid)) return text;
  const value = Number(text);
  return String(value) === text ? value : text;
}
