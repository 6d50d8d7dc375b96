import { crc32c } from './crc32c.ts';
import { ERROR_CODES } from './error-codes.ts';
import { ProtocolError } from './protocol-error.ts';

/**
 * The header of a RecordBatch v2, the one form a record has at rest. Positions from the batch's first byte:
 * | at | field | at | field | at | field |
 * | -- | -- | -- | -- | -- | -- |
 * | 0 | baseOffset i64 | 21 | attributes i16 | 43 | producerId i64 |
 * | 8 | batchLength i32, of what follows | 23 | lastOffsetDelta i32 | 51 | producerEpoch i16 |
 * | 12 | partitionLeaderEpoch i32 | 27 | baseTimestamp i64 | 53 | baseSequence i32 |
 * | 16 | magic i8 = 2 | 35 | maxTimestamp i64 | 57 | recordCount i32 |
 * | 17 | crc u32, of all from 21 on | | | 61 | records |
 */
export const BATCH_HEADER_BYTES = 61;
/** `baseOffset` and `batchLength`, which `batchLength` itself does not count. */
export const BATCH_PREFIX_BYTES = 12;
const CRC_AT = 17;
const CRC_FROM = 21;

export const ATTRIBUTE_CODEC = 0x07;
/** Set: every record's timestamp is the batch's maxTimestamp. */
export const ATTRIBUTE_LOG_APPEND_TIME = 0x08;
export const ATTRIBUTE_TRANSACTIONAL = 0x10;
export const ATTRIBUTE_CONTROL = 0x20;
/** Set by compaction: baseTimestamp is the delete horizon. Never changed here. */
export const ATTRIBUTE_DELETE_HORIZON = 0x40;

export interface BatchHeader {
  readonly baseOffset: number;
  /** Of the whole batch, prefix included. */
  readonly sizeBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  readonly crc: number;
  readonly attributes: number;
  readonly codec: number;
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  /** Of a control batch what its record says: 0 abort, 1 commit (KIP-98); −1 when it cannot be read or there is none. */
  readonly controlType: number;
  readonly lastOffsetDelta: number;
  readonly lastOffset: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}

/** Big-endian int64; ProtocolError beyond 2^53. */
export function readInt64(buffer: Buffer, at: number): number {
  const value = buffer.readInt32BE(at) * 4294967296 + buffer.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw new ProtocolError('an int64 beyond 2^53');
  return value;
}

export function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 4294967296), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

/** Bytes of the batch at `position`, prefix included; only its first 12 bytes need to be there. */
export const batchSizeAt = (buffer: Buffer, position: number): number =>
  buffer.readInt32BE(position + 8) + BATCH_PREFIX_BYTES;

/** ProtocolError when the bytes left cannot hold the batch, or an int64 is beyond 2^53. Does not check the CRC. */
export function readBatchHeader(buffer: Buffer, position = 0): BatchHeader {
  if (buffer.length - position < BATCH_HEADER_BYTES) {
    throw new ProtocolError(`a record batch header needs 61 bytes, ${buffer.length - position} left`);
  }
  const baseOffset = readInt64(buffer, position);
  const sizeBytes = batchSizeAt(buffer, position);
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > buffer.length - position) {
    throw new ProtocolError(`a record batch of ${sizeBytes} bytes with ${buffer.length - position} left`);
  }
  const attributes = buffer.readInt16BE(position + 21);
  const lastOffsetDelta = buffer.readInt32BE(position + 23);
  return {
    baseOffset,
    sizeBytes,
    partitionLeaderEpoch: buffer.readInt32BE(position + 12),
    magic: buffer.readInt8(position + 16),
    crc: buffer.readUInt32BE(position + CRC_AT),
    attributes,
    codec: attributes & ATTRIBUTE_CODEC,
    isTransactional: (attributes & ATTRIBUTE_TRANSACTIONAL) !== 0,
    isControl: (attributes & ATTRIBUTE_CONTROL) !== 0,
    controlType: (attributes & ATTRIBUTE_CONTROL) === 0 ? -1 : controlTypeAt(buffer, position, sizeBytes),
    lastOffsetDelta,
    lastOffset: baseOffset + lastOffsetDelta,
    baseTimestamp: readInt64(buffer, position + 27),
    maxTimestamp: readInt64(buffer, position + 35),
    producerId: readInt64(buffer, position + 43),
    producerEpoch: buffer.readInt16BE(position + 51),
    baseSequence: buffer.readInt32BE(position + 53),
    recordCount: buffer.readInt32BE(position + 57),
  };
}

/** The key of the one record of a control batch: version int16, type int16. */
function controlTypeAt(buffer: Buffer, position: number, sizeBytes: number): number {
  const end = position + sizeBytes;
  let at = position + BATCH_HEADER_BYTES;
  const skipVarint = (): void => {
    while (at < end && buffer[at]! > 127) at++;
    at++;
  };
  skipVarint(); // length
  at++; // attributes
  skipVarint(); // timestamp
  skipVarint(); // offset
  // A key of four bytes has the one-byte length 8.
  return at + 5 <= end && buffer[at] === 8 ? buffer.readInt16BE(at + 3) : -1;
}

/** Whether the batch's checksum fits; the batch must be whole. */
export const batchCrcMatches = (buffer: Buffer, position: number, sizeBytes: number): boolean =>
  buffer.readUInt32BE(position + CRC_AT) === crc32c(buffer, position + CRC_FROM, position + sizeBytes);

/** Sets what a broker assigns; both lie outside the checksum, so the rest of the batch stays as produced. */
export function patchBatch(buffer: Buffer, position: number, baseOffset: number, leaderEpoch: number): void {
  writeInt64(buffer, baseOffset, position);
  buffer.writeInt32BE(leaderEpoch, position + 12);
}

/** Makes every record's timestamp `timestampMs` (message.timestamp.type=LogAppendTime) and renews the checksum. */
export function stampLogAppendTime(buffer: Buffer, position: number, timestampMs: number): void {
  const sizeBytes = batchSizeAt(buffer, position);
  buffer.writeInt16BE(buffer.readInt16BE(position + 21) | ATTRIBUTE_LOG_APPEND_TIME, position + 21);
  writeInt64(buffer, timestampMs, position + 35);
  sealBatch(buffer, position, sizeBytes);
}

/**
 * A batch with the offsets, the producer and the times of the one at `position` but without records, as compaction leaves it: readers pass
 * over it. 61 bytes.
 */
export function emptyBatch(buffer: Buffer, position: number): Buffer {
  const empty = Buffer.from(buffer.subarray(position, position + BATCH_HEADER_BYTES));
  empty.writeInt32BE(BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES, 8);
  empty.writeInt16BE(empty.readInt16BE(21) & ~ATTRIBUTE_CODEC, 21);
  empty.writeInt32BE(0, 57);
  sealBatch(empty, 0, BATCH_HEADER_BYTES);
  return empty;
}

/** Writes the checksum; the last step of making a batch. */
export function sealBatch(buffer: Buffer, position: number, sizeBytes: number): void {
  buffer.writeUInt32BE(crc32c(buffer, position + CRC_FROM, position + sizeBytes), position + CRC_AT);
}

/**
 * Whether a produced record set may be appended, as Kafka's LogValidator judges it from the header (Produce v3+: exactly one
 * batch of magic 2). The records inside are covered by the checksum but not parsed: a batch whose producer wrote
 * nonsense inside a valid checksum is found by the reader, which makes dead letters of it. Returns a Kafka error code.
 */
export function validateBatch(records: Buffer, options: { readonly mostBytes?: number } = {}): number {
  if (records.length < BATCH_HEADER_BYTES) return ERROR_CODES.CORRUPT_MESSAGE;
  const magic = records.readInt8(16);
  if (magic !== 2) {
    return magic === 0 || magic === 1 ? ERROR_CODES.UNSUPPORTED_FOR_MESSAGE_FORMAT : ERROR_CODES.CORRUPT_MESSAGE;
  }
  const sizeBytes = batchSizeAt(records, 0);
  if (sizeBytes < BATCH_HEADER_BYTES || sizeBytes > records.length) return ERROR_CODES.CORRUPT_MESSAGE;
  if (sizeBytes < records.length) return ERROR_CODES.INVALID_RECORD;
  if (options.mostBytes !== undefined && sizeBytes > options.mostBytes) return ERROR_CODES.MESSAGE_TOO_LARGE;
  if (!batchCrcMatches(records, 0, sizeBytes)) return ERROR_CODES.CORRUPT_MESSAGE;
  let header: BatchHeader;
  try {
    header = readBatchHeader(records, 0);
  } catch {
    return ERROR_CODES.INVALID_RECORD;
  }
  if (header.baseOffset !== 0 || header.isControl) return ERROR_CODES.INVALID_RECORD;
  if (header.recordCount <= 0 || header.lastOffsetDelta !== header.recordCount - 1) return ERROR_CODES.INVALID_RECORD;
  // Each record takes at least 7 bytes when it is not compressed.
  if (header.codec === 0 && header.recordCount * 7 > sizeBytes - BATCH_HEADER_BYTES) return ERROR_CODES.INVALID_RECORD;
  if (header.codec > 4) return ERROR_CODES.UNSUPPORTED_COMPRESSION_TYPE;
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
    return ERROR_CODES.INVALID_RECORD;
  if (header.isTransactional && header.producerId < 0) return ERROR_CODES.INVALID_RECORD;
  return ERROR_CODES.NONE;
}
