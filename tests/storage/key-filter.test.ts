import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordCursor } from '../../src/protocol/records.ts';
import { hashKey, KeyFilter, KeyHashes } from '../../src/storage/key-filter.ts';
import { Storage } from '../../src/storage/storage.ts';
import { FaultDisk } from '../support/fault-disk.ts';

const TIMERS = { retentionCheckMs: 1e9, compactionCheckMs: 1e9, tailCacheBytes: 0 };
const VALUE = Buffer.alloc(1000, 'v');

function filterOf(keys: readonly Uint8Array[]): KeyFilter {
  const hashes = new KeyHashes();
  for (const key of keys) hashes.add(hashKey(key));
  return KeyFilter.of(hashes);
}

test('a filter never denies a key it was given, also when read back', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 3000 }), fc.nat(), (keys, link) => {
      const filter = filterOf(keys);
      const back = KeyFilter.decode(filter.encode(link, 5e9), link, 5e9)!;
      for (const key of keys) expect(filter.mayHold(hashKey(key)) && back.mayHold(hashKey(key))).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test('it seldom admits one that it was not given, and costs 12 bits a key', () => {
  const keys = Array.from({ length: 50_000 }, (_, i) => Buffer.from(`user-${i}`));
  const filter = filterOf([...keys, ...keys]);
  let admitted = 0;
  for (let i = 0; i < 50_000; i++) if (filter.mayHold(hashKey(Buffer.from(`other-${i}`)))) admitted++;
  expect(admitted / 50_000).toBeLessThan(0.01);
  expect(filter.byteLength).toBeLessThan(50_000 * 1.6);
});

test('a damaged filter, or one of another segment, is none', () => {
  const stored = filterOf([Buffer.from('a'), Buffer.from('b')]).encode(7, 1000);
  for (let at = 0; at < stored.length; at++) {
    const changed = Buffer.from(stored);
    changed[at]! ^= 0x10;
    expect(KeyFilter.decode(changed, 7, 1000), `byte ${at}`).toBeUndefined();
    expect(KeyFilter.decode(stored.subarray(0, at), 7, 1000)).toBeUndefined();
  }
  expect(KeyFilter.decode(stored, 8, 1000)).toBeUndefined();
  expect(KeyFilter.decode(stored, 7, 1001)).toBeUndefined();
});

/** Offsets of a key as a reader finds them who passes over what cannot have it, and how often he read. */
async function find(storage: Storage, key: string): Promise<{ offsets: number[]; reads: number }> {
  const { highWatermark } = storage.bounds('t', 0);
  const offsets: number[] = [];
  let reads = 0;
  for (let offset = 0; ; reads++) {
    offset = await storage.seekKey('t', 0, offset, Buffer.from(key));
    if (offset >= highWatermark) return { offsets, reads };
    const cursor = new RecordCursor(await storage.read('t', 0, offset, 1 << 20));
    while (cursor.next()) if (String(cursor.key()) === key && cursor.offset >= offset) offsets.push(cursor.offset);
    offset = cursor.endOffset;
  }
}

test('a reader of one key passes over segments without it, over restarts, compaction and a lost or damaged filter', async () => {
  const disk = new FaultDisk(1);
  let storage = await Storage.open({ disk, ...TIMERS });
  const config = { 'segment.bytes': '320000', 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' };
  await storage.createTopic('t', { partitions: 1, config });
  const expected = new Map<string, number[]>();
  for (let i = 0; i < 4000; i += 100) {
    const keys = Array.from({ length: 100 }, (_, j) => (i + j === 1234 || i + j === 3210 ? 'rare' : `k${i + j}`));
    await storage.append(
      't',
      0,
      keys.map((key) => ({ key: Buffer.from(key), value: VALUE })),
    );
    for (const [j, key] of keys.entries()) expected.set(key, [...(expected.get(key) ?? []), i + j]);
  }
  expect(storage.partition('t', 0)!.segmentCount).toBeGreaterThan(10);
  // The last segment is still written to and always read.
  expect(await find(storage, 'rare')).toEqual({ offsets: [1234, 3210], reads: 3 });
  for (const key of ['k0', 'k77', 'k3999']) expect((await find(storage, key)).offsets).toEqual(expected.get(key));
  expect((await find(storage, 'nobody')).reads).toBeLessThanOrEqual(2);

  await storage.close();
  storage = await Storage.open({ disk, ...TIMERS });
  const place = (await disk.list('topics')).find((name) => name.startsWith('t.'));
  const filters = (await disk.list(`topics/${place}/0`)).filter((name) => name.endsWith('.keys'));
  expect(filters.length).toBeGreaterThan(10);
  await disk.remove(`topics/${place}/0/${filters[0]}`);
  await disk.replaceFile(`topics/${place}/0/${filters[1]}`, Buffer.from('garbage'));
  expect(await find(storage, 'rare')).toEqual({ offsets: [1234, 3210], reads: 3 });

  expect(await storage.partition('t', 0)!.compact()).toBeGreaterThan(0);
  expect((await find(storage, 'rare')).offsets).toEqual([3210]);
  await storage.partition('t', 0)!.deleteRecordsBefore(3900);
  expect((await find(storage, 'rare')).offsets).toEqual([]);
  await storage.close();
});
