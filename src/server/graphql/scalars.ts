import {
  GraphQLBoolean,
  type GraphQLInputType,
  GraphQLInt,
  GraphQLList,
  type GraphQLOutputType,
  GraphQLScalarType,
  GraphQLString,
  Kind,
  type ValueNode,
} from 'graphql';
import type { SqlType } from '../../values/types.ts';

/** Values reach a scalar as JSON already (values/json.ts), so serialising is the identity; parsing is left to datumFromJson. */
function passThrough(name: string, description: string, float: (text: string) => unknown = String): GraphQLScalarType {
  return new GraphQLScalarType({
    name,
    description,
    serialize: (value) => value,
    parseValue: (value) => value,
    parseLiteral: (node, variables) => literalJson(node, variables ?? {}, float),
  });
}

export const JsonScalar = passThrough('JSON', 'Any JSON value.', Number);
const BigIntScalar = passThrough(
  'BigInt',
  '64-bit integer: a number while a double holds it exactly, a string beyond.',
);
const DecimalScalar = passThrough(
  'Decimal',
  'Exact decimal: a number while a double holds it exactly, a string beyond.',
);
const DoubleScalar = passThrough('Double', 'Double precision number; "NaN", "Infinity" and "-Infinity" as strings.');
const TimestampScalar = passThrough('Timestamp', 'ISO 8601, UTC, to the microsecond.');
const DateScalar = passThrough('Date', 'ISO 8601 date.');
const TimeScalar = passThrough('Time', 'ISO 8601 time of day.');

/**
 * Whole numbers keep their text beyond 2^53, so that nothing is rounded on the way in; `float` says what others become. A variable
 * that was not given is null, and its member of an object is left out, as in an input object.
 */
function literalJson(
  node: ValueNode,
  variables: Readonly<Record<string, unknown>>,
  float: (text: string) => unknown,
): unknown {
  switch (node.kind) {
    case Kind.INT: {
      const value = Number(node.value);
      return Number.isSafeInteger(value) ? value : node.value;
    }
    case Kind.FLOAT:
      return float(node.value);
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.NULL:
      return null;
    case Kind.VARIABLE:
      return variables[node.name.value] ?? null;
    case Kind.LIST:
      return node.values.map((value) => literalJson(value, variables, float));
    case Kind.OBJECT:
      return Object.fromEntries(
        node.fields
          .filter(({ value }) => value.kind !== Kind.VARIABLE || variables[value.name.value] !== undefined)
          .map(({ name, value }) => [name.value, literalJson(value, variables, float)]),
      );
  }
}

const BY_KIND = {
  boolean: GraphQLBoolean,
  smallint: GraphQLInt,
  integer: GraphQLInt,
  bigint: BigIntScalar,
  decimal: DecimalScalar,
  real: DoubleScalar,
  double: DoubleScalar,
  varchar: GraphQLString,
  bytea: GraphQLString,
  date: DateScalar,
  time: TimeScalar,
  timestamp: TimestampScalar,
  timestamptz: TimestampScalar,
  interval: GraphQLString,
  uuid: GraphQLString,
  jsonb: JsonScalar,
  row: JsonScalar,
  map: JsonScalar,
  null: GraphQLString,
} as const;

export function outputType(type: SqlType): GraphQLOutputType {
  return type.kind === 'array' ? new GraphQLList(outputType(type.element)) : BY_KIND[type.kind];
}

export function inputType(type: SqlType): GraphQLInputType {
  return type.kind === 'array' ? new GraphQLList(inputType(type.element)) : BY_KIND[type.kind];
}
