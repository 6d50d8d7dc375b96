import { afterAll, beforeAll, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { pipelineJson } from '../../src/server/routes/pipelines.ts';
import { SqlRig } from './sql-rig.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 << 20 });
let db: SqlRig['db'];
let rig: SqlRig;
const run = (sql: string) => rig.run(sql);
const rows = (sql: string) => rig.rows(sql);

beforeAll(async () => {
  rig = await SqlRig.open(analytics, Date.UTC(2026, 0, 1, 0, 1));
  db = rig.db;
  await run(`
    CREATE SOURCE bid (auction BIGINT, price BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '5 seconds');
    CREATE SOURCE auction (id BIGINT, seller BIGINT);
    CREATE MATERIALIZED VIEW best AS SELECT auction, max(price) AS price FROM bid WHERE price > 1 GROUP BY auction;
    INSERT INTO bid VALUES (1, 10, '2026-01-01'), (1, 20, '2026-01-01 00:00:10'), (2, 1, '2026-01-01 00:00:01');
    FLUSH`);
});
afterAll(async () => {
  await db.close();
  await analytics.close();
});

test('EXPLAIN ANALYZE of a view shows what each operator did', async () => {
  expect(await rows('EXPLAIN ANALYZE best')).toMatchObject([
    { operator: 'View', changelog: 'upsert', rows_out: 1, state_rows: 1 },
    { operator: '  project auction, price', changelog: 'upsert', rows_in: 1, rows_out: 1, state_rows: 0 },
    { operator: '    aggregate max by auction', changelog: 'upsert', rows_in: 2, rows_out: 1, state_rows: 1 },
    { operator: '      filter auction, price', changelog: 'append', rows_in: 3, rows_out: 2, state_rows: 0 },
  ]);
  expect(await rows('EXPLAIN ANALYZE bid')).toMatchObject([{ operator: 'Source topic bid', rows_in: 3 }]);
});

test('EXPLAIN ANALYZE of a SELECT runs it and leaves nothing behind', async () => {
  const before = (await db.engine.stats()).objects.length;
  const operators = await rows('EXPLAIN ANALYZE SELECT count(*) FROM bid b JOIN best USING (auction) ORDER BY 1');
  expect(operators[0]).toMatchObject({ operator: 'View', state_rows: 1 });
  expect(operators.find(({ operator }) => String(operator).includes('join'))).toMatchObject({
    // The row of `best` is the view's own.
    operator: expect.stringContaining('inner join auction = auction, right side shared'),
    rows_in: 4,
    rows_out: 2,
    state_rows: 3,
  });
  await db.executor.context.log.createTopic('bare', { partitions: 1 });
  expect(await rows('EXPLAIN ANALYZE SELECT count(*) FROM bare')).toMatchObject([
    { operator: 'DuckDB', rows_in: 0, rows_out: 1 },
    { operator: '  Scan bare', rows_out: 0 },
  ]);
  expect((await db.engine.stats()).objects).toHaveLength(before);
});

test('EXPLAIN STATE says what is kept, how it grows and what bounds it', async () => {
  const [view, aggregate] = await rows('EXPLAIN STATE best');
  expect(view).toMatchObject({ operator: 'View', state_rows: 1, bound: 'keys', fix: null });
  expect(aggregate).toMatchObject({ bound: 'keys', reason: 'one entry per distinct (auction)' });
  expect(aggregate['bytes_per_row']).toBeGreaterThan(8);
  const states = await rows('EXPLAIN STATE SELECT price FROM bid JOIN auction ON id = auction');
  expect(states[1]).toMatchObject({ bound: 'unbounded', bytes_per_hour: null, fix: expect.stringContaining('ttl') });
});

test('EXPLAIN of a name shows its plan, of what has none says so', async () => {
  expect((await rows('EXPLAIN best')).map((row) => row['plan']).join()).toContain('Aggregate by auction: max(price)');
  await expect(run('EXPLAIN bid')).rejects.toMatchObject({ code: 'SQL_UNSUPPORTED' });
  await expect(run('EXPLAIN STATE nothing')).rejects.toMatchObject({ code: 'NOT_FOUND', at: { line: 1, column: 15 } });
  await expect(run('EXPLAIN ANALYZE CREATE SOURCE x (a INT)')).rejects.toMatchObject({ code: 'SQL_UNSUPPORTED' });
});

test('CREATE warns of state without bound, and only of that', async () => {
  expect(await run('CREATE MATERIALIZED VIEW n AS SELECT auction, count(*) FROM bid GROUP BY auction')).toEqual({
    kind: 'ok',
    tag: 'CREATE MATERIALIZED VIEW',
  });
  const made = await run('CREATE MATERIALIZED VIEW j AS SELECT price FROM bid JOIN auction ON id = auction');
  expect(made).toMatchObject({
    warnings: [
      { message: expect.stringContaining('every row of bid and of auction'), hint: expect.stringMatching(/./) },
    ],
  });
});

test('a pipeline tells its rates, watermark and lag', async () => {
  await db.engine.stats();
  db.clock.moveTo(db.clock.nowMs() + 2000);
  await run("INSERT INTO bid VALUES (3, 30, '2026-01-01 00:00:20'), (3, 31, '2026-01-01 00:00:21'); FLUSH");
  const best = (await db.engine.stats()).objects.find(({ name }) => name === 'best')!;
  expect(best.rates.rowsInPerSecond).toBeCloseTo(2.5);
  expect(pipelineJson(db.executor.context, best)).toMatchObject({
    watermark: '2026-01-01T00:00:16.000Z',
    watermarkLagMs: 46_000,
    late: 1,
    rates: { busyShare: expect.any(Number) },
  });
});
