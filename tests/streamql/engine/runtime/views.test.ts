import { afterEach, describe, expect, test } from 'vitest';
import type { StreamEngine, ViewChange } from '../../../../src/ports/engine.ts';
import { DEAD_LETTER_COLUMNS } from '../../../../src/values/hidden-columns.ts';
import type { Plan } from '../../../../streamql/plan/plan.ts';
import { countAndSum, FakeLog, ORDERS, openEngine, rowsIn, rowsOf, scan, source, view } from './support.ts';

const open: StreamEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

async function start(log: FakeLog, ...more: Parameters<typeof openEngine> extends [unknown, ...infer R] ? R : never) {
  const engine = await openEngine(log, ...more);
  open.push(engine);
  return engine;
}

async function orders(partitions = 2): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions });
  return log;
}

const order = (id: number) => ({ id, grp: `g${id % 3}`, n: id * 10, at: id });
const plain = scan('orders', [0, 2], ORDERS);
const totals = countAndSum(scan('orders', [1, 2], ORDERS), 0, 1);

function expectedTotals(ids: readonly number[]) {
  const groups = new Map<string, [number, number]>();
  for (const id of ids) {
    const [count, sum] = groups.get(`g${id % 3}`) ?? [0, 0];
    groups.set(`g${id % 3}`, [count + 1, sum + id * 10]);
  }
  return [...groups].map(([group, [count, sum]]) => [group, count, sum]).sort();
}

describe('views', () => {
  test('follow the log, over sources and over views, at one epoch', async () => {
    const log = await orders();
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('totals', totals, [0]));
    await engine.add(view('again', scan('totals', [2, 0], totals.schema, 'upsert'), [1]));
    await engine.resume();
    await log.produce('orders', 0, [1, 2, 3].map(order));
    await log.produce('orders', 1, [4, 5].map(order));
    await engine.flush();
    expect(await rowsIn(engine, 'totals', 3)).toEqual(expectedTotals([1, 2, 3, 4, 5]));
    await log.produce('orders', 1, [6].map(order));
    const epoch = await engine.flush();
    const both = await engine.snapshot([
      { id: 'totals', columns: [0, 2] },
      { id: 'again', columns: [1, 0] },
    ]);
    expect(both.epoch).toBe(epoch);
    expect(rowsOf(both.batches[0])).toEqual(rowsOf(both.batches[1]));
    const { batch } = await engine.lookup('totals', ['g0'], 10);
    expect(rowsOf(batch)).toEqual([['g0', 2, 90]]);
  });

  test('are the same whether created before, after or in the middle of the data', async () => {
    const log = await orders();
    const engine = await start(log, { settings: { batchRecords: 7, chunkBytes: 300 } });
    await engine.add(source('orders'));
    await engine.add(view('before', totals, [0]));
    await engine.resume();
    const ids: number[] = [];
    let next = 0;
    const produce = async (count: number) => {
      const batch = Array.from({ length: count }, () => next++);
      ids.push(...batch);
      await log.produce('orders', next % 2, batch.map(order));
    };
    for (let i = 0; i < 20; i++) await produce(25);
    await engine.add(view('middle', totals, [0]));
    await engine.add(view('rows', plain));
    await engine.add(view('over', countAndSum(scan('middle', [0, 1], totals.schema, 'upsert'), 0, 1), [0]));
    for (let i = 0; i < 20; i++) {
      await produce(25);
      if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await engine.flush();
    await engine.add(view('after', totals, [0]));
    const expected = expectedTotals(ids);
    expect(await rowsIn(engine, 'after', 3)).toEqual(expected);
    expect(await rowsIn(engine, 'before', 3)).toEqual(expected);
    expect(await rowsIn(engine, 'middle', 3)).toEqual(expected);
    expect((await rowsIn(engine, 'rows', 1)).map(([id]) => id).sort((a, b) => Number(a) - Number(b))).toEqual(ids);
    expect(await rowsIn(engine, 'over', 3)).toEqual(expected.map(([group, count]) => [group, 1, count]));
  });

  test('tell subscribers a snapshot and then consolidated changes that add up', async () => {
    const log = await orders(1);
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('totals', totals, [0]));
    await engine.resume();
    await log.produce('orders', 0, [0, 1, 2].map(order));
    await engine.flush();
    const changes: ViewChange[] = [];
    await engine.subscribe('totals', { snapshot: true }, (change) => changes.push(change));
    expect(changes.map((change) => change.snapshot)).toEqual([true]);
    for (let i = 3; i < 30; i++) {
      await log.produce('orders', 0, [order(i)]);
      if (i % 4 === 0) await engine.flush();
    }
    await engine.flush();
    const sum = new Map<string, number>();
    for (const { batch } of changes) {
      for (let i = 0; i < batch.length; i++) {
        const row = JSON.stringify(batch.columns.map((one) => one.values[i]));
        sum.set(row, (sum.get(row) ?? 0) + (batch.weights?.[i] ?? 1));
      }
    }
    const kept = [...sum].filter(([, weight]) => weight !== 0).map(([row]) => JSON.parse(row));
    expect(kept.sort()).toEqual(await rowsIn(engine, 'totals', 3));
    await engine.remove('totals');
    expect(changes.at(-1)?.error?.code).toBe('NOT_FOUND');
  });

  test('read hidden columns, new partitions and records sent before the topic had them', async () => {
    const log = await orders(1);
    const engine = await start(log);
    const spec = source('orders');
    await engine.add(spec);
    await engine.add(view('hidden', scan('orders', [5, 6, 8, 9, 0], spec.columns)));
    await engine.resume();
    await log.append('orders', 0, [
      {
        key: Buffer.from('k'),
        value: Buffer.from('{"id":1}'),
        headers: [
          ['h', Buffer.from('x')],
          ['z', null],
        ],
      },
    ]);
    log.addPartition('orders');
    await log.produce('orders', 1, [order(2)]);
    await engine.flush();
    expect(await rowsIn(engine, 'hidden', 5)).toEqual([
      [0, 0, 'k', '[["h","x"],["z",null]]', 1],
      [1, 0, null, '[]', 2],
    ]);
  });

  test('begin where retention left the log, and go on when a topic is made anew', async () => {
    const log = await orders(1);
    for (let i = 0; i < 6; i++) await log.produce('orders', 0, [order(i)]);
    const topic = log.topics.get('orders')!;
    topic.partitions[0].splice(0, 4);
    topic.starts[0] = 4;
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('rows', plain));
    await engine.resume();
    await engine.flush();
    expect(await rowsIn(engine, 'rows', 1)).toEqual([[4], [5]]);
    const isGone = async () => (await engine.stats()).objects[0].isTopicGone ?? false;
    expect(await isGone()).toBe(false);
    await log.deleteTopic('orders');
    await expect.poll(isGone).toBe(true);
    await log.createTopic('other', { partitions: 1 });
    await log.createTopic('orders', { partitions: 1 });
    await log.produce('orders', 0, [order(6)]);
    await engine.flush();
    expect(await isGone()).toBe(false);
    expect(await rowsIn(engine, 'rows', 1)).toEqual([[4], [5], [6]]);
  });

  test('join two sources, each row of one epoch with all before it', async () => {
    const log = await orders(2);
    await log.createTopic('names', { partitions: 1 });
    const engine = await start(log, { settings: { batchRecords: 4 } });
    await engine.add(source('orders'));
    await engine.add(source('names', { primaryKey: [0] }));
    const left = scan('orders', [0, 2], ORDERS);
    const right = scan('names', [0, 1], ORDERS, 'upsert');
    const joined: Plan = {
      op: 'join',
      kind: 'left',
      left,
      right,
      keys: [[0, 0]],
      residual: null,
      schema: [...left.schema, ...right.schema],
    };
    await engine.resume();
    await engine.add(view('first', joined));
    for (let i = 0; i < 12; i++) {
      await log.produce('orders', i % 2, [order(i)]);
      await log.produce('names', 0, [i % 4 === 3 ? null : { id: i % 6, grp: `name ${i}` }], [`${i % 6}`]);
      if (i === 7) await engine.add(view('middle', joined));
    }
    await engine.flush();
    await engine.add(view('last', joined));
    // Keys 0–5 were put by 0–5 and again by 6–11; 3, 7 and 11 delete.
    const names = ['name 6', null, 'name 8', 'name 9', 'name 10', null];
    const expected = Array.from({ length: 12 }, (_, i) => {
      const name = names[i] ?? null;
      return [i, i * 10, name === null ? null : i, name];
    }).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    for (const id of ['first', 'middle', 'last']) expect(await rowsIn(engine, id, 4)).toEqual(expected);
  });

  test('idle engines do nothing', async () => {
    const log = await orders();
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('totals', totals, [0]));
    await engine.resume();
    await log.produce('orders', 0, [order(1)]);
    await engine.flush();
    const { epoch } = await engine.stats();
    const { reads } = log;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await engine.stats()).epoch).toBe(epoch);
    expect(log.reads).toBe(reads);
  });
});

describe('dead letters', () => {
  test('hold what is no row, with offset and reason; the view goes on, and queries can read them', async () => {
    const log = await orders(1);
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('totals', totals, [0]));
    await engine.add(
      view('count', countAndSum(scan('orders$errors', [0, 4], DEAD_LETTER_COLUMNS, 'general'), 0, 1), [0]),
    );
    await engine.resume();
    await log.produce('orders', 0, [order(1), '{"id": oops', order(2), null, order(3)]);
    await engine.flush();
    const letters = await rowsIn(engine, 'orders$errors', 7);
    expect(letters.map((row) => [row[0], row[2], row[3], row[4], row[6]])).toEqual([
      ['RECORD_MALFORMED', 'orders', 0, 1, '{"id": oops'],
      ['RECORD_MALFORMED', 'orders', 0, 3, null],
    ]);
    expect(await rowsIn(engine, 'totals', 3)).toEqual(expectedTotals([1, 2, 3]));
    expect(await rowsIn(engine, 'count', 3)).toEqual([['RECORD_MALFORMED', 2, 4]]);
    // A view that starts later reads the same records again; they are told once.
    await engine.add(view('later', plain));
    expect((await rowsIn(engine, 'later', 2)).length).toBe(3);
    expect((await rowsIn(engine, 'orders$errors', 1)).length).toBe(2);
  });

  test('are bounded; the count knows all', async () => {
    const log = await orders(1);
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.resume();
    for (let i = 0; i < 13; i++) await log.produce('orders', 0, new Array(1000).fill('?'));
    await engine.flush();
    const { batches } = await engine.snapshot([{ id: 'orders$errors', columns: [4] }]);
    expect(batches[0].length).toBe(10_000);
    expect(Math.min(...(batches[0].columns[0].values as Float64Array))).toBe(3000);
    expect((await engine.stats()).objects[0].errors).toBe(13_000);
  });
});

describe('late rows', () => {
  const times = [10, 20, 12, 30, 21, 19, 40, 5];
  // Delay 10: watermarks before each: -, 0, 10, 10, 20, 20, 20, 30. Late: 19 (< 20), 5 (< 30).
  const records = times.map((at, id) => ({
    id,
    grp: 'g',
    n: at,
    at: `${new Date(at / 1000).toISOString().slice(0, 19)}.${String(at).padStart(6, '0')}Z`,
  }));

  for (const [late, kept, letters] of [
    ['update', 8, 0],
    ['drop', 6, 0],
    ['dead_letter', 6, 2],
  ] as const) {
    test(`policy ${late}, however the log is cut`, async () => {
      for (const cut of [1, 3, 8]) {
        const log = await orders(1);
        const engine = await start(log, { settings: { batchRecords: cut } });
        await engine.add(source('orders', { watermark: { column: 3, delayMicros: 10 }, late, idleTimeoutMs: 0 }));
        await engine.add(view('rows', plain));
        await engine.resume();
        await log.produce('orders', 0, records);
        await engine.flush();
        expect((await rowsIn(engine, 'rows', 2)).length).toBe(kept);
        const [stats] = (await engine.stats()).objects;
        expect(stats.late).toBe(2);
        expect(stats.watermarkMicros).toBe(30);
        if (late !== 'dead_letter') continue;
        const found = await rowsIn(engine, 'orders$late', 5);
        expect(found.map((row) => [row[0], row[4]])).toEqual(
          [
            ['RECORD_LATE', 5],
            ['RECORD_LATE', 7],
          ].slice(0, letters),
        );
        await engine.add(view('after', plain));
        expect((await rowsIn(engine, 'after', 2)).length).toBe(kept);
        expect((await rowsIn(engine, 'orders$late', 1)).length).toBe(2);
        let read = 0;
        await engine.readSource('orders', [0], async (batch) => {
          read += batch.length;
          return true;
        });
        expect(read).toBe(kept);
      }
    });
  }
});

describe('tables', () => {
  test('put and delete by key, in every accepted form of a key', async () => {
    const log = await orders(1);
    const engine = await start(log, { settings: { batchRecords: 3 } });
    await engine.add(source('orders', { primaryKey: [0] }));
    await engine.add(view('totals', countAndSum(scan('orders', [1, 2], ORDERS, 'upsert'), 0, 1), [0]));
    await engine.resume();
    await log.produce(
      'orders',
      0,
      [
        { id: 1, grp: 'a', n: 5 },
        { grp: 'a', n: 6 },
        { id: 3, grp: 'b', n: 7 },
        { id: 1, grp: 'b', n: 8 },
        null,
        { id: 4, grp: 'c', n: 1 },
        null,
      ],
      ['[1]', '2', '{"id":3}', null, '[2]', '4', '[99]'],
    );
    await engine.flush();
    expect(await rowsIn(engine, 'orders', 3)).toEqual([
      [1, 'b', 8],
      [3, 'b', 7],
      [4, 'c', 1],
    ]);
    expect(await rowsIn(engine, 'totals', 3)).toEqual([
      ['b', 2, 15],
      ['c', 1, 1],
    ]);
    await log.produce(
      'orders',
      0,
      [{ id: 7, grp: 'x', n: 1 }, { grp: 'x', n: 1 }, null, { grp: 'y' }],
      ['8', null, null, 'no number'],
    );
    await engine.flush();
    const reasons = (await rowsIn(engine, 'orders$errors', 5)).map((row) => `${row[4]} ${row[1]}`).sort();
    expect(reasons).toEqual([
      '10 the record key is no (id)',
      '7 id differs between key and value',
      '8 id is missing',
      '9 the record has neither key nor value',
    ]);
    expect(rowsOf((await engine.lookup('orders', [3], 5)).batch)[0].slice(0, 3)).toEqual([3, 'b', 7]);
    await engine.add(view('late', countAndSum(scan('orders', [1, 2], ORDERS, 'upsert'), 0, 1), [0]));
    expect(await rowsIn(engine, 'late', 3)).toEqual([
      ['b', 2, 15],
      ['c', 1, 1],
    ]);
  });
});

describe('failures', () => {
  test('stop the object and its readers; the rest runs on', async () => {
    const log = await orders(1);
    const engine = await start(log);
    await engine.add(source('orders'));
    await engine.add(view('good', totals, [0]));
    // The plan does not say the truth: id % 3 does not name a row.
    await engine.add(view('bad', scan('orders', [1], ORDERS), [0]));
    await engine.add(view('reader', scan('bad', [0], [ORDERS[1]])));
    await engine.resume();
    const ended: ViewChange[] = [];
    await engine.subscribe('reader', { snapshot: false }, (change) => ended.push(change));
    await log.produce('orders', 0, [1, 2, 3, 4, 5].map(order));
    await engine.flush();
    const { objects } = await engine.stats();
    expect(objects.map((object) => [object.id, object.state])).toEqual([
      ['orders', 'running'],
      ['good', 'running'],
      ['bad', 'failed'],
      ['reader', 'failed'],
    ]);
    expect(ended.at(-1)?.error?.code).toBe('PIPELINE_FAILED');
    await expect(rowsIn(engine, 'bad', 1)).rejects.toMatchObject({ code: 'PIPELINE_FAILED' });
    expect(await rowsIn(engine, 'good', 3)).toEqual(expectedTotals([1, 2, 3, 4, 5]));
    await expect(engine.remove('bad')).rejects.toMatchObject({ code: 'IN_USE' });
    await engine.remove('reader');
    await engine.remove('bad');
    await expect(engine.add(view('x', scan('nothing', [0], ORDERS)))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
