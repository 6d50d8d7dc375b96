import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../../../src/lib/log.ts';
import type { StreamEngine, ViewChange } from '../../../../src/ports/engine.ts';
import { BIGINT } from '../../../../src/values/types.ts';
import { gather } from '../../../../streamql/engine/shards/peers.ts';
import { startEngineWorker } from '../../../../streamql/engine/worker/host.ts';
import { PortPeers, stopAll } from '../../../../streamql/engine/worker/port-peers.ts';
import { type UserFunction, userFunctionId } from '../../../../streamql/functions/user/user-function.ts';
import type { Aggregate, Plan } from '../../../../streamql/plan/plan.ts';
import { ALLOC, assemble, EVEN } from '../../functions/user/wasm-assembler.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsIn, rowsOf, scan, sink, source, view } from './support.ts';

const order = (id: number) => ({ id, grp: `g${id % 7}`, n: id });
const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);
const overall = countAndSum(scan('totals', [1, 2], totals.schema, 'upsert'), 0, 1);
const net: UserFunction = {
  kind: 'aggregate',
  name: 'net',
  language: 'js',
  params: [{ name: 'x', type: BIGINT }],
  returns: BIGINT,
  columns: [],
  source: `export function create_state() { return { sum: 0n } }
    export function accumulate(state, x) { state.sum += x }
    export function retract(state, x) { state.sum -= x }
    export function finish(state) { return state.sum }`,
};
const even: UserFunction = {
  ...net,
  kind: 'scalar',
  name: 'f',
  language: 'wasm',
  source: Buffer.from(assemble({ functions: [EVEN, ALLOC] })).toString('base64'),
};
/** By count, the sum of the sums; rows leave a group for another as counts change. */
const nets: Plan = {
  ...(overall as Aggregate),
  aggregates: [{ fn: userFunctionId(net), arg: 1, distinct: false, filter: null, type: BIGINT }],
  schema: overall.schema.slice(0, 2),
};
const evens: Plan = {
  op: 'project',
  input: scan('orders', [0, 2], ORDERS),
  exprs: [
    { op: 'column', index: 0, type: BIGINT },
    { op: 'call', fn: userFunctionId(even), args: [{ op: 'column', index: 1, type: BIGINT }], type: BIGINT },
  ],
  schema: [ORDERS[0], { ...ORDERS[2], nullable: true }],
};
const OBJECTS = [
  source('orders'),
  { ...view('totals', totals, [0]), indexes: [[1]] },
  view('overall', overall, [0]),
  view('rows', scan('orders', [0, 1], ORDERS)),
  view('nets', nets, [0]),
  view('evens', evens),
];
const WIDTHS = [
  ['totals', 3],
  ['overall', 3],
  ['rows', 2],
  ['nets', 2],
  ['evens', 2],
  ['orders$errors', 8],
] as const;

describe('an engine in several threads', () => {
  const folders: string[] = [];
  const open: StreamEngine[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((engine) => engine.close().catch(() => undefined)));
    await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
  });

  async function start(log: FakeLog, workers: number, dataDir: string | null, onExit?: () => void) {
    const settings = { checkpointIntervalMs: 50 };
    const more = onExit === undefined ? {} : { onExit };
    const sinkRegistry = new URL('./file-sink.ts', import.meta.url).href;
    const engine = await startEngineWorker({
      log,
      dataDir,
      logger: silentLog,
      settings,
      workers,
      sinkRegistry,
      ...more,
    });
    open.push(engine);
    for (const object of OBJECTS) await engine.add(object);
    await engine.resume();
    return engine;
  }

  test('has the rows of one thread, and goes on from a checkpoint with more threads and with fewer', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'engine-'));
    folders.push(folder);
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 3 });
    const plain = await openEngine(log);
    open.push(plain);
    for (const object of OBJECTS) await plain.add(object);
    await plain.resume();
    let next = 0;
    for (const workers of [1, 3, 2]) {
      const engine = await start(log, workers, folder);
      const changes: ViewChange[] = [];
      await engine.subscribe('totals', { snapshot: true }, (change) => changes.push(change));
      for (let partition = 0; partition < 3; partition++) {
        await log.produce('orders', partition, [...Array.from({ length: 40 }, () => order(next++)), 'bad']);
      }
      await Promise.all([engine.flush(), plain.flush()]);
      for (const [id, width] of WIDTHS) {
        expect(await rowsIn(engine, id, width), `${id} with ${workers}`).toEqual(await rowsIn(plain, id, width));
      }
      const [count] = (await rowsIn(plain, 'totals', 3)).filter(([group]) => group === 'g3').map((row) => row[1]);
      const byCount = await engine.lookup('totals', [count], 50, [1]);
      expect(rowsOf(byCount.batch)).toEqual(rowsOf((await plain.lookup('totals', [count], 50, [1])).batch));
      expect(byCount.batch.length).toBeGreaterThan(0);
      const { batch } = await engine.lookup('totals', ['g3'], 5);
      expect(rowsOf(batch)).toEqual(rowsOf((await plain.lookup('totals', ['g3'], 5)).batch));
      const sum = new Map<string, number>();
      for (const change of changes) {
        for (let i = 0; i < change.batch.length; i++) {
          const row = JSON.stringify(change.batch.columns.map((one) => one.values[i]));
          sum.set(row, (sum.get(row) ?? 0) + (change.batch.weights?.[i] ?? 1));
        }
      }
      const kept = [...sum].filter(([, weight]) => weight !== 0).map(([row]) => JSON.parse(row));
      expect(kept.sort()).toEqual(await rowsIn(plain, 'totals', 3));
      const { objects } = await engine.stats();
      expect(objects.find(({ id }) => id === 'orders')).toMatchObject({ rows: next, errors: next / 40 });
      await engine.close();
    }
  });

  test('ends as a whole when a thread ends, and tells', async () => {
    const log = new FakeLog();
    await log.createTopic('orders', { partitions: 2 });
    let told = 0;
    const engine = await start(log, 2, null, () => {
      told++;
    });
    await log.produce('orders', 0, [order(1)]);
    await engine.flush();
    // The sink of the registry that kills its thread.
    const dying = engine.add({ ...sink('dead', scan('orders', [0, 1], ORDERS)), sinkKind: 'deadly' });
    await expect(dying).rejects.toMatchObject({ code: 'PIPELINE_FAILED' });
    await expect(engine.flush()).rejects.toMatchObject({ code: 'PIPELINE_FAILED' });
    expect(told).toBe(1);
  });

  test('does not wait for a thread that has ended', () => {
    const signals = new Int32Array(new SharedArrayBuffer(12));
    const { port1, port2 } = new MessageChannel();
    const peers = new PortPeers({ index: 0, count: 2, ports: [null, port1], signals });
    stopAll(signals);
    expect(() => peers.run(gather(peers, 'any', 1))).toThrow('has ended');
    port1.close();
    port2.close();
  });
});
