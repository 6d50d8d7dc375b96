import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLog } from '../../../../src/lib/log.ts';
import type { StreamEngine, ViewChange } from '../../../../src/ports/engine.ts';
import { startEngineWorker } from '../../../../streamql/engine/worker/host.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsIn, rowsOf, scan, sink, source, view } from './support.ts';

const order = (id: number) => ({ id, grp: `gruppe-ß${id % 3}`, n: id * 10 });
const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);
const rows = scan('orders', [0, 1], ORDERS);

describe('the engine in a worker thread', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'engine-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const startWorker = (log: FakeLog, onExit?: () => void) =>
    startEngineWorker({
      log,
      dataDir: directory,
      logger: silentLog,
      sinkRegistry: new URL('./file-sink.ts', import.meta.url).href,
      settings: { checkpointIntervalMs: 50 },
      ...(onExit ? { onExit } : {}),
    });

  async function addAll(engine: StreamEngine, withSink: boolean): Promise<void> {
    await engine.add(source('orders'));
    await engine.add(view('totals', totals, [0]));
    await engine.add(view('rows', rows));
    if (withSink) await engine.add({ ...sink('out', rows), sinkKind: 'file' });
    await engine.resume();
  }

  test('answers as the engine in this thread does, and goes on after a restart', async () => {
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 3 });
    const local = await openEngine(log);
    await addAll(local, false);
    let remote = await startWorker(log);
    await addAll(remote, true);
    const changes: ViewChange[] = [];
    const subscription = await remote.subscribe('totals', { snapshot: true }, (change) => changes.push(change));
    for (let round = 0; round < 3; round++) {
      for (let p = 0; p < 3; p++) {
        await log.produce('orders', p, [
          ...Array.from({ length: 50 }, (_, i) => order(round * 150 + p * 50 + i)),
          'bad',
        ]);
      }
      await Promise.all([local.flush(), remote.flush()]);
      for (const [id, width] of [
        ['totals', 3],
        ['rows', 2],
        ['orders$errors', 7],
      ] as const) {
        expect(await rowsIn(remote, id, width)).toEqual(await rowsIn(local, id, width));
      }
      const key = ['gruppe-ß1'];
      expect(rowsOf((await remote.lookup('totals', key, 5)).batch)).toEqual(
        rowsOf((await local.lookup('totals', key, 5)).batch),
      );
      if (round !== 1) continue;
      expect(changes[0].snapshot).toBe(true);
      expect(changes.length).toBeGreaterThan(1);
      subscription.close();
      await remote.close();
      await expect(remote.flush()).rejects.toThrow();
      remote = await startWorker(log);
      await addAll(remote, true);
    }
    const read: number[] = [];
    await remote.readSource('orders', [0], async (batch) => {
      read.push(...rowsOf(batch).map(([id]) => id as number));
      return true;
    });
    expect(read.sort((a, b) => a - b)).toEqual(Array.from({ length: 450 }, (_, i) => i));
    const { readFile } = await import('node:fs/promises');
    const written = (await readFile(join(directory, 'out.txt'), 'utf8')).trim().split('\n').map(Number);
    expect(written.sort((a, b) => a - b)).toEqual(read);

    const [mine, theirs] = [await local.stats(), await remote.stats()];
    expect(theirs.objects.map((object) => object.id)).toEqual([...mine.objects.map((object) => object.id), 'out']);
    await expect(remote.lookup('orders', [1], 1)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(remote.add(view('x', scan('none', [0], ORDERS)))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await local.close();
    await remote.close();
  });

  test('when the thread dies, calls and subscribers are told', async () => {
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 1 });
    let exits = 0;
    const engine = await startWorker(log, () => exits++);
    await engine.add(source('orders'));
    await engine.add(view('rows', rows));
    await engine.resume();
    const changes: ViewChange[] = [];
    await engine.subscribe('rows', { snapshot: false }, (change) => changes.push(change));
    // The sink of the registry that kills its thread.
    const dying = engine.add({ ...sink('dead', rows), sinkKind: 'deadly' });
    await expect(dying).rejects.toMatchObject({ code: 'PIPELINE_FAILED' });
    await expect(engine.stats()).rejects.toMatchObject({ code: 'PIPELINE_FAILED' });
    expect(changes.at(-1)?.error?.code).toBe('PIPELINE_FAILED');
    expect(exits).toBe(1);
    await engine.close().catch(() => undefined);
  });
});
