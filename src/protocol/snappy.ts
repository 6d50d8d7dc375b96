import { compress } from 'snappyjs';
import { ProtocolError } from './protocol-error.ts';

/**
 * Snappy as Kafka's clients use it: Java and kafkajs wrap raw blocks in xerial's framing (16-byte header, then blocks
 * with a 4-byte big-endian length), others send one raw block. Both are read; the framing is written.
 */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
const BLOCK_BYTES = 32768;

/** ProtocolError when malformed or when the content is larger than `mostBytes`. */
export function snappyDecode(bytes: Uint8Array, mostBytes: number): Buffer {
  if (bytes.length < XERIAL_HEADER_BYTES || XERIAL_MAGIC.compare(bytes, 0, 8) !== 0) {
    const out = Buffer.allocUnsafe(contentLength(bytes, 0, bytes.length, mostBytes));
    rawDecode(bytes, 0, bytes.length, out, 0);
    return out;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let total = 0;
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    if (bytes.length - at < 4) throw new ProtocolError('a snappy block ends early');
    const size = view.getUint32(at);
    at += 4;
    if (size > bytes.length - at) throw new ProtocolError('a snappy block ends early');
    total += contentLength(bytes, at, at + size, mostBytes - total);
    at += size;
  }
  const out = Buffer.allocUnsafe(total);
  let o = 0;
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const size = view.getUint32(at);
    o = rawDecode(bytes, at + 4, at + 4 + size, out, o);
    at += 4 + size;
  }
  return out;
}

/** The uncompressed length a raw block announces; a block cannot hold more than about 64 bytes per 3 of its own. */
function contentLength(bytes: Uint8Array, from: number, to: number, mostBytes: number): number {
  let length = 0;
  for (let shift = 0, i = from; ; shift += 7, i++) {
    if (i >= to || shift > 28) throw new ProtocolError('a snappy block has no length');
    length += (bytes[i] & 127) * 2 ** shift;
    if (bytes[i] < 128) break;
  }
  if (length > mostBytes) throw new ProtocolError(`a compressed batch holds more than ${mostBytes} bytes`);
  if (length > (to - from) * 64) throw new ProtocolError('a snappy block announces more than it can hold');
  return length;
}

/** Inflates one raw block into `out` at `start`; returns where the output ends. */
function rawDecode(bytes: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  let i = from;
  let announced = 0;
  for (let shift = 0; ; shift += 7) {
    announced += (bytes[i] & 127) * 2 ** shift;
    if (bytes[i++] < 128) break;
  }
  const limit = start + announced;
  let o = start;
  while (i < to) {
    const tag = bytes[i++];
    let length = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (length > 60) {
        const extra = length - 60;
        if (extra > to - i) throw new ProtocolError('a snappy literal ends early');
        length = 1;
        for (let k = 0; k < extra; k++) length += bytes[i++] * 2 ** (8 * k);
      }
      if (length > to - i || length > limit - o) throw new ProtocolError('a snappy literal passes the end');
      if (length > 32) out.set(bytes.subarray(i, i + length), o);
      else for (let k = 0; k < length; k++) out[o + k] = bytes[i + k];
      i += length;
      o += length;
      continue;
    }
    let distance: number;
    if ((tag & 3) === 1) {
      if (i >= to) throw new ProtocolError('a snappy copy ends early');
      length = ((tag >> 2) & 7) + 4;
      distance = ((tag >> 5) << 8) | bytes[i++];
    } else if ((tag & 3) === 2) {
      if (to - i < 2) throw new ProtocolError('a snappy copy ends early');
      distance = bytes[i] | (bytes[i + 1] << 8);
      i += 2;
    } else {
      if (to - i < 4) throw new ProtocolError('a snappy copy ends early');
      distance = (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)) >>> 0;
      i += 4;
    }
    if (distance === 0 || distance > o - start) throw new ProtocolError('a snappy copy begins before its block');
    if (length > limit - o) throw new ProtocolError('a snappy copy passes the end');
    for (let m = o - distance, end = o + length; o < end; ) out[o++] = out[m++];
  }
  if (o !== limit) throw new ProtocolError('a snappy block holds less than it announces');
  return o;
}

export function snappyEncode(content: Uint8Array): Buffer {
  const header = Buffer.alloc(XERIAL_HEADER_BYTES);
  XERIAL_MAGIC.copy(header);
  header.writeInt32BE(1, 8);
  header.writeInt32BE(1, 12);
  const parts: Uint8Array[] = [header];
  for (let at = 0; at < content.length; at += BLOCK_BYTES) {
    const block = compress(Buffer.from(content.subarray(at, at + BLOCK_BYTES)));
    const size = Buffer.allocUnsafe(4);
    size.writeUInt32BE(block.length);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}
