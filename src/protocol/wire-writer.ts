import { assert } from '../lib/assert.ts';
import type { Chunk, StoredBytes } from '../ports/stored-bytes.ts';

/** Byte ranges of at least this size are handed on as chunks of their own instead of being copied. */
const CHUNK_BYTES = 4096;

/**
 * Writes Kafka's primitive types into a growing buffer. Large byte fields are not copied: they become chunks of their
 * own, so the result is a list for one `writev`.
 */
export class WireWriter {
  #buffer: Buffer;
  #position = 0;
  /** Where the bytes begin that are not yet in a chunk. */
  #start = 0;
  #chunks: Chunk[] = [];
  #chunkBytes = 0;

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  #room(count: number): number {
    const at = this.#position;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const kept = at - this.#start;
      const bigger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, kept + count + 256));
      this.#buffer.copy(bigger, 0, this.#start, at);
      this.#buffer = bigger;
      this.#start = 0;
      this.#position = kept + count;
      return kept;
    }
    this.#position = needed;
    return at;
  }

  bool(value: boolean): void {
    const at = this.#room(1);
    this.#buffer[at] = value ? 1 : 0;
  }

  int8(value: number): void {
    const at = this.#room(1);
    this.#buffer.writeInt8(value, at);
  }

  int16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeInt16BE(value, at);
  }

  uint16(value: number): void {
    const at = this.#room(2);
    this.#buffer.writeUInt16BE(value, at);
  }

  int32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeInt32BE(value, at);
  }

  uint32(value: number): void {
    const at = this.#room(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  int64(value: number): void {
    assert(Number.isSafeInteger(value), 'an int64 field holds a whole number up to 2^53');
    const at = this.#room(8);
    this.#buffer.writeInt32BE(Math.floor(value / 4294967296), at);
    this.#buffer.writeUInt32BE(value >>> 0, at + 4);
  }

  float64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  uvarint(value: number): void {
    let rest = value;
    while (rest > 127) {
      const at = this.#room(1);
      this.#buffer[at] = (rest & 127) | 128;
      rest = Math.floor(rest / 128);
    }
    const at = this.#room(1);
    this.#buffer[at] = rest;
  }

  uuid(value: string): void {
    const hex = value.replaceAll('-', '');
    const at = this.#room(16);
    const written = this.#buffer.write(hex, at, 'hex');
    assert(hex.length === 32 && written === 16, `not a UUID: ${value}`);
  }

  string(value: string | null): void {
    if (value === null) {
      this.int16(-1);
      return;
    }
    const length = Buffer.byteLength(value);
    assert(length <= 32767, 'a string field is at most 32767 bytes');
    this.int16(length);
    this.#text(value, length);
  }

  compactString(value: string | null): void {
    if (value === null) {
      this.uvarint(0);
      return;
    }
    const length = Buffer.byteLength(value);
    this.uvarint(length + 1);
    this.#text(value, length);
  }

  #text(value: string, length: number): void {
    const at = this.#room(length);
    if (length === value.length) this.#buffer.latin1Write(value, at);
    else this.#buffer.utf8Write(value, at);
  }

  bytes(value: Bytes | null): void {
    this.int32(value === null ? -1 : lengthOf(value));
    this.#parts(value);
  }

  compactBytes(value: Bytes | null): void {
    this.uvarint(value === null ? 0 : lengthOf(value) + 1);
    this.#parts(value);
  }

  #parts(value: Bytes | null): void {
    if (value === null) return;
    if (value instanceof Uint8Array) this.raw(value);
    else if ('read' in value) this.#keep(value);
    else for (const part of value) this.raw(part);
  }

  /** The bytes themselves. A large value is kept, not copied: it must not change until the result was sent. */
  raw(value: Uint8Array): void {
    if (value.length >= CHUNK_BYTES) {
      this.#keep(Buffer.from(value.buffer, value.byteOffset, value.length));
      return;
    }
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  /** One tagged field: its number, size and bytes. */
  tag(tag: number, body: WireWriter): void {
    this.uvarint(tag);
    this.uvarint(body.length);
    for (const chunk of body.finish()) this.raw(chunk);
  }

  #keep(chunk: Chunk): void {
    this.#cut();
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
  }

  #cut(): void {
    if (this.#position === this.#start) return;
    this.#chunks.push(this.#buffer.subarray(this.#start, this.#position));
    this.#chunkBytes += this.#position - this.#start;
    this.#start = this.#position;
  }

  get length(): number {
    return this.#chunkBytes + this.#position - this.#start;
  }

  /** The bytes written, in order. Ends the life of the writer. */
  finish(): Buffer[] {
    const chunks = this.finishStored();
    assert(chunks.every(Buffer.isBuffer), 'bytes of a file are part of a response only');
    return chunks as Buffer[];
  }

  /** As `finish`, where some of it may still be in a file. */
  finishStored(): Chunk[] {
    this.#cut();
    return this.#chunks;
  }
}

type Bytes = Uint8Array | readonly Uint8Array[] | StoredBytes;

function lengthOf(value: Bytes): number {
  if (value instanceof Uint8Array || 'read' in value) return value.length;
  let sum = 0;
  for (const part of value) sum += part.length;
  return sum;
}
