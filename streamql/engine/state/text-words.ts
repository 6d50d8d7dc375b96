import { isUtf8 } from 'node:buffer';

/** Texts four bytes at a time, little-endian: what hashes, copies and comparisons of short texts go by. */

/** The 0 to 3 bytes that are left, as a word filled up with zeros. */
export function readWord(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return 0;
  let word = bytes[at];
  if (at + 1 < end) word |= bytes[at + 1] << 8;
  if (at + 2 < end) word |= bytes[at + 2] << 16;
  return word;
}

/** Up to this many bytes a loop copies or compares faster than a call does. */
export const LOOP_BYTES = 256;

/** Copies `from[start .. start + size)` to `to[at …)`; each comes with a view of the same bytes. */
export function copyText(
  from: Buffer,
  fromView: DataView,
  start: number,
  size: number,
  to: Buffer,
  toView: DataView,
  at: number,
): void {
  if (size > LOOP_BYTES) {
    to.set(from.subarray(start, start + size), at);
    return;
  }
  let i = 0;
  for (; i + 4 <= size; i += 4) toView.setInt32(at + i, fromView.getInt32(start + i, true), true);
  for (; i < size; i++) to[at + i] = from[start + i];
}

export function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let bits = 0;
  for (let i = start; i < end; i++) bits |= bytes[i];
  return bits < 0x80;
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const START = 0x2545f491;
const FACTOR = 0x9e3779b1;

function add(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, FACTOR);
  return h ^ (h >>> 15);
}

/** A hash of the text that `bytes[start..end)` are; `view` is of the same bytes. For tables in memory alone. */
export function hashBytes(bytes: Buffer, view: DataView, start: number, end: number): number {
  let h = START ^ (end - start);
  let bits = 0;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    const word = view.getInt32(at, true);
    bits |= word;
    h = add(h, word);
  }
  if (at < end) {
    const word = readWord(bytes, at, end);
    bits |= word;
    h = add(h, word);
  }
  // What is no UTF-8 has the hash of what it is decoded to.
  if ((bits & 0x80808080) !== 0 && !isUtf8(bytes.subarray(start, end))) return hashString(bytes.utf8Slice(start, end));
  return h;
}

/** The same for a string; a lone surrogate counts as U+FFFD, which it is in UTF-8. */
export function hashString(text: string): number {
  const { length } = text;
  let h = START ^ length;
  let bits = 0;
  let at = 0;
  for (const last = length - 3; at < last; at += 4) {
    const [a, b] = [text.charCodeAt(at), text.charCodeAt(at + 1)];
    const [c, d] = [text.charCodeAt(at + 2), text.charCodeAt(at + 3)];
    bits |= a | b | c | d;
    h = add(h, a | (b << 8) | (c << 16) | (d << 24));
  }
  if (at < length) {
    let word = 0;
    for (let shift = 0; at < length; at++, shift += 8) {
      const unit = text.charCodeAt(at);
      bits |= unit;
      word |= unit << shift;
    }
    h = add(h, word);
  }
  if (bits < 0x80) return h;
  const bytes = Buffer.from(text);
  return hashBytes(bytes, viewOf(bytes), 0, bytes.length);
}
