import { afterAll, beforeAll, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import type { ViewChange } from '../../src/ports/engine.ts';
import { rowAt, weightAt } from '../../src/values/batch.ts';
import { SqlRig } from './sql-rig.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 * 2 ** 20 });
let rig: SqlRig;

beforeAll(async () => {
  rig = await SqlRig.open(analytics);
  await rig.run(`CREATE TABLE t (id INT PRIMARY KEY, v INT); CREATE MATERIALIZED VIEW w AS SELECT id, v FROM t;
    INSERT INTO t VALUES (1, 10); FLUSH`);
});
afterAll(async () => {
  await rig.close();
  await analytics.close();
});

const rowsOf = ({ batch }: ViewChange): string[] =>
  Array.from({ length: batch.length }, (_, i) => `${weightAt(batch, i)} ${rowAt(batch, i).join(' ')}`);

async function follow(sql: string) {
  const changes: ViewChange[] = [];
  const { close, columns } = await rig.db.executor.subscribe(sql, {}, (change) => {
    changes.push(change);
  });
  const until = async (done: () => boolean): Promise<void> => {
    for (let wait = 0; wait < 2000 && !done(); wait++) await new Promise((go) => setTimeout(go, 5));
    expect(done()).toBe(true);
  };
  return { changes, until, close, columns };
}

test('PROGRESS tells that all changes up to an epoch have come', async () => {
  const { changes, until, close } = await follow('SUBSCRIBE w WITH (PROGRESS = true)');
  await rig.run('INSERT INTO t VALUES (2, 20); FLUSH');
  await until(() => changes.some((one) => one.progress === true && one.epoch >= changes[1].epoch));
  const told = changes.filter((one) => one.progress === true).map(({ epoch }) => epoch);
  expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
  expect(changes[0].snapshot).toBe(true);
  // Nothing of an epoch comes after it was said to be over.
  changes.forEach((change, i) => {
    if (change.progress === true) return;
    const before = changes.slice(0, i).filter((one) => one.progress === true);
    expect(before.every(({ epoch }) => epoch < change.epoch)).toBe(true);
  });
  await close();
});

test('UP TO ends before its epoch', async () => {
  const [{ epoch }] = (await rig.run('SELECT count(*) FROM w').then((result) => [result])) as { epoch: number }[];
  const { changes, until, close } = await follow(`SUBSCRIBE w UP TO ${epoch + 2}`);
  for (let id = 100; id < 104; id++) await rig.run(`INSERT INTO t VALUES (${id}, ${id}); FLUSH`);
  await until(() => changes.at(-1)?.end === true);
  expect(changes.slice(0, -1).every((one) => one.epoch < epoch + 2)).toBe(true);
  const count = changes.length;
  await rig.run('INSERT INTO t VALUES (110, 1); FLUSH');
  expect(changes.length).toBe(count);
  await close();
});

test('EMIT PERIODIC gathers and nets', async () => {
  const { changes, until, close } = await follow(
    "SELECT id, v FROM t WHERE id >= 200 EMIT PERIODIC INTERVAL '400 milliseconds'",
  );
  await until(() => changes.length === 1);
  await rig.run('INSERT INTO t VALUES (200, 1), (201, 1); FLUSH');
  await rig.run('INSERT INTO t VALUES (200, 2); FLUSH; DELETE FROM t WHERE id = 201; FLUSH');
  await until(() => changes.length > 1);
  expect(changes.slice(1).flatMap(rowsOf).sort()).toContain('1 200 2');
  await until(() => sumOf(changes) === '200 2');
  await close();
});

/** The messages of an envelope, in order, without what was there before. */
async function messages(sql: string, statements: readonly string[]): Promise<{ columns: string[]; rows: string[][] }> {
  const { changes, until, close, columns } = await follow(sql);
  await until(() => changes.length === 1);
  for (const statement of statements) {
    const count = changes.length;
    await rig.run(`${statement}; FLUSH`);
    await until(() => changes.length > count);
  }
  await close();
  return {
    columns: columns.map(({ name }) => name),
    rows: changes
      .slice(1)
      .map(({ batch }) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i).join(' '))),
  };
}

test('ENVELOPE UPSERT says by key what came and went', async () => {
  const sql = 'SUBSCRIBE (SELECT v % 10 AS g, id, v FROM t WHERE id >= 300) ENVELOPE UPSERT (KEY (id))';
  const steps = [
    'INSERT INTO t VALUES (300, 1), (301, 1)',
    'INSERT INTO t VALUES (300, 12)',
    'DELETE FROM t WHERE id = 301',
  ];
  expect(await messages(sql, steps)).toEqual({
    columns: ['state', 'id', 'g', 'v'],
    rows: [['upsert 300 1 1', 'upsert 301 1 1'], ['upsert 300 2 12'], ['delete 301  ']],
  });
  await rig.run('DELETE FROM t WHERE id >= 300; FLUSH');
});

test('ENVELOPE DEBEZIUM has the row before and after, and tells a key that is none', async () => {
  const sql = 'SUBSCRIBE (SELECT v, id FROM t WHERE id >= 400) ENVELOPE DEBEZIUM (KEY (v)) WITH (SNAPSHOT = true)';
  const steps = [
    'INSERT INTO t VALUES (400, 1)',
    'INSERT INTO t VALUES (400, NULL), (401, 1)',
    'INSERT INTO t VALUES (402, 5), (403, 5)',
    'DELETE FROM t WHERE id = 401',
  ];
  expect(await messages(sql, steps)).toEqual({
    columns: ['state', 'v', 'before_id', 'after_id'],
    rows: [
      ['insert 1  400'],
      expect.arrayContaining(['upsert 1 400 401', 'insert   400']),
      ['key_violation 5  '],
      ['delete 1 401 '],
    ],
  });
  await rig.run('DELETE FROM t WHERE id >= 400; FLUSH');
});

test('WITHIN TIMESTAMP ORDER BY orders the changes of an epoch', async () => {
  const sql = 'SUBSCRIBE (SELECT id, v FROM t WHERE id >= 500) WITHIN TIMESTAMP ORDER BY v DESC NULLS LAST, diff, id';
  const { changes, until, close } = await follow(sql);
  await until(() => changes.length === 1);
  await rig.run('INSERT INTO t VALUES (500, 1), (501, NULL), (502, 7), (503, 7); FLUSH');
  await until(() => changes.length === 2);
  await rig.run('INSERT INTO t VALUES (500, 7), (502, 1); FLUSH');
  await until(() => changes.length === 3);
  expect(changes.slice(1).map(rowsOf)).toEqual([
    ['1 502 7', '1 503 7', '1 500 1', '1 501 '],
    ['-1 502 7', '1 500 7', '-1 500 1', '1 502 1'],
  ]);
  await close();
});

/** What is left of all changes. */
function sumOf(changes: readonly ViewChange[]): string {
  const counts = new Map<string, number>();
  for (const change of changes) {
    for (const text of rowsOf(change)) {
      const [weight, ...row] = text.split(' ');
      counts.set(row.join(' '), (counts.get(row.join(' ')) ?? 0) + Number(weight));
    }
  }
  return [...counts].flatMap(([row, count]) => (count === 0 ? [] : [row])).join(', ');
}

test.each([
  ['SUBSCRIBE w WITH (progress = maybe)', 'OPTION_INVALID'],
  ['SUBSCRIBE w WITH (speed = true)', 'OPTION_INVALID'],
  ['SUBSCRIBE w UP TO yesterday', 'SQL_SYNTAX'],
  ["SUBSCRIBE w EMIT PERIODIC INTERVAL '1 month'", 'SQL_UNSUPPORTED'],
  ["SUBSCRIBE w EMIT PERIODIC INTERVAL '0 seconds'", 'SQL_TYPE'],
  ['SUBSCRIBE w ENVELOPE UPSERT (KEY (nope))', 'SQL_BIND'],
  ['SUBSCRIBE w ENVELOPE UPSERT (KEY (id, id))', 'SQL_BIND'],
  ['SUBSCRIBE w ENVELOPE MAXWELL (KEY (id))', 'SQL_SYNTAX'],
  ['SUBSCRIBE w ENVELOPE UPSERT', 'SQL_SYNTAX'],
  ['SUBSCRIBE w WITHIN TIMESTAMP ORDER BY v + 1', 'SQL_UNSUPPORTED'],
  ['SUBSCRIBE w WITHIN TIMESTAMP', 'SQL_SYNTAX'],
])('%s', async (sql, code) => {
  await expect(follow(sql)).rejects.toMatchObject({ code, at: { line: 1 } });
  if (sql.includes('month'))
    await expect(
      rig.run(sql.replace('SUBSCRIBE w', 'CREATE MATERIALIZED VIEW x AS SELECT * FROM w')),
    ).rejects.toMatchObject({
      code: 'SQL_UNSUPPORTED',
    });
});
