import type duckdb from '@duckdb/node-bindings';
import { assert } from '../lib/assert.ts';
import { type Column, TextColumn } from '../values/column.ts';
import type { Interval, SqlType } from '../values/types.ts';

type Bindings = typeof duckdb;
type Vector = duckdb.Vector;

/** DuckDB's vector size: the most rows of one chunk. */
export const CHUNK_ROWS = 2048;
/** Bytes of text that stand in the 16-byte string entry itself. */
export const INLINE_BYTES = 12;
const ENTRY_BYTES = 16;
const TWO_32 = 4294967296;

/** How a type's values lie in a vector. Arrays go through the library's own list vectors (lists.ts). */
export type Storage =
  | 'bool'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'int128'
  | 'float'
  | 'double'
  | 'text'
  | 'interval'
  | 'list';

export function storageOf(type: SqlType): Storage {
  switch (type.kind) {
    case 'boolean':
      return 'bool';
    case 'smallint':
      return 'int16';
    case 'integer':
    case 'date':
    case 'null':
      return 'int32';
    case 'bigint':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 'int64';
    case 'decimal':
      return type.precision <= 4 ? 'int16' : type.precision <= 9 ? 'int32' : type.precision <= 18 ? 'int64' : 'int128';
    case 'real':
      return 'float';
    case 'double':
      return 'double';
    case 'interval':
      return 'interval';
    case 'array':
      return 'list';
    default:
      return 'text';
  }
}

const scratch = new ArrayBuffer(CHUNK_ROWS * ENTRY_BYTES);
const bytes = new Uint8Array(scratch);
const int16 = new Int16Array(scratch);
const int32 = new Int32Array(scratch);
const uint32 = new Uint32Array(scratch);
const float32 = new Float32Array(scratch);
const float64 = new Float64Array(scratch);
const bigint64 = new BigInt64Array(scratch);
const validity = new Uint8Array(CHUNK_ROWS / 8);

/** Writes rows [start, start + count) of a column into a fresh vector of its DuckDB type. Synchronous: the scratch space is shared. */
export function writeVector(bindings: Bindings, vector: Vector, column: Column, start: number, count: number): void {
  assert(count <= CHUNK_ROWS, 'a chunk has at most 2048 rows');
  const storage = storageOf(column.type);
  if (storage === 'text') {
    if (column instanceof TextColumn && !column.decoded) writeTextRanges(bindings, vector, column, start, count);
    else if (column.type.kind === 'bytea') writeBytes(bindings, vector, column, start, count);
    else writeTexts(bindings, vector, column, start, count);
  } else {
    assert(storage !== 'list', 'arrays are written as lists');
    const width = fill(storage, column, start, count);
    bindings.copy_data_to_vector(vector, 0, scratch, 0, count * width);
  }
  writeNulls(bindings, vector, column.nulls, start, count);
}

/** A bit per row, 1 = there is a value. */
function writeNulls(bindings: Bindings, vector: Vector, nulls: Uint8Array | null, start: number, count: number): void {
  if (nulls === null) return;
  let any = 0;
  validity.fill(255);
  for (let i = 0; i < count; i++) {
    const isNull = nulls[start + i];
    any |= isNull;
    validity[i >> 3] ^= isNull << (i & 7);
  }
  if (any === 0) return;
  bindings.vector_ensure_validity_writable(vector);
  bindings.copy_data_to_vector_validity(vector, 0, validity.buffer, 0, Math.ceil(count / 64) * 8);
}

/** Fills the scratch space; returns bytes per value. Null rows hold anything. */
function fill(storage: Exclude<Storage, 'text' | 'list'>, column: Column, start: number, count: number): number {
  const values = column.values as readonly number[];
  switch (storage) {
    case 'bool':
      for (let i = 0; i < count; i++) bytes[i] = values[start + i] ? 1 : 0;
      return 1;
    case 'int16':
      for (let i = 0; i < count; i++) int16[i] = values[start + i];
      return 2;
    case 'int32':
      for (let i = 0; i < count; i++) int32[i] = values[start + i];
      return 4;
    case 'float':
      for (let i = 0; i < count; i++) float32[i] = values[start + i];
      return 4;
    case 'double':
      for (let i = 0; i < count; i++) float64[i] = values[start + i];
      return 8;
    case 'int64':
      if (column.values instanceof Float64Array) fillInt64(column.values, start, count);
      else for (let i = 0; i < count; i++) bigint64[i] = exact(values[start + i]);
      return 8;
    case 'int128':
      for (let i = 0; i < count; i++) {
        const value = exact(values[start + i]);
        bigint64[2 * i] = BigInt.asIntN(64, value);
        bigint64[2 * i + 1] = value >> 64n;
      }
      return 16;
    case 'interval':
      for (let i = 0; i < count; i++) {
        const value = (column.values[start + i] ?? ZERO_INTERVAL) as Interval;
        int32[4 * i] = value.months;
        int32[4 * i + 1] = value.days;
        bigint64[2 * i + 1] = BigInt(value.micros);
      }
      return 16;
  }
}

const ZERO_INTERVAL: Interval = { months: 0, days: 0, micros: 0 };

/** A null row's content is undefined behaviour: anything that is no integer becomes 0. */
const exact = (value: unknown): bigint =>
  typeof value === 'bigint' ? value : Number.isInteger(value) ? BigInt(value as number) : 0n;

/** Safe integers as two words each, without making bigints. */
function fillInt64(values: Float64Array, start: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const value = values[start + i];
    const high = Math.floor(value / TWO_32);
    uint32[2 * i] = value - high * TWO_32;
    int32[2 * i + 1] = high;
  }
}

/** Entries of at most 12 bytes are made here; longer ones by DuckDB, after the entries are in place. */
function writeTextRanges(bindings: Bindings, vector: Vector, column: TextColumn, start: number, count: number): void {
  const { bytes: source, starts, ends, nulls } = column;
  bytes.fill(0, 0, count * ENTRY_BYTES);
  let long = 0;
  for (let i = 0; i < count; i++) {
    if (nulls !== null && nulls[start + i] === 1) continue;
    const from = starts[start + i];
    const length = ends[start + i] - from;
    if (length > INLINE_BYTES) {
      long++;
      continue;
    }
    uint32[4 * i] = length;
    for (let b = 0; b < length; b++) bytes[ENTRY_BYTES * i + 4 + b] = source[from + b];
  }
  bindings.copy_data_to_vector(vector, 0, scratch, 0, count * ENTRY_BYTES);
  for (let i = 0; long > 0; i++) {
    if (nulls !== null && nulls[start + i] === 1) continue;
    const [from, to] = [starts[start + i], ends[start + i]];
    if (to - from <= INLINE_BYTES) continue;
    bindings.vector_assign_string_element_len(vector, i, source.subarray(from, to));
    long--;
  }
}

function writeTexts(bindings: Bindings, vector: Vector, column: Column, start: number, count: number): void {
  const { values, nulls } = column;
  bytes.fill(0, 0, count * ENTRY_BYTES);
  const long: number[] = [];
  for (let i = 0; i < count; i++) {
    if (nulls !== null && nulls[start + i] === 1) continue;
    if (!inlineAscii(values[start + i] as string, i)) long.push(i);
  }
  bindings.copy_data_to_vector(vector, 0, scratch, 0, count * ENTRY_BYTES);
  // With the length given, as a text may hold U+0000.
  for (const i of long) {
    bindings.vector_assign_string_element_len(vector, i, Buffer.from(values[start + i] as string, 'utf8'));
  }
}

/** Writes a short ASCII text into entry i; false when it is not one. */
function inlineAscii(text: string, i: number): boolean {
  const { length } = text;
  if (length > INLINE_BYTES) return false;
  const at = ENTRY_BYTES * i + 4;
  for (let c = 0; c < length; c++) {
    const code = text.charCodeAt(c);
    if (code > 127) {
      bytes.fill(0, at, at + INLINE_BYTES);
      return false;
    }
    bytes[at + c] = code;
  }
  uint32[4 * i] = length;
  return true;
}

function writeBytes(bindings: Bindings, vector: Vector, column: Column, start: number, count: number): void {
  const { values, nulls } = column;
  bytes.fill(0, 0, count * ENTRY_BYTES);
  bindings.copy_data_to_vector(vector, 0, scratch, 0, count * ENTRY_BYTES);
  for (let i = 0; i < count; i++) {
    if (nulls !== null && nulls[start + i] === 1) continue;
    bindings.vector_assign_string_element_len(vector, i, values[start + i] as Uint8Array);
  }
}
