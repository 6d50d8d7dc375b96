import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type BatchHeader, readBatchHeader } from '../../src/protocol/records.ts';
import { LogShared } from '../../src/storage/log-shared.ts';
import { PartitionLog } from '../../src/storage/partition-log.ts';
import { topicSettings } from '../../src/storage/topic-config.ts';
import { splitBatches, testBatch } from '../storage/batches.ts';
import { FaultDisk, seededRandom } from '../support/fault-disk.ts';

const RUNS = Number(process.env.STORAGE_CRASH_RUNS ?? 150);
const FIRST_SEED = Number(process.env.STORAGE_CRASH_SEED ?? 1);

/** What one partition promised so far: base offset → the batch's id, kept in its timestamp. */
interface Promises {
  /** `durable` resolved. */
  readonly acknowledged: Map<number, number>;
  /** A reader saw it. */
  readonly seen: Map<number, number>;
  /** Everything ever appended: id → record count. */
  readonly appended: Map<number, number>;
  logStart: number;
  sequence: number;
}

interface Opening {
  readonly leaderEpoch: number;
  readonly clean: boolean;
  readonly fsync: 'always' | 'os';
}

function open(shared: LogShared, partition: number, { leaderEpoch, clean, fsync }: Opening): Promise<PartitionLog> {
  return PartitionLog.open(shared, {
    directory: `topics/t/${partition}`,
    topic: 't',
    topicId: '0b5f3c1e-1111-4222-8333-0123456789ab',
    partition,
    settings: topicSettings({
      'segment.bytes': '2048',
      'message.timestamp.after.max.ms': '9007199254740991',
      'streamline.fsync': fsync,
    }),
    leaderEpoch,
    clean,
  });
}

async function read(log: PartitionLog, from: number, maxBytes: number): Promise<Map<number, number>> {
  const data = await log.read(from, maxBytes);
  const found = new Map<number, number>();
  let at = 0;
  for (const batch of splitBatches(data)) {
    found.set(batch.baseOffset, Number(data.readBigInt64BE(at + 27)));
    at += data.readInt32BE(at + 8) + 12;
  }
  return found;
}

/** Every promise holds, offsets have no gap, and nothing is there that was not appended. */
async function check(log: PartitionLog, promises: Promises): Promise<void> {
  const found = new Map<number, number>();
  let next = log.logStart;
  while (next < log.highWatermark) {
    const part = await read(log, next, 700);
    expect(part.size).toBeGreaterThan(0);
    for (const [offset, id] of part) {
      expect(offset).toBeLessThanOrEqual(next);
      found.set(offset, id);
      const count = promises.appended.get(id);
      expect(count, `id ${id} at ${offset} was appended`).toBeDefined();
      next = offset + count!;
    }
  }
  expect(new Set(found.values()).size).toBe(found.size);
  expect(log.logStart).toBeGreaterThanOrEqual(promises.logStart);
  for (const kept of [promises.acknowledged, promises.seen]) {
    for (const [offset, id] of kept) {
      if (offset >= log.logStart) expect(found.get(offset), `offset ${offset}`).toBe(id);
    }
  }
}

/** The log says about each producer exactly what its batches say: else a retry would be lost as a duplicate, or stored twice. */
async function checkProducers(log: PartitionLog): Promise<void> {
  for (const [producerId, { epoch, batches }] of log.producers()) {
    for (const [at, batch] of batches.entries()) {
      if (at > 0) expect(batch.baseOffset).toBeGreaterThan(batches[at - 1]!.lastOffset);
      if (batch.baseOffset < log.logStart) continue;
      const header = readBatchHeader(await log.read(batch.baseOffset, 1));
      expect(header).toMatchObject({ baseOffset: batch.baseOffset, lastOffset: batch.lastOffset });
      expect(header).toMatchObject({ producerId, producerEpoch: epoch, baseSequence: batch.firstSequence });
    }
  }
  let newest: BatchHeader | undefined;
  for (let next = log.logStart; next < log.highWatermark; ) {
    const header = readBatchHeader(await log.read(next, 1));
    if (header.producerId >= 0) newest = header;
    next = header.lastOffset + 1;
  }
  const known = [...log.producers()].find(([id]) => id === newest?.producerId)?.[1];
  if (newest) expect(known?.batches.at(-1)?.baseOffset).toBe(newest.baseOffset);
}

async function run(seed: number): Promise<{ acknowledged: number; crashes: number }> {
  const random = seededRandom(seed);
  const pick = (count: number) => Math.floor(random() * count);
  let disk = new FaultDisk(seed + 1_000_000);
  // Under `os` a crash may take back what was acknowledged; what is left must still be whole and in order.
  const fsync: Opening['fsync'] = random() < 0.8 ? 'always' : 'os';
  let nextId = 1;
  const promises = [0, 1].map(
    (): Promises => ({ acknowledged: new Map(), seen: new Map(), appended: new Map(), logStart: 0, sequence: 0 }),
  );
  const rounds = 2 + pick(4);
  let clean = false;
  for (let round = 0; round < rounds; round++) {
    const limits = { tailCacheBytes: pick(2) * 1500, pendingBytes: 1 << 20 };
    const shared = new LogShared(disk, systemClock, silentLog, limits, () => {});
    const opening = { leaderEpoch: round, clean, fsync };
    const logs: PartitionLog[] = [await open(shared, 0, opening), await open(shared, 1, opening)];
    for (const [partition, log] of logs.entries()) {
      await check(log, promises[partition]!);
      await checkProducers(log);
    }
    const waiting: Promise<unknown>[] = [];
    let over = false;
    const steps = pick(60);
    for (let step = 0; step < steps; step++) {
      const partition = pick(2);
      const [log, promised] = [logs[partition]!, promises[partition]!];
      const action = random();
      if (action < 0.6) {
        const id = nextId++;
        const count = 1 + pick(3);
        const idempotent = random() < 0.5;
        const batch = testBatch({
          count,
          valueBytes: random() < 0.1 ? 3000 : pick(400),
          timestampMs: id,
          ...(idempotent ? { producerId: 1, producerEpoch: round, baseSequence: promised.sequence } : {}),
        });
        const result = log.append(batch);
        if (result.error !== undefined) continue;
        expect(result.duplicate).toBeUndefined();
        promised.appended.set(id, count);
        if (idempotent) promised.sequence += count;
        const acknowledge = () => promised.acknowledged.set(result.baseOffset, id);
        const failed = () => {
          if (over) return;
          // A client would retry; here the producer begins again with what the log knows.
          const entry = [...log.producers()].find(([producer]) => producer === 1)?.[1];
          promised.sequence = entry?.epoch === round ? entry.batches.at(-1)!.lastSequence + 1 : 0;
        };
        waiting.push(log.durable(result.lastOffset).then(acknowledge, failed));
      } else if (action < 0.8) {
        if (log.highWatermark > log.logStart) {
          const from = log.logStart + pick(log.highWatermark - log.logStart);
          for (const [offset, id] of await read(log, from, pick(2000)).catch(() => new Map())) {
            promised.seen.set(offset, id);
          }
        }
      } else if (action < 0.83) {
        const to = log.logStart + pick(log.highWatermark - log.logStart + 1);
        await log.deleteRecordsBefore(to).then(
          (start) => {
            promised.logStart = start;
          },
          () => {},
        );
      } else if (action < 0.87) {
        disk.spaceBytes = random() < 0.5 ? disk.usedBytes + pick(800) : Number.POSITIVE_INFINITY;
      } else if (action < 0.875) {
        disk.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
      } else {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    clean = random() < 0.3;
    if (clean) clean = (await Promise.all(logs.map((log) => log.close()))).every(Boolean);
    else if (random() < 0.3) await Promise.all(waiting);
    over = true;
    disk = disk.crash();
    for (const promised of promises) {
      promised.sequence = 0;
      if (fsync === 'os' && !clean) {
        promised.acknowledged.clear();
        promised.seen.clear();
      }
    }
  }
  const shared = new LogShared(disk, systemClock, silentLog, { tailCacheBytes: 0, pendingBytes: 1 << 20 }, () => {});
  let acknowledged = 0;
  for (const partition of [0, 1]) {
    await check(await open(shared, partition, { leaderEpoch: rounds, clean, fsync }), promises[partition]!);
    acknowledged += promises[partition]!.acknowledged.size;
  }
  return { acknowledged, crashes: rounds };
}

test(`${RUNS} seeded histories of appends, reads, deletions, faults and crashes keep every promise`, async () => {
  let acknowledged = 0;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    try {
      acknowledged += (await run(seed)).acknowledged;
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`, { cause: error });
    }
  }
  expect(acknowledged).toBeGreaterThan(RUNS * 5);
});
