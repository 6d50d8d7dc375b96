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

  test.each([1, 2])('are given up by the query that had them first, with its state, in %i shards', async (shards) => {
    const log = await orders();
    const engine = await started(log, null, OBJECTS.slice(0, 2), shards);
    await log.produce('orders', 0, [0, 1, 2, 3].map(order));
    await expectAll(engine, [0, 1, 2, 3], [1]);
    const before = log.reads;
    await engine.add(VIEWS[1]);
    await expectAll(engine, [0, 1, 2, 3], [1, 2]);
    expect(log.reads).toBe(before);
    expect(await aggregates(engine)).toEqual({ v1: SHARED, v2: SHARED });
    await log.produce('orders', 1, [4, 5, 6].map(order));
    await expectAll(engine, [0, 1, 2, 3, 4, 5, 6], [1, 2]);
    await engine.remove('v1');
    await engine.remove('v2');
    await engine.remove('orders');
    expect((await engine.stats()).objects).toEqual([]);
  });

  test('that were given up go on from a checkpoint, which a part of the way holds what the query had', async () => {
    const log = await orders();
    const disk = new MemoryDisk();
    const first = await started(log, disk, OBJECTS.slice(0, 2));
    await log.produce('orders', 0, [0, 1, 2, 3].map(order));
    await expectAll(first, [0, 1, 2, 3], [1]);
    await first.checkpoint();
    await first.add(VIEWS[1]);
    await log.produce('orders', 1, [4].map(order));
    await expectAll(first, [0, 1, 2, 3, 4], [1, 2]);
    await first.close();
    const before = log.reads;
    const second = await started(log, disk, OBJECTS.slice(0, 3), 2);
    expect(await aggregates(second)).toEqual({ v1: SHARED, v2: SHARED });
    await expectAll(second, [0, 1, 2, 3, 4], [1, 2]);
    expect(log.reads).toBe(before);
    await log.produce('orders', 1, [5, 6].map(order));
    await expectAll(second, [0, 1, 2, 3, 4, 5, 6], [1, 2]);
  });
});

/** Orders with the rows of another relation that have the same id. */
const joined = (id: string, columns: readonly number[], changelog = 'append', relation = 'orders') => {
  const [left, right] = [scan('events', [0, 2], ORDERS), scan(relation, [0, ...columns], ORDERS, changelog)];
  const plan: Plan = {
    op: 'join',
    kind: 'inner',
    left,
    right,
    keys: [[0, 0]],
    residual: null,
    schema: [...left.schema, ...right.schema],
  };
  return view(id, plan);
};

/** By view, the rows in what its join keeps itself, and in what it shares. */
async function kept(engine: StreamEngine): Promise<Record<string, { own: number; shared: number }>> {
  const { objects } = await engine.stats();
  return Object.fromEntries(
    objects
      .filter(({ kind }) => kind === 'view')
      .map(({ id, operators }) => {
        const rows = (some: typeof operators): number => some.reduce((sum, { stateRows }) => sum + stateRows, 0);
        return [
          id,
          {
            own: rows(operators.filter(({ name }) => name === 'inner join')),
            shared: rows(operators.filter(({ detail }) => detail.endsWith('(shared)'))),
          },
        ];
      }),
  );
}

describe('equal sides of joins', () => {
  test('are not kept again where a table has them by its key', async () => {
    const log = await orders();
    for (const topic of ['events', 'product']) await log.createTopic(topic, { partitions: 1 });
    const objects = [source('events'), source('product', { primaryKey: [0] }), joined('a', [2], 'upsert', 'product')];
    const engine = await started(log, null, objects, 1);
    const keys = [1, 2, 3].map((id) => JSON.stringify({ id }));
    await log.produce('product', 0, [1, 2, 3].map(order), keys);
    await log.produce('events', 0, [order(1), order(2)]);
    await engine.flush();
    expect(await rowsIn(engine, 'a', 4)).toEqual([1, 2].map((id) => [id, id, id, id]));
    expect(await kept(engine)).toEqual({ a: { own: 2, shared: 0 } });
    await log.produce('product', 0, [{ id: 1, n: 7 }, null], keys.slice(0, 2));
    await engine.flush();
    expect(await rowsIn(engine, 'a', 4)).toEqual([[1, 1, 1, 7]]);
  });

  test.each([1, 2])(
    'are kept once from the second query on, with the columns of both, in %i shards',
    async (shards) => {
      const log = await orders();
      await log.createTopic('events', { partitions: 2 });
      const disk = new MemoryDisk();
      const views = [joined('a', [2]), joined('b', [2]), joined('c', [1])];
      const engine = await started(log, disk, [source('orders'), source('events'), views[0]], shards);
      await log.produce('orders', 0, [1, 2, 3].map(order));
      await log.produce('events', 1, [order(1), order(2)]);
      await engine.flush();
      expect(await kept(engine)).toEqual({ a: { own: 5, shared: 0 } });
      const before = log.reads;
      await engine.add(views[1]);
      await engine.flush();
      // The left side of the new one is read from the log, the right one is there.
      expect(log.reads - before).toBeLessThanOrEqual(2);
      expect(await kept(engine)).toEqual({ a: { own: 2, shared: 3 }, b: { own: 2, shared: 3 } });
      await engine.add(views[2]);
      await log.produce('orders', 1, [order(2)]);
      await log.produce('events', 0, [order(3)]);
      const expectRows = async (of: StreamEngine): Promise<void> => {
        await of.flush();
        const ids = [1, 2, 2, 3];
        for (const id of ['a', 'b']) expect(await rowsIn(of, id, 4)).toEqual(ids.map((n) => [n, n, n, n]));
        expect(await rowsIn(of, 'c', 4)).toEqual(ids.map((n) => [n, n, n, `g${n % 3}`]));
      };
      await expectRows(engine);
      await engine.close();
      const again = await started(log, disk, [source('orders'), source('events'), ...views], 3 - shards);
      await expectRows(again);
      for (const { id } of views) await again.remove(id);
      await again.remove('orders');
    },
  );
});
