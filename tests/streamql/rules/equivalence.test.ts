import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { datumToText } from '../../../src/values/text.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import type { Plan } from '../../../streamql/plan/plan.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalogOf } from '../catalog.ts';
import { overRelation } from '../random-overs.ts';
import { subqueryTerm } from '../random-subqueries.ts';
import { type Row, runPlan } from '../reference.ts';

/** Random queries mean the same before and after the rules, and the same as to DuckDB. */

const catalog = catalogOf(`
  CREATE SOURCE r (a BIGINT, b BIGINT, c VARCHAR);
  CREATE SOURCE s (a BIGINT, d BIGINT, e VARCHAR)`);
const hidden = ['t', 0, 0, 0, null, '[]'];
const value = fc.option(fc.integer({ min: 0, max: 4 }), { freq: 4, nil: null });
const text = fc.option(fc.constantFrom('x', 'y', 'zz'), { freq: 4, nil: null });
const rows = fc.array(fc.tuple(value, value, text), { maxLength: 7 });

const scalar = (columns: readonly string[]) =>
  fc.oneof(
    fc.constantFrom(...columns),
    fc.constantFrom(...columns),
    fc.integer({ min: 0, max: 4 }).map(String),
    fc
      .tuple(fc.constantFrom(...columns), fc.constantFrom(' + ', ' - ', ' * '), fc.constantFrom(...columns, '1', '2'))
      .map((p) => `(${p.join('')})`),
    fc.constantFrom(...columns).map((column) => `CASE WHEN ${column} > 1 THEN ${column} ELSE 0 END`),
    fc.tuple(fc.constantFrom(...columns), fc.constantFrom(...columns)).map(([x, y]) => `COALESCE(${x}, ${y}, 7)`),
  );
const predicate = (columns: readonly string[], depth = 2): fc.Arbitrary<string> => {
  const leaf = fc.oneof(
    fc
      .tuple(scalar(columns), fc.constantFrom(' = ', ' < ', ' >= ', ' <> ', ' IS DISTINCT FROM '), scalar(columns))
      .map((p) => p.join('')),
    fc
      .tuple(
        fc.constantFrom(...columns),
        fc.constantFrom(' IS NULL', ' IS NOT NULL', ' IN (1, 2)', ' NOT IN (0, 3)', ' BETWEEN 1 AND 3'),
      )
      .map((p) => p.join('')),
  );
  if (depth === 0) return leaf;
  const inner = predicate(columns, depth - 1);
  return fc.oneof(
    leaf,
    fc.tuple(inner, inner).map(([x, y]) => `${x} AND ${y}`),
    fc.tuple(inner, inner).map(([x, y]) => `(${x} OR ${y})`),
    inner.map((x) => `NOT (${x})`),
  );
};

/** Every relation offered has the columns n, m (numbers) and v (text). */
const relation = (depth: number): fc.Arbitrary<string> => {
  const base = fc.constantFrom('(SELECT a AS n, b AS m, c AS v FROM r)', '(SELECT d AS n, a AS m, e AS v FROM s)');
  if (depth === 0) return base;
  const inner = relation(depth - 1);
  const two = ['x.n', 'x.m', 'y.n', 'y.m'];
  return fc.oneof(
    base,
    inner.chain(overRelation),
    inner.chain(overRelation),
    fc
      .tuple(inner, scalar(['n', 'm']), predicate(['n', 'm']))
      .map(([i, e, p]) => `(SELECT ${e} AS n, m, v FROM ${i} q WHERE ${p})`),
    fc
      .tuple(
        inner,
        fc.constantFrom('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'),
        inner,
        predicate(two, 1),
        predicate(two, 1),
      )
      .map(
        ([l, j, r, on, where]) =>
          `(SELECT x.n, y.m, y.v FROM ${l} x ${j} ${r} y ON x.n = y.n AND ${on} WHERE ${where})`,
      ),
    fc
      .tuple(inner, inner, predicate(two, 1))
      .map(([l, r, where]) => `(SELECT x.n, y.m, x.v FROM ${l} x, ${r} y WHERE x.m = y.n AND ${where})`),
    fc.tuple(inner, inner).map(([l, r]) => `(SELECT * FROM ${l} x UNION ALL SELECT m, n, v FROM ${r} y)`),
    fc.tuple(inner, inner).map(([l, r]) => `(SELECT * FROM ${l} x UNION SELECT * FROM ${r} y)`),
    inner.map((i) => `(SELECT DISTINCT n, m, v FROM ${i} q)`),
    fc
      .tuple(inner, fc.constantFrom('sum(m)', 'count(DISTINCT m)', 'max(n)', 'min(m)'), predicate(['n']))
      .map(
        ([i, f, p]) =>
          `(SELECT n, CAST(${f} AS BIGINT) AS m, v FROM ${i} q GROUP BY n, v HAVING count(*) FILTER (WHERE ${p}) < 2)`,
      ),
    fc
      .tuple(inner, fc.constantFrom('INTERSECT', 'EXCEPT', 'INTERSECT ALL', 'EXCEPT ALL'), inner)
      .map(([l, op, r]) => `(SELECT * FROM ${l} x ${op} SELECT * FROM ${r} y)`),
    fc
      .tuple(inner, fc.constantFrom('SEMI', 'ANTI'), inner, predicate(two, 0))
      .map(([l, kind, r, on]) => `(SELECT n, m, v FROM ${l} x ${kind} JOIN ${r} y ON x.n = y.n AND ${on})`),
    fc
      .tuple(inner, fc.constantFrom('JOIN', 'LEFT JOIN', 'FULL JOIN'), inner)
      .map(([l, j, r]) => `(SELECT n, m, x.v FROM ${l} x ${j} ${r} y USING (n, m))`),
    fc
      .tuple(inner, base.chain(subqueryTerm), base.chain(subqueryTerm), predicate(['n', 'm'], 0))
      .map(([l, t, u, p]) => `(SELECT n, CASE WHEN ${u} THEN 1 ELSE m END AS m, v FROM ${l} q WHERE ${t} AND ${p})`),
    fc
      .tuple(inner, base)
      .map(
        ([l, r]) =>
          `(SELECT n, (SELECT max(y.m) FROM ${r} y WHERE y.n = q.n) AS m, max(v) AS v FROM ${l} q GROUP BY n)`,
      ),
    fc
      .tuple(inner, inner)
      .map(([l, r]) => `(SELECT * FROM ${l} x WHERE n IN (SELECT m FROM ${r} y) AND m IS NOT NULL)`),
    inner.map(
      (i) =>
        `(SELECT n, m, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY n ORDER BY m, v) AS k FROM ${i} w) q WHERE k <= 2)`,
    ),
  );
};
const query = fc
  .tuple(relation(3), predicate(['n', 'm']), fc.constantFrom('n, m, v', 'n + 1, v', 'count(*), sum(n)'))
  .map(([i, p, list]) => `SELECT ${list} FROM ${i} q WHERE ${p}`);

let duckdb: DuckDBInstance;
let run: (sql: string) => Promise<(string | null)[][]>;
beforeAll(async () => {
  duckdb = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await duckdb.connect();
  run = async (sql) => {
    const result = await connection.runAndReadAll(sql);
    return result.getRows().map((row) => row.map((datum) => (datum === null ? null : String(datum))));
  };
});
afterAll(() => duckdb.closeSync());

const answer = (plan: Plan, data: Record<string, Row[]>): string[] =>
  runPlan(plan, (id) => data[id])
    .map((row) => row.map((datum, i) => (datum === null ? null : datumToText(datum, plan.schema[i].type))))
    .map((row) => JSON.stringify(row))
    .sort();

const literal = (datum: unknown): string => (typeof datum === 'string' ? `'${datum}'` : String(datum));
const create = (name: string, columns: string, data: readonly (readonly unknown[])[]): string =>
  `CREATE OR REPLACE TABLE ${name} (${columns});` +
  (data.length === 0
    ? ''
    : `INSERT INTO ${name} VALUES ${data.map((row) => `(${row.map(literal).join(', ')})`).join(', ')};`);

test('the rules keep what a query means, and DuckDB agrees', async () => {
  await fc.assert(
    fc.asyncProperty(query, rows, rows, async (sql, r, s) => {
      const [statement] = parseStatements(sql);
      const bound = bindQuery((statement as QueryStatement).query, catalog, { mode: 'view' });
      const data = { r: r.map((row) => [...row, ...hidden]), s: s.map((row) => [...row, ...hidden]) };
      const plain = answer(bound.plan, data);
      const optimized = optimize(bound.plan);
      expect(answer(optimized, data)).toEqual(plain);
      expect(optimized.schema.map(({ name, type }) => ({ name, type }))).toEqual(
        bound.columns.map(({ name, type }) => ({ name, type })),
      );
      if (bound.key !== null) {
        const keys = runPlan(bound.plan, (id) => data[id as 'r']).map((row) =>
          JSON.stringify((bound.key ?? []).map((i) => String(row[i]))),
        );
        expect(new Set(keys).size).toBe(keys.length);
      }
      await run(create('r', 'a BIGINT, b BIGINT, c VARCHAR', r) + create('s', 'a BIGINT, d BIGINT, e VARCHAR', s));
      expect((await run(sql)).map((row) => JSON.stringify(row)).sort()).toEqual(plain);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 150) },
  );
});
