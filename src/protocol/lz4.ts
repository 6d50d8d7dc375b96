import { ProtocolError } from './protocol-error.ts';
import { xxhash32 } from './xxhash32.ts';

/**
 * LZ4 in plain JS over the caller's buffers: the block format, and the frame format (LZ4 frame format 1.6) as Kafka's
 * clients write it. The native module would be faster on big blocks, but its results pile up until the event loop
 * turns, which a worker that decodes in a loop never lets happen.
 */
const FRAME_MAGIC = 0x184d2204;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_DICTIONARY = 0x01;
const UNCOMPRESSED_BLOCK = 0x80000000;
/** What Kafka's Java client writes: version 1, independent blocks, no checksums; blocks of 64 KiB. */
const FLAGS = 0x60;
const BLOCK_DESCRIPTOR = 0x40;
const BLOCK_BYTES = 65536;

/**
 * Inflates one frame. Blocks may refer to earlier ones; checksums are verified where the frame has them. ProtocolError
 * when malformed or when the content is larger than `mostBytes`.
 */
export function lz4FrameDecode(frame: Uint8Array, mostBytes: number): Buffer {
  let at = 0;
  const need = (count: number): void => {
    if (frame.length - at < count) throw new ProtocolError('an LZ4 frame ends early');
  };
  const word = (i: number): number =>
    (frame[i] | (frame[i + 1] << 8) | (frame[i + 2] << 16) | (frame[i + 3] << 24)) >>> 0;
  need(7);
  if (word(0) !== FRAME_MAGIC) throw new ProtocolError('not an LZ4 frame');
  const flags = frame[4];
  if (flags >> 6 !== 1) throw new ProtocolError('an LZ4 frame of an unknown version');
  if ((flags & FLAG_DICTIONARY) !== 0) throw new ProtocolError('an LZ4 frame with a dictionary');
  const sizeCode = (frame[5] >> 4) & 7;
  if (sizeCode < 4) throw new ProtocolError('an LZ4 frame with an unknown block size');
  const mostBlockBytes = 1 << (8 + 2 * sizeCode);
  at = 6 + ((flags & FLAG_CONTENT_SIZE) !== 0 ? 8 : 0);
  need(1);
  if (((xxhash32(frame, 4, at) >>> 8) & 255) !== frame[at]) throw new ProtocolError('an LZ4 header checksum is wrong');
  at++;
  let out = Buffer.allocUnsafe(Math.min(mostBytes, Math.max(1024, frame.length * 4)));
  let length = 0;
  for (;;) {
    need(4);
    const header = word(at);
    at += 4;
    if (header === 0) break;
    const size = header & 0x7fffffff;
    if (size > mostBlockBytes) throw new ProtocolError('an LZ4 block is larger than its frame allows');
    need(size + ((flags & FLAG_BLOCK_CHECKSUM) !== 0 ? 4 : 0));
    const wanted = Math.min(mostBytes, length + (header >= UNCOMPRESSED_BLOCK ? size : mostBlockBytes));
    if (out.length < wanted) {
      const bigger = Buffer.allocUnsafe(Math.min(mostBytes, Math.max(wanted, out.length * 2)));
      bigger.set(out.subarray(0, length));
      out = bigger;
    }
    if (header >= UNCOMPRESSED_BLOCK) {
      if (size > out.length - length) throw tooLarge(mostBytes);
      out.set(frame.subarray(at, at + size), length);
      length += size;
    } else {
      length = lz4BlockDecode(frame, at, at + size, out, length, Math.min(out.length, length + mostBlockBytes));
    }
    if ((flags & FLAG_BLOCK_CHECKSUM) !== 0) {
      if (xxhash32(frame, at, at + size) !== word(at + size)) throw new ProtocolError('an LZ4 block checksum is wrong');
      at += 4;
    }
    at += size;
  }
  if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) {
    need(4);
    if (xxhash32(out, 0, length) !== word(at)) throw new ProtocolError('an LZ4 content checksum is wrong');
    at += 4;
  }
  return out.subarray(0, length);
}

const tooLarge = (mostBytes: number): ProtocolError =>
  new ProtocolError(`a compressed batch holds more than ${mostBytes} bytes`);

/** Inflates `input[from..to)` into `out` at `start`, never beyond `limit`; returns where the output ends. */
function lz4BlockDecode(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  limit: number,
): number {
  let i = from;
  let o = start;
  while (i < to) {
    const token = input[i++];
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255 && i < to) {
        more = input[i++];
        literals += more;
      }
    }
    if (literals > to - i) throw new ProtocolError('an LZ4 literal run passes the end of its block');
    if (literals > limit - o) throw new ProtocolError('an LZ4 block holds more than it may');
    if (literals > 32) {
      out.set(input.subarray(i, i + literals), o);
      o += literals;
      i += literals;
    } else {
      for (const end = i + literals; i < end; ) out[o++] = input[i++];
    }
    if (i === to) return o;
    if (to - i < 2) throw new ProtocolError('an LZ4 block ends inside a match');
    const distance = input[i] | (input[i + 1] << 8);
    i += 2;
    if (distance === 0 || distance > o) throw new ProtocolError('an LZ4 match begins before the output');
    let length = (token & 15) + 4;
    if (length === 19) {
      let more = 255;
      while (more === 255) {
        if (i >= to) throw new ProtocolError('an LZ4 block ends inside a match');
        more = input[i++];
        length += more;
      }
    }
    if (length > limit - o) throw new ProtocolError('an LZ4 block holds more than it may');
    if (distance >= length && length > 32) {
      out.copyWithin(o, o - distance, o - distance + length);
      o += length;
    } else {
      for (let m = o - distance, end = o + length; o < end; ) out[o++] = out[m++];
    }
  }
  return o;
}

export function lz4FrameEncode(content: Uint8Array): Buffer {
  const blocks = Math.ceil(content.length / BLOCK_BYTES);
  const out = Buffer.allocUnsafe(content.length + blocks * 4 + 11);
  out.writeUInt32LE(FRAME_MAGIC, 0);
  out[4] = FLAGS;
  out[5] = BLOCK_DESCRIPTOR;
  out[6] = (xxhash32(out, 4, 6) >>> 8) & 255;
  let o = 7;
  const table = new Int32Array(1 << HASH_BITS);
  for (let from = 0; from < content.length; from += BLOCK_BYTES) {
    const to = Math.min(content.length, from + BLOCK_BYTES);
    const end = lz4BlockEncode(content, from, to, out, o + 4, o + 4 + (to - from) - 1, table);
    if (end < 0) {
      out.writeUInt32LE(UNCOMPRESSED_BLOCK + (to - from), o);
      out.set(content.subarray(from, to), o + 4);
      o += 4 + (to - from);
    } else {
      out.writeUInt32LE(end - o - 4, o);
      o = end;
    }
  }
  out.writeUInt32LE(0, o);
  return out.subarray(0, o + 4);
}

const HASH_BITS = 12;
/** A match must not begin in the last 12 bytes of a block and its last 5 bytes are literals (LZ4 block format). */
const LAST_MATCH_START = 12;
const LAST_LITERALS = 5;

/** Deflates `input[from..to)` to `out` at `start`; −1 when that would pass `limit`. `table` is scratch of 2^HASH_BITS. */
function lz4BlockEncode(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  limit: number,
  table: Int32Array,
): number {
  table.fill(-1);
  let o = start;
  let anchor = from;
  const matchStartLimit = to - LAST_MATCH_START;
  const matchEndLimit = to - LAST_LITERALS;
  for (let i = from; i <= matchStartLimit; ) {
    const four = input[i] | (input[i + 1] << 8) | (input[i + 2] << 16) | (input[i + 3] << 24);
    const slot = Math.imul(four, 0x9e3779b1) >>> (32 - HASH_BITS);
    const candidate = table[slot];
    table[slot] = i;
    if (
      candidate < 0 ||
      i - candidate > 65535 ||
      (input[candidate] | (input[candidate + 1] << 8) | (input[candidate + 2] << 16) | (input[candidate + 3] << 24)) !==
        four
    ) {
      i += 1 + ((i - anchor) >> 6);
      continue;
    }
    let length = 4;
    while (i + length < matchEndLimit && input[candidate + length] === input[i + length]) length++;
    o = writeSequence(input, anchor, i, out, o, limit, i - candidate, length);
    if (o < 0) return -1;
    i += length;
    anchor = i;
  }
  return writeSequence(input, anchor, to, out, o, limit, 0, 0);
}

/** Literals and, unless `length` is 0, a match. −1 when there is no room. */
function writeSequence(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
  limit: number,
  distance: number,
  length: number,
): number {
  const literals = to - from;
  if (limit - at < 1 + literals + literals / 255 + 1 + 2 + length / 255 + 1) return -1;
  let o = at + 1;
  const short = length === 0 ? 0 : length - 4;
  out[at] = (Math.min(15, literals) << 4) | Math.min(15, short);
  if (literals >= 15) o = writeLength(out, o, literals - 15);
  if (literals > 32) {
    out.set(input.subarray(from, to), o);
    o += literals;
  } else {
    for (let i = from; i < to; i++) out[o++] = input[i];
  }
  if (length === 0) return o;
  out[o++] = distance & 255;
  out[o++] = distance >> 8;
  return short >= 15 ? writeLength(out, o, short - 15) : o;
}

function writeLength(out: Uint8Array, at: number, length: number): number {
  let o = at;
  let rest = length;
  for (; rest >= 255; rest -= 255) out[o++] = 255;
  out[o++] = rest;
  return o;
}
