import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { type SqlType, typeName } from '../../values/types.ts';
import { BinaryInput } from '../binary-input.ts';
import { BEGINS_LIKE_HEADER } from '../confluent-header.ts';
import { type Convert, converter } from '../convert.ts';
import type { ValueDecoder } from '../decoder.ts';
import { SlotDecoder } from '../slot-decoder.ts';
import { avroReader, avroSkipper, branchOf, type ReadAvro } from './avro-reader.ts';
import { type AvroField, type AvroNode, parseAvroSchema } from './avro-schema.ts';
import { avroType, isNullable } from './avro-types.ts';

/** The columns that a schema gives: the fields of a record, or `value`. */
export function avroColumns(schema: string): ColumnSchema[] {
  const root = parseAvroSchema(schema);
  return fieldsOf(root, 'value').map(({ name, node }) => ({ name, type: avroType(node), nullable: isNullable(node) }));
}

const fieldsOf = (root: AvroNode, name: string): readonly AvroField[] =>
  root.kind === 'record' ? root.fields : [{ name, node: root }];

/**
 * Values in Avro's binary encoding, all written with the given schema. A column is the field of its name; a schema that is no record is the
 * only column. Nothing is made of fields that no column wants. SQL_BIND for a column without a field, SQL_TYPE for one whose type
 * the field's does not convert to.
 */
export function createAvroDecoder(
  columns: readonly ColumnSchema[],
  wanted: readonly number[],
  schema: string,
  key: readonly number[],
): ValueDecoder {
  const root = parseAvroSchema(schema);
  const own = columns.filter((_, i) => !key.includes(i));
  const fields = fieldsOf(root, own.length === 1 ? own[0].name : 'value');
  // A table's key may be in the record key alone.
  const needed = columns.filter((column, i) => !key.includes(i) || fields.some((field) => field.name === column.name));
  for (const column of needed) bindField(column, fields);
  return new AvroDecoder(
    wanted.map((position) => columns[position]),
    fields,
  );
}

function bindField(column: ColumnSchema, fields: readonly AvroField[]): { field: AvroField; convert: Convert } {
  const field = fields.find(({ name }) => name === column.name);
  if (field === undefined) {
    throw new StreamError('SQL_BIND', `the Avro schema has no field "${column.name}"`, {
      hint: `its fields are: ${fields.map(({ name }) => name).join(', ')}`,
    });
  }
  const type = avroType(field.node);
  const convert = converter(type, column.type);
  if (convert === null) {
    throw new StreamError(
      'SQL_TYPE',
      `field "${column.name}" is ${typeName(type)}, the column ${typeName(column.type)}`,
      {
        hint: `declare it ${typeName(type)} and cast it in a view`,
      },
    );
  }
  return { field, convert };
}

/** One field of the schema: what is done with its value. */
type Step = (input: BinaryInput, row: number) => void;

class AvroDecoder extends SlotDecoder {
  readonly #input = new BinaryInput();
  readonly #steps: readonly Step[];
  readonly #absent: readonly number[];

  constructor(wanted: readonly ColumnSchema[], fields: readonly AvroField[]) {
    super(wanted);
    this.#steps = fields.map((field) => {
      const slot = wanted.findIndex((column) => column.name === field.name);
      return slot < 0 ? avroSkipper(field.node) : this.#step(slot, field.node);
    });
    this.#absent = wanted.flatMap((column, i) => (fields.some(({ name }) => name === column.name) ? [] : [i]));
  }

  protected read(start: number, end: number, row: number): string | null {
    const input = this.#input;
    input.open(this.buffer, start, end);
    const steps = this.#steps;
    for (let i = 0; i < steps.length; i++) steps[i](input, row);
    for (const slot of this.#absent) this.slots[slot].setNull(row);
    if (input.problem === null && input.at === end) return null;
    const left = end - input.at;
    const why = input.problem ?? (left > 0 ? `${left} bytes are left over` : 'it ends within a value');
    const hint = end - start > 5 && this.buffer[start] === 0 ? BEGINS_LIKE_HEADER : '';
    return `the record was not written with the schema: ${why}${hint}`;
  }

  #step(slot: number, node: AvroNode): Step {
    const target = this.slots[slot];
    const { name, type, nullable } = target.schema;
    const none: Step = (input, row) => {
      if (nullable) target.setNull(row);
      else input.problem ??= `column "${name}" is NOT NULL but null`;
    };
    if (node.kind === 'null') return none;
    if (node.kind === 'union' && isNullable(node) && node.branches.length === 2) {
      const some = this.#step(slot, node.branches[node.branches[0].kind === 'null' ? 1 : 0]);
      const branches = node.branches.map((branch) => (branch.kind === 'null' ? none : some));
      return (input, row) => branchOf(input, branches)?.(input, row);
    }
    if (node.kind === 'string' && node.logical === null && target.isText) {
      return (input, row) => {
        const length = input.zigzagCount();
        const from = input.take(length);
        if (from >= 0) target.setText(row, input.buffer, from, from + length);
      };
    }
    return this.#convert(slot, avroReader(node), avroType(node), type, none);
  }

  #convert(slot: number, read: ReadAvro, from: SqlType, to: SqlType, none: Step): Step {
    const target = this.slots[slot];
    const convert = converter(from, to)!;
    return (input, row) => {
      const given = read(input);
      if (input.problem !== null) return;
      if (given === null) {
        none(input, row);
        return;
      }
      const datum = convert(given);
      if (datum === undefined)
        input.problem = `column "${target.schema.name}" (${typeName(target.schema.type)}) cannot hold ${String(given).slice(0, 60)}`;
      else if (datum === null) none(input, row);
      else target.set(row, datum, input.buffer);
    };
  }
}
