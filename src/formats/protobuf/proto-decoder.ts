import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { typeName } from '../../values/types.ts';
import { BinaryInput } from '../binary-input.ts';
import { BEGINS_LIKE_HEADER } from '../confluent-header.ts';
import { type Convert, converter } from '../convert.ts';
import type { ValueDecoder } from '../decoder.ts';
import { SlotDecoder } from '../slot-decoder.ts';
import { checkRequired, type FieldPlan, fieldPlan, MessagePlan, readFields, type Values } from './proto-reader.ts';
import { type ProtoField, type ProtoMessage, parseProtoSchema } from './proto-schema.ts';
import { fieldType } from './proto-types.ts';

/** The columns that a message gives: its fields. Only those that may be missing are nullable. */
export function protoColumns(schema: string, message: string | undefined): ColumnSchema[] {
  const { fields } = parseProtoSchema(schema, message).message;
  return fields.map((field) => ({
    name: field.name,
    type: fieldType(field),
    nullable: field.presence && !field.required,
  }));
}

/**
 * Values in Protobuf's wire format. A column is the field of its name; numbers without a field are passed over. A field that is not there is
 * NULL where the schema tells that from its default (optional, oneof, messages, proto2), else the default: 0, false, '', the first symbol, an empty list.
 * SQL_BIND for a column without a field, SQL_TYPE for one whose type the field's does not convert to.
 */
export function createProtoDecoder(
  columns: readonly ColumnSchema[],
  wanted: readonly number[],
  schema: string,
  message: string | undefined,
  key: readonly number[],
): ValueDecoder {
  const { message: root } = parseProtoSchema(schema, message);
  const has = (column: ColumnSchema): boolean => root.fields.some((field) => field.name === column.name);
  // A table's key may be in the record key alone.
  columns.forEach((column, i) => {
    if (!key.includes(i) || has(column)) bindField(column, root);
  });
  return new ProtoDecoder(
    wanted.map((position) => columns[position]),
    root,
  );
}

function bindField(column: ColumnSchema, message: ProtoMessage): { field: ProtoField; convert: Convert } {
  const field = message.fields.find(({ name }) => name === column.name);
  if (field === undefined) {
    throw new StreamError('SQL_BIND', `message ${message.name} has no field "${column.name}"`, {
      hint: `its fields are: ${message.fields.map(({ name }) => name).join(', ')}`,
    });
  }
  const type = fieldType(field);
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

class ProtoDecoder extends SlotDecoder {
  readonly #input = new BinaryInput();
  readonly #plan: MessagePlan;
  readonly #values: Values;
  /** For each slot its place in the plan; −1 for a key column that the message does not have. */
  readonly #places: readonly number[];
  readonly #converts: readonly (Convert | null)[];
  /** Singular strings as ranges of the buffer. */
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;

  constructor(wanted: readonly ColumnSchema[], message: ProtoMessage) {
    super(wanted);
    const names = wanted.map((column) => column.name);
    const fields = message.fields.filter((field) => names.includes(field.name) || field.required);
    this.#places = names.map((name) => fields.findIndex((field) => field.name === name));
    this.#starts = new Int32Array(fields.length);
    this.#ends = new Int32Array(fields.length);
    this.#plan = new MessagePlan(
      fields.map((field, place) => {
        const slot = names.indexOf(field.name);
        const asRange = slot >= 0 && this.slots[slot].isText && isSingleString(field);
        return { number: field.number, plan: asRange ? this.#rangePlan(field, place) : fieldPlan(field) };
      }),
    );
    this.#values = new Array(fields.length).fill(undefined);
    this.#converts = wanted.map((column, slot) =>
      this.#places[slot] < 0 || this.#isRange(slot) ? null : bindField(column, message).convert,
    );
  }

  protected read(start: number, end: number, row: number): string | null {
    const input = this.#input;
    const values = this.#values;
    input.open(this.buffer, start, end);
    values.fill(undefined);
    readFields(input, this.#plan, values);
    if (input.problem !== null) {
      const hint = end - start > 5 && this.buffer[start] === 0 ? BEGINS_LIKE_HEADER : '';
      return `the record is no such message: ${input.problem}${hint}`;
    }
    for (let slot = 0; slot < this.slots.length; slot++) {
      const problem = this.#fill(slot, row);
      if (problem !== null) return problem;
    }
    for (let place = 0; place < values.length; place++) checkRequired(input, this.#plan.fields[place], values[place]);
    return input.problem;
  }

  #fill(slot: number, row: number): string | null {
    const place = this.#places[slot];
    const target = this.slots[slot];
    if (place < 0) {
      target.setNull(row);
      return null;
    }
    const value = this.#values[place];
    const convert = this.#converts[slot];
    if (convert === null && value !== undefined) {
      target.setText(row, this.buffer, this.#starts[place], this.#ends[place]);
      return null;
    }
    const datum = checkRequired(this.#input, this.#plan.fields[place], value);
    if (datum === null) return this.setNull(slot, row);
    const converted = convert === null ? datum : convert(datum);
    if (converted === undefined)
      return `column "${target.schema.name}" (${typeName(target.schema.type)}) cannot hold ${String(datum).slice(0, 60)}`;
    if (converted === null) return this.setNull(slot, row);
    if (converted === '' && target.isText) target.setText(row, this.buffer, 0, 0);
    else target.set(row, converted, this.buffer);
    return null;
  }

  #isRange(slot: number): boolean {
    return this.#plan.fields[this.#places[slot]].read === this.#rangeReads[this.#places[slot]];
  }

  readonly #rangeReads: FieldPlan['read'][] = [];

  #rangePlan(field: ProtoField, place: number): FieldPlan {
    const read: FieldPlan['read'] = (input) => {
      this.#starts[place] = input.at;
      this.#ends[place] = input.end;
      input.at = input.end;
      return '';
    };
    this.#rangeReads[place] = read;
    return { ...fieldPlan(field), read };
  }
}

const isSingleString = ({ type, repeated, mapKey }: ProtoField): boolean =>
  type.kind === 'scalar' && type.scalar === 'string' && !repeated && mapKey === null;

/**
 * The message indexes between Confluent's header and the value: a zig-zag count and the indexes, `[0]` as one zero byte. Answers their length, −1 when they
 * name another message.
 */
export function messageIndexes(schema: string, message: string | undefined) {
  const { indexes } = parseProtoSchema(schema, message);
  const input = new BinaryInput();
  return (buffer: Buffer, start: number, end: number): number => {
    input.open(buffer, start, end);
    const count = input.zigzagCount();
    const found: number[] = count === 0 ? [0] : [];
    for (let i = 0; i < count && input.at < end; i++) found.push(input.zigzagCount());
    const sound = input.problem === null && input.at <= end && (count === 0 || found.length === count);
    const same =
      indexes === null || (indexes.length === found.length && indexes.every((index, i) => index === found[i]));
    return sound && same ? input.at - start : -1;
  };
}
