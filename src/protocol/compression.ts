import { gunzipSync, gzipSync } from 'node:zlib';
import { lz4FrameDecode, lz4FrameEncode } from './lz4.ts';
import { ProtocolError } from './protocol-error.ts';
import { snappyDecode, snappyEncode } from './snappy.ts';
import { zstdDecode } from './zstd.ts';
import { zstdEncode } from './zstd-encoder.ts';

/** A record batch's codec: bits 0–2 of its attributes. */
export const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type CodecName = keyof typeof CODECS;

/** Inflates; ProtocolError when malformed, when the codec is unknown, or when the content is larger than `mostBytes`. */
export function decompress(codec: number, bytes: Uint8Array, mostBytes: number): Buffer {
  switch (codec) {
    case CODECS.none:
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    case CODECS.gzip:
      return gzipDecode(bytes, mostBytes);
    case CODECS.snappy:
      return snappyDecode(bytes, mostBytes);
    case CODECS.lz4:
      return lz4FrameDecode(bytes, mostBytes);
    case CODECS.zstd:
      return zstdDecode(bytes, mostBytes);
    default:
      throw new ProtocolError(`unknown compression codec ${codec}`);
  }
}

/** Zstd only where `writesZstd` (zstd-encoder.ts). */
export function compress(codec: CodecName, bytes: Buffer): Buffer {
  switch (codec) {
    case 'none':
      return bytes;
    case 'gzip':
      return gzipSync(bytes);
    case 'snappy':
      return snappyEncode(bytes);
    case 'lz4':
      return lz4FrameEncode(bytes);
    case 'zstd':
      return zstdEncode(bytes);
  }
}

function gzipDecode(bytes: Uint8Array, mostBytes: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: Math.max(1, mostBytes) });
  } catch (thrown) {
    throw new ProtocolError(`malformed gzip data: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
