/**
 * Frames of the Postgres wire, protocol 3.0 (PostgreSQL documentation, "Frontend/Backend Protocol"). Backend messages
 * are a type byte, a length that counts itself, and a body.
 */
export class FrameWriter {
  readonly #parts: Buffer[] = [];

  frame(type: string, ...body: readonly (Buffer | number[])[]): this {
    const parts = body.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(part)));
    const length = parts.reduce((sum, part) => sum + part.length, 4);
    this.#parts.push(Buffer.from(type), int32(length), ...parts);
    return this;
  }

  take(): Buffer {
    return Buffer.concat(this.#parts.splice(0));
  }
}

export const text = (value: string): Buffer => Buffer.from(`${value}\0`);

export function int16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeInt16BE(value);
  return out;
}

export function int32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeInt32BE(value);
  return out;
}

/** Reads a frontend message's body; throws RangeError past its end. */
export class FrameReader {
  readonly #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  text(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw new RangeError('text without an end');
    const value = this.#body.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return value;
  }

  byte(): string {
    return String.fromCharCode(this.#body.readUInt8(this.#at++));
  }

  int16(): number {
    this.#at += 2;
    return this.#body.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#body.readInt32BE(this.#at - 4);
  }

  bytes(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#body.length) throw new RangeError('length past the end');
    this.#at += length;
    return this.#body.subarray(this.#at - length, this.#at);
  }
}
