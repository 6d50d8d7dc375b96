import { crc32c } from '../protocol/crc32c.ts';
import { BATCH_HEADER_BYTES, batchCrcMatches, batchSizeAt } from '../protocol/records.ts';

/**
 * One partition's batches within the write-ahead log (big-endian): 0 CRC-32C of bytes 4–47 · 4 magic `SWAL` · 8 generation · 16 sequence
 * within the generation · 20 payload bytes · 24 topic UUID · 40 partition · 44 checksum of the batches' prefixes. Then the payload: record
 * batches v2, each of which checks itself from byte 21 on. A generation is one pass over a file from its beginning: what an
 * earlier pass left behind ends the log.
 */
export const WAL_RECORD_BYTES = 48;
const MAGIC = 0x5357414c;
const MAGIC_BYTES = Buffer.from('SWAL', 'latin1');
/** Bytes of a batch that its own CRC does not cover, and the CRC itself. */
const BATCH_PREFIX_BYTES = 21;

export interface WalEntry {
  /** UUID text. */
  readonly topicId: string;
  readonly partition: number;
  /** One record batch each, with its offset. */
  readonly batches: readonly Buffer[];
}

export interface WalRecord {
  readonly generation: number;
  readonly sequence: number;
  readonly topicId: string;
  readonly partition: number;
  readonly payload: Buffer;
}

/** The record's header; the entry's batches follow it in the file as they are. */
export function encodeWalHeader(entry: WalEntry, generation: number, sequence: number): Buffer {
  let bytes = 0;
  let checksum = 0;
  for (const batch of entry.batches) {
    bytes += batch.length;
    checksum = fold(checksum, batch, 0);
  }
  const header = Buffer.alloc(WAL_RECORD_BYTES);
  header.writeUInt32BE(MAGIC, 4);
  header.writeBigUInt64BE(BigInt(generation), 8);
  header.writeUInt32BE(sequence, 16);
  header.writeUInt32BE(bytes, 20);
  header.write(entry.topicId.replaceAll('-', ''), 24, 16, 'hex');
  header.writeUInt32BE(entry.partition, 40);
  header.writeUInt32BE(checksum, 44);
  header.writeUInt32BE(crc32c(header, 4), 0);
  return header;
}

/** The generation of a file whose first bytes these are; undefined when it was never used. */
export function generationOf(bytes: Buffer): number | undefined {
  return isHeader(bytes, 0) ? Number(bytes.readBigUInt64BE(8)) : undefined;
}

/** No more passes than this end before their first page is durable, one after the other. */
const MOST_TORN_PASSES = 1000;

/**
 * The greatest generation of any record in the file, also of a pass whose beginning was lost when power went while its end was kept: what
 * it left behind must not count as part of a later pass. Records hold clients' bytes, so a generation far beyond `known` is none.
 */
export function highestGeneration(bytes: Buffer, known: number): number {
  let highest = known;
  for (let at = bytes.indexOf(MAGIC_BYTES); at >= 0; at = bytes.indexOf(MAGIC_BYTES, at + 1)) {
    if (at < 4 || !isHeader(bytes, at - 4)) continue;
    const generation = Number(bytes.readBigUInt64BE(at + 4));
    if (generation > highest && generation <= known + MOST_TORN_PASSES) highest = generation;
  }
  return highest;
}

/** The records of a file's newest pass, up to the first that is not whole. Payloads share the file's bytes. */
export function* walRecords(bytes: Buffer): Generator<WalRecord> {
  const generation = generationOf(bytes);
  for (let at = 0, sequence = 0; isHeader(bytes, at); sequence++) {
    const start = at + WAL_RECORD_BYTES;
    const end = start + bytes.readUInt32BE(at + 20);
    const payload = bytes.subarray(start, end);
    if (Number(bytes.readBigUInt64BE(at + 8)) !== generation || bytes.readUInt32BE(at + 16) !== sequence) return;
    if (end > bytes.length || !isWhole(payload, bytes.readUInt32BE(at + 44))) return;
    const topicId = bytes
      .toString('hex', at + 24, at + 40)
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    yield { generation, sequence, topicId, partition: bytes.readUInt32BE(at + 40), payload };
    at = end;
  }
}

function isHeader(bytes: Buffer, at: number): boolean {
  if (bytes.length - at < WAL_RECORD_BYTES || bytes.readUInt32BE(at + 4) !== MAGIC) return false;
  return bytes.readUInt32BE(at) === crc32c(bytes, at + 4, at + WAL_RECORD_BYTES);
}

function isWhole(payload: Buffer, checksum: number): boolean {
  let found = 0;
  let at = 0;
  while (at + BATCH_HEADER_BYTES <= payload.length) {
    const sizeBytes = batchSizeAt(payload, at);
    if (sizeBytes < BATCH_HEADER_BYTES || at + sizeBytes > payload.length) return false;
    if (!batchCrcMatches(payload, at, sizeBytes)) return false;
    found = fold(found, payload, at);
    at += sizeBytes;
  }
  return at === payload.length && found === checksum;
}

const fold = (checksum: number, batch: Buffer, at: number): number =>
  (Math.imul(checksum, 31) + crc32c(batch, at, at + BATCH_PREFIX_BYTES)) >>> 0;
