import { StreamError } from '../../../src/lib/errors.ts';

/** Reads a WebAssembly module in order; SQL_BIND where it ends too early. */
export class ModuleReader {
  readonly #bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.at = from;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) throw new StreamError('SQL_BIND', 'the module ends too early');
    return this.#bytes[this.at++];
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new StreamError('SQL_BIND', 'the module has a number that is too long');
  }

  /** Past a LEB number of any width. */
  skipNumber(): void {
    while (this.byte() >= 0x80);
  }

  /** The next bytes, as a view. */
  take(count: number): Uint8Array {
    if (this.at + count > this.end) throw new StreamError('SQL_BIND', 'the module ends too early');
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  part(count: number): ModuleReader {
    this.take(count);
    return new ModuleReader(this.#bytes, this.at - count, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.end - this.at);
  }
}

/** An unsigned number as LEB. */
export function leb(value: number): number[] {
  const out: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) out.push((left % 128) | 0x80);
  return [...out, left];
}

/** A number that is not negative where a signed one is expected. */
export function signedLeb(value: number): number[] {
  const out: number[] = [];
  let left = value;
  for (; left > 0x3f; left = Math.floor(left / 128)) out.push((left % 128) | 0x80);
  return [...out, left];
}
