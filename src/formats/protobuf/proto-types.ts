import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  mapOf,
  REAL,
  rowOf,
  type SqlType,
  TIMESTAMPTZ,
  VARCHAR,
} from '../../values/types.ts';
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from './proto-schema.ts';

const SCALARS: Readonly<Record<ProtoScalar, SqlType>> = {
  int32: INTEGER,
  sint32: INTEGER,
  sfixed32: INTEGER,
  uint32: BIGINT,
  fixed32: BIGINT,
  int64: BIGINT,
  sint64: BIGINT,
  sfixed64: BIGINT,
  uint64: decimal(20, 0),
  fixed64: decimal(20, 0),
  float: REAL,
  double: DOUBLE,
  bool: BOOLEAN,
  string: VARCHAR,
  bytes: BYTEA,
};

/** Messages of google.protobuf whose meaning is a value. */
export const WRAPPERS: Readonly<Record<string, ProtoScalar>> = {
  'google.protobuf.DoubleValue': 'double',
  'google.protobuf.FloatValue': 'float',
  'google.protobuf.Int64Value': 'int64',
  'google.protobuf.UInt64Value': 'uint64',
  'google.protobuf.Int32Value': 'int32',
  'google.protobuf.UInt32Value': 'uint32',
  'google.protobuf.BoolValue': 'bool',
  'google.protobuf.StringValue': 'string',
  'google.protobuf.BytesValue': 'bytes',
};

export const JSON_MESSAGES: ReadonlySet<string> = new Set([
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
]);

/** The SQL type of one value of a field, without `repeated`. JSONB for a message inside itself. */
export function protoType(type: ProtoType, inside: readonly ProtoMessage[] = []): SqlType {
  switch (type.kind) {
    case 'scalar':
      return SCALARS[type.scalar];
    case 'enum':
      return VARCHAR;
    case 'message': {
      const { message } = type;
      if (message.name === 'google.protobuf.Timestamp') return TIMESTAMPTZ;
      if (message.name === 'google.protobuf.Duration') return INTERVAL;
      const wrapped = WRAPPERS[message.name];
      if (wrapped !== undefined) return SCALARS[wrapped];
      if (JSON_MESSAGES.has(message.name) || inside.includes(message) || message.fields.length === 0) return JSONB;
      const within = [...inside, message];
      return rowOf(message.fields.map((field) => ({ name: field.name, type: fieldType(field, within) })));
    }
  }
}

export function fieldType(field: ProtoField, inside: readonly ProtoMessage[] = []): SqlType {
  const type = protoType(field.type, inside);
  if (field.mapKey !== null) return mapOf(SCALARS[field.mapKey], type);
  return field.repeated ? arrayOf(type) : type;
}
