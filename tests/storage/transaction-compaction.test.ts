import { expect, test } from 'vitest';
import type { Clock } from '../../src/lib/clock.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { encodeBatch, RecordCursor, readBatchHeader } from '../../src/protocol/records.ts';
import { abortedIn, readCommitted } from '../../src/storage/committed-read.ts';
import { KeyRing } from '../../src/storage/encryption.ts';
import type { PartitionLog } from '../../src/storage/partition-log.ts';
import { Storage } from '../../src/storage/storage.ts';
import { FaultDisk, seededRandom } from '../support/fault-disk.ts';

const TIMERS = { retentionCheckMs: 1e9, compactionCheckMs: 1e9, tailCacheBytes: 0 };
const CONFIG = { 'cleanup.policy': 'compact', 'segment.bytes': '1024', 'min.cleanable.dirty.ratio': '0' };
const HOUR_MS = 3_600_000;
const KEYS = KeyRing.parse(`1 ${Buffer.alloc(32, 7).toString('base64')}`, 'keys');
const ENCRYPTED = { 'streamline.encryption': 'aes-256-gcm' };

class World {
  now = Date.now();
  disk: FaultDisk;
  storage!: Storage;
  readonly clock: Clock = { ...systemClock, nowMs: () => this.now };

  constructor(random: () => number) {
    this.disk = new FaultDisk(random);
  }

  get log(): PartitionLog {
    return this.storage.partition('t', 0)!;
  }

  async start(config: Record<string, string>): Promise<void> {
    this.storage = await Storage.open({
      disk: this.disk,
      clock: this.clock,
      ...TIMERS,
      walFileBytes: 3000,
      keys: KEYS,
    });
    if (this.storage.describeTopic('t') === undefined)
      await this.storage.createTopic('t', { partitions: 1, config: { ...CONFIG, ...config } });
  }

  /** Sidecars are what may be missing: then the files alone must say the same. */
  async loseSidecars(share: number): Promise<void> {
    const [topic] = await this.disk.list('topics');
    const folder = `topics/${topic}/0`;
    const names = (await this.disk.list(folder)).filter((name) => !name.endsWith('.strm') && name !== 'cleaner').sort();
    // From some offset on: a start goes on from what the last one that is left says.
    for (const name of names.slice(Math.floor(names.length * (1 - share)))) {
      await this.disk.remove(`${folder}/${name}`);
    }
  }
}

interface Entry {
  readonly key: string;
  readonly value: string | null;
  readonly transaction: Transaction | undefined;
}

interface Transaction {
  outcome: 'open' | 'committed' | 'aborted';
}

/** A client that reads committed records as Kafka's clients do: the broker names the aborted transactions, the markers in the log end them. */
class Reader {
  offset = 0;
  readonly #aborted = new Set<number>();
  readonly seen: { offset: number; key: string; value: string | null }[] = [];

  async read(log: PartitionLog, maxBytes: number): Promise<boolean> {
    if (this.offset >= log.lastStableOffset) return false;
    const data = await log.read(this.offset, maxBytes, { maxOffset: log.lastStableOffset });
    const named = [...abortedIn(log, this.offset, data)].sort((a, b) => a.firstOffset - b.firstOffset);
    for (let at = 0; at < data.length; ) {
      const header = readBatchHeader(data, at);
      while (named.length > 0 && named[0]!.firstOffset <= header.lastOffset)
        this.#aborted.add(named.shift()!.producerId);
      if (header.isControl) this.#aborted.delete(header.producerId);
      else if (!header.isTransactional || !this.#aborted.has(header.producerId)) {
        const cursor = new RecordCursor(data.subarray(at, at + header.sizeBytes));
        while (cursor.next()) {
          if (cursor.offset < this.offset) continue;
          const value = cursor.value();
          this.seen.push({ offset: cursor.offset, key: String(cursor.key()), value: value && String(value) });
        }
      }
      this.offset = Math.max(this.offset, header.lastOffset + 1);
      at += header.sizeBytes;
    }
    return data.length > 0;
  }
}

async function committed(log: PartitionLog): Promise<{ offset: number; key: string; value: string | null }[]> {
  const seen = [];
  for (let offset = log.logStart; offset < log.lastStableOffset; ) {
    const cursor = new RecordCursor(await readCommitted(log, offset, 700));
    while (cursor.next()) {
      const value = cursor.value();
      seen.push({ offset: cursor.offset, key: String(cursor.key()), value: value && String(value) });
    }
    expect(cursor.endOffset).toBeGreaterThan(offset);
    offset = cursor.endOffset;
  }
  return seen;
}

async function batches(log: PartitionLog) {
  const found = [];
  for (let offset = log.logStart; offset < log.highWatermark; ) {
    const data = await log.read(offset, 1);
    const header = readBatchHeader(data);
    found.push(header);
    offset = header.lastOffset + 1;
  }
  return found;
}

const record = (key: string, value: string | null) => ({
  key: Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
});

async function history(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const world = new World(random);
  const retentionMs = pick(2) * HOUR_MS;
  const config = { 'delete.retention.ms': String(retentionMs), ...(pick(3) === 0 ? ENCRYPTED : {}) };
  await world.start(config);
  const entries = new Map<number, Entry>();
  const producers = [1, 2, 3, 4].map((id) => ({ id, sequence: 0, transaction: undefined as Transaction | undefined }));
  /** They read a little at a time, and have whatever was compacted meanwhile behind or before them. */
  const readers: { reader: Reader; sinceMs: number }[] = [];
  const endAll = (): void => {
    for (const producer of producers) if (producer.transaction !== undefined) end(producer, pick(2) === 0);
  };
  const end = (producer: (typeof producers)[number], commits: boolean): void => {
    const { id, transaction } = producer;
    expect(
      world.log.endTransaction({ producerId: id, producerEpoch: 0, committed: commits, coordinatorEpoch: 0 }).error,
    ).toBeUndefined();
    transaction!.outcome = commits ? 'committed' : 'aborted';
    producer.transaction = undefined;
  };
  const write = (): void => {
    const producer = producers[pick(producers.length)]!;
    // The last one writes without transactions.
    const isTransactional = producer.id < 4;
    if (isTransactional) producer.transaction ??= { outcome: 'open' };
    const rows = Array.from({ length: 1 + pick(3) }, () => ({
      key: `k${pick(5)}`,
      value: random() < 0.15 ? null : `${seed}-${entries.size}-${random()}`,
    }));
    const batch = encodeBatch(
      rows.map(({ key, value }) => record(key, value)),
      {
        producerId: producer.id,
        producerEpoch: 0,
        baseSequence: producer.sequence,
        isTransactional,
        codec: pick(2) ? 'none' : 'lz4',
      },
    );
    const { error, baseOffset } = world.log.append(batch, { origin: 'transaction' });
    expect([seed, error]).toEqual([seed, undefined]);
    producer.sequence += rows.length;
    rows.forEach((row, i) => {
      entries.set(baseOffset + i, { ...row, transaction: producer.transaction });
    });
  };
  const check = async (): Promise<void> => {
    await world.log.flush();
    const stable = world.log.lastStableOffset;
    const counts = [...entries].filter(
      ([offset, { transaction }]) => offset < stable && (transaction?.outcome ?? 'committed') === 'committed',
    );
    const newest = new Map(counts.map(([offset, { key, value }]) => [key, { offset, value }]));
    const seen = await committed(world.log);
    for (const { offset, key, value } of seen) {
      const entry = entries.get(offset);
      expect([seed, entry?.key, entry?.value]).toEqual([seed, key, value]);
      expect([seed, offset, entry?.transaction?.outcome ?? 'committed']).toEqual([seed, offset, 'committed']);
    }
    const client = new Reader();
    client.offset = world.log.logStart;
    while (await client.read(world.log, 400));
    expect([seed, client.seen]).toEqual([seed, seen]);
    const last = new Map(seen.map(({ offset, key, value }) => [key, { offset, value }]));
    for (const [key, expected] of newest) {
      const found = last.get(key);
      // A tombstone may be gone; then nothing of the key is left.
      if (found === undefined) expect([seed, key, expected.value]).toEqual([seed, key, null]);
      else expect([seed, key, found]).toEqual([seed, key, expected]);
    }
    const open = producers.filter(({ transaction }) => transaction !== undefined);
    if (open.length === 0) expect([seed, stable]).toEqual([seed, world.log.highWatermark]);
  };
  for (let step = 0; step < 200; step++) {
    const what = random();
    if (what < 0.5) {
      write();
      // So that segments are cut where they are full.
      await world.log.flush();
    } else if (what < 0.68) {
      const open = producers.filter(({ transaction }) => transaction !== undefined);
      if (open.length > 0) end(open[pick(open.length)]!, random() < 0.5);
    } else if (what < 0.79) {
      await world.log.flush();
      await world.log.compact();
    } else if (what < 0.83) world.now += pick(3) * HOUR_MS;
    else if (what < 0.9) {
      if (readers.length === 0 || pick(4) === 0) readers.push({ reader: new Reader(), sinceMs: world.now });
      for (const { reader } of readers) await reader.read(world.log, 200);
    } else if (what < 0.96) {
      await world.log.flush();
      if (pick(2)) await world.storage.close();
      else world.disk = world.disk.crash();
      await world.loseSidecars(random());
      await world.start(config);
      expect([seed, world.log.offline]).toEqual([seed, undefined]);
    } else await check();
  }
  endAll();
  await check();
  // Who has read on all the time saw nothing that does not count, whatever went meanwhile; it may lag by the time that markers are kept.
  for (const { reader, sinceMs } of readers) {
    while (await reader.read(world.log, 200));
    if (world.now - sinceMs > retentionMs) continue;
    for (const { offset, key, value } of reader.seen) {
      const entry = entries.get(offset)!;
      expect([seed, entry.key, entry.value, entry.transaction?.outcome ?? 'committed']).toEqual([
        seed,
        key,
        value,
        'committed',
      ]);
    }
  }
  // Sequences go on, over whatever was cleaned.
  await world.log.compact();
  await world.log.flush();
  await world.storage.close();
  await world.loseSidecars(1);
  await world.start(config);
  for (const { id, sequence } of producers) {
    if (sequence === 0) continue;
    const next = (baseSequence: number) =>
      world.log.append(
        encodeBatch([record('z', 'z')], { producerId: id, producerEpoch: 0, baseSequence, isTransactional: id < 4 }),
        {
          origin: 'transaction',
        },
      );
    expect([seed, next(sequence + 7).error]).toEqual([seed, E.OUT_OF_ORDER_SEQUENCE_NUMBER]);
    expect([seed, next(sequence).error]).toEqual([seed, undefined]);
  }
  await world.storage.close();
}

test('whatever is written in transactions, compacted, restarted and read: what counts stays, what was aborted is never seen', {
  timeout: 120_000,
}, async () => {
  for (let seed = 1; seed <= Number(process.env.STREAMLINE_COMPACTION_SEEDS ?? 10); seed++) await history(seed);
});

test.each([{}, ENCRYPTED])(
  'aborted records go at once; their marker once its time has come, and what was superseded in transactions goes too %o',
  async (config) => {
    const world = new World(seededRandom(3));
    await world.start({ 'delete.retention.ms': String(HOUR_MS), ...config });
    const { log } = world;
    let sequence = 0;
    const transaction = (value: string, isCommitted: boolean): void => {
      for (const key of ['a', 'b'])
        log.append(
          encodeBatch([record(key, value)], {
            producerId: 1,
            producerEpoch: 0,
            baseSequence: sequence++,
            isTransactional: true,
          }),
          { origin: 'transaction' },
        );
      log.endTransaction({ producerId: 1, producerEpoch: 0, committed: isCommitted, coordinatorEpoch: 0 });
    };
    for (let i = 0; i < 20; i++) transaction(`aborted${i}`, false);
    for (let i = 0; i < 20; i++) transaction(`committed${i}`, true);
    for (let i = 0; i < 30; i++) await world.storage.append('t', 0, [record(`fill${i}`, '.'.repeat(60))]);
    await log.flush();
    await log.compact();
    const kinds = async () => {
      const all = (await batches(log)).filter(({ producerId }) => producerId === 1);
      const count = (isControl: boolean, filled: boolean): number =>
        all.filter((batch) => batch.isControl === isControl && batch.recordCount > 0 === filled).length;
      return { data: count(false, true), empty: count(false, false), markers: count(true, true) };
    };
    const first = await kinds();
    // The newest of each key; empty ones where a segment ends.
    expect(first.data).toBe(2);
    expect(first.markers).toBe(40);
    expect(log.hasAborted).toBe(true);
    world.now += HOUR_MS / 2;
    await log.compact();
    expect((await kinds()).markers).toBe(40);
    world.now += HOUR_MS;
    await log.compact();
    const last = await kinds();
    expect(last.data).toBe(2);
    expect(last.markers).toBeLessThan(10);
    expect((await committed(log)).filter(({ key }) => key.length === 1)).toMatchObject([
      { key: 'a', value: 'committed19' },
      { key: 'b', value: 'committed19' },
    ]);
    // Time alone has no more to do.
    world.now += 3 * HOUR_MS;
    await log.compact();
    expect((await kinds()).data).toBe(2);
    await world.storage.close();
  },
);

test('once a marker is gone no sidecar says any more that its transaction is open', async () => {
  // Every one of them may be the last that a start finds.
  for (let share = 0; share <= 1; share += 0.125) {
    const world = new World(seededRandom(5));
    await world.start({ 'delete.retention.ms': '0' });
    const append = async (key: string, sequence = -1): Promise<void> => {
      const who =
        sequence < 0 ? {} : { producerId: 9, producerEpoch: 0, baseSequence: sequence, isTransactional: true };
      world.log.append(encodeBatch([record(key, '.'.repeat(300))], who), { origin: 'transaction' });
      await world.log.flush();
    };
    for (let i = 0; i < 8; i++) await append(`before${i}`);
    for (let i = 0; i < 8; i++) {
      await append('aborted', i);
      await append(`among${i}`);
    }
    world.log.endTransaction({ producerId: 9, producerEpoch: 0, committed: false, coordinatorEpoch: 0 });
    for (let i = 0; i < 16; i++) await append(`after${i}`);
    // Its producer is forgotten, so nothing of it has to stay.
    world.now += 48 * HOUR_MS;
    await world.log.applyRetention();
    for (let pass = 0; pass < 4; pass++, world.now += 1) await world.log.compact();
    expect((await batches(world.log)).filter(({ isControl }) => isControl).length).toBeLessThanOrEqual(1);
    world.disk = world.disk.crash();
    await world.loseSidecars(share);
    await world.start({});
    expect([share, world.log.lastStableOffset]).toEqual([share, world.log.highWatermark]);
  }
});
