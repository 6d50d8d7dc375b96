import { StreamError } from '../lib/errors.ts';
import { crc32c } from '../protocol/crc32c.ts';

/**
 * The first 64 bytes of a segment, written once and never changed (big-endian):
 * 0 magic `STRM` · 4 major, minor version · 6 feature bits (low byte incompatible: 1 = encrypted; 2 = compacted, offsets have gaps; 4 = several segments merged; high byte compatible) · 8 topic UUID ·
 * 24 partition · 28 leader epoch at creation · 32 base offset · 40 created at, ms · 48 previous segment's link (the CRC at
 * its byte 60; 0 for a log's first) · 52 encryption key id, 0 = none · 56 if merged, the link of the last segment in it, else 0 · 60 CRC-32C of bytes 0–59.
 * After them come RecordBatches v2 as Kafka stores them: without its header a segment is a Kafka `.log` file.
 */
export const SEGMENT_HEADER_BYTES = 64;
const MAGIC = 0x5354524d;
const MAJOR = 1;
const MINOR = 0;
const FEATURE_ENCRYPTED = 1;
const FEATURE_COMPACTED = 2;
const FEATURE_MERGED = 4;

export interface SegmentHeader {
  /** UUID text. */
  readonly topicId: string;
  readonly partition: number;
  readonly leaderEpoch: number;
  readonly baseOffset: number;
  readonly createdAtMs: number;
  readonly previousLink: number;
  /** The key that batches were encrypted with when the segment was begun; each one says its own. Undefined: none. */
  readonly keyId?: number;
  /** Written by log compaction: offsets have gaps. */
  readonly compacted?: boolean;
  /** Compaction has put several segments together: the link of the last one, to which the next segment refers. */
  readonly mergedLink?: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt8(MAJOR, 4);
  bytes.writeUInt8(MINOR, 5);
  if (header.compacted) bytes[7]! |= FEATURE_COMPACTED;
  if (header.keyId !== undefined) {
    bytes[7]! |= FEATURE_ENCRYPTED;
    bytes.writeUInt32BE(header.keyId, 52);
  }
  if (header.mergedLink !== undefined) {
    bytes[7]! |= FEATURE_MERGED;
    bytes.writeUInt32BE(header.mergedLink, 56);
  }
  bytes.write(header.topicId.replaceAll('-', ''), 8, 16, 'hex');
  bytes.writeInt32BE(header.partition, 24);
  bytes.writeInt32BE(header.leaderEpoch, 28);
  bytes.writeBigInt64BE(BigInt(header.baseOffset), 32);
  bytes.writeBigInt64BE(BigInt(header.createdAtMs), 40);
  bytes.writeUInt32BE(header.previousLink, 48);
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, 60)), 60);
  return bytes;
}

/** What makes this segment findable from its successor: the checksum that its header, or that of the last one merged into it, had before compaction. */
export function linkOf(encoded: Buffer): number {
  if ((encoded[7]! & FEATURE_MERGED) !== 0) return encoded.readUInt32BE(56);
  if ((encoded[7]! & FEATURE_COMPACTED) === 0) return encoded.readUInt32BE(60);
  const before = Buffer.from(encoded.subarray(0, 60));
  before[7]! &= ~FEATURE_COMPACTED;
  return crc32c(before);
}

/** STORAGE_FAILED naming `path` when the bytes are no header of a version and features we read. */
export function decodeSegmentHeader(bytes: Buffer, path: string): SegmentHeader {
  const refuse = (reason: string): never => {
    throw new StreamError('STORAGE_FAILED', `segment ${path}: ${reason}`);
  };
  if (bytes.length < SEGMENT_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return refuse('has no STRM header');
  if (crc32c(bytes.subarray(0, 60)) !== bytes.readUInt32BE(60)) return refuse('its header is damaged (checksum)');
  if (bytes[4] !== MAJOR) return refuse(`has format version ${bytes[4]}; this build reads version ${MAJOR}`);
  const unknown = bytes[7]! & ~(FEATURE_ENCRYPTED | FEATURE_COMPACTED | FEATURE_MERGED);
  if (unknown !== 0) return refuse(`uses features this build does not know (0x${unknown.toString(16)})`);
  const id = bytes.toString('hex', 8, 24);
  return {
    topicId: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-'),
    partition: bytes.readInt32BE(24),
    leaderEpoch: bytes.readInt32BE(28),
    baseOffset: Number(bytes.readBigInt64BE(32)),
    createdAtMs: Number(bytes.readBigInt64BE(40)),
    previousLink: bytes.readUInt32BE(48),
    compacted: (bytes[7]! & FEATURE_COMPACTED) !== 0,
    ...((bytes[7]! & FEATURE_ENCRYPTED) === 0 ? {} : { keyId: bytes.readUInt32BE(52) }),
    ...((bytes[7]! & FEATURE_MERGED) === 0 ? {} : { mergedLink: bytes.readUInt32BE(56) }),
  };
}
