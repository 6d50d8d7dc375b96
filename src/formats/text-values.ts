import { StreamError } from '../lib/errors.ts';
import { datumFromText } from '../values/text.ts';
import { type Datum, type SqlType, typeName } from '../values/types.ts';
import { dateAt, TimestampReader } from './json/byte-times.ts';
import { smallInteger } from './json/json-values.ts';

/** The value of a type written as text in `b[start..end)`, as Postgres reads it; undefined when it is none. */
export type ReadText = (b: Buffer, start: number, end: number) => Datum | undefined;

const LIMITS = { smallint: 32767, integer: 2147483647, bigint: Number.MAX_SAFE_INTEGER } as const;

/** SQL_UNSUPPORTED for the type of a bare NULL. Frequent forms are read from the bytes, the rest through text. */
export function textReader(type: SqlType): ReadText {
  if (type.kind === 'null')
    throw new StreamError('SQL_UNSUPPORTED', `a source cannot have a column of type ${typeName(type)}`);
  const general = generalReader(type);
  switch (type.kind) {
    case 'smallint':
    case 'integer':
    case 'bigint': {
      const most = LIMITS[type.kind];
      return (b, start, end) => {
        const value = smallInteger(b, start, end);
        return value <= most && value >= -most ? value : general(b, start, end);
      };
    }
    case 'date':
      return (b, start, end) => {
        const days = end - start === 10 ? dateAt(b, start) : Number.NaN;
        return Number.isNaN(days) ? general(b, start, end) : days;
      };
    case 'timestamp':
    case 'timestamptz':
      return timestampReader(general);
    default:
      return general;
  }
}

function generalReader(type: SqlType): ReadText {
  return (b, start, end) => {
    try {
      return datumFromText(b.utf8Slice(start, end), type);
    } catch (thrown) {
      if (thrown instanceof StreamError) return undefined;
      throw thrown;
    }
  };
}

/** A time as text, or more than 8 digits: whole milliseconds since 1970, as in JSON. */
function timestampReader(general: ReadText): ReadText {
  const times = new TimestampReader();
  let of: Buffer = Buffer.alloc(0);
  let view = new DataView(of.buffer, of.byteOffset, of.length);
  return (b, start, end) => {
    if (b !== of) {
      of = b;
      view = new DataView(b.buffer, b.byteOffset, b.length);
    }
    if (times.read(b, view, start, end)) return times.micros[0];
    const small = smallInteger(b, start, end);
    if (!Number.isNaN(small) && end - start > 8) {
      const scaled = small * 1000;
      return Number.isSafeInteger(scaled) ? scaled : BigInt(small) * 1000n;
    }
    return general(b, start, end);
  };
}
