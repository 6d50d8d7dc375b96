import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StreamError } from '../../../../src/lib/errors.ts';
import { type Log, silentLog } from '../../../../src/lib/log.ts';
import type { EngineObject, StreamEngine } from '../../../../src/ports/engine.ts';
import { crc32c } from '../../../../src/protocol/crc32c.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import type { Datum } from '../../../../src/values/types.ts';
import { CheckpointStore, isPlacedFor } from '../../../../streamql/engine/runtime/checkpoint-store.ts';
import { fingerprintOf } from '../../../../streamql/engine/runtime/restore.ts';
import { FaultDisk } from '../../../support/fault-disk.ts';
import {
  countAndSum,
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

const order = (id: number) => ({ id, grp: `g${id % 5}`, n: id });
const rows = scan('orders', [0, 2], ORDERS);
const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);

const OBJECTS: readonly EngineObject[] = [
  source('orders'),
  source('product', { primaryKey: [0] }),
  view('totals', totals, [0]),
  view('again', countAndSum(scan('totals', [1, 2], totals.schema, 'upsert'), 0, 1), [0]),
  view('groups', countAndSum(scan('product', [1, 2], ORDERS, 'upsert'), 0, 1), [0]),
  sink('out', rows),
];

async function topics(): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 2 });
  await log.createTopic('product', { partitions: 1 });
  return log;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function resumed(
  log: FakeLog,
  disk: FaultDisk | MemoryDisk | null,
  target: RecordingTarget,
  objects: readonly EngineObject[] = OBJECTS,
): Promise<StreamEngine> {
  const settings = { batchRecords: 5, chunkBytes: 400, epochIntervalMs: 0, checkpointIntervalMs: 3, sliceMs: 0.2 };
  const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings });
  for (const object of objects) await engine.add(object);
  await engine.resume();
  return engine;
}

async function expectAll(
  engine: StreamEngine,
  target: RecordingTarget,
  ids: readonly number[],
  products: ReadonlyMap<number, number>,
): Promise<void> {
  await engine.flush();
  const groups = new Map<string, [number, number]>();
  for (const id of ids) {
    const [count, sum] = groups.get(`g${id % 5}`) ?? [0, 0];
    groups.set(`g${id % 5}`, [count + 1, sum + id]);
  }
  const expected = [...groups].map(([group, [count, sum]]): Datum[] => [group, count, sum]).sort();
  expect(await rowsIn(engine, 'totals', 3)).toEqual(expected);
  const counts = new Map<number, [number, number]>();
  for (const [, [count, sum]] of groups) {
    const [n, total] = counts.get(count) ?? [0, 0];
    counts.set(count, [n + 1, total + sum]);
  }
  const again = await rowsIn(engine, 'again', 3);
  expect(again.sort((a, b) => Number(a[0]) - Number(b[0]))).toEqual(
    [...counts].map(([count, [n, total]]) => [count, n, total]).sort((a, b) => a[0] - b[0]),
  );
  const byGroup = new Map<string, [number, number]>();
  for (const [id, n] of products) {
    const [count, sum] = byGroup.get(`g${id % 5}`) ?? [0, 0];
    byGroup.set(`g${id % 5}`, [count + 1, sum + n]);
  }
  expect(await rowsIn(engine, 'groups', 3)).toEqual(
    [...byGroup].map(([group, [count, sum]]) => [group, count, sum]).sort(),
  );
  expect(target.rows.map(([id]) => id as number).sort((a, b) => a - b)).toEqual(ids);
}

describe('checkpoints', () => {
  test('a clean restart continues, with nothing read twice', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    let engine = await resumed(log, disk, target);
    const ids: number[] = [];
    for (let round = 0; round < 3; round++) {
      const batch = Array.from({ length: 20 }, (_, i) => round * 20 + i);
      ids.push(...batch);
      await log.produce('orders', round % 2, batch.map(order));
      await expectAll(engine, target, ids, new Map());
      await log.produce('orders', 0, ['bad']);
      await engine.close();
      const readBefore = log.reads;
      engine = await resumed(log, disk, target);
      await engine.flush();
      expect(log.reads - readBefore).toBeLessThanOrEqual(1);
      await expectAll(engine, target, ids, new Map());
      const errors = await rowsIn(engine, 'orders$errors', 5);
      expect(errors.length).toBe(round + 1);
    }
    await engine.checkpoint();
    expect((await engine.stats()).checkpointBytes).toBeGreaterThan(0);
    await engine.close();
  });

  test('a changed definition starts again; a sink over it stays stopped', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    const first = await resumed(log, disk, target, [
      OBJECTS[0],
      view('v', rows),
      sink('out', scan('v', [0], rows.schema)),
    ]);
    await log.produce('orders', 0, [1, 2, 3].map(order));
    await first.flush();
    await first.close();
    const other = scan('orders', [2, 0], ORDERS);
    const second = await resumed(log, disk, target, [
      OBJECTS[0],
      view('v', other),
      sink('out', scan('v', [0], other.schema)),
    ]);
    await log.produce('orders', 0, [4].map(order));
    await second.flush();
    expect((await rowsIn(second, 'v', 2)).length).toBe(4);
    const { objects } = await second.stats();
    expect(objects.map((object) => object.state)).toEqual(['running', 'running', 'failed']);
    expect(objects[2].error?.code).toBe('SINK_REJECTED');
    expect(target.rows.length).toBe(3);
    await second.close();
  });

  test('state of a form that is not understood is made anew', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const store = new CheckpointStore(disk, 'engine', silentLog);
    await store.load();
    const objects = [OBJECTS[0], view('v', rows)];
    const cursor = { topicId: 'orders-0', partitions: [{ partition: 0, next: 2, maxTime: null }] };
    await store.write(7, [
      { id: 'orders', fingerprint: fingerprintOf(objects[0]), cursor, tables: [] },
      {
        id: 'v',
        fingerprint: fingerprintOf(objects[1]),
        tables: [{ id: 'view', pieces: [[Buffer.from('from another age')]] }],
      },
    ]);
    await log.produce('orders', 0, [1, 2, 3].map(order));
    const engine = await resumed(log, disk, new RecordingTarget(), objects);
    expect(await engine.flush()).toBeGreaterThan(7);
    expect(await rowsIn(engine, 'v', 1)).toEqual([[1], [2], [3]]);
    await engine.close();
  });

  test.each([
    [1, true],
    [2, false],
  ])('of format 2, of %i shards: whether each goes on with its own pieces is %s', async (shards, own) => {
    const disk = new MemoryDisk();
    const store = new CheckpointStore(disk, 'engine', silentLog);
    await store.load();
    const { manifest } = await store.write(7, [], shards);
    const body = JSON.stringify({ format: 2, ...manifest });
    const old = Buffer.from(`streamline-checkpoint 2 ${crc32c(Buffer.from(body)).toString(16)}\n${body}`);
    const loaded = async () => (await new CheckpointStore(disk, 'engine', silentLog).load())!.manifest;
    expect(isPlacedFor(await loaded(), shards)).toBe(true);
    for (const name of await disk.list('engine')) await disk.replaceFile(`engine/${name}`, old);
    expect((await loaded()).epoch).toBe(7);
    expect(isPlacedFor(await loaded(), shards)).toBe(own);
    expect(isPlacedFor(await loaded(), shards + 1)).toBe(false);
  });

  test('objects that are not added again lose their state and their files', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    const first = await resumed(log, disk, target);
    await log.produce('orders', 0, [1, 2, 3].map(order));
    await first.flush();
    await first.close();
    const second = await resumed(log, disk, target, OBJECTS.slice(0, 2));
    await second.checkpoint();
    await second.close();
    const third = await resumed(log, disk, target, [...OBJECTS.slice(0, 2), view('totals', totals, [0])]);
    await third.flush();
    expect((await rowsIn(third, 'totals', 3)).length).toBe(3);
    await third.close();
    expect((await disk.list('engine')).length).toBeLessThan(12);
  });

  test('a damaged newest manifest falls back on its mirror, or on the checkpoint before', async () => {
    for (const damage of [['manifest'], ['manifest', 'mirror']]) {
      const log = await topics();
      const target = new RecordingTarget();
      const objects = damage.length === 1 ? OBJECTS : OBJECTS.slice(0, 5);
      let disk = new FaultDisk(7);
      let engine = await resumed(log, disk, target, objects);
      await log.produce('orders', 0, [0, 1, 2, 3].map(order));
      await engine.flush();
      await engine.checkpoint();
      await log.produce('orders', 1, [4, 5, 6].map(order));
      await engine.flush();
      await engine.checkpoint();
      const newest = async () => Math.max(...(await disk.list('engine')).map((name) => Number.parseInt(name, 10)));
      // With a sink, its commit makes the next manifest one without pending tokens: go on to one that has some.
      while (damage.length === 1 && !(await disk.exists(`engine/${await newest()}.mirror`))) {
        await log.produce('orders', 1, [log.bounds('orders', 1).highWatermark].map(order));
        await engine.flush();
      }
      disk = disk.crash();
      await engine.close();
      const number = await newest();
      for (const kind of damage) {
        const name = `engine/${number}.${kind}`;
        if (await disk.exists(name)) disk.corrupt(name, 60, (byte) => byte ^ 1);
      }
      engine = await resumed(log, disk, target, objects);
      await engine.flush();
      const produced = (await rowsIn(engine, 'totals', 3)).reduce((sum, row) => sum + Number(row[1]), 0);
      expect(produced).toBe(log.bounds('orders', 0).highWatermark + log.bounds('orders', 1).highWatermark);
      if (damage.length === 1) expect(target.rows.length).toBe(produced);
      await engine.close();
    }
  });

  test.each([1, 2])(
    'a sink that wrote by the word of a damaged checkpoint stops, the rest falls back, with %i shards',
    async (shards) => {
      const log = await topics();
      const target = new RecordingTarget();
      const whole = new MemoryDisk();
      const lines: string[] = [];
      const logger: Log = { ...silentLog, warn: (event: string) => void lines.push(event) };
      const settings = { checkpointIntervalMs: 1 << 30 };
      const open = async (disk: MemoryDisk) => {
        const engine = await openEngine(log, { disk, sinks: [recordingSink(target)], settings, logger, shards });
        for (const object of OBJECTS) await engine.add(object);
        await engine.resume();
        return engine;
      };
      const views = (engine: StreamEngine) =>
        Promise.all(OBJECTS.filter(({ kind }) => kind === 'view').map(({ id }) => rowsIn(engine, id, 2)));
      const first = await open(whole);
      const read = async () => (await first.stats()).objects.find(({ id }) => id === 'orders')?.rows;
      for (const partition of [0, 1]) {
        const ids = [0, 1, 2].map((id) => id + 3 * partition);
        await log.produce('orders', partition, ids.map(order));
        while ((await read()) !== 3 * (partition + 1)) await pause(1);
        await first.checkpoint();
      }
      const expected = await views(first);
      expect(target.rows.length).toBe(6);
      // As kill -9 would leave it; the newest checkpoint is the one that let the sink commit its last rows.
      const left = new MemoryDisk();
      const names = await whole.list('engine');
      const newest = Math.max(...names.map((name) => Number.parseInt(name, 10)));
      expect(names).toContain(`${newest}.mirror`);
      for (const name of names) {
        const content = await whole.readFile(`engine/${name}`);
        await left.replaceFile(`engine/${name}`, name === `${newest}.pieces` ? content.subarray(1) : content);
      }
      await first.close();
      const second = await open(left);
      await second.checkpoint();
      const { objects } = await second.stats();
      expect(objects.find(({ id }) => id === 'out')).toMatchObject({
        state: 'failed',
        error: { detail: expect.stringContaining('the checkpoint by which it wrote last is damaged') },
      });
      expect(lines).toContain('checkpoint.fell_back');
      await second.flush();
      expect(await views(second)).toEqual(expected);
      expect(target.rows.length).toBe(6);
      await second.close();
    },
  );

  test('nothing whole is an error, not an empty start', async () => {
    const log = await topics();
    const disk = new FaultDisk(1);
    const engine = await resumed(log, disk, new RecordingTarget(), OBJECTS.slice(0, 3));
    await log.produce('orders', 0, [order(1)]);
    await engine.flush();
    await engine.close();
    for (const name of await disk.list('engine')) disk.corrupt(`engine/${name}`, 40, (byte) => byte ^ 8);
    await expect(openEngine(log, { disk })).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  test('stopping anywhere and starting again is exactly once', async () => {
    const steps = ['none', 'prepare', 'prepared', 'commit', 'committed'] as const;
    const life = fc.record({
      batches: fc.array(fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 1, max: 30 })), {
        minLength: 1,
        maxLength: 4,
      }),
      products: fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.option(fc.integer({ min: 0, max: 99 }))), {
        maxLength: 6,
      }),
      crash: fc.constantFrom(...steps),
      after: fc.integer({ min: 0, max: 3 }),
      waitMs: fc.integer({ min: 0, max: 12 }),
      late: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 4 }), fc.integer(), async (lives, seed) => {
        const log = await topics();
        const target = new RecordingTarget();
        const ids: number[] = [];
        const products = new Map<number, number>();
        let disk = new FaultDisk(seed);
        for (const { batches, products: puts, crash, after, waitMs, late } of lives) {
          const before = disk;
          let next: FaultDisk | null = null;
          let left = after;
          target.at = (step) => {
            if (next !== null) throw new StreamError('SINK_UNAVAILABLE', 'the process is dead');
            if (step === crash && left-- === 0) {
              next = before.crash();
              throw new StreamError('SINK_UNAVAILABLE', 'the process dies');
            }
          };
          // A view that is created while data flows catches up by itself, also over a crash.
          const engine = await resumed(
            log,
            disk,
            target,
            late ? OBJECTS.filter((object) => object.id !== 'again') : OBJECTS,
          );
          for (const [i, [partition, count]] of batches.entries()) {
            const fresh = Array.from({ length: count }, () => ids.push(ids.length) - 1);
            await log.produce('orders', partition, fresh.map(order));
            if (i === 0 && late) await engine.add(OBJECTS[3]);
            await pause(waitMs / batches.length);
          }
          for (const [id, n] of puts) {
            await log.produce('product', 0, [n === null ? null : { id, grp: `g${id % 5}`, n }], [`${id}`]);
            if (n === null) products.delete(id);
            else products.set(id, n);
          }
          await pause(waitMs / 2);
          disk = next ?? before.crash();
          target.at = () => {
            throw new StreamError('SINK_UNAVAILABLE', 'the process is dead');
          };
          await engine.close();
        }
        target.at = () => undefined;
        const engine = await resumed(log, disk, target);
        await expectAll(engine, target, ids, products);
        await engine.close();
      }),
      { numRuns: 60 },
    );
  });

  test('many checkpoints leave few files, and all of the state', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    let engine = await resumed(log, disk, target);
    await log.produce('product', 0, [{ id: 1, grp: 'g1', n: 5 }], ['1']);
    const ids: number[] = [];
    for (let i = 0; i < 150; i++) {
      ids.push(i);
      await log.produce('orders', 0, [order(i)]);
      await engine.flush();
    }
    const names = await disk.list('engine');
    expect(names.length).toBeLessThan(75);
    await engine.close();
    engine = await resumed(log, disk, target);
    await expectAll(engine, target, ids, new Map([[1, 5]]));
    await engine.close();
  });

  test('a disk that fails costs a checkpoint, not the engine; DDL and checkpoints may overlap', async () => {
    const log = await topics();
    const disk = new FaultDisk(3);
    const target = new RecordingTarget();
    let engine = await resumed(log, disk, target);
    const ids: number[] = [];
    for (let i = 0; i < 30; i++) {
      disk.fault = (operation) => (i % 3 === 1 && operation !== 'read' ? 'EIO' : undefined);
      ids.push(i);
      await log.produce('orders', i % 2, [order(i)]);
      const calls = [engine.checkpoint(), engine.checkpoint(), engine.add(view('x', rows)), engine.checkpoint()];
      await Promise.all(calls.map((call) => call.catch(() => undefined)));
      await Promise.all([engine.remove('x'), engine.checkpoint().catch(() => undefined)]);
    }
    disk.fault = () => undefined;
    await expectAll(engine, target, ids, new Map());
    const survivor = disk.crash();
    await engine.close();
    engine = await resumed(log, survivor, target);
    await expectAll(engine, target, ids, new Map());
    await engine.close();
  });

  test('a sink that is out of reach holds up neither views nor checkpoints', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    let engine = await resumed(log, disk, target);
    target.at = () => {
      throw new StreamError('SINK_UNAVAILABLE', 'no route');
    };
    await log.produce('orders', 0, [0, 1, 2].map(order));
    await expect.poll(async () => (await rowsIn(engine, 'totals', 3)).length).toBe(3);
    const before = (await engine.stats()).checkpointEpoch;
    await log.produce('orders', 0, [3].map(order));
    await expect.poll(async () => (await engine.stats()).checkpointEpoch).toBeGreaterThan(before);
    await engine.close();
    engine = await resumed(log, disk, target);
    target.at = () => undefined;
    await expectAll(engine, target, [0, 1, 2, 3], new Map());
    await engine.close();
  });

  test('a sink that refuses stops, also after a restart; the rest runs on', async () => {
    const log = await topics();
    const disk = new MemoryDisk();
    const target = new RecordingTarget();
    let engine = await resumed(log, disk, target);
    target.at = () => {
      throw new StreamError('SINK_REJECTED', 'no such column');
    };
    await log.produce('orders', 0, [0, 1, 2].map(order));
    await engine.flush();
    for (let i = 0; i < 2; i++) {
      const state = (await engine.stats()).objects.at(-1);
      expect([state?.state, state?.error?.code]).toEqual(['failed', 'SINK_REJECTED']);
      expect((await rowsIn(engine, 'totals', 3)).length).toBe(3);
      await engine.close();
      engine = await resumed(log, disk, target);
    }
    await engine.close();
  });
});
