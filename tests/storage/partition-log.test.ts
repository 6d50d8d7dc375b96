import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import type { Disk } from '../../src/ports/disk.ts';
import { ERROR_CODES } from '../../src/protocol/error-codes.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { LogShared } from '../../src/storage/log-shared.ts';
import { PartitionLog } from '../../src/storage/partition-log.ts';
import { topicSettings } from '../../src/storage/topic-config.ts';
import { FaultDisk } from '../support/fault-disk.ts';
import { splitBatches, testBatch } from './batches.ts';

const TOPIC_ID = '0b5f3c1e-1111-4222-8333-0123456789ab';

interface Opening {
  disk?: Disk;
  clean?: boolean;
  leaderEpoch?: number;
  config?: Record<string, string>;
  tailCacheBytes?: number;
  clock?: typeof systemClock;
}

function shared(opening: Opening): LogShared {
  const limits = { tailCacheBytes: opening.tailCacheBytes ?? 0, pendingBytes: 1 << 20 };
  return new LogShared(opening.disk ?? new MemoryDisk(), opening.clock ?? systemClock, silentLog, limits, () => {});
}

function open(opening: Opening = {}, common = shared(opening)): Promise<PartitionLog> {
  return PartitionLog.open(common, {
    directory: 'topics/t/0',
    topic: 't',
    topicId: TOPIC_ID,
    partition: 0,
    settings: topicSettings({ 'segment.bytes': '1024', ...opening.config }),
    leaderEpoch: opening.leaderEpoch ?? 0,
    clean: opening.clean ?? false,
  });
}

async function fill(log: PartitionLog, batches: number, options: Parameters<typeof testBatch>[0] = {}): Promise<void> {
  for (let index = 0; index < batches; index++) {
    const { lastOffset, error } = log.append(testBatch({ valueBytes: 100, fill: index % 251, ...options }));
    expect(error).toBeUndefined();
    if (index % 7 === 6) await log.durable(lastOffset);
  }
  await log.durable(log.logEnd - 1);
}

async function readAll(
  log: PartitionLog,
  maxBytes = 500,
): Promise<{ baseOffset: number; lastOffset: number; fill: number }[]> {
  const all = [];
  for (let offset = log.logStart; offset < log.highWatermark; ) {
    const batches = splitBatches(await log.read(offset, maxBytes));
    expect(batches.length).toBeGreaterThan(0);
    all.push(...batches);
    offset = batches.at(-1)!.lastOffset + 1;
  }
  return all;
}

describe.each([0, 3000, 1 << 20])('a log with %i bytes of tail cache', (tailCacheBytes) => {
  test('reads give whole batches beginning with the one that holds the offset', async () => {
    const log = await open({ tailCacheBytes });
    for (let index = 0; index < 40; index++)
      log.append(testBatch({ count: 3, valueBytes: 37 * (index % 5), fill: index }));
    await log.durable(log.logEnd - 1);
    expect(log.highWatermark).toBe(120);
    expect(log.segmentCount).toBeGreaterThan(3);
    for (let offset = 0; offset < 120; offset++) {
      for (const maxBytes of [1, 200, 5000]) {
        const batches = splitBatches(await log.read(offset, maxBytes));
        expect(batches[0]).toMatchObject({ baseOffset: offset - (offset % 3), fill: expect.any(Number) });
        if (maxBytes === 1) expect(batches.length).toBe(1);
        let expected = offset - (offset % 3);
        for (const batch of batches) {
          expect(batch.baseOffset).toBe(expected);
          expected = batch.lastOffset + 1;
        }
      }
    }
    expect((await log.read(120, 100)).length).toBe(0);
    expect(splitBatches(await log.read(0, 1 << 20, { maxOffset: 6 })).at(-1)!.lastOffset).toBe(5);
    await expect(log.read(121, 100)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(log.read(-1, 100)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('a batch larger than the index interval and the limit is found, also after other large ones', async () => {
    const log = await open({ tailCacheBytes, config: { 'segment.bytes': '1000000' } });
    for (let index = 0; index < 6; index++) log.append(testBatch({ valueBytes: 30_000, count: 2 }));
    await log.durable(log.logEnd - 1);
    for (let offset = 0; offset < 12; offset++) {
      expect(splitBatches(await log.read(offset, 10))).toMatchObject([{ baseOffset: offset - (offset % 2) }]);
    }
  });
});

test('the segment file is a 64-byte header and then the batches as Kafka stores them', async () => {
  const disk = new MemoryDisk();
  const log = await open({ disk, leaderEpoch: 3 });
  const first = testBatch({ count: 2 });
  const sent = Buffer.from(first);
  log.append(first);
  log.append(testBatch());
  await log.durable(2);
  const file = await disk.readFile('topics/t/0/00000000000000000000.strm');
  expect(file.toString('latin1', 0, 4)).toBe('STRM');
  expect(file.toString('hex', 8, 24)).toBe(TOPIC_ID.replaceAll('-', ''));
  expect(file.readInt32BE(28)).toBe(3);
  const stored = file.subarray(64, 64 + sent.length);
  sent.writeInt32BE(3, 12);
  expect(stored.equals(sent)).toBe(true);
  expect(Number(file.readBigInt64BE(64 + sent.length))).toBe(2);
});

describe('idempotent producers', () => {
  const batch = (baseSequence: number, more: object = {}) =>
    testBatch({ producerId: 9, baseSequence, count: 2, ...more });

  test('a duplicate among the last five gets its first offset; gaps and old epochs are refused', async () => {
    const log = await open();
    expect(log.append(batch(40)).baseOffset).toBe(0); // unknown producer: any first sequence
    for (let index = 1; index < 6; index++) expect(log.append(batch(40 + 2 * index)).baseOffset).toBe(2 * index);
    expect(log.append(batch(42))).toMatchObject({ baseOffset: 2, lastOffset: 3, duplicate: true });
    expect(log.append(batch(40)).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER); // the sixth is forgotten
    expect(log.append(batch(54)).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(log.append(batch(3, { producerEpoch: 1 })).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(log.append(batch(0, { producerEpoch: 1 })).baseOffset).toBe(12);
    expect(log.append(batch(52)).error).toBe(ERROR_CODES.INVALID_PRODUCER_EPOCH);
    expect(log.logEnd).toBe(14);
  });

  test('sequences wrap from 2^31−1 to 0', async () => {
    const log = await open();
    log.append(batch(0x7ffffffe));
    expect(log.append(batch(0)).baseOffset).toBe(2);
    const other = await open();
    other.append(batch(0x7fffffff)); // holds 2^31−1 and 0
    expect(other.append(batch(1)).baseOffset).toBe(2);
    expect(other.append(batch(0x7fffffff))).toMatchObject({ baseOffset: 0, duplicate: true });
  });

  test.each([true, false])('survive a restart (clean: %s)', async (clean) => {
    const disk = new MemoryDisk();
    const log = await open({ disk });
    for (let index = 0; index < 30; index++) log.append(batch(2 * index, { valueBytes: 100 }));
    await log.durable(log.logEnd - 1);
    expect(log.segmentCount).toBeGreaterThan(2);
    if (clean) expect(await log.close()).toBe(true);
    const again = await open({ disk, clean });
    expect(again.append(batch(58))).toMatchObject({ baseOffset: 58, duplicate: true });
    expect(again.append(batch(50))).toMatchObject({ baseOffset: 50, duplicate: true });
    expect(again.append(batch(60)).baseOffset).toBe(60);
  });

  test('several batches in one append are all taken or none', async () => {
    const log = await open();
    expect(log.append(Buffer.concat([batch(0), batch(7)])).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect([...log.producers()]).toEqual([]);
    expect(log.append(Buffer.concat([batch(0), batch(2)]))).toMatchObject({ baseOffset: 0, lastOffset: 3 });
    expect(log.append(Buffer.concat([batch(0), batch(2)]))).toMatchObject({
      baseOffset: 0,
      lastOffset: 3,
      duplicate: true,
    });
    expect(log.append(Buffer.concat([batch(2), batch(4)])).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    expect(log.append(batch(4)).baseOffset).toBe(4);
  });
});

test('what may not be stored is refused with its Kafka code', async () => {
  const log = await open({ config: { 'max.message.bytes': '300' } });
  expect(log.append(testBatch({ valueBytes: 240 })).error).toBe(ERROR_CODES.MESSAGE_TOO_LARGE);
  expect(log.append(testBatch({ attributes: 0x20 })).error).toBe(ERROR_CODES.INVALID_RECORD);
  expect(log.append(testBatch({ attributes: 0x10, producerId: 1 })).error).toBe(ERROR_CODES.INVALID_TXN_STATE);
  expect(log.append(testBatch({ producerId: 1, baseSequence: -1 })).error).toBe(ERROR_CODES.INVALID_RECORD);
  expect(log.append(testBatch({ timestampMs: Date.now() + 7_200_000 })).error).toBe(ERROR_CODES.INVALID_TIMESTAMP);
  expect(log.append(testBatch(), { leaderEpoch: 1 }).error).toBe(ERROR_CODES.UNKNOWN_LEADER_EPOCH);
  expect(log.logEnd).toBe(0);
});

test('LogAppendTime rewrites timestamp, attribute and checksum', async () => {
  const log = await open({ config: { 'message.timestamp.type': 'LogAppendTime' } });
  const { logAppendTimeMs } = log.append(testBatch({ timestampMs: 5 }));
  expect(logAppendTimeMs).toBeGreaterThan(1e12);
  await log.durable(0);
  const data = await log.read(0, 1000);
  expect(splitBatches(data)).toHaveLength(1);
  expect(Number(data.readBigInt64BE(35))).toBe(logAppendTimeMs);
  expect(data.readInt16BE(21) & 8).toBe(8);
});

describe('restart', () => {
  test.each([true, false])('finds everything again (clean: %s)', async (clean) => {
    const disk = new MemoryDisk();
    const log = await open({ disk });
    await fill(log, 60);
    const before = await readAll(log);
    if (clean) await log.close();
    const again = await open({ disk, clean, leaderEpoch: clean ? 0 : 1 });
    expect(again.logEnd).toBe(60);
    expect(await readAll(again)).toEqual(before);
    await fill(again, 5);
    expect(await readAll(again)).toHaveLength(65);
  });

  test('a torn tail is cut at the first bad batch, wherever it is torn', async () => {
    const disk = new FaultDisk(1);
    const path = 'topics/t/0/00000000000000000000.strm';
    const log = await open({ disk, config: { 'segment.bytes': '100000' } });
    await fill(log, 3);
    const whole = await disk.readFile(path);
    const size = (whole.length - 64) / 3;
    for (let cut = 64; cut <= whole.length; cut += 13) {
      await disk.replaceFile(path, whole.subarray(0, cut));
      const again = await open({ disk, leaderEpoch: 1 });
      expect(again.logEnd).toBe(Math.floor((cut - 64) / size));
      expect(await readAll(again)).toHaveLength(again.logEnd);
    }
    await disk.replaceFile(path, whole);
    disk.corrupt(path, 64 + size + 70, (byte) => byte ^ 1);
    expect((await open({ disk })).logEnd).toBe(1);
  });

  test('a missing or damaged sidecar is derived again, also that of a sealed segment', async () => {
    const disk = new FaultDisk(1);
    const log = await open({ disk });
    await fill(log, 40);
    const before = await readAll(log);
    await log.close();
    const sidecars = (await disk.list('topics/t/0')).filter((name) => name.endsWith('.idx'));
    expect(sidecars.length).toBe(log.segmentCount);
    for (const [at, name] of sidecars.entries()) {
      if (at % 3 === 0) await disk.remove(`topics/t/0/${name}`);
      else disk.corrupt(`topics/t/0/${name}`, at % 2 === 0 ? 30 : 70, (byte) => byte + 1);
    }
    const again = await open({ disk, clean: true });
    expect(await readAll(again)).toEqual(before);
  });

  test('a damaged, moved or missing segment is named', async () => {
    const disk = new FaultDisk(1);
    const log = await open({ disk });
    await fill(log, 40);
    await log.close();
    const segments = (await disk.list('topics/t/0')).filter((name) => name.endsWith('.strm'));
    const second = `topics/t/0/${segments[1]}`;
    const content = await disk.readFile(second);
    disk.corrupt(second, 20, (byte) => byte ^ 1);
    await expect(open({ disk })).rejects.toThrow(second);
    await disk.replaceFile(second, content);
    await disk.remove(second);
    await expect(open({ disk })).rejects.toThrow('a segment is missing between');
    await disk.replaceFile(second, content);
    await disk.remove(`topics/t/0/${segments[0]}`);
    await expect(open({ disk })).rejects.toThrow('a segment is missing before');
    await disk.replaceFile(`topics/t/0/${segments[0]}`, content);
    await expect(open({ disk })).rejects.toThrow('states the base offset');
  });

  test('an unfinished last segment is removed', async () => {
    const disk = new FaultDisk(1);
    const log = await open({ disk });
    await fill(log, 20);
    const next = `topics/t/0/${String(log.logEnd).padStart(20, '0')}.strm`;
    for (const bytes of [0, 10, 64]) {
      await disk.replaceFile(next, Buffer.alloc(bytes));
      expect((await open({ disk, leaderEpoch: 1 })).logEnd).toBe(20);
      expect(await disk.exists(next)).toBe(false);
    }
  });
});

test('leader epochs: each start offset, and where an epoch ends', async () => {
  const disk = new MemoryDisk();
  await fill(await open({ disk }), 10);
  await fill(await open({ disk, leaderEpoch: 1 }), 20);
  await open({ disk, leaderEpoch: 2 });
  const log = await open({ disk, leaderEpoch: 3 });
  expect(log.epochs).toEqual([
    { epoch: 0, startOffset: 0 },
    { epoch: 1, startOffset: 10 },
    { epoch: 3, startOffset: 30 },
  ]);
  await fill(log, 1);
  expect(log.offsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 10 });
  expect(log.offsetForEpoch(2)).toEqual({ epoch: 1, endOffset: 30 });
  expect(log.offsetForEpoch(3)).toEqual({ epoch: 3, endOffset: 31 });
  expect(log.offsetForEpoch(4)).toBeUndefined();
  expect(log.epochOf(12)).toBe(1);
});

describe('deleting', () => {
  test('records before an offset: durable, whole segments go', async () => {
    const disk = new MemoryDisk();
    const log = await open({ disk });
    await fill(log, 40);
    const files = (await disk.list('topics/t/0')).length;
    expect(await log.deleteRecordsBefore(25)).toBe(25);
    expect((await disk.list('topics/t/0')).length).toBeLessThan(files);
    await expect(log.read(24, 10)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    expect(splitBatches(await log.read(25, 1))).toMatchObject([{ baseOffset: 25 }]);
    const again = await open({ disk });
    expect(again.logStart).toBe(25);
    expect(await again.deleteRecordsBefore(-1)).toBe(40);
    await fill(again, 1);
    expect(again.logEnd).toBe(41);
    expect((await open({ disk })).logStart).toBe(40);
    expect(() => again.deleteRecordsBefore(50)).toThrow();
  });

  test('retention by size keeps at least that much; by time it takes even the last segment', async () => {
    const disk = new MemoryDisk();
    const log = await open({ disk, config: { 'retention.bytes': '3000', 'retention.ms': '-1' } });
    await fill(log, 60);
    expect(await log.applyRetention()).toBeGreaterThan(0);
    expect(log.sizeBytes).toBeGreaterThanOrEqual(3000);
    expect(log.sizeBytes).toBeLessThan(3000 + 2 * 1100);
    expect((await readAll(log)).length).toBe(60 - log.logStart);
    log.configure(topicSettings({ 'retention.ms': '1000' }));
    await log.applyRetention();
    expect(log.logStart).toBe(60);
    const again = await open({ disk });
    expect([again.logStart, again.logEnd]).toEqual([60, 60]);
    await fill(again, 1, { timestampMs: Date.now() });
    expect(await again.applyRetention()).toBe(0);
    expect(await readAll(again)).toHaveLength(1);
  });
});

test('file.delete.delay.ms keeps the files of what is no longer in the log, until a restart', async () => {
  const disk = new MemoryDisk();
  const files = async (): Promise<number> =>
    (await disk.list('topics/t/0')).filter((name) => name.endsWith('.strm')).length;
  const log = await open({ disk, config: { 'file.delete.delay.ms': '30', 'segment.bytes': '1024' } });
  await fill(log, 40);
  const before = await files();
  expect(await log.deleteRecordsBefore(25)).toBe(25);
  expect(await files()).toBe(before);
  await vi.waitFor(async () => expect(await files()).toBeLessThan(before));
  await log.deleteRecordsBefore(39);
  await log.close();
  const left = await files();
  await open({ disk, clean: true });
  expect(await files()).toBeLessThan(left);
});

describe('faults', () => {
  test('without space an append fails, reads go on, and appends recover with their offsets', async () => {
    const disk = new FaultDisk(5);
    const log = await open({ disk, tailCacheBytes: 10_000 });
    const batch = (sequence: number) =>
      testBatch({ producerId: 4, baseSequence: sequence, valueBytes: 200, fill: sequence });
    for (let index = 0; index < 5; index++) log.append(batch(index));
    await log.durable(4);
    disk.spaceBytes = disk.usedBytes + 100;
    const lost = [5, 6, 7, 8].map((index) => log.durable(log.append(batch(index)).lastOffset));
    for (const result of await Promise.allSettled(lost)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE_FAILED' } });
    }
    expect(log.logEnd).toBe(5);
    expect(await readAll(log)).toHaveLength(5);
    await expect(log.durable(log.append(batch(5)).lastOffset)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    disk.spaceBytes = Number.POSITIVE_INFINITY;
    for (let index = 5; index < 12; index++) expect(log.append(batch(index)).baseOffset).toBe(index);
    await log.durable(11);
    expect((await readAll(log)).map((seen) => seen.fill)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect((await open({ disk: disk.crash() })).logEnd).toBe(12);
  });

  test('after a failed sync nothing is appended or acknowledged any more, in any log; reads go on', async () => {
    const disk = new FaultDisk(6);
    const common = shared({ disk });
    const log = await open({}, common);
    const other = await PartitionLog.open(common, {
      directory: 'topics/u/0',
      topic: 'u',
      topicId: TOPIC_ID,
      partition: 0,
      settings: topicSettings({}),
      leaderEpoch: 0,
      clean: false,
    });
    await fill(log, 5);
    await fill(other, 5);
    let failures = 0;
    disk.fault = (operation) => (operation === 'sync' && failures++ === 0 ? 'EIO' : undefined);
    const { lastOffset } = log.append(testBatch());
    await expect(log.durable(lastOffset)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(log.highWatermark).toBe(5);
    expect(other.append(testBatch()).error).toBe(ERROR_CODES.KAFKA_STORAGE_ERROR);
    await expect(log.durable(lastOffset)).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    expect(await readAll(log)).toHaveLength(5);
    expect(await readAll(other)).toHaveLength(5);
    expect(await other.close()).toBe(false);
  });
});
