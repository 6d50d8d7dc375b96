import { afterEach, describe, expect, test } from 'vitest';
import type { EngineObject, StreamEngine } from '../../../../src/ports/engine.ts';
import { MemoryDisk } from '../../../../src/storage/disk/memory-disk.ts';
import { BIGINT, type Datum, INTEGER, VARCHAR } from '../../../../src/values/types.ts';
import type { Plan } from '../../../../streamql/plan/plan.ts';
import { column, countAndSum, FakeLog, ORDERS, openEngine, rowsIn, scan, source, view } from './support.ts';

const open: StreamEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

const order = (id: number) => ({ id, grp: `g${id % 3}`, n: id });
const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);
/** What `n` has to be at least, of the totals. */
const least = (n: number): Plan => ({
  op: 'filter',
  input: totals,
  predicate: {
    op: 'compare',
    cmp: '>=',
    left: { op: 'column', index: 1, type: BIGINT },
    right: { op: 'literal', value: n, type: BIGINT },
    type: { kind: 'boolean' },
  },
  schema: totals.schema,
});
const VIEWS = [1, 2, 3].map((n) => view(`v${n}`, least(n), [0]));
const OBJECTS: readonly EngineObject[] = [source('orders'), ...VIEWS];

async function started(log: FakeLog, disk: MemoryDisk | null, objects = OBJECTS, shards = 1) {
  const engine = await openEngine(log, { disk, shards });
  open.push(engine);
  for (const object of objects) await engine.add(object);
  await engine.resume();
  return engine;
}

async function orders(): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 2 });
  return log;
}

function expected(ids: readonly number[], n: number): Datum[][] {
  const groups = new Map<string, [number, number]>();
  for (const id of ids) {
    const [count, sum] = groups.get(`g${id % 3}`) ?? [0, 0];
    groups.set(`g${id % 3}`, [count + 1, sum + id]);
  }
  return [...groups].filter(([, [count]]) => count >= n).map(([group, [count, sum]]): Datum[] => [group, count, sum]);
}

async function expectAll(engine: StreamEngine, ids: readonly number[], wanted = [1, 2, 3]): Promise<void> {
  await engine.flush();
  for (const n of wanted) expect(await rowsIn(engine, `v${n}`, 3), `v${n}`).toEqual(expected(ids, n).sort());
}

/** By view, the operators of the aggregate that it has or shares. */
async function aggregates(engine: StreamEngine): Promise<Record<string, string[]>> {
  const { objects } = await engine.stats();
  const views = objects.filter(({ kind }) => kind === 'view');
  return Object.fromEntries(
    views.map(({ id, operators }) => [
      id,
      operators
        .filter(({ name }) => name === 'aggregate')
        .map((operator) => operator.id.replace(/shared-\w+/, 'shared')),
    ]),
  );
}

const OWN = ['0.0.aggregate'];
const SHARED = ['shared/0.aggregate'];

describe('equal parts of queries', () => {
  test.each([1, 2])('are worked out once from the second query on, with %i shards', async (shards) => {
    const log = await orders();
    await log.produce('orders', 0, [0, 1, 2, 3].map(order));
    const engine = await started(log, null, OBJECTS, shards);
    await log.produce('orders', 1, [4, 5, 6].map(order));
    await expectAll(engine, [0, 1, 2, 3, 4, 5, 6]);
    expect(await aggregates(engine)).toEqual({ v1: OWN, v2: SHARED, v3: SHARED });
    await engine.remove('v2');
    await engine.remove('v1');
    await log.produce('orders', 0, [7, 8].map(order));
    await expectAll(engine, [0, 1, 2, 3, 4, 5, 6, 7, 8], [3]);
    await engine.add(VIEWS[0]);
    expect(await aggregates(engine)).toEqual({ v1: SHARED, v3: SHARED });
    await engine.remove('v3');
    await expectAll(engine, [0, 1, 2, 3, 4, 5, 6, 7, 8], [1]);
    await engine.remove('v1');
    await engine.remove('orders');
    expect((await engine.stats()).objects).toEqual([]);
  });

  test('go on from a checkpoint as they were, in any order', async () => {
    const log = await orders();
    const disk = new MemoryDisk();
    const first = await started(log, disk);
    await log.produce('orders', 0, [0, 1, 2, 3].map(order));
    await expectAll(first, [0, 1, 2, 3]);
    await first.close();
    const before = log.reads;
    const second = await started(log, disk, [OBJECTS[0], VIEWS[2], VIEWS[1], VIEWS[0]]);
    await expectAll(second, [0, 1, 2, 3]);
    expect(log.reads).toBe(before);
    expect(await aggregates(second)).toEqual({ v3: SHARED, v2: SHARED, v1: OWN });
    await log.produce('orders', 1, [4, 5].map(order));
    await expectAll(second, [0, 1, 2, 3, 4, 5]);
    await second.close();
    const third = await started(log, disk, [OBJECTS[0], VIEWS[1]], 2);
    await expectAll(third, [0, 1, 2, 3, 4, 5], [2]);
  });

  test('refuse rows for every query that reads them', async () => {
    const log = await orders();
    const engine = await started(log, null, [source('orders')]);
    const cast: Plan = {
      op: 'project',
      input: scan('orders', [1], ORDERS),
      exprs: [{ op: 'cast', arg: { op: 'column', index: 0, type: VARCHAR }, type: INTEGER, safe: false }],
      schema: [column('g', INTEGER)],
    };
    const distinct: Plan = { op: 'distinct', input: cast, schema: cast.schema };
    for (const id of ['a', 'b']) await engine.add(view(id, distinct));
    await log.produce('orders', 0, [{ id: 1, grp: '7' }, order(1)]);
    await engine.flush();
    await engine.add(view('c', distinct));
    await engine.flush();
    for (const id of ['a', 'b', 'c']) {
      expect(await rowsIn(engine, id, 1)).toEqual([[7]]);
      expect(await rowsIn(engine, `${id}$errors`, 1), id).toEqual([['VALUE_CAST']]);
    }
  });
});
