import { describe, expect, test } from 'vitest';
import { Storage } from '../../src/storage/storage.ts';
import { readWal } from '../../src/storage/wal.ts';
import { encodeWalHeader, WAL_RECORD_BYTES, type WalEntry, walRecords } from '../../src/storage/wal-record.ts';
import { FaultDisk, seededRandom } from '../support/fault-disk.ts';
import { testBatch } from './batches.ts';

const ID = '01234567-89ab-cdef-0123-456789abcdef';
const entry = (partition: number, ...fills: number[]): WalEntry => ({
  topicId: ID,
  partition,
  batches: fills.map((fill) => testBatch({ fill })),
});
const encoded = (entries: readonly WalEntry[], generation: number): Buffer =>
  Buffer.concat(entries.flatMap((one, i) => [encodeWalHeader(one, generation, i), ...one.batches]));

describe('records', () => {
  const entries = [entry(0, 1, 2), entry(7, 3), entry(0, 4)];

  test('come back as they went', () => {
    const found = [...walRecords(encoded(entries, 9))];
    expect(found.map(({ partition, topicId, generation }) => [partition, topicId, generation])).toEqual([
      [0, ID, 9],
      [7, ID, 9],
      [0, ID, 9],
    ]);
    expect(found[0].payload).toEqual(Buffer.concat(entries[0].batches));
  });

  test('end at the first damaged byte, wherever it is', () => {
    const whole = encoded(entries, 1);
    const ends = [...walRecords(whole)].map(({ payload }) => payload.byteOffset - whole.byteOffset + payload.length);
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] ^= 0x40;
      expect([...walRecords(bytes)]).toHaveLength(ends.filter((end) => end <= at).length);
      expect([...walRecords(whole.subarray(0, at))]).toHaveLength(ends.filter((end) => end <= at).length);
    }
  });

  test('end where those of an earlier pass begin', () => {
    const older = encoded([entry(0, 1), entry(0, 2), entry(0, 3)], 4);
    const newer = encoded([entry(0, 8)], 6);
    newer.copy(older, 0);
    expect([...walRecords(older)]).toHaveLength(1);
  });
});

test('a generation is not used again whose first record was lost and a later one kept', async () => {
  const disk = new FaultDisk(1);
  await disk.makeDirectory();
  const lost = encoded([entry(0, 1), entry(0, 2)], 5);
  lost.fill(0, 0, WAL_RECORD_BYTES);
  // What a client wrote may look like a record of a generation that never was.
  const forged = encodeWalHeader(entry(0, 3), 1e9, 0);
  for (const [path, bytes] of [
    ['wal/0', Buffer.concat([lost, forged])],
    ['wal/1', encoded([entry(0, 4)], 4)],
  ] as const) {
    const file = await disk.openDurable(path);
    await file.overwrite([bytes], 0);
    await file.close();
  }
  const { records, nextGeneration } = await readWal(disk, false);
  expect(nextGeneration).toBe(6);
  expect(records.map(({ generation }) => generation)).toEqual([4]);
});

/** Appends by several writers until the power goes; what was acknowledged, by topic, partition and offset. */
async function history(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  let disk = new FaultDisk(random);
  const topics = ['a', 'b', 'c'];
  const acknowledged = new Map<string, number>();
  let fill = 0;
  for (let life = 0; life < 4; life++) {
    const storage = await Storage.open({ disk, walFileBytes: 600 + pick(3000), retentionCheckMs: 1e9 });
    for (const name of topics) {
      if (!storage.describeTopic(name))
        await storage.createTopic(name, { partitions: 2, config: { 'segment.bytes': '1048576' } });
      for (const partition of [0, 1]) {
        const log = storage.partition(name, partition)!;
        for (let offset = log.logStart; offset < log.logEnd; offset++) {
          const expected = acknowledged.get(`${name}/${partition}/${offset}`);
          const bytes = await log.read(offset, 1);
          if (expected !== undefined)
            expect([seed, name, partition, offset, bytes[80]]).toEqual([seed, name, partition, offset, expected]);
          acknowledged.set(`${name}/${partition}/${offset}`, bytes[80]);
        }
        for (const key of acknowledged.keys()) {
          const [topic, index, offset] = key.split('/');
          if (topic === name && Number(index) === partition)
            expect([seed, key, Number(offset) < log.logEnd]).toEqual([seed, key, true]);
        }
      }
    }
    let over = false;
    const steps = 5 + pick(40);
    const writers = Array.from({ length: 1 + pick(4) }, async () => {
      for (let step = 0; step < steps && !over; step++) {
        const [name, partition] = [topics[pick(3)], pick(2)];
        fill = (fill + 1) % 251;
        const mark = fill;
        const { baseOffset, lastOffset, error } = storage
          .partition(name, partition)!
          .append(testBatch({ fill: mark, valueBytes: 20 + pick(300) }));
        if (error !== undefined) return;
        await storage.partition(name, partition)!.durable(lastOffset);
        if (!over) acknowledged.set(`${name}/${partition}/${baseOffset}`, mark);
      }
    });
    const all = Promise.allSettled(writers);
    if (random() < 0.7)
      for (let turns = pick(120); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    else await all;
    if (random() < 0.2) {
      over = true;
      await all;
      await storage.close();
    } else {
      over = true;
      disk = disk.crash();
      await all;
    }
  }
}

test('what was acknowledged is there after any number of crashes, at its offset', { timeout: 60_000 }, async () => {
  for (let seed = 1; seed <= Number(process.env.STREAMLINE_WAL_SEEDS ?? 150); seed++) await history(seed);
});

test('without space for the write-ahead log a segment is synced itself', async () => {
  const disk = new FaultDisk(5);
  const storage = await Storage.open({ disk, retentionCheckMs: 1e9 });
  await storage.createTopic('t', { partitions: 1 });
  disk.fault = (operation, path) => (operation === 'append' && path.startsWith('wal/') ? 'ENOSPC' : undefined);
  const log = storage.partition('t', 0)!;
  await log.durable(log.append(testBatch({ fill: 5 })).lastOffset);
  const again = await Storage.open({ disk: disk.crash(), retentionCheckMs: 1e9 });
  expect((await again.partition('t', 0)!.read(0, 1))[80]).toBe(5);
});

test('a write-ahead log that cannot be written stops appends and nothing else', async () => {
  const disk = new FaultDisk(6);
  const storage = await Storage.open({ disk, retentionCheckMs: 1e9 });
  await storage.createTopic('t', { partitions: 1 });
  const log = storage.partition('t', 0)!;
  await log.durable(log.append(testBatch({ fill: 1 })).lastOffset);
  disk.fault = (operation, path) => (operation === 'sync' && path.startsWith('wal/') ? 'EIO' : undefined);
  await expect(log.durable(log.append(testBatch({ fill: 2 })).lastOffset)).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
  });
  expect(log.append(testBatch()).error).toBeDefined();
  expect((await log.read(0, 1))[80]).toBe(1);
});
