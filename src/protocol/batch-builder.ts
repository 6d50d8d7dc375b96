import { assert } from '../lib/assert.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import { CODECS, type CodecName, compress } from './compression.ts';
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  sealBatch,
  writeInt64,
} from './record-batch.ts';

export interface BatchOptions {
  /** Of records that bring none. */
  readonly defaultTimestampMs?: number;
  readonly codec?: CodecName;
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
}

/** One RecordBatch v2 with its checksum. At least one record. */
export function encodeBatch(records: readonly NewRecord[], options: BatchOptions = {}): Buffer {
  assert(records.length > 0, 'a record batch holds at least one record');
  const fallback = options.defaultTimestampMs ?? Date.now();
  const baseTimestamp = records[0].timestampMs ?? fallback;
  let maxTimestamp = baseTimestamp;
  let most = BATCH_HEADER_BYTES;
  for (const record of records) {
    const timestamp = record.timestampMs ?? fallback;
    assert(Number.isSafeInteger(timestamp), 'a record timestamp is a whole number up to 2^53');
    if (timestamp > maxTimestamp) maxTimestamp = timestamp;
    most += mostBytes(record);
  }
  const codec = options.codec ?? 'none';
  let batch = Buffer.allocUnsafe(most);
  let at = BATCH_HEADER_BYTES;
  for (let i = 0; i < records.length; i++) {
    at = writeRecord(batch, at, records[i], (records[i].timestampMs ?? fallback) - baseTimestamp, i);
  }
  if (codec !== 'none') {
    const packed = compress(codec, batch.subarray(BATCH_HEADER_BYTES, at));
    batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
    batch.set(packed, BATCH_HEADER_BYTES);
    at = batch.length;
  }
  writeInt64(batch, options.baseOffset ?? 0, 0);
  batch.writeInt32BE(at - BATCH_PREFIX_BYTES, 8);
  batch.writeInt32BE(options.leaderEpoch ?? -1, 12);
  batch[16] = 2;
  const flags = (options.isTransactional ? ATTRIBUTE_TRANSACTIONAL : 0) | (options.isControl ? ATTRIBUTE_CONTROL : 0);
  batch.writeInt16BE(CODECS[codec] | flags, 21);
  batch.writeInt32BE(records.length - 1, 23);
  writeInt64(batch, baseTimestamp, 27);
  writeInt64(batch, maxTimestamp, 35);
  writeInt64(batch, options.producerId ?? -1, 43);
  batch.writeInt16BE(options.producerEpoch ?? -1, 51);
  batch.writeInt32BE(options.baseSequence ?? -1, 53);
  batch.writeInt32BE(records.length, 57);
  sealBatch(batch, 0, at);
  return batch.subarray(0, at);
}

/** An upper bound: each varint at its longest, each name character at 3 bytes. */
function mostBytes(record: NewRecord): number {
  let bytes = 5 + 1 + 10 + 5 + 5 + 5 + 5 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers ?? []) bytes += 10 + name.length * 3 + (value?.length ?? 0);
  return bytes;
}

function writeRecord(out: Buffer, start: number, record: NewRecord, timestampDelta: number, index: number): number {
  const headers = record.headers ?? [];
  let size =
    1 +
    varlongSize(timestampDelta) +
    varintSize(index) +
    bytesSize(record.key) +
    bytesSize(record.value) +
    varintSize(headers.length);
  for (const [name, value] of headers) {
    const length = Buffer.byteLength(name);
    size += varintSize(length) + length + bytesSize(value);
  }
  let at = writeVarint(out, start, size);
  out[at++] = 0;
  at = writeVarlong(out, at, timestampDelta);
  at = writeVarint(out, at, index);
  at = writeBytes(out, at, record.key);
  at = writeBytes(out, at, record.value);
  at = writeVarint(out, at, headers.length);
  for (const [name, value] of headers) {
    at = writeVarint(out, at, Buffer.byteLength(name));
    at += out.write(name, at);
    at = writeBytes(out, at, value);
  }
  return at;
}

function writeBytes(out: Buffer, at: number, bytes: Uint8Array | null): number {
  if (bytes === null) return writeVarint(out, at, -1);
  const from = writeVarint(out, at, bytes.length);
  out.set(bytes, from);
  return from + bytes.length;
}

const bytesSize = (bytes: Uint8Array | null): number => (bytes === null ? 1 : varintSize(bytes.length) + bytes.length);

function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 128 ? 1 : zigzag < 16384 ? 2 : zigzag < 2097152 ? 3 : zigzag < 268435456 ? 4 : 5;
}

function writeVarint(out: Buffer, start: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = start;
  while (rest > 127) {
    out[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** Timestamps differ by less than 2^53, so their zig-zag fits 54 bits; the top one is handled by doubles exactly. */
const zigzagLong = (value: number): bigint => (value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n);

function varlongSize(value: number): number {
  if (value >= -1073741824 && value < 1073741824) return varintSize(value);
  let size = 1;
  for (let rest = zigzagLong(value); rest > 127n; rest >>= 7n) size++;
  return size;
}

function writeVarlong(out: Buffer, start: number, value: number): number {
  if (value >= -1073741824 && value < 1073741824) return writeVarint(out, start, value);
  let at = start;
  let rest = zigzagLong(value);
  for (; rest > 127n; rest >>= 7n) out[at++] = Number(rest & 127n) | 128;
  out[at++] = Number(rest);
  return at;
}
