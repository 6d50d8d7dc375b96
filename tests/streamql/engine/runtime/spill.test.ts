import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { EngineObject, StreamEngine } from '../../../../src/ports/engine.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import { FakeLog, ORDERS, openEngine, rowsIn, scan, source, view } from './support.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'spilling-'));
afterAll(() => rmSync(dataDir, { recursive: true }));

const LIMIT = { bytes: 1_200_000, onExceed: 'spill' } as const;
const objects: EngineObject[] = [
  source('product', { primaryKey: [0] }),
  { ...view('keyed', scan('product', [0, 1, 2], ORDERS, 'upsert'), [0]), stateLimit: LIMIT },
  { ...view('whole', scan('product', [0, 1], ORDERS, 'upsert')), stateLimit: LIMIT },
  view('unlimited', scan('product', [0, 1, 2], ORDERS, 'upsert'), [0]),
];

async function start(log: FakeLog, disk: MemoryDisk): Promise<StreamEngine> {
  const engine = await openEngine(log, { disk, dataDir, shards: 1 });
  for (const object of objects) await engine.add(object);
  await engine.resume();
  return engine;
}

async function put(log: FakeLog, from: number, count: number, round: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, i) => from + i);
  const rows = ids.map((id) => ({ id, grp: `${round}-${id}-${'text '.repeat(60)}`, n: id }));
  await log.produce('product', 0, rows, ids.map(String));
}

/** Limits are looked at a few times a second, while there is work. */
async function untilSpilled(engine: StreamEngine, log: FakeLog, more: number): Promise<void> {
  for (let round = 0; ; round++) {
    await put(log, 0, 1, more + round);
    await engine.flush();
    const { objects: all } = await engine.stats();
    if (all.filter(({ spilledBytes }) => (spilledBytes ?? 0) > 0).length === 2) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('views beyond their memory go on with texts on disk, over updates, checkpoints and restarts', async () => {
  const log = new FakeLog();
  await log.createTopic('product', { partitions: 1 });
  const disk = new MemoryDisk();
  let engine = await start(log, disk);
  await put(log, 0, 8000, 0);
  await untilSpilled(engine, log, 1000);
  const check = async (): Promise<void> => {
    await engine.flush();
    const all = await rowsIn(engine, 'unlimited', 3);
    expect(all.length).toBe(8000);
    expect(await rowsIn(engine, 'keyed', 3)).toEqual(all);
    expect(await rowsIn(engine, 'whole', 2)).toEqual(all.map((row) => row.slice(0, 2)));
    expect((await engine.stats()).objects.map(({ state }) => state)).toEqual(objects.map(() => 'running'));
  };
  await check();
  expect((await engine.lookup('keyed', [77], 1)).batch.columns[1].values[0]).toContain('0-77-text');
  // Updates meet rows that are out, and take them back.
  for (let round = 1; round < 4; round++) await put(log, round * 900, 600, round);
  await check();
  await engine.checkpoint();
  await engine.close();
  engine = await start(log, disk);
  await check();
  await untilSpilled(engine, log, 2000);
  await check();
  await engine.close();
});
