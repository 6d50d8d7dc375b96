import { createHash } from 'node:crypto';
import { CODECS, type CodecName, compress, decompress } from '../protocol/compression.ts';
import {
  ATTRIBUTE_CODEC,
  ATTRIBUTE_DELETE_HORIZON,
  ATTRIBUTE_LOG_APPEND_TIME,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_HEADER_BYTES,
  BATCH_PREFIX_BYTES,
  type BatchHeader,
  sealBatch,
  writeInt64,
} from '../protocol/record-batch.ts';
import { writesZstd } from '../protocol/zstd-encoder.ts';

/** Longer keys stand in the map by their digest. */
const LONGEST_KEY_BYTES = 48;
/** What an entry costs besides its key's bytes: measured for Map with strings of this size. */
const ENTRY_BYTES = 72;
const MOST_INFLATED_BYTES = 256 << 20;
const CODEC_NAMES = Object.keys(CODECS) as CodecName[];

/** The newest offset of each key in a part of a log. Memory: about 72 bytes and the key, up to 48 bytes of it, per distinct key. */
export class LatestOffsets {
  readonly #offsets = new Map<string, number>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** No further key has room. */
  get full(): boolean {
    return this.#bytes >= this.#mostBytes;
  }

  note(key: Buffer, offset: number): void {
    const text = keyText(key);
    if (!this.#offsets.has(text)) this.#bytes += ENTRY_BYTES + text.length;
    this.#offsets.set(text, offset);
  }

  /** Whether a later record has the key. */
  isSuperseded(key: Buffer, offset: number): boolean {
    const latest = this.#offsets.get(keyText(key));
    return latest !== undefined && latest > offset;
  }
}

const keyText = (key: Buffer): string =>
  key.length <= LONGEST_KEY_BYTES ? key.toString('latin1') : `#${createHash('sha256').update(key).digest('base64')}`;

export interface RawRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly isTombstone: boolean;
  /** Length prefix and all, as it stands in the batch. */
  readonly bytes: Buffer;
}

/** The records of a whole batch. ProtocolError when it cannot be inflated; RangeError when a record passes its end. */
export function* rawRecords(batch: Buffer, header: BatchHeader): Generator<RawRecord> {
  const payload = decompress(header.codec, batch.subarray(BATCH_HEADER_BYTES, header.sizeBytes), MOST_INFLATED_BYTES);
  const reader = new VarintReader(payload);
  for (let left = header.recordCount; left > 0; left--) {
    const start = reader.at;
    const size = reader.next();
    const end = reader.at + size;
    if (size < 0 || end > payload.length) throw new RangeError('a record passes the end of its batch');
    reader.at++;
    const timestampMs = header.baseTimestamp + reader.next();
    const offset = header.baseOffset + reader.next();
    const keyBytes = reader.next();
    const key = keyBytes < 0 ? null : payload.subarray(reader.at, reader.at + keyBytes);
    if (keyBytes > 0) reader.at += keyBytes;
    const isTombstone = reader.next() < 0;
    yield { offset, timestampMs, key, isTombstone, bytes: payload.subarray(start, end) };
    reader.at = end;
  }
}

/**
 * The batch with only the records that `keep` wants: itself when it wants all, undefined when none is left, unless the batch
 * `mustStay`: then one without records. Base offset, last offset, producer and sequence stay; records keep their bytes.
 */
export function filterBatch(
  batch: Buffer,
  header: BatchHeader,
  keep: (record: RawRecord) => boolean,
  mustStay: boolean,
): Buffer | undefined {
  const kept: Buffer[] = [];
  let newest = -1;
  for (const record of rawRecords(batch, header)) {
    if (!keep(record)) continue;
    kept.push(record.bytes);
    if (record.timestampMs > newest) newest = record.timestampMs;
  }
  if (kept.length === header.recordCount) return batch.subarray(0, header.sizeBytes);
  if (kept.length === 0 && !mustStay) return undefined;
  // A batch without records needs no compression.
  const name = CODEC_NAMES[header.codec];
  const isWritable = name !== undefined && (name !== 'zstd' || writesZstd());
  const codec: CodecName = kept.length > 0 && isWritable ? name : 'none';
  const ownTimes = (header.attributes & ATTRIBUTE_LOG_APPEND_TIME) === 0;
  return withRecords(batch, header, codec, Buffer.concat(kept), (out) => {
    if (kept.length > 0 && ownTimes) writeInt64(out, newest, 35);
    out.writeInt32BE(kept.length, 57);
  });
}

/** A batch without records that only says how far offsets go: it belongs to no transaction any more. */
export function withoutTransaction(empty: Buffer): Buffer {
  const out = Buffer.from(empty);
  out.writeInt16BE(out.readInt16BE(21) & ~ATTRIBUTE_TRANSACTIONAL, 21);
  sealBatch(out, 0, out.length);
  return out;
}

/** The batch in another codec (compression.type); itself when it is in that one. ProtocolError when it cannot be inflated. */
export function recompressBatch(batch: Buffer, header: BatchHeader, codec: CodecName): Buffer {
  if (header.codec === CODECS[codec] || header.recordCount === 0) return batch;
  const records = decompress(header.codec, batch.subarray(BATCH_HEADER_BYTES, header.sizeBytes), MOST_INFLATED_BYTES);
  return withRecords(batch, header, codec, records, () => {});
}

/**
 * A marker that says from when on it may go: bit 6 of the attributes is set and the base timestamp is that time, from which the record counts its own,
 * as Apache Kafka's cleaner writes it.
 */
export function withDeleteHorizon(marker: Buffer, header: BatchHeader, horizonMs: number): Buffer {
  const payload = marker.subarray(BATCH_HEADER_BYTES, header.sizeBytes);
  const reader = new VarintReader(payload);
  const size = reader.next();
  const end = reader.at + size;
  const attributes = payload.subarray(reader.at, ++reader.at);
  const timestampMs = header.baseTimestamp + reader.next();
  const body = Buffer.concat([attributes, varint(timestampMs - horizonMs), payload.subarray(reader.at, end)]);
  return withRecords(marker, header, 'none', Buffer.concat([varint(body.length), body]), (out) => {
    out.writeInt16BE(header.attributes | ATTRIBUTE_DELETE_HORIZON, 21);
    writeInt64(out, horizonMs, 27);
  });
}

/** Zig-zag, as VarintReader reads it. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function withRecords(
  batch: Buffer,
  header: BatchHeader,
  codec: CodecName,
  records: Buffer,
  edit: (out: Buffer) => void,
): Buffer {
  const payload = compress(codec, records);
  const out = Buffer.allocUnsafe(BATCH_HEADER_BYTES + payload.length);
  batch.copy(out, 0, 0, BATCH_HEADER_BYTES);
  out.set(payload, BATCH_HEADER_BYTES);
  out.writeInt32BE(out.length - BATCH_PREFIX_BYTES, 8);
  out.writeInt16BE((header.attributes & ~ATTRIBUTE_CODEC) | CODECS[codec], 21);
  edit(out);
  sealBatch(out, 0, out.length);
  return out;
}

/** Zig-zag varints as protobuf writes them, up to 2^53. */
class VarintReader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  next(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.at >= this.#bytes.length) throw new RangeError('a varint passes the end of its batch');
      const byte = this.#bytes[this.at++];
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
      if (scale > 2 ** 63) throw new RangeError('a varint of more than ten bytes');
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
