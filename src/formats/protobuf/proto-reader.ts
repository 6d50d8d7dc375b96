import { assert } from '../../lib/assert.ts';
import { checkTimestamp } from '../../values/datetime.ts';
import { canonicalJsonText } from '../../values/json-text.ts';
import { type Entry, packMap, packRow } from '../../values/nested.ts';
import { canonicalInteger, type Datum, type MapType, type RowType, type SqlType } from '../../values/types.ts';
import { BinaryInput } from '../binary-input.ts';
import { orUndefined } from '../convert.ts';
import { jsonOfDatum } from '../json/json-encoder.ts';
import type { ProtoField, ProtoMessage, ProtoScalar, ProtoType } from './proto-schema.ts';
import { fieldType, JSON_MESSAGES, protoType, WRAPPERS } from './proto-types.ts';

/** Protobuf's wire types. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Reads one value; its tag is read already, and so is the length of a string, bytes or message: the input ends with it. */
type ReadValue = (input: BinaryInput) => Datum;

/** How the values of one field are read and put together. */
export interface FieldPlan {
  readonly wire: number;
  readonly read: ReadValue;
  /** What many occurrences are: the last one, a list, or entries of a map. */
  readonly many: 'last' | 'list' | 'map';
  /** Occurrences of a single message are one message in pieces. */
  readonly merges: boolean;
  /** What it is when it is not there. */
  readonly absent: Datum;
  readonly type: SqlType;
  readonly required: boolean;
  readonly name: string;
}

export function fieldPlan(field: ProtoField, inside: readonly ProtoMessage[] = []): FieldPlan {
  const type = fieldType(field, inside);
  const single = !field.repeated && field.mapKey === null;
  const common = { type, required: field.required, name: field.name };
  if (field.mapKey !== null) {
    const read = entryReader(field, inside);
    return { ...common, wire: LENGTH, read, many: 'map', merges: false, absent: packMap([], type as MapType) };
  }
  const merges = single && field.type.kind === 'message';
  const read = valueReader(field.type, inside);
  const absent = !single ? [] : field.presence ? null : defaultOf(field.type);
  return { ...common, wire: wireOf(field.type), read, many: single ? 'last' : 'list', merges, absent };
}

export class MessagePlan {
  readonly fields: readonly FieldPlan[];
  readonly #places: Int32Array;
  readonly #far: Map<number, number>;

  /** Fields without a plan are passed over. */
  constructor(fields: readonly { readonly number: number; readonly plan: FieldPlan }[]) {
    this.fields = fields.map(({ plan }) => plan);
    const most = Math.min(255, Math.max(0, ...fields.map(({ number }) => number)));
    this.#places = new Int32Array(most + 1).fill(-1);
    this.#far = new Map();
    fields.forEach(({ number }, place) => {
      if (number <= most) this.#places[number] = place;
      else this.#far.set(number, place);
    });
  }

  placeOf(number: number): number {
    return number < this.#places.length ? this.#places[number] : (this.#far.get(number) ?? -1);
  }
}

/** Values of one message, by place in its plan; undefined where there was none. */
export type Values = (Datum | undefined)[];

/**
 * Reads fields up to `input.end`. Wire types other than the declared one, and numbers without a field, are passed over, as the specification says of
 * unknown fields; lists of numbers may be packed or not.
 */
export function readFields(input: BinaryInput, plan: MessagePlan, values: Values): void {
  const { at: start, end } = input;
  let inPieces = false;
  while (input.at < end) {
    const tag = input.varint();
    const wire = tag & 7;
    const number = tag >>> 3;
    if (number === 0 || input.high !== 0) {
      input.fail('there is a field of number 0');
      return;
    }
    const place = plan.placeOf(number);
    const field = place < 0 ? undefined : plan.fields[place];
    if (
      field === undefined ||
      (wire !== field.wire && !(wire === LENGTH && field.many === 'list' && field.wire !== LENGTH))
    ) {
      skip(input, wire, number);
      continue;
    }
    if (wire !== LENGTH) {
      add(input, field, values, place, field.read(input));
      continue;
    }
    const length = input.varint();
    if (input.high !== 0 || length > end - input.at) {
      input.fail('a length goes beyond the end of the record');
      return;
    }
    const stop = input.at + length;
    input.end = stop;
    if (field.wire !== LENGTH) {
      while (input.at < stop && input.problem === null) add(input, field, values, place, field.read(input));
    } else if (field.merges && values[place] !== undefined) {
      inPieces = true;
      input.at = stop;
    } else add(input, field, values, place, field.read(input));
    if (input.problem !== null) return;
    if (input.at !== stop) {
      input.fail(`field ${number} ends within a value`);
      return;
    }
    input.end = end;
  }
  if (input.at > end) input.fail('it ends within a value');
  else if (inPieces) merge(input, plan, values, start, end);
}

function add(input: BinaryInput, field: FieldPlan, values: Values, place: number, value: Datum): void {
  if (field.many === 'last') {
    values[place] = value;
    return;
  }
  if (!input.element()) return;
  const list = values[place] as Datum[] | undefined;
  if (list === undefined) values[place] = [value];
  else list.push(value);
}

/** A single message in several pieces is their concatenation. */
function merge(input: BinaryInput, plan: MessagePlan, values: Values, start: number, end: number): void {
  const pieces = new Map<number, Buffer[]>();
  input.at = start;
  while (input.at < end) {
    const tag = input.varint();
    const place = plan.placeOf(tag >>> 3);
    if ((tag & 7) === LENGTH && place >= 0 && plan.fields[place].merges) {
      const length = input.varint();
      pieces.set(place, [...(pieces.get(place) ?? []), input.buffer.subarray(input.at, input.at + length)]);
      input.at += length;
    } else skip(input, tag & 7, tag >>> 3);
  }
  for (const [place, parts] of pieces) {
    if (parts.length === 1 || input.problem !== null) continue;
    const whole = new BinaryInput();
    const bytes = Buffer.concat(parts);
    whole.open(bytes, 0, bytes.length);
    values[place] = plan.fields[place].read(whole);
    if (whole.problem !== null) input.fail(whole.problem);
  }
}

function skip(input: BinaryInput, wire: number, number: number): void {
  switch (wire) {
    case VARINT:
      input.varint();
      return;
    case FIXED64:
      input.take(8);
      return;
    case FIXED32:
      input.take(4);
      return;
    case LENGTH: {
      const length = input.varint();
      input.take(input.high === 0 ? length : -1);
      return;
    }
    case 3:
      // A group: fields up to the end tag of the same number.
      if (!input.enter()) return;
      while (input.at < input.end) {
        const tag = input.varint();
        if ((tag & 7) === 4) {
          if (tag >>> 3 !== number) input.fail('a group ends with another number');
          input.leave();
          return;
        }
        skip(input, tag & 7, tag >>> 3);
      }
      input.fail('a group has no end');
      return;
    default:
      input.fail(`wire type ${wire} is none`);
  }
}

/** The datum of a field: lists and maps built, defaults where there was nothing. */
function fieldDatum(field: FieldPlan, value: Datum | undefined): Datum {
  if (value === undefined) return field.absent;
  return field.many === 'map' ? packMap(value as unknown as Entry[], field.type as MapType) : value;
}

function wireOf(type: ProtoType): number {
  if (type.kind === 'message') return LENGTH;
  if (type.kind === 'enum') return VARINT;
  switch (type.scalar) {
    case 'string':
    case 'bytes':
      return LENGTH;
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return FIXED64;
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return FIXED32;
    default:
      return VARINT;
  }
}

function defaultOf(type: ProtoType): Datum {
  if (type.kind === 'enum') return type.symbols.get(0) ?? '0';
  assert(type.kind === 'scalar', 'a message has presence');
  if (type.scalar === 'string') return '';
  if (type.scalar === 'bytes') return new Uint8Array(0);
  return type.scalar === 'bool' ? false : 0;
}

function signed(low: number, high: number): number | bigint {
  if (high === 0) return low;
  if (high < 0x20_0000) return high * 4294967296 + low;
  if (high > 0xffe0_0000) return (high - 4294967296) * 4294967296 + low;
  return canonicalInteger(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)));
}

function unsigned(low: number, high: number): number | bigint {
  if (high < 0x20_0000) return high * 4294967296 + low;
  return (BigInt(high) << 32n) | BigInt(low);
}

const SCALARS: Readonly<Record<ProtoScalar, ReadValue>> = {
  int32: (input) => input.varint() | 0,
  sint32: (input) => {
    const low = input.varint();
    return (low >>> 1) ^ -(low & 1);
  },
  uint32: (input) => input.varint(),
  int64: (input) => signed(input.varint(), input.high),
  sint64: (input) => input.zigzag(),
  uint64: (input) => unsigned(input.varint(), input.high),
  bool: (input) => (input.varint() | input.high) !== 0,
  float: (input) => input.float(),
  double: (input) => input.double(),
  fixed32: (input) => fixed(input, 4, (b, at) => b.readUInt32LE(at)),
  sfixed32: (input) => fixed(input, 4, (b, at) => b.readInt32LE(at)),
  fixed64: (input) => fixed(input, 8, (b, at) => unsigned(b.readUInt32LE(at), b.readUInt32LE(at + 4))),
  sfixed64: (input) => fixed(input, 8, (b, at) => signed(b.readUInt32LE(at), b.readUInt32LE(at + 4))),
  string: (input) => input.text(input.end - input.at),
  bytes: (input) => input.bytes(input.end - input.at),
};

function fixed(input: BinaryInput, size: number, read: (b: Buffer, at: number) => number | bigint): number | bigint {
  const from = input.take(size);
  return from < 0 ? 0 : read(input.buffer, from);
}

function valueReader(type: ProtoType, inside: readonly ProtoMessage[]): ReadValue {
  if (type.kind === 'scalar') return SCALARS[type.scalar];
  if (type.kind === 'enum') {
    return (input) => {
      const number = input.varint() | 0;
      return type.symbols.get(number) ?? String(number);
    };
  }
  return messageReader(type.message, inside);
}

function planOf(message: ProtoMessage, inside: readonly ProtoMessage[]): MessagePlan {
  const within = [...inside, message];
  return new MessagePlan(message.fields.map((field) => ({ number: field.number, plan: fieldPlan(field, within) })));
}

function messageReader(message: ProtoMessage, inside: readonly ProtoMessage[]): ReadValue {
  const { name } = message;
  if (name === 'google.protobuf.Timestamp' || name === 'google.protobuf.Duration') return timeReader(message);
  if (WRAPPERS[name] !== undefined) {
    const plan = planOf(message, inside);
    return (input) => fieldDatum(plan.fields[0], readNested(input, plan)[0]);
  }
  const type = protoType({ kind: 'message', message }, inside);
  if (type.kind === 'jsonb') {
    const texts = new JsonTexts();
    return (input) => {
      const text = texts.read(input, message);
      return input.problem === null ? (canonicalJsonText(text) ?? null) : null;
    };
  }
  const plan = planOf(message, inside);
  return (input) => {
    const values = readNested(input, plan);
    if (input.problem !== null) return null;
    return packRow(
      plan.fields.map((field, i) => checkRequired(input, field, values[i])),
      type as RowType,
    );
  };
}

export function checkRequired(input: BinaryInput, field: FieldPlan, value: Datum | undefined): Datum {
  if (value === undefined && field.required) input.problem ??= `required field ${field.name} is missing`;
  return fieldDatum(field, value);
}

function readNested(input: BinaryInput, plan: MessagePlan): Values {
  const values: Values = new Array(plan.fields.length).fill(undefined);
  if (!input.enter()) return values;
  readFields(input, plan, values);
  input.leave();
  return values;
}

/** seconds = 1, nanos = 2; nanoseconds are rounded down. */
function timeReader(message: ProtoMessage): ReadValue {
  const plan = planOf(message, []);
  const isDuration = message.name.endsWith('Duration');
  return (input) => {
    const [seconds = 0, nanos = 0] = readNested(input, plan) as (number | bigint | undefined)[];
    const rest = Math.floor(Number(nanos) / 1000);
    const small = Number(seconds) * 1_000_000 + rest;
    const micros = Number.isSafeInteger(small) ? small : canonicalInteger(BigInt(seconds) * 1_000_000n + BigInt(rest));
    if (isDuration) {
      if (typeof micros === 'number') return { months: 0, days: 0, micros };
    } else {
      const datum = orUndefined(() => checkTimestamp(micros));
      if (datum !== undefined) return datum;
    }
    input.problem ??= `a ${message.name} is out of range`;
    return null;
  };
}

/** An entry of a map is a message with key = 1 and value = 2; either may be missing and is its default then. */
function entryReader(field: ProtoField, inside: readonly ProtoMessage[]): ReadValue {
  const one = { repeated: false, mapKey: null, required: false };
  const key: ProtoField = {
    ...one,
    name: 'key',
    number: 1,
    type: { kind: 'scalar', scalar: field.mapKey! },
    presence: false,
  };
  const value: ProtoField = {
    ...one,
    name: 'value',
    number: 2,
    type: field.type,
    presence: field.type.kind === 'message',
  };
  const plan = new MessagePlan([key, value].map((part) => ({ number: part.number, plan: fieldPlan(part, inside) })));
  return (input) => {
    const [k, v] = readNested(input, plan);
    return [fieldDatum(plan.fields[0], k), fieldDatum(plan.fields[1], v)];
  };
}

/** Messages as JSON: objects by field name; Struct, Value and ListValue as what they mean. */
class JsonTexts {
  readonly #plans = new Map<ProtoMessage, MessagePlan>();

  read(input: BinaryInput, message: ProtoMessage): string {
    const plan = this.#planOf(message);
    const values = readNested(input, plan);
    const texts = plan.fields.map((field, i) => this.#text(field, values[i]));
    switch (message.name) {
      case 'google.protobuf.Struct':
      case 'google.protobuf.ListValue':
        return texts[0];
      case 'google.protobuf.Value':
        return texts.find((_, i) => values[i] !== undefined && plan.fields[i].name !== 'null_value') ?? 'null';
      default:
        return `{${plan.fields.map((field, i) => `${JSON.stringify(field.name)}:${texts[i]}`).join(',')}}`;
    }
  }

  #text(field: FieldPlan, value: Datum | undefined): string {
    return jsonOfDatum(field.type, fieldDatum(field, value));
  }

  #planOf(message: ProtoMessage): MessagePlan {
    const known = this.#plans.get(message);
    if (known !== undefined) return known;
    const plan = new MessagePlan(message.fields.map((field) => ({ number: field.number, plan: this.#field(field) })));
    this.#plans.set(message, plan);
    return plan;
  }

  /** As other fields, but messages that are JSON inside are read by these texts: they may hold themselves. */
  #field(field: ProtoField): FieldPlan {
    if (field.type.kind !== 'message') return fieldPlan(field);
    const { message } = field.type;
    const isValue = message.name.startsWith('google.protobuf.') && !JSON_MESSAGES.has(message.name);
    if (isValue) return fieldPlan(field);
    const asJson: ProtoField = { ...field, type: { kind: 'message', message: { name: message.name, fields: [] } } };
    const plan = fieldPlan(asJson);
    if (plan.many !== 'map') return { ...plan, read: (input) => this.read(input, message) };
    return { ...plan, read: this.#entry(field, message) };
  }

  #entry(field: ProtoField, message: ProtoMessage): ReadValue {
    const key: ProtoField = {
      name: 'key',
      number: 1,
      type: { kind: 'scalar', scalar: field.mapKey! },
      repeated: false,
      mapKey: null,
      presence: false,
      required: false,
    };
    const value: FieldPlan = {
      wire: LENGTH,
      read: (input) => this.read(input, message),
      many: 'last',
      merges: true,
      absent: null,
      type: { kind: 'jsonb' },
      required: false,
      name: 'value',
    };
    const plan = new MessagePlan([
      { number: 1, plan: fieldPlan(key) },
      { number: 2, plan: value },
    ]);
    return (input) => {
      const [k, v] = readNested(input, plan);
      return [fieldDatum(plan.fields[0], k), v ?? null];
    };
  }
}
