import { describe, expect, test } from 'vitest';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { Storage } from '../../src/storage/storage.ts';
import { FaultDisk, seededRandom } from '../support/fault-disk.ts';

const NEVER_MS = 1e12;
const TIMERS = { retentionCheckMs: 1e9, compactionCheckMs: 1e9, tailCacheBytes: 0 };

interface Seen {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

async function readAll(storage: Storage, topic = 't'): Promise<Seen[]> {
  const log = storage.partition(topic, 0)!;
  const seen: Seen[] = [];
  for (let offset = log.logStart; offset < log.highWatermark; ) {
    const cursor = new RecordCursor(await log.read(offset, 1000));
    while (cursor.next()) {
      const key = cursor.key();
      if (cursor.offset >= offset)
        seen.push({ offset: cursor.offset, key: key && String(key), value: cursor.value() && String(cursor.value()) });
    }
    expect(cursor.endOffset).toBeGreaterThan(offset);
    offset = cursor.endOffset;
  }
  return seen;
}

const record = (key: string, value: string | null) => ({
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
});

async function compacted(config: Record<string, string> = {}): Promise<Storage> {
  const storage = await Storage.open({ disk: new FaultDisk(1), ...TIMERS });
  await storage.createTopic('t', {
    partitions: 1,
    config: { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0', ...config },
  });
  return storage;
}

test('compression.type recompresses what came otherwise, and nothing else of the batch changes', async () => {
  const storage = await Storage.open({ disk: new FaultDisk(9), ...TIMERS });
  const value = 'x'.repeat(500);
  for (const [type, code] of [
    ['gzip', 1],
    ['snappy', 2],
    ['lz4', 3],
    ['zstd', 4],
    ['uncompressed', 0],
    ['producer', 3],
  ] as const) {
    await storage.createTopic(type, { partitions: 1, config: { 'compression.type': type } });
    const log = storage.partition(type, 0)!;
    const from = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
    const records = [record('a', value), record('b', value)];
    await log.durable(log.append(encodeBatch(records, { codec: 'lz4', ...from })).lastOffset);
    expect((await log.read(0, 1)).readInt16BE(21) & 7).toBe(code);
    expect(await readAll(storage, type)).toEqual([
      { offset: 0, key: 'a', value },
      { offset: 1, key: 'b', value },
    ]);
    // The same batch again is the duplicate it is.
    expect(log.append(encodeBatch(records, { codec: 'lz4', ...from })).duplicate).toBe(true);
  }
  const corrupt = encodeBatch([record('a', value)], { codec: 'lz4' });
  corrupt.fill(0xff, 61);
  expect(storage.partition('gzip', 0)!.append(corrupt).error).toBeDefined();
});

describe('compaction', () => {
  test('of each key the newest record stays, at its offset, in every codec', async () => {
    const storage = await compacted();
    const log = storage.partition('t', 0)!;
    for (let i = 0; i < 60; i++) {
      const codec = (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)[i % 5];
      const batch = encodeBatch([record(`k${i % 3}`, `v${i}${'.'.repeat(50)}`), record(`only${i}`, 'x')], { codec });
      await log.durable(log.append(batch).lastOffset);
    }
    const before = await readAll(storage);
    expect(await log.compact()).toBeGreaterThan(0);
    const after = await readAll(storage);
    expect(after.length).toBeLessThan(before.length);
    for (const one of after) expect(before).toContainEqual(one);
    for (const key of ['k0', 'k1', 'k2']) {
      const newest = before.filter((one) => one.key === key).at(-1);
      expect(after.filter((one) => one.key === key).at(-1)).toEqual(newest);
    }
    expect(after.filter(({ key }) => key?.startsWith('only'))).toHaveLength(60);
    expect(log.logEnd).toBe(120);
    // A second pass finds nothing more.
    expect(await log.compact()).toBe(0);
  });

  test('what was compacted is not read from memory as it was before', async () => {
    const storage = await Storage.open({ disk: new FaultDisk(4), ...TIMERS, tailCacheBytes: 1 << 20 });
    const config = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0' };
    await storage.createTopic('t', { partitions: 1, config });
    for (let i = 0; i < 40; i++) await storage.append('t', 0, [record('k', `v${i}${'.'.repeat(60)}`)]);
    const log = storage.partition('t', 0)!;
    expect(await readAll(storage)).toHaveLength(40);
    await log.compact();
    expect((await readAll(storage)).length).toBeLessThan(20);
  });

  test('small segments become one, which a start trusts and continues', async () => {
    const disk = new FaultDisk(6);
    const config = { 'cleanup.policy': 'compact', 'segment.bytes': '4096', 'min.cleanable.dirty.ratio': '0' };
    const storage = await Storage.open({ disk, ...TIMERS });
    await storage.createTopic('t', { partitions: 1, config });
    for (let i = 0; i < 400; i++) await storage.append('t', 0, [record(`k${i % 5}`, `v${i}${'.'.repeat(80)}`)]);
    const log = storage.partition('t', 0)!;
    const before = log.segmentCount;
    await log.compact();
    expect(before).toBeGreaterThan(10);
    expect(log.segmentCount).toBeLessThan(before / 3);
    const seen = await readAll(storage);
    expect(seen.filter(({ offset }) => offset < 395).length).toBeLessThan(60);
    const found = await log.offsetForTimestamp(0);
    expect(found?.offset).toBe(seen[0]!.offset);
    const crashed = disk.crash();
    for (let life = 0; life < 2; life++) {
      const again = await Storage.open({ disk: crashed, ...TIMERS });
      expect(again.partition('t', 0)!.offline).toBeUndefined();
      expect((await readAll(again)).slice(0, seen.length)).toEqual(seen);
      expect(await again.append('t', 0, [record('k0', 'more')])).toBe(400 + life);
      await again.close();
    }
  });

  test('tombstones stay for delete.retention.ms, then go', async () => {
    const storage = await compacted({ 'delete.retention.ms': '0' });
    for (let i = 0; i < 40; i++) await storage.append('t', 0, [record('gone', `v${i}${'.'.repeat(60)}`)]);
    await storage.append('t', 0, [record('gone', null)]);
    for (let i = 0; i < 40; i++) await storage.append('t', 0, [record(`k${i}`, '.'.repeat(60))]);
    const log = storage.partition('t', 0)!;
    await log.compact();
    expect((await readAll(storage)).filter(({ key }) => key === 'gone')).toMatchObject([{ offset: 40, value: null }]);
    await log.compact();
    expect((await readAll(storage)).filter(({ key }) => key === 'gone')).toEqual([]);
  });

  test('a key that a transaction wrote and a tombstone deleted does not come back', async () => {
    const storage = await compacted({ 'delete.retention.ms': '0' });
    const log = storage.partition('t', 0)!;
    const who = { producerId: 5, producerEpoch: 0 };
    const written = encodeBatch([record('gone', 'v')], { ...who, baseSequence: 0, isTransactional: true });
    log.append(written, { origin: 'transaction' });
    log.endTransaction({ ...who, committed: true, coordinatorEpoch: 0 });
    await log.flush();
    for (let i = 0; i < 20; i++) await storage.append('t', 0, [record(`a${i % 2}`, '.'.repeat(60))]);
    await storage.append('t', 0, [record('gone', null)]);
    for (let i = 0; i < 40; i++) await storage.append('t', 0, [record(`k${i}`, '.'.repeat(60))]);
    for (let pass = 0; pass < 3; pass++) {
      await log.compact();
      expect((await readAll(storage)).filter(({ key }) => key === 'gone').at(-1)?.value ?? null).toBeNull();
    }
    expect(log.lastStableOffset).toBe(log.highWatermark);
  });

  test('the last batch of a producer keeps its sequence, over a restart without its snapshot', async () => {
    const disk = new FaultDisk(3);
    const config = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0' };
    const storage = await Storage.open({ disk, ...TIMERS });
    await storage.createTopic('t', { partitions: 1, config });
    const log = storage.partition('t', 0)!;
    const from = { producerId: 7, producerEpoch: 0 };
    await log.durable(log.append(encodeBatch([record('a', 'old')], { ...from, baseSequence: 0 })).lastOffset);
    for (let i = 0; i < 40; i++) await storage.append('t', 0, [record('a', `v${i}${'.'.repeat(60)}`)]);
    expect(await log.compact()).toBeGreaterThan(0);
    await storage.close();
    const again = await Storage.open({ disk, ...TIMERS });
    const next = again.partition('t', 0)!.append(encodeBatch([record('a', 'next')], { ...from, baseSequence: 1 }));
    expect(next.error).toBeUndefined();
    expect(
      again.partition('t', 0)!.append(encodeBatch([record('a', 'gap')], { ...from, baseSequence: 9 })).error,
    ).toBeDefined();
  });

  test('min.compaction.lag.ms holds it back, and delete alone never compacts', async () => {
    for (const config of [{ 'min.compaction.lag.ms': '3600000' }, { 'cleanup.policy': 'delete' }]) {
      const storage = await compacted(config as unknown as Record<string, string>);
      for (let i = 0; i < 40; i++) await storage.append('t', 0, [record('k', '.'.repeat(60))]);
      expect(await storage.partition('t', 0)!.compact()).toBe(0);
    }
  });
});

/** Appends, compactions and reads beside each other until the power goes, three times. */
async function history(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  let disk = new FaultDisk(random);
  /** What was acknowledged at each offset, and what was ever sent there. */
  const acknowledged = new Map<number, { key: string; value: string | null }>();
  let sent = 0;
  for (let life = 0; life < 4; life++) {
    const storage = await Storage.open({ disk, ...TIMERS, walFileBytes: 3000 });
    if (!storage.describeTopic('t')) {
      const config = {
        'cleanup.policy': 'compact',
        'segment.bytes': '1024',
        'min.cleanable.dirty.ratio': String(pick(2) / 2),
        'delete.retention.ms': pick(2) ? '0' : String(NEVER_MS),
      };
      await storage.createTopic('t', { partitions: 1, config });
    }
    const log = storage.partition('t', 0)!;
    const seen = await readAll(storage);
    const newest = new Map<string, number>();
    for (const { offset, key } of seen) newest.set(key as string, offset);
    for (const [offset, { key, value }] of acknowledged) {
      expect([seed, offset < log.logEnd]).toEqual([seed, true]);
      const found = seen.find((one) => one.offset === offset);
      if (found !== undefined) expect([seed, found]).toEqual([seed, { offset, key, value }]);
      // What is not there any more was superseded, or is a tombstone whose time came, or what that one had deleted.
      else if ((newest.get(key) ?? -1) < offset) {
        const after = [...acknowledged].filter(([at, one]) => one.key === key && at >= offset);
        expect([seed, offset, after.at(-1)?.[1].value]).toEqual([seed, offset, null]);
      }
    }
    for (const { offset, key, value } of seen) acknowledged.set(offset, { key: key as string, value });
    let over = false;
    const append = async (): Promise<void> => {
      for (let i = 10 + pick(60); i > 0 && !over; i--) {
        const entry = { key: `k${pick(6)}`, value: random() < 0.15 ? null : `${sent++}${'.'.repeat(pick(200))}` };
        const { lastOffset, error } = log.append(
          encodeBatch([record(entry.key, entry.value)], { codec: pick(2) ? 'none' : 'lz4' }),
        );
        if (error !== undefined) return;
        await log.durable(lastOffset);
        if (!over) acknowledged.set(lastOffset, entry);
      }
    };
    const compact = async (): Promise<void> => {
      for (let i = pick(8); i > 0 && !over; i--) await log.compact();
    };
    const read = async (): Promise<void> => {
      for (let i = pick(4); i > 0 && !over; i--) await readAll(storage);
    };
    const all = Promise.allSettled([append(), append(), compact(), read()]);
    if (random() < 0.6)
      for (let turns = pick(400); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    else await all;
    over = true;
    if (random() < 0.3) {
      const results = await all;
      for (const result of results) if (result.status === 'rejected') throw new Error(`seed ${seed}: ${result.reason}`);
      await storage.close();
    } else {
      disk = disk.crash();
      await all;
    }
  }
}

test('whatever is appended, compacted and read while the power goes: what counts stays', {
  timeout: 120_000,
}, async () => {
  for (let seed = 1; seed <= Number(process.env.STREAMLINE_COMPACTION_SEEDS ?? 100); seed++) await history(seed);
});
