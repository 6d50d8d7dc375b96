import { afterAll, describe, expect, test } from 'vitest';
import type { Datum } from '../../src/values/types.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { catalogOf, NEXMARK_DDL, nexmarkFile, nexmarkRows } from '../streamql/catalog.ts';
import { bag, type Row, runPlan } from '../streamql/reference.ts';
import { newAnalytics, runOver } from './rig.ts';

const analytics = newAnalytics();
afterAll(() => analytics.close());

const catalog = catalogOf(`${NEXMARK_DDL};
  CREATE SOURCE s (a BIGINT, b INTEGER, d DECIMAL(10, 2), f DOUBLE, v VARCHAR, p BOOLEAN, t TIMESTAMP, z TIMESTAMPTZ);
  CREATE SOURCE r (a BIGINT, w VARCHAR)`);

const HIDDEN: readonly Datum[] = ['x', 0, 0, 0, null, '[]'];
const S: Row[] = [
  [1, 10, 150, 0.5, 'b', true, 0, 0],
  [1, 20, -150, Number.NaN, 'a', false, -1, -1],
  [2, null, 333, -0.5, null, null, 59_999_999, 61_000_000],
  [null, 5, null, null, '', true, null, null],
  [9007199254740993n, 2147483647, 99999999_99, 1e300, "o'x", true, -62_135_596_800_000_000n, 86_400_000_000],
  [9223372036854775807n, -1, 1, Number.POSITIVE_INFINITY, '\u{1f600}', false, 1_700_000_000_000_000, 1],
  [2, 7, 334, 0.25, 'b', true, 60_000_000, 60_000_000],
].map((row) => [...(row as Datum[]), ...HIDDEN]);
const R: Row[] = [
  [1, 'one'],
  [2, 'two'],
  [2, 'deux'],
  [null, 'none'],
].map((row) => [...(row as Datum[]), ...HIDDEN]);

const topic = (name: string): Row[] => nexmarkRows(name, catalog.relation(name)?.columns ?? []);
const rows: Readonly<Record<string, readonly Row[]>> = {
  s: S,
  r: R,
  person: topic('person'),
  auction: topic('auction'),
  bid: topic('bid'),
};
const tables = (name: string): readonly Row[] => rows[name];

function plansOf(sql: string): Plan[] {
  const [statement] = parseStatements(sql) as QueryStatement[];
  const { plan } = bindQuery(statement.query, catalog, { mode: 'pull' });
  return [plan, optimize(plan)];
}

const QUERIES = [
  'SELECT 1',
  "SELECT 1 + 2, NULL, 'x' || 'y', CAST('1 day 02:00:00' AS INTERVAL)",
  'SELECT * FROM s',
  'SELECT count(*) FROM s',
  'SELECT 7 FROM s',
  'SELECT a, b FROM s WHERE p',
  'SELECT a FROM s WHERE NOT p OR f > 0',
  'SELECT a IN (1, 2), a NOT IN (1, NULL), a IN (1, NULL), v IS NULL FROM s',
  "SELECT CASE WHEN b > 6 THEN 'big' WHEN b IS NULL THEN NULL ELSE 'small' END, COALESCE(v, 'none') FROM s",
  'SELECT a IS DISTINCT FROM 1, a IS NOT DISTINCT FROM NULL FROM s',
  'SELECT DISTINCT a, p FROM s',
  'SELECT count(*), count(b), count(DISTINCT a), sum(b), sum(d), avg(b), avg(d), min(v), max(t), min(f), max(f) FROM s',
  'SELECT a, count(*), sum(a), avg(a), sum(DISTINCT b), avg(d) FILTER (WHERE p) FROM s GROUP BY a',
  'SELECT sum(a), avg(f), sum(f), count(*) FROM s WHERE a < 0',
  'SELECT p, sum(b) FROM s GROUP BY p HAVING sum(b) > 10',
  'SELECT s.a, s.b, r.w FROM s JOIN r ON s.a = r.a',
  "SELECT s.a, s.b, r.w FROM s LEFT JOIN r ON s.a = r.a AND r.w <> 'two' AND s.b > 0",
  'SELECT count(*) FROM s, r',
  'SELECT s.a, r.a FROM s JOIN r ON s.a < r.a',
  'SELECT x.a, y.b FROM s AS x JOIN s AS y ON x.a = y.a',
  'SELECT a FROM s UNION ALL SELECT a FROM r UNION ALL SELECT 5',
  'SELECT a FROM s UNION SELECT a FROM r',
  "SELECT a, window_start, window_end FROM TUMBLE(s, t, INTERVAL '1' MINUTE)",
  "SELECT b, window_start, window_end FROM HOP(s, t, INTERVAL '20' SECOND, INTERVAL '1' MINUTE)",
  "SELECT window_start, count(*) FROM TUMBLE(s, z, INTERVAL '7' SECOND) GROUP BY window_start",
  'SELECT a, b, n FROM (SELECT a, b, row_number() OVER (PARTITION BY a ORDER BY b DESC) AS n FROM s) AS q WHERE n <= 1',
  'SELECT a / 3, a % 3, d / 7, d * d, b - 1, -d, f / 2 FROM s WHERE a < 100',
  'SELECT CAST(d AS INTEGER), CAST(f AS DECIMAL(12, 3)), CAST(p AS VARCHAR), CAST(t AS VARCHAR) FROM s WHERE f < 10',
  'SELECT TRY_CAST(v AS INTEGER), TRY_CAST(f AS INTEGER), CAST(a AS DOUBLE) FROM s',
];

const shown = (row: Row): Datum[] =>
  row.map((datum) => (typeof datum === 'number' && !Number.isInteger(datum) ? Number(datum.toPrecision(12)) : datum));

test.each(QUERIES)('%s', async (sql) => {
  for (const plan of plansOf(sql)) {
    const answer = await runOver(analytics, plan, tables, 3);
    expect(bag(answer.map(shown))).toEqual(bag(runPlan(plan, tables).map(shown)));
  }
});

const ORDERED = [
  'SELECT a, b FROM s ORDER BY a NULLS FIRST, b DESC',
  'SELECT v FROM s ORDER BY v DESC NULLS LAST, b',
  'SELECT b FROM s ORDER BY f, b LIMIT 4',
  'SELECT b FROM s ORDER BY f DESC NULLS LAST, b LIMIT 3 OFFSET 2',
  'SELECT b / 2, v FROM s ORDER BY d DESC, b',
  'SELECT b FROM s ORDER BY b OFFSET 3',
  'SELECT a, count(*) AS n FROM s GROUP BY a ORDER BY n DESC, a',
  'SELECT w FROM r ORDER BY length(w), w',
];

test.each(ORDERED)('in order: %s', async (sql) => {
  for (const plan of plansOf(sql)) expect(await runOver(analytics, plan, tables, 2)).toEqual(runPlan(plan, tables));
});

test('an order by a column that a projection above drops holds over many chunks', async () => {
  const [plan] = plansOf('SELECT v FROM s ORDER BY b DESC');
  const many = Array.from({ length: 30_000 }, (_, i) => [
    i,
    (i * 7919) % 30_011,
    null,
    null,
    `v${(i * 7919) % 30_011}`,
  ]);
  const answer = await runOver(analytics, plan, () => many.map((row) => [...row, null, null, null, ...HIDDEN]), 1000);
  const keys = answer.map(([v]) => Number(String(v).slice(1)));
  expect(keys).toEqual([...keys].sort((a, b) => b - a));
  expect(keys.length).toBe(many.length);
});

test('a long chain of exact quotients does not grow without bound', async () => {
  const [plan] = plansOf(`SELECT d${' / 1.5'.repeat(12)} FROM s WHERE a = 1`);
  expect(bag(await runOver(analytics, plan, tables))).toEqual(bag(runPlan(plan, tables)));
});

test('zeros of both signs and NaNs are one value each to DISTINCT, GROUP BY and joins', async () => {
  const doubles = [0, -0, Number.NaN, Number.NaN, 1].map((f) => [1, 1, 1, f, 'v', true, 0, 0, ...HIDDEN]);
  const of = (sql: string): Promise<Row[]> => runOver(analytics, plansOf(sql)[0], () => doubles);
  expect(await of('SELECT DISTINCT f FROM s')).toHaveLength(3);
  expect(bag(await of('SELECT count(*) FROM s GROUP BY f'))).toEqual(['1', '2', '2']);
  expect(await of('SELECT count(*) FROM s JOIN s AS o ON s.f = o.f')).toEqual([[9]]);
});

test('offsets apply after the order, limits before maxRows', async () => {
  const [plan] = plansOf('SELECT a FROM r ORDER BY w LIMIT 2 OFFSET 1');
  expect(await runOver(analytics, plan, tables)).toEqual([[null], [1]]);
});

describe('Nexmark', () => {
  test.each(['q0', 'q1', 'q2', 'q3', 'q4', 'q5', 'q7', 'q8', 'q9'])('%s', async (name) => {
    for (const plan of plansOf(nexmarkFile(`queries/${name}.sql`).replace(/;\s*$/, ''))) {
      expect(bag(await runOver(analytics, plan, tables))).toEqual(bag(runPlan(plan, tables)));
    }
  });
});
