import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { keyText, unpackMap, unpackRow } from '../../values/nested.ts';
import { datumToText } from '../../values/text.ts';
import type { Datum, SqlType } from '../../values/types.ts';

/**
 * Rows as values of Avro's binary encoding. The schema follows from the columns: a record whose fields are unions with null where a column may be NULL.
 *
 * | SQL | Avro |
 * | --- | --- |
 * | BOOLEAN, SMALLINT and INTEGER, BIGINT, REAL, DOUBLE | boolean, int, long, float, double |
 * | DECIMAL | bytes, decimal |
 * | DATE, TIME, TIMESTAMP, TIMESTAMPTZ | int date, long time-micros, local-timestamp-micros, timestamp-micros |
 * | UUID, BYTEA | string uuid, bytes |
 * | arrays, MAP, ROW | array, map (keys as text), record |
 * | VARCHAR, JSONB, INTERVAL | string |
 */
type Schema = string | readonly Schema[] | { readonly [key: string]: unknown };

export const avroSchemaText = (name: string, columns: readonly ColumnSchema[]): string => {
  const taken = { count: 0 };
  const fields = columns.map((column) => ({
    name: fieldName(column.name),
    type: column.nullable ? ['null', schemaOf(column.type, taken)] : schemaOf(column.type, taken),
  }));
  return JSON.stringify({ type: 'record', name: name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(\d)/, '_$1'), fields });
};

function fieldName(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name;
  throw new StreamError('OPTION_INVALID', `Avro has no field named "${name}"`, {
    hint: 'give the column a name of letters, digits and _ with AS',
  });
}

/** `taken` numbers records within, since each needs a name of its own. */
function schemaOf(type: SqlType, taken: { count: number }): Schema {
  switch (type.kind) {
    case 'boolean':
      return 'boolean';
    case 'smallint':
    case 'integer':
      return 'int';
    case 'bigint':
      return 'long';
    case 'real':
      return 'float';
    case 'double':
      return 'double';
    case 'decimal':
      return { type: 'bytes', logicalType: 'decimal', precision: type.precision, scale: type.scale };
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'time':
      return { type: 'long', logicalType: 'time-micros' };
    case 'timestamp':
      return { type: 'long', logicalType: 'local-timestamp-micros' };
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros' };
    case 'uuid':
      return { type: 'string', logicalType: 'uuid' };
    case 'bytea':
      return 'bytes';
    case 'array':
      return { type: 'array', items: ['null', schemaOf(type.element, taken)] };
    case 'map':
      return { type: 'map', values: ['null', schemaOf(type.value, taken)] };
    case 'row': {
      const name = `row${++taken.count}`;
      const fields = type.fields.map((field) => ({
        name: fieldName(field.name),
        type: ['null', schemaOf(field.type, taken)],
      }));
      return { type: 'record', name, fields };
    }
    default:
      return 'string';
  }
}

/** One row as the record that `avroSchemaText` describes. */
export class AvroRowEncoder {
  readonly #columns: readonly ColumnSchema[];
  #buffer = Buffer.allocUnsafe(1024);
  #at = 0;

  constructor(columns: readonly ColumnSchema[]) {
    this.#columns = columns;
  }

  /** `prefix` stands before the value. The bytes are the caller's. */
  encode(row: readonly Datum[], prefix: Uint8Array): Buffer {
    this.#at = 0;
    this.#bytes(prefix);
    this.#columns.forEach(({ type, nullable }, i) => {
      if (nullable) this.#nullable(type, row[i]);
      else this.#value(type, row[i] as Exclude<Datum, null>);
    });
    return Buffer.from(this.#buffer.subarray(0, this.#at));
  }

  #nullable(type: SqlType, datum: Datum): void {
    this.#zigzag(datum === null ? 0 : 1);
    if (datum !== null) this.#value(type, datum);
  }

  #value(type: SqlType, datum: Exclude<Datum, null>): void {
    switch (type.kind) {
      case 'boolean':
        this.#room(1);
        this.#buffer[this.#at++] = datum === true ? 1 : 0;
        return;
      case 'smallint':
      case 'integer':
      case 'bigint':
      case 'date':
      case 'time':
      case 'timestamp':
      case 'timestamptz':
        this.#zigzag(datum as number | bigint);
        return;
      case 'real':
        this.#room(4);
        this.#at = this.#buffer.writeFloatLE(datum as number, this.#at);
        return;
      case 'double':
        this.#room(8);
        this.#at = this.#buffer.writeDoubleLE(datum as number, this.#at);
        return;
      case 'decimal':
        this.#sized(twosComplement(BigInt(datum as number | bigint)));
        return;
      case 'bytea':
        this.#sized(datum as Uint8Array);
        return;
      case 'array':
        this.#block(datum as readonly Datum[], (element) => this.#nullable(type.element, element));
        return;
      case 'map':
        this.#block(unpackMap(datum, type), ([key, value]) => {
          this.#sized(Buffer.from(keyText(key, type)));
          this.#nullable(type.value, value);
        });
        return;
      case 'row':
        unpackRow(datum, type).forEach((field, i) => {
          this.#nullable(type.fields[i].type, field);
        });
        return;
      default:
        this.#sized(Buffer.from(typeof datum === 'string' ? datum : datumToText(datum, type)));
    }
  }

  #block<T>(items: readonly T[], write: (item: T) => void): void {
    if (items.length > 0) this.#zigzag(items.length);
    for (const item of items) write(item);
    this.#zigzag(0);
  }

  #sized(bytes: Uint8Array): void {
    this.#zigzag(bytes.length);
    this.#bytes(bytes);
  }

  #bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #zigzag(value: number | bigint): void {
    this.#room(10);
    if (typeof value === 'number' && value >= -0x40000000 && value < 0x40000000) {
      let rest = ((value << 1) ^ (value >> 31)) >>> 0;
      for (; rest > 127; rest >>>= 7) this.#buffer[this.#at++] = (rest & 127) | 128;
      this.#buffer[this.#at++] = rest;
      return;
    }
    const wide = BigInt(value);
    let rest = wide >= 0n ? wide * 2n : -wide * 2n - 1n;
    for (; rest > 127n; rest >>= 7n) this.#buffer[this.#at++] = Number(rest & 127n) | 128;
    this.#buffer[this.#at++] = Number(rest);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}

/** Big endian, as few bytes as hold the sign. */
function twosComplement(value: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  );
}
