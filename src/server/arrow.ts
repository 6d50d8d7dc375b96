import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimeMicrosecond,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow';
import type { Batch, ColumnSchema } from '../values/batch.ts';
import { type Column, datumAt, TextColumn } from '../values/column.ts';
import { datumToText } from '../values/text.ts';
import type { SqlType } from '../values/types.ts';

/** Arrow's type of a SQL type; what Arrow has no plain counterpart for (interval, array, uuid, jsonb) travels as text. */
function arrowType(type: SqlType): DataType {
  switch (type.kind) {
    case 'boolean':
      return new Bool();
    case 'smallint':
      return new Int16();
    case 'integer':
      return new Int32();
    case 'bigint':
      return new Int64();
    case 'decimal':
      return new Decimal(type.scale, type.precision, 128);
    case 'real':
      return new Float32();
    case 'double':
      return new Float64();
    case 'date':
      return new DateDay();
    case 'time':
      return new TimeMicrosecond();
    case 'timestamp':
      return new TimestampMicrosecond(null);
    case 'timestamptz':
      return new TimestampMicrosecond('UTC');
    case 'bytea':
      return new Binary();
    default:
      return new Utf8();
  }
}

/** The answer as an Arrow IPC stream: one record batch per batch, buffers built directly (never Arrow's builders). */
export function arrowStream(columns: readonly ColumnSchema[], batches: readonly Batch[]): Uint8Array {
  const fields = columns.map((column) => new Field(column.name, arrowType(column.type), true));
  const schema = new Schema(fields);
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (const batch of batches) {
    const children = batch.columns.map((column, c) => arrowData(column, columns[c].type, fields[c].type));
    writer.write(
      new RecordBatch(schema, makeData({ type: new Struct(fields), length: batch.length, nullCount: 0, children })),
    );
  }
  writer.finish();
  return writer.toUint8Array(true);
}

function arrowData(column: Column, type: SqlType, arrow: DataType): Data {
  const { length } = column;
  const { nullBitmap, nullCount } = validity(column);
  const make = (more: object): Data => makeData({ type: arrow, length, nullCount, nullBitmap, ...more } as never);
  switch (type.kind) {
    case 'boolean': {
      const bits = new Uint8Array(Math.ceil(length / 8) || 1);
      for (let i = 0; i < length; i++) if (datumAt(column, i) === true) bits[i >> 3] |= 1 << (i & 7);
      return make({ data: bits });
    }
    case 'smallint':
      return make({ data: Int16Array.from(column.values as Int32Array) });
    case 'integer':
    case 'date':
      return make({ data: Int32Array.from(column.values as Int32Array) });
    case 'real':
      return make({ data: Float32Array.from(column.values as Float64Array) });
    case 'double':
      return make({ data: Float64Array.from(column.values as Float64Array) });
    case 'bigint':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const out = new BigInt64Array(length);
      for (let i = 0; i < length; i++) out[i] = BigInt((datumAt(column, i) as number | bigint | null) ?? 0);
      return make({ data: out });
    }
    case 'decimal': {
      const out = new BigInt64Array(length * 2);
      for (let i = 0; i < length; i++) {
        const value = BigInt((datumAt(column, i) as number | bigint | null) ?? 0);
        out[2 * i] = BigInt.asIntN(64, value);
        out[2 * i + 1] = BigInt.asIntN(64, value >> 64n);
      }
      return make({ data: new Uint32Array(out.buffer) });
    }
    case 'bytea':
      return make(variable(length, (i) => Buffer.from((datumAt(column, i) as Uint8Array | null) ?? [])));
    default:
      if (column instanceof TextColumn && !column.decoded && type.kind !== 'row' && type.kind !== 'map') {
        return make(
          variable(length, (i) =>
            column.nulls?.[i] === 1 ? EMPTY : column.bytes.subarray(column.starts[i], column.ends[i]),
          ),
        );
      }
      return make(
        variable(length, (i) => {
          const datum = datumAt(column, i);
          return datum === null ? EMPTY : Buffer.from(datumToText(datum, type));
        }),
      );
  }
}

const EMPTY = Buffer.alloc(0);

function variable(length: number, bytesAt: (row: number) => Buffer): { valueOffsets: Int32Array; data: Uint8Array } {
  const valueOffsets = new Int32Array(length + 1);
  const parts: Buffer[] = [];
  for (let i = 0; i < length; i++) {
    const bytes = bytesAt(i);
    parts.push(bytes);
    valueOffsets[i + 1] = valueOffsets[i] + bytes.length;
  }
  return { valueOffsets, data: Buffer.concat(parts) };
}

function validity(column: Column): { nullBitmap: Uint8Array | undefined; nullCount: number } {
  if (column.nulls === null) return { nullBitmap: undefined, nullCount: 0 };
  const nullBitmap = new Uint8Array(Math.ceil(column.length / 8) || 1);
  let nullCount = 0;
  for (let i = 0; i < column.length; i++) {
    if (column.nulls[i] === 1) nullCount++;
    else nullBitmap[i >> 3] |= 1 << (i & 7);
  }
  return { nullBitmap, nullCount };
}
