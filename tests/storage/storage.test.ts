import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { DataDirLock } from '../../src/storage/data-dir-lock.ts';
import { NodeDisk } from '../../src/storage/disk/node-disk.ts';
import { Storage, type StorageOptions } from '../../src/storage/storage.ts';
import { checkTopicConfig, TOPIC_CONFIG } from '../../src/storage/topic-config.ts';
import { FaultDisk } from '../support/fault-disk.ts';

const directories: string[] = [];
async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'streamline-storage-'));
  directories.push(made);
  return made;
}
afterAll(async () => {
  for (const made of directories) await rm(made, { recursive: true, force: true });
});

const text = (value: string) => ({ key: null, value: Buffer.from(value) });

async function values(storage: Storage, topic: string, partition = 0): Promise<string[]> {
  const found: string[] = [];
  const { logStart, highWatermark } = storage.bounds(topic, partition);
  for (let offset = logStart; offset < highWatermark; ) {
    const cursor = new RecordCursor(await storage.read(topic, partition, offset, 300));
    while (cursor.next()) {
      expect(cursor.offset).toBe(offset++);
      found.push(cursor.value()!.toString());
    }
  }
  return found;
}

const kinds: Record<string, () => Promise<StorageOptions>> = {
  'in a directory': async () => ({ dir: await directory() }),
  'in memory': async () => ({ inMemory: true }),
  'on a simulated disk': async () => ({ disk: new FaultDisk(3) }),
};

describe.each(Object.entries(kinds))('storage %s', (_name, options) => {
  test('topics: create, describe, grow, alter, delete, create again', async () => {
    const storage = await Storage.open(await options());
    const changes: string[] = [];
    storage.onChange((topic) => changes.push(topic));
    const info = await storage.createTopic('orders', { partitions: 2, config: { 'retention.ms': '1000' } });
    expect(storage.describeTopic('orders')).toEqual(info);
    expect(storage.topicById(info.id)?.name).toBe('orders');
    await expect(storage.createTopic('orders', { partitions: 1 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const both = [storage.createTopic('twin', { partitions: 1 }), storage.createTopic('twin', { partitions: 1 })];
    expect((await Promise.allSettled(both)).map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await storage.append('orders', 1, [text('a'), text('b')])).toBe(0);
    expect(await storage.append('orders', 1, [text('c')])).toBe(2);
    expect(await values(storage, 'orders', 1)).toEqual(['a', 'b', 'c']);
    await storage.createPartitions('orders', 4);
    expect(await storage.append('orders', 3, [text('d')])).toBe(0);
    await expect(storage.createPartitions('orders', 4)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await storage.alterTopic('orders', { 'segment.bytes': '2000', 'retention.ms': null });
    expect(storage.describeTopic('orders')!.config).toEqual({ 'segment.bytes': '2000' });
    expect(storage.topicConfig('orders').find(({ row }) => row.name === 'segment.bytes')).toMatchObject({
      value: '2000',
      source: 'topic',
    });
    await expect(storage.alterTopic('orders', { nonsense: null })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await storage.deleteTopic('orders');
    expect(storage.describeTopic('orders')).toBeUndefined();
    expect(() => storage.bounds('orders', 1)).toThrow('there is no topic orders');
    await expect(storage.deleteTopic('orders')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const again = await storage.createTopic('orders', { partitions: 1 });
    expect(again.id).not.toBe(info.id);
    expect(await values(storage, 'orders')).toEqual([]);
    expect(new Set(changes)).toEqual(new Set(['orders', 'twin']));
    await storage.close();
    await storage.close();
    await expect(storage.append('orders', 0, [text('late')])).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  test('bad requests are refused', async () => {
    const storage = await Storage.open(await options());
    for (const name of ['', '.', '..', 'a b', 'a/b', 'é', 'x'.repeat(250)]) {
      await expect(storage.createTopic(name, { partitions: 1 })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    }
    await storage.createTopic('x'.repeat(249), { partitions: 1 });
    await storage.append('x'.repeat(249), 0, [text('fits')]);
    for (const partitions of [0, -1, 1.5, 10_001]) {
      await expect(storage.createTopic('t', { partitions })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    }
    await storage.createTopic('small', { partitions: 1, config: { 'max.message.bytes': '200' } });
    await expect(storage.append('small', 0, [text('y'.repeat(300))])).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(
      await storage.append(
        'small',
        0,
        Array.from({ length: 20 }, (_, at) => text(`${at}`)),
      ),
    ).toBe(0);
    expect(await values(storage, 'small')).toHaveLength(20);
    await expect(storage.append('small', 1, [text('')])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(storage.append('small', 0, [])).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await storage.close();
  });

  test('by time: the first record at or after a timestamp, and the largest', async () => {
    const storage = await Storage.open(await options());
    await storage.createTopic('t', { partitions: 1, config: { 'segment.bytes': '1024' } });
    const times = Array.from({ length: 300 }, (_, at) => 1000 + 10 * at + (at % 7 === 0 ? 95 : 0));
    for (let from = 0; from < times.length; from += 3) {
      const records = times.slice(from, from + 3).map((timestampMs) => ({ ...text('v'), timestampMs }));
      const codec = from % 2 === 0 ? 'gzip' : 'none';
      const log = storage.partition('t', 0)!;
      const { lastOffset } = log.append(encodeBatch(records, { codec }));
      await log.durable(lastOffset);
    }
    const log = storage.partition('t', 0)!;
    expect(log.segmentCount).toBeGreaterThan(5);
    for (let time = 900; time < 4100; time += 7) {
      const offset = times.findIndex((known) => known >= time);
      const expected = offset < 0 ? undefined : { offset, timestampMs: times[offset], leaderEpoch: 0 };
      expect(await log.offsetForTimestamp(time)).toEqual(expected);
    }
    const largest = Math.max(...times);
    expect(await log.maxTimestamp()).toMatchObject({ offset: times.indexOf(largest), timestampMs: largest });
    await log.deleteRecordsBefore(200);
    expect(await log.offsetForTimestamp(0)).toMatchObject({ offset: 200 });
    await log.deleteRecordsBefore(-1);
    expect(await log.maxTimestamp()).toBeUndefined();
    await storage.close();
  });
});

describe('a data directory', () => {
  test('keeps cluster id, topics and records over clean and unclean restarts', async () => {
    const dir = await directory();
    let storage = await Storage.open({ dir });
    const { clusterId } = storage;
    expect(clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const info = await storage.createTopic('t', { partitions: 3, config: { 'segment.bytes': '1024' } });
    const expected: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 15; at++) {
        await storage.append('t', 1, [text(`round ${round}, record ${at}, ${'.'.repeat(80)}`)]);
        expected.push(`round ${round}, record ${at}, ${'.'.repeat(80)}`);
      }
      await storage.close();
      expect(await readdir(dir)).toContain('clean-shutdown');
      storage = await Storage.open({ dir });
      expect(storage.partition('t', 1)!.leaderEpoch).toBe(0);
      expect(storage.clusterId).toBe(clusterId);
      expect(storage.describeTopic('t')).toEqual(info);
      expect(await values(storage, 't', 1)).toEqual(expected);
    }
    await storage.close();
    await rm(join(dir, 'clean-shutdown'));
    storage = await Storage.open({ dir });
    expect(storage.partition('t', 1)!.leaderEpoch).toBe(1);
    expect(await values(storage, 't', 1)).toEqual(expected);
    await storage.close();
  });

  test('a damaged metadata file is named, a missing one beside topics too', async () => {
    const dir = await directory();
    const storage = await Storage.open({ dir });
    await storage.createTopic('t', { partitions: 1 });
    await storage.append('t', 0, [text('v')]);
    await storage.close();
    const path = join(dir, 'metadata');
    const content = await readFile(path, 'utf8');
    await writeFile(path, content.replace('"partitions": 1', '"partitions": 2'));
    await expect(Storage.open({ dir })).rejects.toThrow('metadata is damaged');
    await rm(path);
    await expect(Storage.open({ dir })).rejects.toThrow('metadata file is missing');
    await writeFile(path, content);
    await (await Storage.open({ dir })).close();
  });

  test('a topic is deleted while its commits wait for the write-ahead log, and the others go on', async () => {
    const disk = new NodeDisk(await directory());
    const { openDurable } = disk;
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    disk.openDurable = async (path) => {
      const file = await openDurable.call(disk, path);
      const overwrite = file.overwrite.bind(file);
      return { close: () => file.close(), overwrite: (buffers, at) => held.then(() => overwrite(buffers, at)) };
    };
    const storage = await Storage.open({ disk });
    await storage.createTopic('gone', { partitions: 1 });
    await storage.createTopic('stays', { partitions: 1 });
    const log = storage.partition('gone', 0)!;
    for (const value of ['a', 'b', 'c']) {
      const { lastOffset } = log.append(encodeBatch([text(value)]));
      log.durable(lastOffset).catch(() => {});
      await log.written(lastOffset);
    }
    await storage.deleteTopic('gone');
    release();
    expect(await storage.append('stays', 0, [text('d')])).toBe(0);
    await storage.flush();
    expect(await storage.append('stays', 0, [text('e')])).toBe(1);
    expect(await values(storage, 'stays')).toEqual(['d', 'e']);
    await storage.close();
  });

  test('a deletion that a crash interrupted is finished at the next start', async () => {
    const disk = new FaultDisk(8);
    const storage = await Storage.open({ disk });
    await storage.createTopic('gone', { partitions: 1 });
    await storage.append('gone', 0, [text('v')]);
    const { remove } = disk;
    disk.remove = () => Promise.reject(new Error('interrupted'));
    await expect(storage.deleteTopic('gone')).rejects.toThrow();
    disk.remove = remove;
    const after = disk.crash();
    expect(await after.list('topics')).toHaveLength(1);
    const again = await Storage.open({ disk: after });
    expect(again.listTopics()).toEqual([]);
    expect(await after.list('topics')).toEqual([]);
  });

  test('is held by one live process; the lock of a dead one is taken over', async () => {
    const dir = await directory();
    const storage = await Storage.open({ dir });
    await expect(Storage.open({ dir })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await expect(Storage.open({ dir })).rejects.toThrow(String(process.pid));
    await storage.close();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const stat = (await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => '')).split(') ')[1];
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
    const identity = stat ? `${boot}/${stat.split(' ')[19]}` : '';
    await writeFile(join(dir, 'lock'), JSON.stringify({ pid: child.pid, identity }));
    expect(() => DataDirLock.acquire(dir)).toThrow(`process ${child.pid}`);
    if (stat) {
      // The same process id, but started at another time: another process.
      await writeFile(join(dir, 'lock'), JSON.stringify({ pid: child.pid, identity: `${boot}/1` }));
      DataDirLock.acquire(dir).release();
      await writeFile(join(dir, 'lock'), JSON.stringify({ pid: child.pid, identity }));
    }
    child.kill('SIGKILL');
    await ended;
    const lock = DataDirLock.acquire(dir);
    lock.release();
    await writeFile(join(dir, 'lock'), '');
    DataDirLock.acquire(dir).release();
    expect(await readdir(dir)).not.toContain('lock');
  });

  test.skipIf(process.platform !== 'linux')(
    'is not held by a process that has ended and that nobody has asked about',
    async () => {
      const dir = await directory();
      // The shell becomes a program that never asks for its child.
      const parent = spawn('sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 30'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (line) => resolve(Number(line))));
      const fields = async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ');
      const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
      await writeFile(join(dir, 'lock'), JSON.stringify({ pid, identity: `${boot}/${(await fields())[19]}` }));
      while ((await fields())[0] !== 'Z') await new Promise((resolve) => setTimeout(resolve, 10));
      DataDirLock.acquire(dir).release();
      parent.kill('SIGKILL');
    },
  );
});

test('topic settings: each default is valid, and what has no effect is refused', () => {
  for (const row of TOPIC_CONFIG) {
    expect(row.valid(row.default), row.name).toBe(true);
    expect(() => checkTopicConfig({ [row.name]: 'nonsense' })).toThrow(row.name);
  }
  const refused: Record<string, string>[] = [
    { 'cleanup.policy': 'shrink' },
    { 'min.insync.replicas': '2' },
    { 'compression.type': 'brotli' },
    { 'segment.bytes': '10' },
    { 'segment.bytes': '1e9' },
    { 'flush.ms': '5' },
    { 'unheard.of': '1' },
  ];
  for (const bad of refused) {
    expect(() => checkTopicConfig(bad)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  }
  checkTopicConfig({ 'flush.ms': '5', 'streamline.fsync': 'interval' });
});

test('interval and os: written is enough, and flush syncs all the same', async () => {
  const disk = new FaultDisk(4);
  const storage = await Storage.open({ disk, topicDefaults: { 'streamline.fsync': 'os' } });
  await storage.createTopic('t', { partitions: 1 });
  await storage.createTopic('timed', { partitions: 1, config: { 'streamline.fsync': 'interval', 'flush.ms': '20' } });
  await storage.append('t', 0, [text('kept')]);
  await storage.flush();
  let syncs = 0;
  disk.fault = (operation, path) => {
    if (operation === 'sync' && path.includes('timed')) syncs++;
    return undefined;
  };
  await storage.append('timed', 0, [text('v')]);
  const before = syncs;
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(syncs).toBeGreaterThan(before);
  for (let round = 0; round < 20; round++) await storage.append('t', 0, [text('perhaps')]);
  const again = await Storage.open({ disk: disk.crash() });
  expect((await values(again, 't')).slice(0, 1)).toEqual(['kept']);
  expect(await values(again, 'timed')).toEqual(['v']);
});
