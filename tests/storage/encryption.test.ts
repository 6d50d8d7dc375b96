import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchCrcMatches, encodeBatch, RecordCursor, readBatchHeader } from '../../src/protocol/records.ts';
import { decryptBatches, isEncrypted, KeyRing } from '../../src/storage/encryption.ts';
import { Storage } from '../../src/storage/storage.ts';
import { FaultDisk, seededRandom } from '../support/fault-disk.ts';

const TIMERS = { retentionCheckMs: 1e9, compactionCheckMs: 1e9, tailCacheBytes: 0 };
const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const one = KeyRing.parse(`1 ${key(1)}`, 'keys');
const two = KeyRing.parse(`# the old one\n1 ${key(1)}\n2 ${key(2)} # since the first of May\n`, 'keys');
const place = { topicId: '0198c1f0-0000-7000-8000-000000000001', partition: 3 };
const SECRET = 'a very secret value';

const record = (name: string, value: string) => ({ key: Buffer.from(name), value: Buffer.from(value), timestampMs: 5 });

async function values(storage: Storage): Promise<string[]> {
  const log = storage.partition('t', 0)!;
  const seen: string[] = [];
  for (let offset = log.logStart; offset < log.highWatermark; ) {
    const data = await log.read(offset, 2000);
    for (let at = 0; at < data.length; ) {
      const header = readBatchHeader(data, at);
      expect(batchCrcMatches(data, at, header.sizeBytes)).toBe(true);
      expect(header.attributes & 0x4000).toBe(0);
      const cursor = new RecordCursor(data.subarray(at, at + header.sizeBytes));
      while (cursor.next()) seen.push(String(cursor.value()));
      at += header.sizeBytes;
      offset = header.lastOffset + 1;
    }
  }
  return seen;
}

const onDisk = async (disk: FaultDisk, directory = '.'): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for (const name of await disk.list(directory)) {
    const path = directory === '.' ? name : `${directory}/${name}`;
    parts.push(
      await disk.readFile(path).catch(() => Buffer.alloc(0)),
      await onDisk(disk, path).catch(() => Buffer.alloc(0)),
    );
  }
  return Buffer.concat(parts);
};

describe('a batch', () => {
  test('comes back as it was, in every codec', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 }),
        fc.constantFrom('none', 'gzip', 'snappy', 'lz4'),
        (payloads, codec) => {
          const records = payloads.map((value) => ({ key: null, value: Buffer.from(value), timestampMs: 1 }));
          const batch = encodeBatch(records, { codec: codec as 'none' });
          const stored = one.encrypt(batch, place);
          expect(isEncrypted(stored)).toBe(true);
          expect(batchCrcMatches(stored, 0, stored.length)).toBe(true);
          expect(decryptBatches(Buffer.concat([stored, batch, stored]), two, place)).toEqual(
            Buffer.concat([batch, batch, batch]),
          );
          // The same records are never the same bytes.
          expect(one.encrypt(batch, place)).not.toEqual(stored);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('that was changed, moved or sealed with another key is refused', () => {
    const stored = one.encrypt(encodeBatch([record('k', SECRET)]), place);
    for (let at = 0; at < stored.length; at++) {
      if (at >= 8 && at < 12) continue; // the length: no whole batch then
      if (at >= 17 && at < 21) continue; // the checksum: judged on its own
      const changed = Buffer.from(stored);
      changed[at]! ^= 1;
      expect(() => two.decrypt(changed, place), `byte ${at}`).toThrow(/cannot be read/);
    }
    expect(() => two.decrypt(stored, { ...place, partition: 4 })).toThrow(/stood elsewhere/);
    expect(() => decryptBatches(stored, undefined, place)).toThrow(/no key file/);
    const newer = two.encrypt(encodeBatch([record('k', SECRET)]), place);
    expect(() => one.decrypt(newer, place)).toThrow(/no key 2/);
  });

  test('key files that cannot be meant are refused with their line', () => {
    expect(() => KeyRing.parse(`1 ${key(1)}\n1 ${key(2)}`, 'f')).toThrow(/f, line 2: key 1 is there twice/);
    expect(() => KeyRing.parse('1 c2hvcnQ=', 'f')).toThrow(/has 5 bytes/);
    expect(() => KeyRing.parse('nonsense', 'f')).toThrow(/line 1/);
    expect(() => KeyRing.parse(`0 ${key(1)}`, 'f')).toThrow(/no key id/);
    expect(() => KeyRing.parse('# nothing\n', 'f')).toThrow(/has no key/);
  });
});

describe('a topic', () => {
  const create = (storage: Storage, config: Record<string, string> = {}) =>
    storage.createTopic('t', {
      partitions: 1,
      config: { 'streamline.encryption': 'aes-256-gcm', 'segment.bytes': '2000', ...config },
    });

  test('is in no file in plain text, over crashes, rotation and compaction', async () => {
    const random = seededRandom(3);
    let disk = new FaultDisk(random);
    const sent: string[] = [];
    for (let life = 0; life < 4; life++) {
      const storage = await Storage.open({ disk, ...TIMERS, keys: life < 2 ? one : two, walFileBytes: 8000 });
      if (life === 0) await create(storage);
      expect(await values(storage)).toEqual(sent);
      for (let i = 0; i < 60; i++) {
        const value = `${SECRET} ${sent.length}${'.'.repeat(Math.floor(random() * 60))}`;
        await storage.append('t', 0, [record(`k${i}`, value)]);
        sent.push(value);
      }
      expect((await onDisk(disk)).includes(SECRET)).toBe(false);
      const found = await storage.partition('t', 0)!.offsetForTimestamp(5);
      expect(found).toMatchObject({ offset: 0, timestampMs: 5 });
      if (life === 1) await storage.close();
      else disk = disk.crash();
    }
    await expect(Storage.open({ disk, ...TIMERS })).rejects.toThrow(/needs keys/);
    await expect(Storage.open({ disk, ...TIMERS, keys: one })).rejects.toThrow(/encrypted with key 2/);
  });

  test('is compacted', async () => {
    const disk = new FaultDisk(5);
    const storage = await Storage.open({ disk, ...TIMERS, keys: one });
    await create(storage, { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' });
    for (let i = 0; i < 100; i++)
      await storage.append('t', 0, [record(`k${i % 3}`, `${SECRET} ${i}`), record(`o${i}`, 'x')]);
    const log = storage.partition('t', 0)!;
    expect(await log.compact()).toBeGreaterThan(0);
    const left = await values(storage);
    expect(left.length).toBeLessThan(150);
    expect(left.filter((value) => value === 'x')).toHaveLength(100);
    expect(left).toContain(`${SECRET} 99`);
    expect((await onDisk(disk)).includes(SECRET)).toBe(false);
  });

  test('begins a segment when encryption is switched on, and clients cannot pretend', async () => {
    const storage = await Storage.open({ disk: new FaultDisk(6), ...TIMERS, keys: one });
    await storage.createTopic('t', { partitions: 1 });
    await storage.append('t', 0, [record('a', 'plain')]);
    await storage.alterTopic('t', { 'streamline.encryption': 'aes-256-gcm' });
    await storage.append('t', 0, [record('a', 'sealed')]);
    await storage.alterTopic('t', { 'streamline.encryption': null });
    await storage.append('t', 0, [record('a', 'plain again')]);
    expect(storage.partition('t', 0)!.segmentCount).toBe(3);
    expect(await values(storage)).toEqual(['plain', 'sealed', 'plain again']);
    const pretending = one.encrypt(encodeBatch([record('a', 'b')]), place);
    expect(storage.partition('t', 0)!.append(pretending).error).toBe(87);
    const without = await Storage.open({ disk: new FaultDisk(7), ...TIMERS });
    await expect(create(without)).rejects.toThrow(/needs keys/);
  });
});
