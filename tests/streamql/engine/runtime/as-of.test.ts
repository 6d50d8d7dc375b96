import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import type { EngineObject, StreamEngine } from '../../../../src/ports/engine.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import type { Datum } from '../../../../src/values/types.ts';
import { CheckpointStore } from '../../../../streamql/engine/runtime/checkpoint-store.ts';
import type { AsOf } from '../../../../streamql/plan/as-of.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsOf, scan, source, view } from './support.ts';

const RETAIN_MS = 10_000;
const rows = scan('product', [0, 1, 2], ORDERS, 'upsert');
const past = { retainHistoryMs: RETAIN_MS };
const objects: EngineObject[] = [
  source('product', { primaryKey: [0] }),
  { ...view('keyed', rows, [0]), ...past },
  { ...view('bag', scan('product', [1, 2], ORDERS, 'upsert')), ...past },
  { ...view('groups', countAndSum(rows, 1, 2), [0]), ...past },
];
const VIEWS = [
  { id: 'keyed', columns: [0, 1, 2] },
  { id: 'bag', columns: [0, 1] },
  { id: 'groups', columns: [2, 0] },
];

type Content = Datum[][][];

async function read(engine: StreamEngine, asOf?: AsOf): Promise<{ epoch: number; content: Content }> {
  const wants = VIEWS.map((want) => (asOf === undefined ? want : { ...want, asOf }));
  const { epoch, batches } = await engine.snapshot(wants);
  return { epoch, content: batches.map(rowsOf) };
}

class Setting {
  readonly log = new FakeLog();
  nowMs = 1_700_000_000_000;
  disk = new MemoryDisk();
  readonly clock: Clock = { ...systemClock, nowMs: () => this.nowMs };

  async start(shards: number): Promise<StreamEngine> {
    const { disk, clock } = this;
    // Only checkpoints that the test asks for.
    const settings = { epochIntervalMs: 0, checkpointIntervalMs: 1 << 30 };
    const engine = await openEngine(this.log, { disk, clock, shards, settings });
    for (const object of objects) await engine.add(object);
    await engine.resume();
    return engine;
  }

  /** What a crash leaves of the disk, for the next start; the epoch that it is of. */
  async crash(engine: StreamEngine): Promise<number> {
    const left = new MemoryDisk();
    const paths = (await this.disk.list('engine')).map((name) => `engine/${name}`);
    const contents = await Promise.all(paths.map((path) => this.disk.readFile(path)));
    for (const [i, path] of paths.entries()) await left.replaceFile(path, contents[i]);
    await engine.close();
    this.disk = left;
    return (await new CheckpointStore(left, 'engine', silentLog).load())!.manifest.epoch;
  }
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ id: fc.nat(4), n: fc.nat(2), grp: fc.constantFrom('a', 'b'), gone: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.constant('checkpoint' as const) },
  { weight: 1, arbitrary: fc.record({ shards: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.constant('wait' as const) },
);

test('every epoch and time within the retention reads as it was, over crashes and other numbers of shards', async () => {
  const run = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
    const setting = new Setting();
    await setting.log.createTopic('product', { partitions: 1 });
    let engine = await setting.start(1);
    await engine.flush();
    let known: { epoch: number; ms: number; content: Content }[] = [];
    const lost: number[] = [];
    await engine.checkpoint();
    for (const one of steps) {
      if (one === 'checkpoint') await engine.checkpoint();
      else if (one === 'wait') setting.nowMs += RETAIN_MS / 2;
      else if ('shards' in one) {
        const durable = await setting.crash(engine);
        // What was not durable is done again, in epochs of their own.
        lost.push(...known.map(({ epoch }) => epoch).filter((epoch) => epoch > durable));
        known = known.filter(({ epoch }) => epoch <= durable);
        setting.nowMs += 1000;
        engine = await setting.start(one.shards);
      } else {
        const { id, n, grp, gone } = one;
        await setting.log.produce('product', 0, [gone ? null : { id, n, grp }], [String(id)]);
      }
      await engine.flush();
      const { epoch, content } = await read(engine);
      known = [...known.filter((before) => before.epoch !== epoch), { epoch, content, ms: setting.nowMs }];
      for (const gone of lost) await expect(read(engine, { epoch: gone })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      for (const before of known) {
        if (before.ms < setting.nowMs - RETAIN_MS) {
          await expect(read(engine, { micros: before.ms * 1000 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
          continue;
        }
        expect((await read(engine, { epoch: before.epoch })).content).toEqual(before.content);
        const then = await read(engine, { micros: before.ms * 1000 });
        expect(then.content).toEqual(before.content);
        expect((await read(engine, { epoch: then.epoch })).content).toEqual(before.content);
      }
      setting.nowMs += 1000;
    }
    await engine.close();
  });
  await fc.assert(run, { numRuns: 25 });
});

test('history has a size, which goes with what it forgets, and ends when it is set off', async () => {
  const setting = new Setting();
  await setting.log.createTopic('product', { partitions: 1 });
  const engine = await setting.start(1);
  await engine.flush();
  const size = async (): Promise<readonly [rows: number, bytes: number] | null> => {
    const { objects: all } = await engine.stats();
    const found = all.find(({ id }) => id === 'keyed')?.operators.find(({ id }) => id === 'history');
    return found === undefined ? null : [found.stateRows, found.stateBytes];
  };
  const put = async (n: number): Promise<void> => {
    await setting.log.produce('product', 0, [{ id: 1, n, grp: 'x'.repeat(1000) }], ['1']);
    await engine.flush();
  };
  expect(await size()).toEqual([0, 0]);
  for (let n = 0; n < 5; n++) await put(n);
  const [count, bytes] = (await size())!;
  // The first row came; each of the others came where another went.
  expect(count).toBe(9);
  expect(bytes).toBeGreaterThan(9000);
  setting.nowMs += RETAIN_MS + 1;
  await put(9);
  expect((await size())![0]).toBe(2);
  await engine.alter('keyed', { retainHistoryMs: 0 });
  expect(await size()).toBeNull();
  await expect(engine.snapshot([{ ...VIEWS[0], asOf: { epoch: 1 } }])).rejects.toMatchObject({
    code: 'SQL_UNSUPPORTED',
  });
  await engine.close();
});
