import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ERROR_CODES } from '../../src/protocol/error-codes.ts';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { readCommitted } from '../../src/storage/committed-read.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { LogShared } from '../../src/storage/log-shared.ts';
import { PartitionLog } from '../../src/storage/partition-log.ts';
import { topicSettings } from '../../src/storage/topic-config.ts';

const TOPIC_ID = '0b5f3c1e-1111-4222-8333-0123456789ab';

function open(disk: MemoryDisk, clean = false, leaderEpoch = 0): Promise<PartitionLog> {
  const limits = { tailCacheBytes: 0, pendingBytes: 1 << 20 };
  return PartitionLog.open(new LogShared(disk, systemClock, silentLog, limits, () => {}), {
    directory: 'topics/t/0',
    topic: 't',
    topicId: TOPIC_ID,
    partition: 0,
    settings: topicSettings({ 'segment.bytes': '1024' }),
    leaderEpoch,
    clean,
  });
}

class Producer {
  sequence = 0;
  epoch = 0;
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }

  write(log: PartitionLog, values: readonly string[], isTransactional = true): number {
    const batch = encodeBatch(
      values.map((value) => ({ key: null, value: Buffer.from(value) })),
      { producerId: this.id, producerEpoch: this.epoch, baseSequence: this.sequence, isTransactional },
    );
    this.sequence += values.length;
    const { error, baseOffset } = log.append(batch, { origin: 'transaction' });
    expect(error).toBeUndefined();
    return baseOffset;
  }

  end(log: PartitionLog, committed: boolean, bump = false): number {
    if (bump) {
      this.epoch++;
      this.sequence = 0;
    }
    const result = log.endTransaction({
      producerId: this.id,
      producerEpoch: this.epoch,
      committed,
      coordinatorEpoch: 0,
    });
    expect(result.error).toBeUndefined();
    return result.baseOffset;
  }
}

async function committedValues(log: PartitionLog, maxBytes = 300): Promise<string[]> {
  const values: string[] = [];
  for (let offset = log.logStart; offset < log.lastStableOffset; ) {
    const cursor = new RecordCursor(await readCommitted(log, offset, maxBytes));
    while (cursor.next()) values.push(`${cursor.offset}:${cursor.value()}`);
    expect(cursor.endOffset).toBeGreaterThan(offset);
    offset = cursor.endOffset;
  }
  return values;
}

describe('transactions in a partition', () => {
  test('an open transaction holds the last stable offset; its marker moves it', async () => {
    const log = await open(new MemoryDisk());
    const [a, b] = [new Producer(1), new Producer(2)];
    b.write(log, ['plain'], false);
    a.write(log, ['a1', 'a2']);
    b.write(log, ['b1']);
    await log.flush();
    expect([log.lastStableOffset, log.highWatermark]).toEqual([1, 4]);
    expect(log.openTransactions()).toEqual([
      { producerId: 1, firstOffset: 1 },
      { producerId: 2, firstOffset: 3 },
    ]);
    const marker = a.end(log, false);
    // Not durable yet: the transaction could come back open.
    expect(log.lastStableOffset).toBe(1);
    await log.flush();
    expect(log.lastStableOffset).toBe(3);
    b.end(log, true);
    await log.flush();
    expect(log.lastStableOffset).toBe(log.highWatermark);
    expect(log.abortedTransactions(0, 10)).toEqual([
      { producerId: 1, firstOffset: 1, lastOffset: marker, lastStableOffset: 3 },
    ]);
    expect(log.abortedTransactions(marker + 1, 10)).toEqual([]);
    expect(await committedValues(log)).toEqual(['0:plain', '3:b1']);
  });

  test('clients can write neither control batches nor transactional ones that no coordinator knows of', async () => {
    const log = await open(new MemoryDisk());
    const batch = (options: object) =>
      encodeBatch([{ key: null, value: Buffer.from('x') }], {
        producerId: 1,
        producerEpoch: 0,
        baseSequence: 0,
        ...options,
      });
    expect(log.append(batch({ isTransactional: true })).error).toBe(ERROR_CODES.INVALID_TXN_STATE);
    expect(log.append(batch({ isControl: true }), { origin: 'transaction' }).error).toBe(ERROR_CODES.INVALID_RECORD);
  });

  test('a marker with a higher epoch fences the older one and begins sequences anew', async () => {
    const log = await open(new MemoryDisk());
    const a = new Producer(1);
    a.write(log, ['x', 'y']);
    a.end(log, true, true);
    const late = encodeBatch([{ key: null, value: Buffer.from('late') }], {
      producerId: 1,
      producerEpoch: 0,
      baseSequence: 2,
      isTransactional: true,
    });
    expect(log.append(late, { origin: 'transaction' }).error).toBe(ERROR_CODES.INVALID_PRODUCER_EPOCH);
    a.sequence = 5;
    const gap = encodeBatch([{ key: null, value: null }], { producerId: 1, producerEpoch: 1, baseSequence: 5 });
    expect(log.append(gap).error).toBe(ERROR_CODES.OUT_OF_ORDER_SEQUENCE_NUMBER);
    a.sequence = 0;
    a.write(log, ['z']);
    const old = log.endTransaction({ producerId: 1, producerEpoch: 0, committed: true, coordinatorEpoch: 0 });
    expect(old.error).toBe(ERROR_CODES.INVALID_PRODUCER_EPOCH);
  });

  test('readers of committed records see exactly those, live, after a clean stop, after a crash and with damaged sidecars', async () => {
    const step = fc.record({
      producer: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom('write', 'write', 'write', 'plain', 'commit', 'abort', 'bump', 'reopen', 'crash', 'damage'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const disk = new MemoryDisk();
        let log = await open(disk);
        let epoch = 0;
        const producers = [new Producer(10), new Producer(11), new Producer(12)];
        const openings = new Map<number, { first: number; values: string[] }>();
        const expected: string[] = [];
        let count = 0;
        const check = async () => {
          await log.flush();
          const firsts = [...openings.values()].map(({ first }) => first);
          const stable = Math.min(log.highWatermark, ...firsts);
          expect(log.lastStableOffset).toBe(stable);
          const visible = expected.filter((value) => Number(value.split(':')[0]) < stable);
          expect((await committedValues(log)).sort()).toEqual(visible.sort());
        };
        for (const { producer, what } of steps) {
          const one = producers[producer]!;
          const values = [`v${count++}`, `v${count++} ${'pad'.repeat(20)}`];
          if (what === 'write' || what === 'plain') {
            if (what === 'plain' && openings.has(producer)) continue;
            const first = one.write(log, values, what === 'write');
            const placed = values.map((value, i) => `${first + i}:${value}`);
            if (what === 'plain') expected.push(...placed);
            else {
              const opening = openings.get(producer) ?? { first, values: [] };
              opening.values.push(...placed);
              openings.set(producer, opening);
            }
          } else if (what === 'commit' || what === 'abort' || what === 'bump') {
            one.end(log, what !== 'abort', what === 'bump');
            if (what !== 'abort') expected.push(...(openings.get(producer)?.values ?? []));
            openings.delete(producer);
          } else {
            await log.flush();
            if (what === 'reopen') expect(await log.close()).toBe(true);
            if (what === 'damage') {
              for (const name of await disk.list('topics/t/0')) {
                if (name.endsWith('.idx')) await disk.remove(`topics/t/0/${name}`);
              }
            }
            log = await open(disk, what === 'reopen', ++epoch);
            await check();
          }
        }
        await check();
      }),
      { numRuns: 100 },
    );
  });
});
