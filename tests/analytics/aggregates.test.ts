import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, describe, expect, test } from 'vitest';
import { type Datum, VARCHAR } from '../../src/values/types.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import { AGGREGATES } from '../../streamql/functions/aggregates.ts';
import { castDatum } from '../../streamql/functions/casts.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { catalogOf } from '../streamql/catalog.ts';
import { bag, type Row, runPlan } from '../streamql/reference.ts';
import { newAnalytics, runOver } from './rig.ts';

const analytics = newAnalytics();
afterAll(() => analytics.close());

const HIDDEN: readonly Datum[] = ['x', 0, 0, 0, null, '[]'];
const catalog = catalogOf(`
  CREATE SOURCE t (s VARCHAR, n INTEGER, x DOUBLE, g INTEGER);
  CREATE SOURCE u (g INTEGER, n BIGINT, x DOUBLE, y DOUBLE, d DECIMAL(8, 2), v VARCHAR, p BOOLEAN, z TIMESTAMPTZ)`);
/** The table of docs/reference/functions.md. */
const T: Row[] = [
  ['a', 1, 1, 1],
  ['b', 2, 2, 1],
  ['b', 2, 3, 1],
  ['c', 4, 4, 1],
].map((row) => [...row, ...HIDDEN]);

/** 300 rows of 5 groups, with NULLs, equal rows and equal keys. */
const U: Row[] = Array.from({ length: 300 }, (_, i) => {
  const r = (k: number): number => ((i + 1) * 2654435761 * (k + 7)) % 1000;
  const row: Datum[] = [
    r(1) % 5,
    r(2) % 9 === 0 ? null : (r(3) % 7) - 3,
    r(4) % 8 === 0 ? null : (r(5) % 40) / 8,
    r(6) % 8 === 0 ? null : (r(7) % 30) / 3,
    r(8) % 500,
    r(9) % 10 === 0 ? null : ['x', 'ä', '', 'longer'][r(10) % 4],
    r(11) % 6 === 0 ? null : r(12) % 2 === 0,
    r(13) * 1_000_000,
  ];
  return [...row, ...HIDDEN];
});
const tables = (name: string): readonly Row[] => (name === 't' ? T : U);

function planOf(sql: string): Plan {
  const [statement] = parseStatements(sql) as QueryStatement[];
  return bindQuery(statement.query, catalog, { mode: 'pull' }).plan;
}

describe('examples of the reference', () => {
  test.each([...AGGREGATES.values()].map((row) => [row.example[0], row.example[1]]))('%s', async (call, value) => {
    const plan = planOf(`SELECT ${call} FROM t`);
    const shown = ([[datum]]: readonly Row[]): Datum =>
      castDatum(datum as Exclude<Datum, null>, plan.schema[0].type, VARCHAR);
    expect(shown(runPlan(plan, tables))).toBe(value);
    expect(shown(await runOver(analytics, optimize(plan), tables))).toBe(value);
  });
});

const CALLS = [
  'array_agg(n ORDER BY x, y, v)',
  'array_agg(v)',
  'array_agg(DISTINCT n) FILTER (WHERE p)',
  "string_agg(v, ', ' ORDER BY n DESC NULLS LAST, x)",
  "string_agg(DISTINCT v, '-')",
  'json_agg(d ORDER BY d)',
  'jsonb_agg(z)',
  "json_object_agg(coalesce(v, '?'), d ORDER BY d, n)",
  'bool_and(p), bool_or(p), every(p) FILTER (WHERE n > 1)',
  'count_if(p), count_if(n > 0) FILTER (WHERE p)',
  'bit_and(n), bit_or(n), bit_xor(n), bit_xor(DISTINCT n)',
  'var_pop(n), var_samp(x), variance(d), stddev_pop(x), stddev(n) FILTER (WHERE p), stddev_samp(DISTINCT n)',
  'covar_pop(x, y), covar_samp(x, y), corr(n, x), regr_slope(y, x), regr_intercept(y, x), regr_r2(y, x)',
  'regr_count(y, n), regr_avgx(y, n), regr_avgy(y, n), regr_sxx(y, n), regr_syy(y, n), regr_sxy(y, n)',
  'percentile_cont(0.37) WITHIN GROUP (ORDER BY x), percentile_cont(1) WITHIN GROUP (ORDER BY n DESC)',
  'percentile_disc(0.5) WITHIN GROUP (ORDER BY v), median(n), median(DISTINCT x), mode(v), mode() WITHIN GROUP (ORDER BY n)',
  'approx_count_distinct(z), approx_count_distinct(v) FILTER (WHERE p), approx_percentile(y, 0.9)',
  'first_value(v ORDER BY z, n, x), last_value(n ORDER BY z DESC, x, v)',
  'max_by(v, x), min_by(z, y), arg_max(d, n) FILTER (WHERE p), arg_min(v, v)',
  'topk(n, 4), topkdistinct(x, 3), any_value(v), any_value(p)',
];

describe('a pull query answers as a view', () => {
  test.each(CALLS)('%s', async (calls) => {
    for (const sql of [`SELECT g, ${calls} FROM u GROUP BY g`, `SELECT ${calls} FROM u WHERE n > 100`]) {
      const plan = planOf(sql);
      expect(bag(await runOver(analytics, optimize(plan), tables, 37))).toEqual(bag(runPlan(plan, tables)));
    }
  });
});

/** Our arithmetic is our own in views and queries; DuckDB's is another's. Calls that mean the same in both. */
const SHARED = [
  ...['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp', 'median'].map((fn) => `${fn}(x)`),
  ...['covar_pop', 'covar_samp', 'corr', 'regr_slope', 'regr_intercept', 'regr_r2'].map((fn) => `${fn}(y, x)`),
  ...['regr_count', 'regr_avgx', 'regr_avgy', 'regr_sxx', 'regr_syy', 'regr_sxy'].map((fn) => `${fn}(y, x)`),
  'percentile_cont(0.37) WITHIN GROUP (ORDER BY x)',
  'percentile_cont(0.2) WITHIN GROUP (ORDER BY x DESC)',
  'percentile_disc(0.37) WITHIN GROUP (ORDER BY x)',
  'bit_and(n)',
  'bit_or(n)',
  'bit_xor(n)',
  'bool_and(p)',
  'bool_or(p)',
  "string_agg(v, ',' ORDER BY z, x, v)",
  'count_if(p)',
  'max(x) - min(x)',
];

test("numbers are as DuckDB's own", async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run('CREATE TABLE u (g INTEGER, n BIGINT, x DOUBLE, y DOUBLE, v VARCHAR, p BOOLEAN, z BIGINT)');
  const text = (datum: Datum): string =>
    datum === null ? 'NULL' : typeof datum === 'string' ? `'${datum}'` : String(datum);
  const values = U.map(([g, n, x, y, , v, p, z]) => `(${[g, n, x, y, v, p, z].map(text).join(', ')})`);
  await connection.run(`INSERT INTO u VALUES ${values.join(', ')}`);
  const rounded = (value: unknown): unknown =>
    typeof value === 'bigint' ? Number(value) : typeof value === 'number' ? Number(value.toPrecision(11)) : value;
  for (const call of SHARED) {
    const sql = `SELECT g, ${call} FROM u GROUP BY g ORDER BY g`;
    const theirs = (await connection.runAndReadAll(sql)).getRows().map((row) => row.map(rounded));
    expect([call, runPlan(planOf(sql), tables).map((row) => row.map(rounded))]).toEqual([call, theirs]);
  }
  connection.closeSync();
  instance.closeSync();
});
