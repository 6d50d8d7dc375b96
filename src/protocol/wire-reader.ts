import { ProtocolError } from './protocol-error.ts';
import { ZERO_UUID } from './schema.ts';

/**
 * Elements of all arrays of one message. An element of three bytes becomes an object of a hundred, so the frame's size does
 * not bound what decoding takes; 10,000 partitions with all their lists need a fifth of this.
 */
const MOST_ELEMENTS = 1 << 18;

/**
 * Reads Kafka's primitive types from a frame, never beyond its end. Every length and count is checked against the bytes
 * left before anything is allocated for it; whatever is wrong is a ProtocolError.
 */
export class WireReader {
  readonly buffer: Buffer;
  position: number;
  readonly end: number;
  #elements = 0;

  constructor(buffer: Buffer, position = 0, end = buffer.length) {
    this.buffer = buffer;
    this.position = position;
    this.end = end;
  }

  /** Moves on by `count` bytes and returns where they begin. */
  #take(count: number): number {
    const at = this.position;
    if (count > this.end - at) throw new ProtocolError(`${count} bytes wanted, ${this.end - at} left`);
    this.position = at + count;
    return at;
  }

  bool(): boolean {
    return this.buffer[this.#take(1)] !== 0;
  }

  int8(): number {
    return (this.buffer[this.#take(1)] << 24) >> 24;
  }

  int16(): number {
    const at = this.#take(2);
    return ((this.buffer[at] << 24) | (this.buffer[at + 1] << 16)) >> 16;
  }

  uint16(): number {
    const at = this.#take(2);
    return (this.buffer[at] << 8) | this.buffer[at + 1];
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  int64(): number {
    const at = this.#take(8);
    const value = this.buffer.readInt32BE(at) * 4294967296 + this.buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new ProtocolError('an int64 beyond 2^53');
    return value;
  }

  float64(): number {
    return this.buffer.readDoubleBE(this.#take(8));
  }

  /** UNSIGNED_VARINT: at most 5 bytes, at most 32 bits. */
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.#take(1)];
      if (shift === 28 && byte > 15) break;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new ProtocolError('a varint longer than 32 bits');
  }

  uuid(): string {
    const at = this.#take(16);
    const hex = this.buffer.hexSlice(at, at + 16);
    if (hex === '00000000000000000000000000000000') return ZERO_UUID;
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  // Lengths: −1 is null. The compact forms travel as length + 1.

  /** INT16 length of a string. */
  stringLength(): number {
    return this.#length(this.int16());
  }

  /** INT32 length of bytes. */
  bytesLength(): number {
    return this.#length(this.int32());
  }

  compactLength(): number {
    return this.#length(this.uvarint() - 1);
  }

  #length(length: number): number {
    if (length < -1) throw new ProtocolError(`a length of ${length}`);
    if (length > this.end - this.position) {
      throw new ProtocolError(`a length of ${length} with ${this.end - this.position} bytes left`);
    }
    return length;
  }

  /** A checked element count; −1 is null. `leastBytes` is what the smallest element takes. */
  count(compact: boolean, leastBytes: number): number {
    const count = compact ? this.uvarint() - 1 : this.int32();
    if (count < -1) throw new ProtocolError(`a count of ${count}`);
    if (count * leastBytes > this.end - this.position) {
      throw new ProtocolError(`${count} elements with ${this.end - this.position} bytes left`);
    }
    if (count > 0) this.#elements += count;
    if (this.#elements > MOST_ELEMENTS) throw new ProtocolError(`more than ${MOST_ELEMENTS} array elements`);
    return count;
  }

  text(length: number): string {
    const at = this.#take(length);
    return this.buffer.utf8Slice(at, at + length);
  }

  slice(length: number): Buffer {
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** A whole section of tagged fields of which none is known. */
  skipTags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.skip(this.uvarint());
    }
  }

  nullNotAllowed(name: string): never {
    throw new ProtocolError(`${name} is null but must not be`);
  }

  /** A known tagged field must fill exactly the size it was announced with. */
  endTag(expectedEnd: number, name: string): void {
    if (this.position !== expectedEnd) throw new ProtocolError(`tagged field ${name} does not fill its size`);
  }

  badStructMarker(marker: number): never {
    throw new ProtocolError(`a nullable struct begins with ${marker}, not −1 or 1`);
  }
}

declare global {
  // Node has these on every Buffer; its type declarations leave them out.
  interface Buffer {
    hexSlice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
    latin1Slice(start: number, end: number): string;
    utf8Write(text: string, offset: number): number;
    latin1Write(text: string, offset: number): number;
  }
}
