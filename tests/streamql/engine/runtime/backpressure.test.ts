import { afterEach, expect, test } from 'vitest';
import { StreamError } from '../../../../src/lib/errors.ts';
import type { StreamEngine, ViewChange } from '../../../../src/ports/engine.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { BIGINT } from '../../../../src/values/types.ts';
import { localLogReader } from '../../../../streamql/engine/runtime/log-reader.ts';
import { PartitionFeed } from '../../../../streamql/engine/runtime/partition-feed.ts';
import { serveEngine } from '../../../../streamql/engine/worker/engine-service.ts';
import { Rpc } from '../../../../streamql/engine/worker/rpc.ts';
import {
  FakeLog,
  ORDERS,
  openEngine,
  RecordingTarget,
  recordingSink,
  rowsIn,
  scan,
  sink,
  source,
  view,
} from './support.ts';

/** Every queue from the log to a subscriber has a bound, and something happens there. */

const engines: StreamEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

const turns = async (count = 20): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

async function withRecords(batches: number): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 1 });
  for (let id = 0; id < batches; id++) await log.produce('orders', 0, [{ id, grp: 'g', n: id }]);
  return log;
}

test('a partition is read two chunks ahead, and no further before one is taken', async () => {
  const log = await withRecords(50);
  const feed = new PartitionFeed(
    localLogReader(log),
    { topic: 'orders', partition: 0, offset: 0, chunkBytes: 1 },
    () => undefined,
    (error) => {
      throw error;
    },
  );
  feed.advance(50);
  await turns();
  expect(log.reads).toBe(2);
  feed.take();
  await turns();
  expect(log.reads).toBe(3);
  feed.stop();
});

test('an engine that runs no epochs reads no further', async () => {
  const log = await withRecords(50);
  const engine = await openEngine(log, { settings: { chunkBytes: 1 } });
  engines.push(engine);
  await engine.add(source('orders'));
  await engine.add(view('rows', scan('orders', [0], ORDERS)));
  await turns();
  // Two ahead for the source, two for the view that catches up.
  expect(log.reads).toBeLessThanOrEqual(4);
  await engine.resume();
  await engine.flush();
  expect((await rowsIn(engine, 'rows', 1)).length).toBe(50);
});

test('a subscriber beyond the worker is a thousand changes behind at most', async () => {
  const sent: { method: string; args: unknown[] }[] = [];
  const port = {
    postMessage: (message: unknown) => void sent.push(message as { method: string; args: unknown[] }),
    on: () => undefined,
  };
  let onChange: (change: ViewChange) => void = () => undefined;
  let closed = 0;
  const engine = {
    subscribe: async (_id: string, _options: unknown, listener: (change: ViewChange) => void) => {
      onChange = listener;
      return { id: 1, close: () => void closed++ };
    },
  } as unknown as StreamEngine;
  const handlers = serveEngine(engine, new Rpc(port, {}));
  await handlers['subscribe'](7, 'v', { snapshot: false });
  const change = (): ViewChange => ({ epoch: 1, snapshot: false, batch: batchOfRows([BIGINT], [[1]]) });
  for (let i = 0; i < 1500; i++) {
    onChange(change());
    handlers['taken'](7, 1);
  }
  expect(sent.length).toBe(1500);
  for (let i = 0; i < 1500; i++) onChange(change());
  expect(sent.length).toBe(2501);
  expect(sent.at(-1)!.args[1]).toMatchObject({ error: { code: 'OVERLOADED' } });
  expect(closed).toBe(1);
});

test.each([1, 2])(
  'a sink that takes no rows is read for no further, and nothing else waits, with %i shards',
  async (shards) => {
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 2 });
    let next = 0;
    const produce = (count: number) =>
      log.produce(
        'orders',
        next % 2,
        Array.from({ length: count }, () => ({ id: next++, grp: 'g', n: 0 })),
      );
    const target = new RecordingTarget();
    let isThere = false;
    target.at = (step) => {
      if (step === 'prepare' && !isThere) throw new StreamError('SINK_UNAVAILABLE', 'no route');
    };
    const settings = { sinkBufferRows: 10, batchRecords: 3, sliceMs: 0, checkpointIntervalMs: 5 };
    const disk = new MemoryDisk();
    const open = async () => {
      const engine = await openEngine(log, { sinks: [recordingSink(target)], settings, shards, disk });
      await engine.add(source('orders'));
      await engine.add(view('rows', scan('orders', [0], ORDERS)));
      await engine.add(sink('out', scan('orders', [0], ORDERS)));
      await engine.resume();
      return engine;
    };
    const sinkOf = async (engine: StreamEngine) => (await engine.stats()).objects.find(({ id }) => id === 'out')!;
    const seen = async (engine: StreamEngine) => (await rowsIn(engine, 'rows', 1)).length;
    let engine = await open();
    await produce(5);
    await expect.poll(() => seen(engine)).toBe(5);
    // It has followed along, and falls behind.
    for (const count of [60, 61]) {
      await produce(count);
      await expect.poll(() => seen(engine)).toBe(next);
      const { state, waitingRows, recordsBehind } = await sinkOf(engine);
      expect(state).toBe('running');
      // An epoch of each shard may come on top.
      expect(waitingRows).toBeGreaterThanOrEqual(10);
      expect(waitingRows! + recordsBehind!).toBe(next);
      expect(recordsBehind).toBeGreaterThan(30);
    }
    await engine.checkpoint();
    await engine.close();
    engine = await open();
    engines.push(engine);
    await produce(40);
    await expect.poll(() => seen(engine)).toBe(next);
    expect((await sinkOf(engine)).waitingRows).toBeLessThan(60);
    isThere = true;
    await engine.flush();
    expect(target.rows.map(([id]) => Number(id)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: next }, (_, id) => id),
    );
    expect((await sinkOf(engine)).recordsBehind).toBeUndefined();
  },
);

test.each([
  [false, 1],
  [true, 10],
])('while a read waits (%s) an epoch takes in no more than it has begun', async (waits, epochs) => {
  const log = await withRecords(100);
  const settings = { batchRecords: 10, sliceMs: 60_000 };
  const engine = await openEngine(log, { settings, shards: 1, readsWait: () => waits });
  engines.push(engine);
  await engine.add(source('orders'));
  await engine.add(view('rows', scan('orders', [0], ORDERS)));
  await engine.resume();
  await engine.flush();
  const before = (await engine.stats()).epoch;
  await log.produce(
    'orders',
    0,
    Array.from({ length: 100 }, (_, id) => ({ id, grp: 'g', n: id })),
  );
  await engine.flush();
  expect((await rowsIn(engine, 'rows', 1)).length).toBe(200);
  // FLUSH may be an epoch of its own.
  const taken = (await engine.stats()).epoch - before;
  expect(taken).toBeGreaterThanOrEqual(epochs);
  expect(taken).toBeLessThanOrEqual(epochs + 2);
});
