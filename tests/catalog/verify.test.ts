import { afterAll, beforeAll, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import type { StreamEngine } from '../../src/ports/engine.ts';
import { gatherBatch } from '../../src/values/batch.ts';
import { SqlRig } from './sql-rig.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 << 20 });
let rig: SqlRig;
beforeAll(async () => {
  rig = await SqlRig.open(analytics);
  await rig.run(`
    CREATE SOURCE bid (auction BIGINT, price BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '5 seconds')
      WITH (partitions = 3, late = 'drop');
    CREATE TABLE item (id BIGINT PRIMARY KEY, name VARCHAR);
    INSERT INTO item VALUES (1, 'one'), (2, 'two');
    INSERT INTO bid VALUES (1, 10, '2026-01-01'), (1, 20, '2026-01-01 00:00:10'), (2, 1, '2026-01-01 00:00:01'),
      (2, 7, '2026-01-01 00:00:40'), (3, 8, NULL), (1, 10, '2026-01-01 00:00:00')`);
});
afterAll(async () => {
  await rig.close();
  await analytics.close();
});

test.each([
  ['rows', 'SELECT auction, price FROM bid'],
  ['groups', 'SELECT auction, count(*), avg(price), stddev(price) AS s FROM bid GROUP BY auction'],
  ['joined', 'SELECT name, price FROM bid LEFT JOIN item ON id = auction'],
  ['best', 'SELECT * FROM bid QUALIFY ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) <= 2'],
  ['over_view', 'SELECT name, count(*) FROM item JOIN groups ON id = auction GROUP BY name'],
  ['windows', "SELECT window_start, sum(price) AS s FROM TUMBLE(bid, at, INTERVAL '10 seconds') GROUP BY window_start"],
  [
    'matches',
    'SELECT * FROM bid MATCH_RECOGNIZE (PARTITION BY auction ORDER BY at MEASURES a.price AS first, LAST(b.price) AS last PATTERN (a b+) DEFINE b AS price > PREV(price))',
  ],
  ['letters', 'SELECT code, count(*) FROM bid$errors GROUP BY code'],
])('a view equals its definition: %s', async (name, query) => {
  await rig.run(`CREATE MATERIALIZED VIEW ${name} AS ${query}; FLUSH`);
  const [verdict, ...rest] = await rig.rows(`VERIFY VIEW ${name}`);
  expect(verdict).toMatchObject({ result: 'equal', row: expect.stringMatching(/^at epoch \d+$/) });
  expect(rest).toEqual([]);
});

/** An engine that answers with another content of views: each first row doubled instead of the last. */
function forging(engine: StreamEngine): StreamEngine {
  return new Proxy(engine, {
    get(target, name) {
      if (name !== 'snapshot') return (target as never as Record<PropertyKey, () => unknown>)[name].bind(target);
      return async (...args: Parameters<StreamEngine['snapshot']>) => {
        const answer = await target.snapshot(...args);
        const [view, ...others] = answer.batches;
        const picked = Int32Array.from({ length: view.length }, (_, i) => (i === view.length - 1 ? 0 : i));
        return { ...answer, batches: [gatherBatch(view, picked, view.length), ...others] };
      };
    },
  });
}

test('what differs is shown, with counts', async () => {
  await rig.run('CREATE MATERIALIZED VIEW two AS SELECT id, name FROM item WHERE id < 3; FLUSH');
  const context = { ...rig.db.executor.context, engine: forging(rig.db.engine) };
  const executor = new (rig.db.executor.constructor as typeof import('../../src/catalog/executor.ts').SqlExecutor)(
    context,
  );
  const verify = async (sql: string) => {
    const [result] = await executor.execute(sql, { params: [], timeoutMs: 5000, maxRows: 10 });
    return result.kind === 'rows' ? result.batches[0].columns.map((column) => [...(column.values as unknown[])]) : [];
  };
  expect(await verify('VERIFY VIEW two')).toEqual([
    ['different', 'extra', 'missing'],
    [2, 1, 1],
    [expect.stringContaining('epoch'), '{"id":"1","name":"one"}', '{"id":"2","name":"two"}'],
  ]);
  expect(await verify('VERIFY MATERIALIZED VIEW two LIMIT 1')).toMatchObject([{ length: 2 }, {}, {}]);
});

test('what cannot be verified says why', async () => {
  await expect(rig.run('VERIFY VIEW item')).rejects.toMatchObject({
    code: 'SQL_UNSUPPORTED',
    at: { line: 1, column: 13 },
  });
  await rig.run(`CREATE MATERIALIZED VIEW closed AS
    SELECT window_end, count(*) FROM TUMBLE(bid, at, INTERVAL '10 seconds') GROUP BY window_end EMIT ON WINDOW CLOSE`);
  await expect(rig.run('VERIFY VIEW closed')).rejects.toMatchObject({ code: 'SQL_UNSUPPORTED', at: { column: 13 } });
  await rig.run('CREATE MATERIALIZED VIEW q AS SELECT 10 / (price - 10) AS q FROM bid; FLUSH');
  await expect(rig.run('VERIFY VIEW q')).rejects.toMatchObject({
    code: 'VALUE_DIVISION_BY_ZERO',
    hint: expect.stringContaining('q$errors'),
  });
});
