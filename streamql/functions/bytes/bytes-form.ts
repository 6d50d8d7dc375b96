import { copyBytes } from '../../../src/lib/bytes.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';

/**
 * Texts as ranges of UTF-8 bytes, from the log to the view without strings in between. A function of texts may have such a form beside the
 * one over strings; both give one answer (bytes that are no UTF-8 aside, where a character is counted by its first byte).
 */
export interface BytesCall {
  /** `part`: a range of the first argument's bytes; `text`: a range of the scratch; `datum`: a value as `call` of the function gives it. */
  readonly yields: 'part' | 'text' | 'datum';
  /**
   * A text argument comes as three, (bytes, start, end), any other as its datum. A text is returned by its start, with its end in
   * `scratch.end`; a start of −1 is NULL. Arguments are not NULL unless the function is `nullAware`: then a NULL text's start is −1.
   */
  readonly call: (scratch: TextScratch, ...args: any[]) => any;
}

/** The form for a call: `literals` has the value of each argument that is a constant, undefined for the others. Undefined: strings only. */
export type BytesForm = (literals: readonly (Datum | undefined)[], types: readonly SqlType[]) => BytesCall | undefined;

const FIRST_BYTES = 1024;

/** Bytes that only grow, with where the last text ends. What is read from `bytes` stays true while more is written. */
export class TextScratch {
  bytes: Buffer;
  length = 0;
  /** Of the text that was returned last. */
  end = 0;

  constructor(capacity: number = FIRST_BYTES) {
    this.bytes = Buffer.allocUnsafeSlow(Math.max(1, capacity));
  }

  /** Room for so many bytes more; returns where they begin. */
  reserve(more: number): number {
    const needed = this.length + more;
    if (needed > this.bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      bigger.set(this.bytes.subarray(0, this.length));
      this.bytes = bigger;
    }
    return this.length;
  }

  /** A copy of `from[start..end)`; returns where it begins and sets `end`. */
  copy(from: Uint8Array, start: number, end: number): number {
    const at = this.reserve(end - start);
    copyBytes(from, start, end, this.bytes, at);
    this.length += end - start;
    this.end = this.length;
    return at;
  }

  /** The text in UTF-8; returns where it begins and sets `end`. */
  write(text: string): number {
    const at = this.reserve(text.length * 3);
    const { bytes } = this;
    let to = at;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 128) {
        to = at + bytes.utf8Write(text, at);
        break;
      }
      bytes[to++] = unit;
    }
    this.length = to;
    this.end = to;
    return at;
  }
}
