import { parseInterval } from '../../values/interval.ts';
import { canonicalJsonText } from '../../values/json-text.ts';
import { canonicalInteger, type Datum, type SqlType } from '../../values/types.ts';
import { bigEndian } from '../avro/avro-reader.ts';
import { converter } from '../convert.ts';
import { type ReadValue, smallInteger, valueReader } from '../json/json-values.ts';

/** How Debezium says what a JSON number or text means: `name` and `parameters` of a field's schema. */
export interface FieldSchema {
  readonly name: string;
  readonly scale: number;
}

/** What numbers in columns of times are when the record says nothing: units in a second. */
export type TimeUnit = 'ms' | 'us' | 'ns';

const MICROS_PER_DAY = 86_400_000_000;
const QUOTE = 34;

/**
 * A reader for a column of the type whose value has the semantic type; null when plain JSON says it all. What does not have the form of
 * the semantic type is read as plain JSON.
 *
 * | semantic type | value | column |
 * | --- | --- | --- |
 * | time.Date | days since 1970 | DATE |
 * | time.Time, MicroTime, NanoTime | since midnight | TIME |
 * | time.Timestamp, MicroTimestamp, NanoTimestamp | since 1970 | TIMESTAMP, TIMESTAMPTZ |
 * | time.MicroDuration, time.Interval | microseconds, ISO 8601 | INTERVAL |
 * | connect.data.Decimal, VariableScaleDecimal | unscaled big-endian bytes in base64 | DECIMAL |
 * | data.Json | a text that holds JSON | JSONB |
 */
export function semanticReader(type: SqlType, schema: FieldSchema | null, unit: TimeUnit): ReadValue | null {
  const plain = valueReader(type);
  const name = schema?.name.replace(/^.*\./, '') ?? '';
  switch (type.kind) {
    case 'date':
      return orPlain(plain, daysOf);
    case 'time':
      return orPlain(plain, (b, start, end) => inDay(microsOf(b, start, end, timeUnit(name, unit))));
    case 'timestamp':
    case 'timestamptz':
      return orPlain(plain, (b, start, end) => microsOf(b, start, end, timeUnit(name, unit)));
    case 'interval':
      if (name === 'MicroDuration') return orPlain(plain, (b, start, end) => spanOf(microsOf(b, start, end, 'us')));
      return orPlain(plain, (b, start, end) => parseInterval(textOf(b, start, end) ?? ''));
    case 'decimal':
      if (name === 'VariableScaleDecimal') return orPlain(plain, variableScale(type));
      return name === 'Decimal' ? orPlain(plain, fixedScale(schema!.scale, type)) : null;
    case 'jsonb':
      if (name !== 'Json') return null;
      return orPlain(plain, (b, start, end) => {
        const text = textOf(b, start, end);
        return text === undefined ? undefined : canonicalJsonText(text);
      });
    default:
      return null;
  }
}

const orPlain =
  (plain: ReadValue, read: ReadValue): ReadValue =>
  (b, start, end) => {
    const datum = read(b, start, end);
    return datum === undefined ? plain(b, start, end) : datum;
  };

function timeUnit(name: string, unit: TimeUnit): TimeUnit {
  if (name.startsWith('Micro')) return 'us';
  if (name.startsWith('Nano')) return 'ns';
  return name === 'Time' || name === 'Timestamp' ? 'ms' : unit;
}

function integerOf(b: Buffer, start: number, end: number): number | bigint | undefined {
  const small = smallInteger(b, start, end);
  if (!Number.isNaN(small)) return small;
  const text = b.latin1Slice(start, end);
  return /^-?\d{1,19}$/.test(text) ? canonicalInteger(BigInt(text)) : undefined;
}

function microsOf(b: Buffer, start: number, end: number, unit: TimeUnit): number | bigint | undefined {
  const value = integerOf(b, start, end);
  if (value === undefined || unit === 'us') return value;
  if (unit === 'ms') {
    const micros = Number(value) * 1000;
    return Number.isSafeInteger(micros) ? micros : canonicalInteger(BigInt(value) * 1000n);
  }
  // Rounded down, also before 1970.
  if (typeof value === 'number') return Math.floor(value / 1000);
  return canonicalInteger(value / 1000n - (value < 0n && value % 1000n !== 0n ? 1n : 0n));
}

const inDay = (micros: number | bigint | undefined): Datum | undefined =>
  micros !== undefined && micros >= 0 && micros <= MICROS_PER_DAY ? micros : undefined;

const daysOf: ReadValue = (b, start, end) => {
  const days = integerOf(b, start, end);
  // Postgres's dates: 4713 BC to 5874897.
  return days !== undefined && days >= -2440588 && days <= 2145031948 ? days : undefined;
};

const spanOf = (micros: number | bigint | undefined): Datum | undefined =>
  typeof micros === 'number' ? { months: 0, days: 0, micros } : undefined;

function textOf(b: Buffer, start: number, end: number): string | undefined {
  return b[start] === QUOTE ? (JSON.parse(b.utf8Slice(start, end)) as string) : undefined;
}

function unscaled(base64: string, scale: number, type: SqlType): Datum | undefined {
  const value = canonicalInteger(bigEndian(Buffer.from(base64, 'base64')));
  return converter({ kind: 'decimal', precision: 38, scale }, type)!(value);
}

const fixedScale =
  (scale: number, type: SqlType): ReadValue =>
  (b, start, end) => {
    const text = textOf(b, start, end);
    return text === undefined ? undefined : unscaled(text, scale, type);
  };

/** `{"scale":2,"value":"base64"}`. */
const variableScale =
  (type: SqlType): ReadValue =>
  (b, start, end) => {
    if (b[start] !== 123) return undefined;
    const { scale, value } = JSON.parse(b.utf8Slice(start, end)) as { scale?: unknown; value?: unknown };
    if (!Number.isSafeInteger(scale) || Math.abs(scale as number) > 1000 || typeof value !== 'string') return undefined;
    return unscaled(value, scale as number, type);
  };
