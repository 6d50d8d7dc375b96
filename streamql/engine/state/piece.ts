import { StreamError } from '../../../src/lib/errors.ts';
import { type Column, PlainColumn, TextColumn } from '../../../src/values/column.ts';
import { type Datum, type Interval, isText, type SqlType, typeName } from '../../../src/values/types.ts';
import { copyText, viewOf } from './text-words.ts';

/**
 * The bytes of saved state. A piece is a header (magic, version, full or change, fingerprint of the column types), then
 * the slots it speaks of, one byte each for alive or freed, then the columns of the alive ones: typed arrays raw and
 * little-endian, text as UTF-8 in one run, everything else datum by datum with a tag. Integrity (checksums) is the checkpoint's business; what is
 * checked here is that a piece belongs to this table.
 */
const MAGIC = 0x54534c53; // "SLST"
const VERSION = 1;

export interface Piece {
  readonly full: boolean;
  readonly slots: Int32Array;
  /** By position in `slots`. */
  readonly alive: Uint8Array;
  /** One row per alive slot, in the order of `slots`. */
  readonly columns: readonly Column[];
}

/** Bytes in several arrays, which stay as they are: large columns are not copied together only to be written. */
export type Parts = readonly Uint8Array[];

export const bytesOfParts = (parts: Parts): number => parts.reduce((sum, part) => sum + part.byteLength, 0);

export function encodePiece(piece: Piece): Parts {
  const writer = new Writer();
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u8(piece.full ? 1 : 0);
  writer.u32(fingerprint(piece.columns.map((column) => column.type)));
  writer.u32(piece.slots.length);
  writer.raw(piece.slots);
  writer.raw(piece.alive);
  for (const column of piece.columns) writeColumn(writer, column);
  return writer.finish();
}

/** STORAGE_FAILED when the bytes are not a piece of a table with these column types. */
export function decodePiece(bytes: Uint8Array, types: readonly SqlType[]): Piece {
  const reader = new Reader(bytes);
  if (reader.u32() !== MAGIC) throw new StreamError('STORAGE_FAILED', 'saved state does not begin as state does');
  const version = reader.u8();
  if (version !== VERSION)
    throw new StreamError('STORAGE_FAILED', `saved state has version ${version}, expected ${VERSION}`);
  const full = reader.u8() === 1;
  if (reader.u32() !== fingerprint(types)) {
    throw new StreamError('STORAGE_FAILED', `saved state has other columns than (${types.map(typeName).join(', ')})`);
  }
  const count = reader.u32();
  const slots = new Int32Array(reader.raw(count * 4));
  const alive = new Uint8Array(reader.raw(count));
  let rows = 0;
  for (let i = 0; i < count; i++) rows += alive[i];
  const columns = types.map((type) => readColumn(reader, type, rows));
  reader.expectEnd();
  return { full, slots, alive, columns };
}

function fingerprint(types: readonly SqlType[]): number {
  let h = 0x811c9dc5;
  for (const char of types.map(typeName).join()) h = Math.imul(h ^ char.charCodeAt(0), 0x01000193);
  return h >>> 0;
}

const STORAGE_BYTES = 0;
const STORAGE_INT32 = 1;
const STORAGE_FLOAT64 = 2;
const STORAGE_TAGGED = 3;
/** Text of ASCII alone, as releases up to manifest format 1 wrote it: lengths, then all of it. */
const STORAGE_ASCII = 4;
/** Text: lengths in bytes, how many bytes in all, then these. */
const STORAGE_UTF8 = 5;

function writeColumn(writer: Writer, column: Column): void {
  const { nulls, length } = column;
  const text = utf8Of(column);
  writer.u8(text === null ? storageOf(column) : STORAGE_UTF8);
  writer.u8(nulls === null ? 0 : 1);
  if (nulls !== null) writer.raw(nulls.subarray(0, length));
  if (text !== null) {
    writer.raw(text.lengths);
    writer.u32(text.bytes.length);
    writer.raw(text.bytes);
    return;
  }
  const { values } = column;
  if (Array.isArray(values)) for (let i = 0; i < length; i++) writer.datum(values[i]);
  else writer.raw((values as Float64Array).subarray(0, length));
}

function storageOf({ values }: Column): number {
  if (values instanceof Float64Array) return STORAGE_FLOAT64;
  if (values instanceof Int32Array) return STORAGE_INT32;
  return values instanceof Uint8Array ? STORAGE_BYTES : STORAGE_TAGGED;
}

interface Utf8 {
  readonly lengths: Int32Array;
  readonly bytes: Uint8Array;
}

/** The texts end to end. Null when a value is no text, or all are more than one string has room for. */
function utf8Of(column: Column): Utf8 | null {
  if (column instanceof TextColumn) return rangesOf(column);
  const { type, values, nulls, length } = column;
  if (!isText(type)) return null;
  const lengths = new Int32Array(length);
  const texts = new Array<string>(length);
  let total = 0;
  for (let i = 0; i < length; i++) {
    const text = nulls !== null && nulls[i] === 1 ? '' : values[i];
    if (typeof text !== 'string') return null;
    texts[i] = text;
    total += text.length;
    lengths[i] = text.length;
  }
  if (total > MOST_UNITS) return null;
  // One encoding of many short texts costs a tenth of one each.
  const bytes = Buffer.from(texts.join(''), 'utf8');
  if (bytes.length === total) return { lengths, bytes };
  const encoded = texts.map((text) => Buffer.from(text));
  return { lengths: Int32Array.from(encoded, (one) => one.length), bytes: Buffer.concat(encoded) };
}

/** Well below the longest string there can be. */
const MOST_UNITS = 1 << 28;

function rangesOf({ bytes, starts, ends, nulls, length }: TextColumn): Utf8 {
  const lengths = new Int32Array(length);
  let total = 0;
  let packed = true;
  for (let i = 0; i < length; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    lengths[i] = ends[i] - starts[i];
    packed &&= starts[i] === total;
    total += lengths[i];
  }
  if (packed) return { lengths, bytes: bytes.subarray(0, total) };
  const copy = Buffer.allocUnsafe(total);
  const [from, to] = [viewOf(bytes), viewOf(copy)];
  let at = 0;
  for (let i = 0; i < length; i++) {
    copyText(bytes, from, starts[i], lengths[i], copy, to, at);
    at += lengths[i];
  }
  return { lengths, bytes: copy };
}

function readColumn(reader: Reader, type: SqlType, length: number): Column {
  const storage = reader.u8();
  const nulls = reader.u8() === 1 ? new Uint8Array(reader.raw(length)) : null;
  if (storage === STORAGE_FLOAT64)
    return new PlainColumn(type, length, new Float64Array(reader.raw(length * 8)), nulls);
  if (storage === STORAGE_INT32) return new PlainColumn(type, length, new Int32Array(reader.raw(length * 4)), nulls);
  if (storage === STORAGE_BYTES) return new PlainColumn(type, length, new Uint8Array(reader.raw(length)), nulls);
  if (storage === STORAGE_ASCII || storage === STORAGE_UTF8) {
    const ends = new Int32Array(reader.raw(length * 4));
    const starts = new Int32Array(length);
    let total = 0;
    for (let i = 0; i < length; i++) {
      starts[i] = total;
      total += ends[i];
      ends[i] = total;
    }
    if (storage === STORAGE_UTF8 && reader.u32() !== total)
      throw new StreamError('STORAGE_FAILED', 'saved texts are not as long as they say');
    return new TextColumn(type, length, Buffer.from(reader.raw(total)), starts, ends, nulls);
  }
  if (storage !== STORAGE_TAGGED)
    throw new StreamError('STORAGE_FAILED', `saved state has a column stored as ${storage}`);
  const values = new Array<Datum>(length);
  for (let i = 0; i < length; i++) values[i] = reader.datum();
  return new PlainColumn(type, length, values, nulls);
}

const TAG = { null: 0, false: 1, true: 2, number: 3, bigint: 4, text: 5, bytes: 6, interval: 7, array: 8 } as const;

/** Arrays of at least this many bytes are not copied. */
const LARGE = 4096;

class Writer {
  readonly #parts: Uint8Array[] = [];
  #buffer = Buffer.allocUnsafe(1024);
  /** Of `#buffer`, what is in parts already, and what has been written. */
  #from = 0;
  #at = 0;

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#at++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  f64(value: number): void {
    this.#room(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  /** The array must stay as it is. */
  raw(array: Uint8Array | Int32Array | Float64Array): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    if (bytes.length >= LARGE) {
      this.#cut();
      this.#parts.push(bytes);
      return;
    }
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += array.byteLength;
  }

  text(text: string): void {
    const most = text.length * 3;
    this.#room(4 + most);
    const written = this.#buffer.write(text, this.#at + 4, 'utf8');
    this.#buffer.writeUInt32LE(written, this.#at);
    this.#at += 4 + written;
  }

  datum(datum: Datum): void {
    if (datum === null) this.u8(TAG.null);
    else if (typeof datum === 'boolean') this.u8(datum ? TAG.true : TAG.false);
    else if (typeof datum === 'number') {
      this.u8(TAG.number);
      this.f64(datum);
    } else if (typeof datum === 'bigint') {
      this.u8(TAG.bigint);
      this.text(datum.toString(36));
    } else if (typeof datum === 'string') {
      this.u8(TAG.text);
      this.text(datum);
    } else if (datum instanceof Uint8Array) {
      this.u8(TAG.bytes);
      this.u32(datum.byteLength);
      this.raw(datum);
    } else if (Array.isArray(datum)) {
      this.u8(TAG.array);
      this.u32(datum.length);
      for (const item of datum as readonly Datum[]) this.datum(item);
    } else {
      const interval = datum as Interval;
      this.u8(TAG.interval);
      this.f64(interval.months);
      this.f64(interval.days);
      this.f64(interval.micros);
    }
  }

  finish(): Parts {
    this.#cut();
    return this.#parts;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#parts.push(this.#buffer.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    this.#cut();
    this.#buffer = Buffer.allocUnsafe(Math.max(bytes, this.#buffer.length * 2));
    this.#from = 0;
    this.#at = 0;
  }
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#buffer[this.#take(1)];
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  /** A copy, aligned for any typed array. */
  raw(length: number): ArrayBuffer {
    const at = this.#take(length);
    const copy = new Uint8Array(length);
    copy.set(this.#buffer.subarray(at, at + length));
    return copy.buffer;
  }

  text(): string {
    const length = this.u32();
    const at = this.#take(length);
    return this.#buffer.toString('utf8', at, at + length);
  }

  datum(): Datum {
    const tag = this.u8();
    if (tag === TAG.null) return null;
    if (tag === TAG.false) return false;
    if (tag === TAG.true) return true;
    if (tag === TAG.number) return this.f64();
    if (tag === TAG.bigint) return parseBigint(this.text());
    if (tag === TAG.text) return this.text();
    if (tag === TAG.bytes) return new Uint8Array(this.raw(this.u32()));
    if (tag === TAG.interval) return { months: this.f64(), days: this.f64(), micros: this.f64() };
    if (tag !== TAG.array) throw new StreamError('STORAGE_FAILED', `saved state has a value with tag ${tag}`);
    const items: Datum[] = [];
    for (let left = this.u32(); left > 0; left--) items.push(this.datum());
    return items;
  }

  expectEnd(): void {
    if (this.#at !== this.#buffer.length) throw new StreamError('STORAGE_FAILED', 'saved state goes on after its end');
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (bytes < 0 || this.#at > this.#buffer.length)
      throw new StreamError('STORAGE_FAILED', 'saved state is cut short');
    return at;
  }
}

function parseBigint(text: string): bigint {
  const negative = text.startsWith('-');
  let value = 0n;
  for (let i = negative ? 1 : 0; i < text.length; i += 8) {
    const digits = text.slice(i, i + 8);
    value = value * 36n ** BigInt(digits.length) + BigInt(Number.parseInt(digits, 36));
  }
  return negative ? -value : value;
}
