import { canonicalInteger } from '../values/types.ts';

/** Depth of nested values beyond which a record is malformed. */
const MOST_DEPTH = 128;
/** Elements that a record may have beyond one for each of its bytes: some take none. */
const MOST_EMPTY_ELEMENTS = 10_000;

/**
 * A place in the bytes of one Avro or Protobuf record. Reading past `end` gives some value and moves on, and the caller finds `at` beyond
 * `end` in the end; lengths are checked at once. `problem` is the first thing that was wrong.
 */
export class BinaryInput {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  end = 0;
  problem: string | null = null;
  #depth = 0;
  #elements = 0;

  open(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
    this.problem = null;
    this.#depth = 0;
    this.#elements = end - start + MOST_EMPTY_ELEMENTS;
  }

  fail(problem: string): void {
    this.problem ??= problem;
    this.at = this.end + 1;
  }

  /** Whether one more element may be read. */
  element(): boolean {
    if (this.at > this.end || this.#elements-- <= 0) {
      this.fail('an array or a map is longer than the record');
      return false;
    }
    return true;
  }

  enter(): boolean {
    if (++this.#depth > MOST_DEPTH) {
      this.fail(`values are nested more than ${MOST_DEPTH} deep`);
      return false;
    }
    return true;
  }

  leave(): void {
    this.#depth--;
  }

  /** Moves over `length` bytes and answers where they begin; −1 when there are not so many. */
  take(length: number): number {
    const from = this.at;
    if (!(length >= 0 && length <= this.end - from)) {
      this.fail('a length goes beyond the end of the record');
      return -1;
    }
    this.at = from + length;
    return from;
  }

  /** An unsigned varint of at most 64 bits: exact as two halves of `2^32 · high + low`, both unsigned. */
  high = 0;
  varint(): number {
    const b = this.buffer;
    let p = this.at;
    let byte = b[p++];
    let low = byte & 0x7f;
    this.high = 0;
    if ((byte & 0x80) === 0) {
      this.at = p;
      return low;
    }
    for (let shift = 7; shift < 28; shift += 7) {
      byte = b[p++];
      low |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) {
        this.at = p;
        return low;
      }
    }
    byte = b[p++];
    low = (low | ((byte & 0x0f) << 28)) >>> 0;
    let high = (byte & 0x70) >>> 4;
    for (let shift = 3; (byte & 0x80) !== 0; shift += 7) {
      if (shift > 31) {
        this.fail('a number has more than 64 bits');
        return 0;
      }
      byte = b[p++];
      high |= (byte & 0x7f) << shift;
    }
    this.high = high >>> 0;
    this.at = p;
    return low;
  }

  /** A zig-zag number of 64 bits. */
  zigzag(): number | bigint {
    const low = this.varint();
    const high = this.high;
    if (high === 0) {
      // Below 2^32: the half fits 31 bits, so that both signs are safe.
      return (low & 1) === 0 ? low / 2 : -(low + 1) / 2;
    }
    if (high < 0x20_0000) {
      const value = high * 4294967296 + low;
      return (low & 1) === 0 ? value / 2 : -((value - 1) / 2) - 1;
    }
    const value = (BigInt(high) << 32n) | BigInt(low);
    return canonicalInteger((value & 1n) === 0n ? value >> 1n : -(value >> 1n) - 1n);
  }

  /** A zig-zag number that must fit 53 bits, such as a length; −1, and a problem, when it does not. */
  zigzagCount(): number {
    const value = this.zigzag();
    if (typeof value === 'number') return value;
    this.fail('a length goes beyond the end of the record');
    return -1;
  }

  float(): number {
    const from = this.take(4);
    return from < 0 ? 0 : this.buffer.readFloatLE(from);
  }

  double(): number {
    const from = this.take(8);
    return from < 0 ? 0 : this.buffer.readDoubleLE(from);
  }

  text(length: number): string {
    const from = this.take(length);
    return from < 0 ? '' : this.buffer.utf8Slice(from, from + length);
  }

  /** A copy. */
  bytes(length: number): Uint8Array {
    const from = this.take(length);
    return from < 0 ? new Uint8Array(0) : Uint8Array.prototype.slice.call(this.buffer, from, from + length);
  }
}
