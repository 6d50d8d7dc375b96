import type duckdb from '@duckdb/node-bindings';
import { StreamError } from '../lib/errors.ts';
import { type Column, PlainColumn, TextColumn } from '../values/column.ts';
import { checkInterval } from '../values/interval.ts';
import { canonicalInteger, type Datum, type SqlType } from '../values/types.ts';
import { INLINE_BYTES, storageOf } from './vector-writer.ts';

type Bindings = typeof duckdb;
type Vector = duckdb.Vector;

const TWO_32 = 4294967296;
const MAX_HIGH = 0x1fffff;

/**
 * A vector of `count` rows as a column; everything is copied out. Not for arrays. The chunk must be alive: long texts are behind
 * pointers. VALUE_OVERFLOW for an interval beyond ours.
 */
export function readVector(bindings: Bindings, vector: Vector, type: SqlType, count: number): Column {
  const nulls = readNulls(bindings, vector, count);
  const data = (width: number): Uint8Array => bindings.vector_get_data(vector, count * width);
  const plain = (values: Uint8Array | Int32Array | Float64Array | readonly Datum[]): Column =>
    new PlainColumn(type, count, values, nulls);
  switch (storageOf(type)) {
    case 'bool':
      return plain(Uint8Array.from(data(1)));
    case 'int16': {
      const source = new Int16Array(aligned(data(2)));
      return plain(type.kind === 'decimal' ? Float64Array.from(source) : Int32Array.from(source));
    }
    case 'int32': {
      const source = new Int32Array(aligned(data(4)));
      return plain(type.kind === 'decimal' ? Float64Array.from(source) : source);
    }
    case 'float':
      return plain(Float64Array.from(new Float32Array(aligned(data(4)))));
    case 'double':
      return plain(new Float64Array(aligned(data(8))));
    case 'int64':
      return plain(readInt64(aligned(data(8)), count, nulls));
    case 'int128':
      return plain(readInt128(aligned(data(16)), count, nulls));
    case 'interval':
      return plain(readIntervals(aligned(data(16)), count, nulls));
    case 'text':
      return type.kind === 'bytea'
        ? plain(readBytes(bindings, data(16), count, nulls))
        : readTexts(bindings, data(16), type, count, nulls);
    case 'list':
      throw new StreamError('INVARIANT', 'arrays are read as lists');
  }
}

/** The bytes in a buffer of their own, from its start. */
const aligned = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;

/** 1 where the row is NULL; null when none is. */
function readNulls(bindings: Bindings, vector: Vector, count: number): Uint8Array | null {
  const valid = bindings.vector_get_validity(vector, Math.ceil(count / 64) * 8) as Uint8Array | null;
  if (valid === null || valid === undefined) return null;
  const nulls = new Uint8Array(count);
  let any = 0;
  for (let i = 0; i < count; i++) any |= nulls[i] = 1 - ((valid[i >> 3] >> (i & 7)) & 1);
  return any === 0 ? null : nulls;
}

function readInt64(buffer: ArrayBuffer, count: number, nulls: Uint8Array | null): Float64Array | readonly Datum[] {
  const low = new Uint32Array(buffer);
  const high = new Int32Array(buffer);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const h = high[2 * i + 1];
    if (h > MAX_HIGH || h < -MAX_HIGH - 1 || (h === -MAX_HIGH - 1 && low[2 * i] === 0)) {
      // The content of a null row may look like anything.
      if (nulls !== null && nulls[i] === 1) continue;
      return readWide(count, nulls, (row) => new BigInt64Array(buffer)[row]);
    }
    out[i] = h * TWO_32 + low[2 * i];
  }
  return out;
}

function readInt128(buffer: ArrayBuffer, count: number, nulls: Uint8Array | null): Float64Array | readonly Datum[] {
  const low = new Uint32Array(buffer);
  const high = new Int32Array(buffer);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const h = high[4 * i + 1];
    const sign = h < 0 ? -1 : 0;
    const isSmall = high[4 * i + 2] === sign && high[4 * i + 3] === sign && h <= MAX_HIGH && h >= -MAX_HIGH;
    if (!isSmall) {
      if (nulls !== null && nulls[i] === 1) continue;
      const lower = new BigUint64Array(buffer);
      const upper = new BigInt64Array(buffer);
      return readWide(count, nulls, (row) => (upper[2 * row + 1] << 64n) | lower[2 * row]);
    }
    out[i] = h * TWO_32 + low[4 * i];
  }
  return out;
}

function readWide(count: number, nulls: Uint8Array | null, at: (row: number) => bigint): readonly Datum[] {
  const out = new Array<Datum>(count);
  for (let i = 0; i < count; i++) out[i] = nulls !== null && nulls[i] === 1 ? null : canonicalInteger(at(i));
  return out;
}

function readIntervals(buffer: ArrayBuffer, count: number, nulls: Uint8Array | null): readonly Datum[] {
  const words = new Int32Array(buffer);
  const micros = new BigInt64Array(buffer);
  const out = new Array<Datum>(count);
  for (let i = 0; i < count; i++) {
    const isNull = nulls !== null && nulls[i] === 1;
    out[i] = isNull ? null : checkInterval(words[4 * i], words[4 * i + 1], Number(micros[2 * i + 1]));
  }
  return out;
}

/** The bytes of entry i: in the entry itself, or behind its pointer. */
function entryBytes(bindings: Bindings, entries: Uint8Array, view: DataView, i: number): Uint8Array {
  const at = 16 * i;
  const length = view.getUint32(at, true);
  if (length <= INLINE_BYTES) return entries.subarray(at + 4, at + 4 + length);
  return bindings.get_data_from_pointer(entries.buffer as ArrayBuffer, entries.byteOffset + at + 8, length);
}

function readTexts(
  bindings: Bindings,
  entries: Uint8Array,
  type: SqlType,
  count: number,
  nulls: Uint8Array | null,
): Column {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const starts = new Int32Array(count);
  const ends = new Int32Array(count);
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (nulls === null || nulls[i] === 0) total += view.getUint32(16 * i, true);
  }
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (let i = 0; i < count; i++) {
    starts[i] = at;
    if (nulls === null || nulls[i] === 0) {
      const one = entryBytes(bindings, entries, view, i);
      bytes.set(one, at);
      at += one.length;
    }
    ends[i] = at;
  }
  return new TextColumn(type, count, bytes, starts, ends, nulls);
}

function readBytes(bindings: Bindings, entries: Uint8Array, count: number, nulls: Uint8Array | null): readonly Datum[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const out = new Array<Datum>(count);
  for (let i = 0; i < count; i++) {
    out[i] = nulls !== null && nulls[i] === 1 ? null : Uint8Array.from(entryBytes(bindings, entries, view, i));
  }
  return out;
}
