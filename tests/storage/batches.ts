import { crc32c } from '../../src/protocol/crc32c.ts';

export interface TestBatch {
  readonly count?: number;
  readonly valueBytes?: number;
  readonly fill?: number;
  readonly timestampMs?: number;
  readonly maxTimestampMs?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly attributes?: number;
}

/** A RecordBatch v2 whose records part is opaque filler: the log looks only at headers. */
export function testBatch(options: TestBatch = {}): Buffer {
  const count = options.count ?? 1;
  const batch = Buffer.alloc(61 + (options.valueBytes ?? 20), options.fill ?? 7);
  const timestamp = BigInt(options.timestampMs ?? 1000);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch[16] = 2;
  batch.writeInt16BE(options.attributes ?? 0, 21);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(BigInt(options.maxTimestampMs ?? options.timestampMs ?? 1000), 35);
  batch.writeBigInt64BE(BigInt(options.producerId ?? -1), 43);
  batch.writeInt16BE(options.producerEpoch ?? (options.producerId === undefined ? -1 : 0), 51);
  batch.writeInt32BE(options.baseSequence ?? (options.producerId === undefined ? -1 : 0), 53);
  batch.writeInt32BE(count, 57);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

export interface SeenBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly fill: number;
}

/** Splits what a read returned and checks that it is whole batches with good checksums. */
export function splitBatches(data: Uint8Array): SeenBatch[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  const seen: SeenBatch[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readInt32BE(at + 8) + 12;
    if (at + size > bytes.length) throw new Error(`a partial batch at ${at} of ${bytes.length}`);
    if (crc32c(bytes.subarray(at + 21, at + size)) !== bytes.readUInt32BE(at + 17)) throw new Error('a bad checksum');
    const baseOffset = Number(bytes.readBigInt64BE(at));
    seen.push({ baseOffset, lastOffset: baseOffset + bytes.readInt32BE(at + 23), fill: bytes[at + size - 1]! });
    at += size;
  }
  return seen;
}
