import { StreamError } from '../../lib/errors.ts';
import { datumToText } from '../../values/text.ts';
import { type Datum, type Interval, type SqlType, TIMESTAMP, type TypeKind } from '../../values/types.ts';
import { int32 } from './messages.ts';
import { hasArrayType, pgType } from './types.ts';

/** Postgres counts from 2000-01-01 where we count from 1970-01-01. */
const DAYS_1970_TO_2000 = 10_957;
const MICROS_1970_TO_2000 = BigInt(DAYS_1970_TO_2000) * 86_400_000_000n;

const int64 = (value: bigint): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigInt64BE(value);
  return out;
};

const sized = (bytes: number, write: (out: Buffer) => void): Buffer => {
  const out = Buffer.alloc(bytes);
  write(out);
  return out;
};

type Present = Exclude<Datum, null>;

const utf8 = (datum: Present): Buffer => Buffer.from(datum as string);
const moment = (datum: Present): Buffer => int64(BigInt(datum as number) - MICROS_1970_TO_2000);

/** How a value goes out in Postgres's binary format (the send functions of its types). */
const ENCODERS: Readonly<Partial<Record<TypeKind, (datum: Present, type: SqlType) => Buffer>>> = {
  boolean: (datum) => Buffer.from([datum === true ? 1 : 0]),
  smallint: (datum) => sized(2, (out) => out.writeInt16BE(datum as number)),
  integer: (datum) => sized(4, (out) => out.writeInt32BE(datum as number)),
  bigint: (datum) => int64(BigInt(datum as number)),
  real: (datum) => sized(4, (out) => out.writeFloatBE(datum as number)),
  double: (datum) => sized(8, (out) => out.writeDoubleBE(datum as number)),
  decimal: (datum, type) => numeric(datumToText(datum, type)),
  varchar: utf8,
  null: utf8,
  bytea: (datum) => Buffer.from(datum as Uint8Array),
  date: (datum) => sized(4, (out) => out.writeInt32BE((datum as number) - DAYS_1970_TO_2000)),
  time: (datum) => int64(BigInt(datum as number)),
  timestamp: moment,
  timestamptz: moment,
  interval: (datum) => {
    const { months, days, micros } = datum as Interval;
    return Buffer.concat([
      int64(BigInt(micros)),
      sized(8, (out) => {
        out.writeInt32BE(days, 0);
        out.writeInt32BE(months, 4);
      }),
    ]);
  },
  array: (datum, type) => {
    if (type.kind !== 'array' || !hasArrayType(type.element)) return Buffer.from(datumToText(datum, type));
    return array(datum as readonly Datum[], type.element);
  },
  row: (datum, type) => Buffer.from(datumToText(datum, type)),
  map: (datum, type) => Buffer.from(datumToText(datum, type)),
  uuid: (datum) => Buffer.from((datum as string).replaceAll('-', ''), 'hex'),
  // A version byte comes first.
  jsonb: (datum) => Buffer.concat([Buffer.from([1]), utf8(datum)]),
};

/** SQL_UNSUPPORTED for types that go out as text only. */
export function encodeBinary(datum: Present, type: SqlType): Buffer {
  const encode = ENCODERS[type.kind];
  if (encode !== undefined) return encode(datum, type);
  throw new StreamError('SQL_UNSUPPORTED', `${type.kind} has no binary format here`, { hint: 'ask for text results' });
}

/** One dimension, counted from 1. An array whose element has no array type of its own here goes out as text. */
function array(items: readonly Datum[], element: SqlType): Buffer {
  const { oid } = pgType(element);
  const head = [1, items.includes(null) ? 1 : 0, oid, items.length, 1];
  const parts = items.flatMap((item) => {
    if (item === null) return [int32(-1)];
    const bytes = encodeBinary(item, element);
    return [int32(bytes.length), bytes];
  });
  return Buffer.concat(items.length === 0 ? [0, 0, oid].map(int32) : [...head.map(int32), ...parts]);
}

/** Base-10000 digits with their weight, as numeric_send does. */
function numeric(text: string): Buffer {
  const negative = text.startsWith('-');
  const [whole, fraction = ''] = text.replace('-', '').split('.');
  const padded =
    whole.padStart(Math.ceil(whole.length / 4) * 4, '0') + fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0');
  let digits = (padded.match(/.{4}/g) ?? []).map(Number);
  let weight = Math.ceil(whole.length / 4) - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits = digits.slice(1);
    weight--;
  }
  while (digits.length > 0 && digits[digits.length - 1] === 0) digits.pop();
  return sized(8 + digits.length * 2, (out) => {
    out.writeInt16BE(digits.length, 0);
    out.writeInt16BE(digits.length === 0 ? 0 : weight, 2);
    out.writeUInt16BE(negative && digits.length > 0 ? 0x4000 : 0, 4);
    out.writeInt16BE(fraction.length, 6);
    for (const [i, digit] of digits.entries()) out.writeInt16BE(digit, 8 + i * 2);
  });
}

const timestampText = (bytes: Buffer): string => {
  const micros = bytes.readBigInt64BE() + MICROS_1970_TO_2000;
  return datumToText(Number.isSafeInteger(Number(micros)) ? Number(micros) : micros, TIMESTAMP);
};

const whole = (value: bigint): number | string => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value));

/** Binary parameters by the type id that the client named, as the JSON values that the binder takes. */
const DECODERS: Readonly<Record<number, (bytes: Buffer) => unknown>> = {
  16: (bytes) => bytes[0] === 1,
  20: (bytes) => whole(bytes.readBigInt64BE()),
  21: (bytes) => bytes.readInt16BE(),
  23: (bytes) => bytes.readInt32BE(),
  26: (bytes) => bytes.readUInt32BE(),
  25: (bytes) => bytes.toString('utf8'),
  1043: (bytes) => bytes.toString('utf8'),
  700: (bytes) => bytes.readFloatBE(),
  701: (bytes) => bytes.readDoubleBE(),
  1114: timestampText,
  1184: timestampText,
  1082: (bytes) => new Date((bytes.readInt32BE() + DAYS_1970_TO_2000) * 86_400_000).toISOString().slice(0, 10),
  2950: (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
};

/** SQL_UNSUPPORTED for types that come in as text only. */
export function decodeBinary(bytes: Buffer, oid: number): unknown {
  const decode = DECODERS[oid];
  if (decode !== undefined) return decode(bytes);
  throw new StreamError('SQL_UNSUPPORTED', `a binary parameter of type ${oid} is not supported`, {
    hint: 'send it as text',
  });
}
