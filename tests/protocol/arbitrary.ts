import fc from 'fast-check';
import { type Field, type Fields, type FieldType, inRange, type MessageSchema } from '../../src/protocol/schema.ts';

/** Random messages of a schema. */

const int64 = fc.oneof(fc.maxSafeInteger(), fc.integer());

function ofType(type: FieldType, version: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -128, max: 127 });
    case 'int16':
      return fc.integer({ min: -32768, max: 32767 });
    case 'uint16':
      return fc.nat(65535);
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.nat(2 ** 31 - 1);
    case 'int64':
      return int64;
    case 'float64':
      return fc.double();
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 12 });
    case 'uuid':
      return fc.uuid();
    case 'bytes':
    case 'records':
      return fc.uint8Array({ maxLength: 30 }).map((b) => Buffer.from(b));
    case 'array':
      return fc.array(ofType(type.element, version), { maxLength: 3 });
    case 'struct':
      return ofFields(type.fields, version);
  }
}

/** Values of the fields that a version has; the others hold what a reader gives them, their defaults. */
export function ofFields(fields: Fields, version: number): fc.Arbitrary<Record<string, unknown>> {
  const record: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [name, field] of Object.entries(fields)) {
    if (!inRange(field.versions, version)) record[name] = fc.constant(defaultOf(field));
    else if (inRange(field.nullable, version)) {
      record[name] = fc.option(ofType(field.type, version), { nil: null });
    } else record[name] = ofType(field.type, version);
  }
  return fc.record(record);
}

export function defaultOf(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  switch (field.type.kind) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return '00000000-0000-0000-0000-000000000000';
    case 'bytes':
      return Buffer.alloc(0);
    case 'records':
      return null;
    case 'array':
      return [];
    case 'struct':
      return Object.fromEntries(Object.entries(field.type.fields).map(([name, inner]) => [name, defaultOf(inner)]));
    default:
      return 0;
  }
}

export const versionsOf = (schema: MessageSchema): number[] =>
  Array.from({ length: schema.versions.to - schema.versions.from + 1 }, (_, i) => schema.versions.from + i);
