import { createRequire } from 'node:module';
import { compress as zstdCompress } from '@mongodb-js/zstd';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NewRecord } from '../../src/ports/topic-log.ts';
import type { CodecName } from '../../src/protocol/compression.ts';
import { ERROR_CODES } from '../../src/protocol/error-codes.ts';
import { ProtocolError } from '../../src/protocol/protocol-error.ts';
import { sealBatch } from '../../src/protocol/record-batch.ts';
import {
  batchCrcMatches,
  encodeBatch,
  patchBatch,
  RecordCursor,
  readBatchHeader,
  stampLogAppendTime,
  validateBatch,
} from '../../src/protocol/records.ts';

const require = createRequire(import.meta.url);
const bytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 200 });
const record: fc.Arbitrary<NewRecord> = fc.record({
  key: fc.option(bytes, { nil: null }),
  value: fc.option(bytes, { nil: null }),
  timestampMs: fc.oneof(fc.integer({ min: -1, max: 2 ** 41 }), fc.integer({ min: 1.7e12, max: 1.7e12 + 70000 })),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.option(bytes, { nil: null })), {
    maxLength: 3,
  }),
});
const batchRecords = fc.array(record, { minLength: 1, maxLength: 12 });
const codec = fc.constantFrom<CodecName>('none', 'gzip', 'snappy', 'lz4');

const asArray = (b: Uint8Array | null): number[] | null => (b === null ? null : [...b]);
const plain = (r: NewRecord, offset: number) => ({
  offset,
  timestampMs: r.timestampMs,
  key: asArray(r.key),
  value: asArray(r.value),
  headers: (r.headers ?? []).map(([name, value]) => [name, asArray(value)]),
});

function readAll(cursor: RecordCursor) {
  const out = [];
  while (cursor.next()) {
    const { offset, timestampMs } = cursor;
    const headers = cursor.headers().map(([name, value]) => [name, asArray(value)]);
    out.push({ offset, timestampMs, key: asArray(cursor.key()), value: asArray(cursor.value()), headers });
  }
  return out;
}

test('the cursor reads what the builder wrote, over batches of any codec back to back', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(batchRecords, codec), { maxLength: 4 }), (batches) => {
      let offset = 0;
      const chunks: Buffer[] = [];
      const expected: unknown[] = [];
      for (const [records, codec] of batches) {
        const batch = encodeBatch(records, { codec });
        expect(validateBatch(batch)).toBe(0);
        patchBatch(batch, 0, offset, 7);
        expect(batchCrcMatches(batch, 0, batch.length)).toBe(true);
        records.forEach((r, i) => {
          expected.push(plain(r, offset + i));
        });
        offset += records.length + 3;
        chunks.push(batch);
      }
      const cursor = new RecordCursor(Buffer.concat(chunks));
      expect(readAll(cursor)).toEqual(expected);
      expect(cursor.next()).toBe(false);
      if (batches.length > 0) expect(cursor.endOffset).toBe(offset - 3);
    }),
    { numRuns: 100 },
  );
});

test('control batches are skipped, a partial batch at the end is left out, log append time rules', () => {
  const one = encodeBatch([{ key: null, value: Buffer.from('a'), timestampMs: 5 }]);
  const control = encodeBatch([{ key: Buffer.alloc(4), value: null }], { isControl: true, baseOffset: 1 });
  const two = encodeBatch([{ key: null, value: Buffer.from('b'), timestampMs: 5 }], { baseOffset: 2 });
  stampLogAppendTime(two, 0, 77);
  expect(batchCrcMatches(two, 0, two.length)).toBe(true);
  const cursor = new RecordCursor(Buffer.concat([one, control, two, one.subarray(0, 65)]));
  expect(readAll(cursor).map((r) => [r.offset, r.timestampMs])).toEqual([
    [0, 5],
    [2, 77],
  ]);
  expect(cursor.endOffset).toBe(3);
  expect(cursor.wholeBytes).toBe(one.length + control.length + two.length);
});

test('a malformed batch is named and the cursor goes on after it', () => {
  const value = Buffer.from('x'.repeat(300));
  const make = (baseOffset: number, codec: CodecName) =>
    encodeBatch([{ key: null, value, timestampMs: 1 }], { baseOffset, codec });
  const badRecord = make(1, 'none');
  badRecord[61] = 200;
  badRecord[62] = 200;
  const badCodec = make(2, 'lz4');
  badCodec[61] ^= 1;
  const cursor = new RecordCursor(Buffer.concat([make(0, 'gzip'), badRecord, badCodec, make(3, 'none')]));
  expect(cursor.next()).toBe(true);
  expect(() => cursor.next()).toThrow(/offset 1/);
  expect(cursor.failedBaseOffset).toBe(1);
  expect(() => cursor.next()).toThrow(/offset 2/);
  expect(cursor.next()).toBe(true);
  expect(cursor.offset).toBe(3);
  expect(cursor.value()?.equals(value)).toBe(true);
  expect(cursor.next()).toBe(false);
});

test('zstd batches are read', async () => {
  const plainBatch = encodeBatch([{ key: null, value: Buffer.from('zzz'.repeat(100)), timestampMs: 1 }]);
  const packed = await zstdCompress(plainBatch.subarray(61), 3);
  const batch = Buffer.concat([plainBatch.subarray(0, 61), packed]);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt16BE(4, 21);
  sealBatch(batch, 0, batch.length);
  expect(validateBatch(batch)).toBe(0);
  expect(readAll(new RecordCursor(batch)).map((r) => r.value?.length)).toEqual([300]);
});

test('inflating stops at the limit', () => {
  const batch = encodeBatch([{ key: null, value: Buffer.alloc(100_000), timestampMs: 1 }], { codec: 'gzip' });
  expect(() => new RecordCursor(batch, { mostInflatedBytes: 50_000 }).next()).toThrow(ProtocolError);
});

test('any bytes give records or a ProtocolError, and the walk ends', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(batchRecords, codec), { minLength: 1, maxLength: 2 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      (batches, changes) => {
        const chunk = Buffer.concat(batches.map(([records, codec]) => encodeBatch(records, { codec })));
        for (const [at, value] of changes) chunk[at % chunk.length] = value;
        const cursor = new RecordCursor(chunk, { mostInflatedBytes: 1 << 20 });
        for (let failures = 0; failures < 10; ) {
          try {
            if (!cursor.next()) return;
            cursor.headers();
            cursor.key();
            cursor.value();
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(ProtocolError);
            failures++;
          }
        }
        throw new Error('the cursor does not come to an end');
      },
    ),
    { numRuns: 300 },
  );
});

test('validation follows the broker rules', () => {
  const batch = (): Buffer => encodeBatch([{ key: null, value: Buffer.from('v'), timestampMs: 1 }]);
  const changed = (change: (b: Buffer) => void): number => {
    const b = batch();
    change(b);
    sealBatch(b, 0, b.length);
    return validateBatch(b);
  };
  expect(validateBatch(batch())).toBe(ERROR_CODES.NONE);
  const corrupt = batch();
  corrupt[corrupt.length - 1] ^= 1;
  expect(validateBatch(corrupt)).toBe(ERROR_CODES.CORRUPT_MESSAGE);
  expect(validateBatch(batch().subarray(0, 40))).toBe(ERROR_CODES.CORRUPT_MESSAGE);
  expect(validateBatch(batch().subarray(0, 64))).toBe(ERROR_CODES.CORRUPT_MESSAGE);
  expect(validateBatch(Buffer.concat([batch(), batch()]))).toBe(ERROR_CODES.INVALID_RECORD);
  expect(validateBatch(batch(), { mostBytes: 60 })).toBe(ERROR_CODES.MESSAGE_TOO_LARGE);
  expect(changed((b) => b.writeInt8(1, 16))).toBe(ERROR_CODES.UNSUPPORTED_FOR_MESSAGE_FORMAT);
  expect(changed((b) => b.writeInt16BE(5, 21))).toBe(ERROR_CODES.UNSUPPORTED_COMPRESSION_TYPE);
  expect(changed((b) => b.writeInt16BE(0x20, 21))).toBe(ERROR_CODES.INVALID_RECORD);
  expect(changed((b) => b.writeInt32BE(1, 23))).toBe(ERROR_CODES.INVALID_RECORD);
  expect(changed((b) => b.writeInt32BE(1, 4))).toBe(ERROR_CODES.INVALID_RECORD);
  expect(changed((b) => b.writeInt32BE(0, 57))).toBe(ERROR_CODES.INVALID_RECORD);
  expect(changed((b) => b.fill(0, 43, 51))).toBe(ERROR_CODES.INVALID_RECORD);
});

test('kafkajs and we write the same bytes', async () => {
  const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0');
  const Record = require('kafkajs/src/protocol/recordBatch/record/v0');
  const at = 1700000000000;
  const rows: NewRecord[] = [
    { key: Buffer.from('k1'), value: Buffer.from('value one'), timestampMs: at, headers: [['h', Buffer.from('x')]] },
    { key: null, value: Buffer.from('v'.repeat(5000)), timestampMs: at + 1_000_000 },
    { key: Buffer.from('tombstone'), value: null, timestampMs: at + 5 },
  ];
  const records = rows.map((r, i) =>
    Record({
      offsetDelta: i,
      timestampDelta: r.timestampMs! - at,
      key: r.key,
      value: r.value,
      headers: Object.fromEntries(r.headers ?? []),
    }),
  );
  const encoder = await RecordBatch({
    firstTimestamp: at,
    maxTimestamp: at + 1_000_000,
    partitionLeaderEpoch: 0,
    producerId: 9,
    producerEpoch: 2,
    firstSequence: 4,
    lastOffsetDelta: 2,
    records,
  });
  const ours = encodeBatch(rows, { leaderEpoch: 0, producerId: 9, producerEpoch: 2, baseSequence: 4 });
  expect(ours.equals(encoder.buffer)).toBe(true);
  expect(readBatchHeader(ours)).toMatchObject({
    producerId: 9,
    producerEpoch: 2,
    baseSequence: 4,
    recordCount: 3,
    lastOffset: 2,
    maxTimestamp: at + 1_000_000,
  });
});
