import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  MAX_DECIMAL_PRECISION,
  mapOf,
  REAL,
  rowOf,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../values/types.ts';
import type { AvroNode, Logical } from './avro-schema.ts';

/**
 * The SQL type of an Avro type.
 *
 * | Avro | SQL |
 * | --- | --- |
 * | boolean, int, long, float, double | BOOLEAN, INTEGER, BIGINT, REAL, DOUBLE |
 * | string, enum, null | VARCHAR |
 * | bytes, fixed | BYTEA |
 * | array, map, record | array, MAP(VARCHAR, …), ROW(…) |
 * | a union with null | the other branch, nullable |
 * | another union, a record inside itself | JSONB |
 * | decimal, date, time-\*, uuid, duration | DECIMAL, DATE, TIME, UUID, INTERVAL |
 * | timestamp-\*, local-timestamp-\* | TIMESTAMPTZ, TIMESTAMP |
 */
export function avroType(node: AvroNode, inside: readonly AvroNode[] = []): SqlType {
  switch (node.kind) {
    case 'boolean':
      return BOOLEAN;
    case 'float':
      return REAL;
    case 'double':
      return DOUBLE;
    case 'null':
    case 'enum':
      return VARCHAR;
    case 'int':
    case 'long':
    case 'string':
    case 'bytes':
    case 'fixed':
      return node.logical === null ? PLAIN[node.kind] : logicalType(node.logical);
    case 'array':
      return arrayOf(avroType(node.items, inside));
    case 'map':
      return mapOf(VARCHAR, avroType(node.values, inside));
    case 'record': {
      if (inside.includes(node) || node.fields.length === 0) return JSONB;
      const within = [...inside, node];
      return rowOf(node.fields.map((field) => ({ name: field.name, type: avroType(field.node, within) })));
    }
    case 'union': {
      const only = nullableBranch(node.branches);
      return only === null ? JSONB : avroType(only, inside);
    }
  }
}

/** The one branch beside null of a union that has no more; null for another union. */
export function nullableBranch(branches: readonly AvroNode[]): AvroNode | null {
  const others = branches.filter((branch) => branch.kind !== 'null');
  if (others.length > 1) return null;
  return others[0] ?? branches[0];
}

export const isNullable = (node: AvroNode): boolean =>
  node.kind === 'null' || (node.kind === 'union' && node.branches.some((branch) => branch.kind === 'null'));

const PLAIN = { int: INTEGER, long: BIGINT, string: VARCHAR, bytes: BYTEA, fixed: BYTEA } as const;

function logicalType(logical: Logical): SqlType {
  switch (logical.name) {
    case 'decimal':
      return logical.precision > MAX_DECIMAL_PRECISION ? BYTEA : decimal(logical.precision, logical.scale);
    case 'date':
      return DATE;
    case 'time-millis':
    case 'time-micros':
      return TIME;
    case 'uuid':
      return UUID;
    case 'duration':
      return INTERVAL;
    default:
      return logical.name.startsWith('local') ? TIMESTAMP : TIMESTAMPTZ;
  }
}
