import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, batchOfRows, rowAt, weightAt } from '../../../src/values/batch.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { buildPipeline } from '../../../streamql/engine/build.ts';
import type { Pipeline, PipelineError } from '../../../streamql/engine/operator.ts';
import { ViewStore } from '../../../streamql/engine/operators/view-store.ts';
import type { QueryStatement } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { keyOf } from '../../../streamql/plan/keys.ts';
import type { Plan } from '../../../streamql/plan/plan.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { savedBytes } from '../../support/saved-bytes.ts';
import { catalogOf, NEXMARK_DDL, nexmarkFile, nexmarkRows } from '../catalog.ts';
import { overRelation } from '../random-overs.ts';
import { subqueryTerm } from '../random-subqueries.ts';
import { bag, type Row, runPlan } from '../reference.ts';

/** Whole queries: the pipeline's output, kept in a view, is what the reference says over the same rows, after every epoch. */

const catalog = catalogOf(`
  CREATE SOURCE r (a BIGINT, b BIGINT, c VARCHAR);
  CREATE TABLE s (a BIGINT, d BIGINT, e VARCHAR, PRIMARY KEY (a))`);
const planOf = (sql: string, of = catalog): Plan =>
  optimize(bindQuery((parseStatements(sql)[0] as QueryStatement).query, of, { mode: 'view' }).plan);

interface Step {
  readonly relation: 'r' | 's';
  readonly row: Row;
  readonly deletes: boolean;
  readonly ends: boolean;
}

const value = fc.option(fc.integer({ min: 0, max: 4 }), { freq: 4, nil: null });
const text = fc.option(fc.constantFrom('x', 'y', 'zz'), { freq: 4, nil: null });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    relation: fc.constantFrom('r', 's'),
    row: fc.tuple(fc.integer({ min: 0, max: 4 }), value, text),
    deletes: fc.nat(3).map((n) => n === 0),
    ends: fc.nat(3).map((n) => n === 0),
  }),
  { maxLength: 30 },
);

/** Every relation offered has the columns n, m (numbers) and v (text). */
const relation = (depth: number): fc.Arbitrary<string> => {
  const base = fc.constantFrom('(SELECT a AS n, b AS m, c AS v FROM r)', '(SELECT a AS n, d AS m, e AS v FROM s)');
  if (depth === 0) return base;
  const inner = relation(depth - 1);
  const condition = (x: string, y: string): fc.Arbitrary<string> =>
    fc.constantFrom(`${x} < ${y}`, `${x} <> 2`, `${y} IS NOT NULL`, `${x} + 1 >= ${y}`, `${y} IN (1, 3)`, 'TRUE');
  return fc.oneof(
    base,
    inner.chain(overRelation),
    inner.chain(overRelation),
    fc.tuple(inner, condition('n', 'm')).map(([i, p]) => `(SELECT n + 1 AS n, m, v FROM ${i} q WHERE ${p})`),
    fc
      .tuple(inner, fc.constantFrom('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'), inner, condition('x.m', 'y.m'))
      .map(([l, j, r, p]) => `(SELECT x.n, y.m, y.v FROM ${l} x ${j} ${r} y ON x.n = y.n AND ${p})`),
    fc
      .tuple(inner, inner, condition('x.m', 'y.n'))
      .map(([l, r, p]) => `(SELECT x.n, y.m, x.v FROM ${l} x, ${r} y WHERE ${p})`),
    fc.tuple(inner, inner).map(([l, r]) => `(SELECT * FROM ${l} x UNION ALL SELECT m, n, v FROM ${r} y)`),
    inner.map((i) => `(SELECT DISTINCT n, m, v FROM ${i} q)`),
    fc
      .tuple(inner, fc.constantFrom('INTERSECT', 'EXCEPT', 'INTERSECT ALL', 'EXCEPT ALL'), inner)
      .map(([l, op, r]) => `(SELECT * FROM ${l} x ${op} SELECT * FROM ${r} y)`),
    fc
      .tuple(inner, fc.constantFrom('SEMI', 'ANTI'), inner, condition('x.m', 'y.m'))
      .map(([l, kind, r, p]) => `(SELECT * FROM ${l} x ${kind} JOIN ${r} y ON x.n = y.n AND ${p})`),
    fc
      .tuple(inner, base.chain(subqueryTerm), base.chain(subqueryTerm))
      .map(([l, t, u]) => `(SELECT n, CASE WHEN ${u} THEN 1 ELSE m END AS m, v FROM ${l} q WHERE ${t})`),
    fc
      .tuple(inner, fc.constantFrom('sum(m)', 'count(DISTINCT m)', 'max(m)', 'min(m)', 'count(*)'))
      .map(([i, f]) => `(SELECT n, CAST(${f} AS BIGINT) AS m, max(v) AS v FROM ${i} q GROUP BY n)`),
    inner.map((i) => `(SELECT max(n) AS n, CAST(sum(m) AS BIGINT) AS m, min(v) AS v FROM ${i} q)`),
    fc
      .tuple(inner, fc.constantFrom('k', 'm'))
      .map(
        ([i, m]) =>
          `(SELECT n, ${m} AS m, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY n ORDER BY m, v) AS k FROM ${i} w) q WHERE k <= 2)`,
      ),
  );
};
const query = fc
  .tuple(relation(3), fc.constantFrom('n, m, v', 'n + 1, v', 'count(*), sum(n), avg(m)'))
  .map(([from, list]) => `SELECT ${list} FROM ${from} q`);

/** A view over a plan, fed with rows of relations. */
class Fed {
  readonly plan: Plan;
  readonly pipeline: Pipeline;
  readonly view: ViewStore;
  readonly errors: PipelineError[] = [];
  #output: Batch[] = [];

  constructor(plan: Plan, keyOfRelation: (relation: string) => readonly number[] | null) {
    this.plan = plan;
    this.pipeline = buildPipeline(plan, {
      onOutput: (batch) => this.#output.push(batch),
      onError: (error) => this.errors.push(error),
    });
    const key = keyOf(plan, (scan) => keyOfRelation(scan.relation));
    this.view = new ViewStore('view', plan.schema, key);
  }

  change(relationId: string, types: Batch, row: Row, weight: number): void {
    this.pipeline.inputs.forEach((input, i) => {
      if (input.relation !== relationId) return;
      const chosen = input.columns.map((column) => row[column]);
      const columns = input.columns.map((column) => types.columns[column].type);
      this.pipeline.push(i, batchOfRows(columns, [chosen], [weight]));
    });
  }

  endEpoch(): Row[] {
    this.pipeline.endEpoch();
    if (this.pipeline.changelog === 'append') {
      for (const batch of this.#output) for (let i = 0; i < batch.length; i++) expect(weightAt(batch, i)).toBe(1);
    }
    for (const batch of this.#output) this.view.apply(batch);
    this.#output = [];
    this.view.endEpoch();
    const rows = this.view.scan(this.plan.schema.map((_, i) => i));
    return Array.from({ length: rows.length }, (_, i) => rowAt(rows, i));
  }

  saved(): Uint8Array[] {
    return [...this.pipeline.state, this.view.state].map((table) => savedBytes(table, true)!);
  }

  load(pieces: readonly Uint8Array[]): void {
    [...this.pipeline.state, this.view.state].forEach((table, i) => {
      table.load(pieces[i]);
    });
  }
}

const HIDDEN: Row = ['t', 0, 0, 0, null, '[]'];
const typesOf = (relationId: string, of = catalog): Batch =>
  batchOfRows(
    of.relation(relationId)!.columns.map((column) => column.type),
    [],
  );
const keyOfRelation = (id: string): readonly number[] | null => catalog.relation(id)!.key;

test('random queries over a source and a table follow their inputs', () => {
  const types = { r: typesOf('r'), s: typesOf('s') };
  fc.assert(
    fc.property(query, steps, fc.integer({ min: 1, max: 4 }), (sql, history, restartEvery) => {
      const plan = planOf(sql);
      let fed = new Fed(plan, keyOfRelation);
      const r: Row[] = [];
      const s = new Map<number, Row>();
      let epochs = 0;
      const check = (): void => {
        const right = runPlan(plan, (id) => (id === 'r' ? r : [...s.values()]));
        expect(bag(fed.endEpoch())).toEqual(bag(right));
        expect(fed.errors).toEqual([]);
        if (++epochs % restartEvery !== 0) return;
        const next = new Fed(plan, keyOfRelation);
        next.load(fed.saved());
        fed = next;
      };
      for (const step of history) {
        const row = [...step.row, ...HIDDEN];
        if (step.relation === 'r') {
          r.push(row);
          fed.change('r', types.r, row, 1);
        } else {
          const key = step.row[0] as number;
          const before = s.get(key);
          if (before !== undefined) fed.change('s', types.s, before, -1);
          s.delete(key);
          if (!step.deletes) {
            s.set(key, row);
            fed.change('s', types.s, row, 1);
          }
        }
        if (step.ends) check();
      }
      check();
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 250) },
  );
});

describe('Nexmark', () => {
  const nexmark = catalogOf(NEXMARK_DDL);
  // All but the lookup join, whose answer depends on when a row comes; tests/e2e has it.
  const names = readdirSync(new URL('../../nexmark/queries', import.meta.url))
    .map((file) => file.replace('.sql', ''))
    .filter((name) => name !== 'q13');
  test.each(names)('%s', (name) => {
    const sql = nexmarkFile(`queries/${name}.sql`);
    const plan = planOf(sql, nexmark);
    const fed = new Fed(plan, () => null);
    const tables = new Map(
      ['person', 'auction', 'bid'].map((id) => [id, nexmarkRows(id, nexmark.relation(id)!.columns)]),
    );
    const seen = new Map<string, Row[]>([...tables.keys()].map((id) => [id, []]));
    for (let from = 0; from < 50; from += 7) {
      for (const [id, rows] of tables) {
        for (const row of rows.slice(from, from + 7)) {
          seen.get(id)!.push(row);
          fed.change(id, typesOf(id, nexmark), row, 1);
        }
      }
      expect(bag(fed.endEpoch())).toEqual(bag(runPlan(plan, (id) => seen.get(id)!)));
    }
    expect(fed.errors).toEqual([]);
  });
});

test('operators say what they are and what passed through them', () => {
  const fed = new Fed(
    planOf('SELECT x.a, count(*) FROM r x JOIN s y ON x.a = y.a AND x.b < y.d WHERE x.b > 0 GROUP BY x.a'),
    keyOfRelation,
  );
  fed.change('r', typesOf('r'), [1, 1, 'x', ...HIDDEN], 1);
  fed.change('s', typesOf('s'), [1, 5, 'x', ...HIDDEN], 1);
  fed.endEpoch();
  const operators = fed.pipeline.operators;
  expect(new Set(operators.map((operator) => operator.id)).size).toBe(operators.length);
  const named = new Set([...operators.map((operator) => operator.id), 'r', 's']);
  for (const operator of operators) for (const input of operator.inputs) expect(named).toContain(input);
  const join = operators.find((operator) => operator.name === 'inner join')!;
  expect(join.detail).toContain('a = a');
  expect(join.stats).toMatchObject({ rowsIn: 2, rowsOut: 1 });
  expect(join.stats.busyMs).toBeGreaterThan(0);
  const aggregate = operators.find((operator) => operator.name === 'aggregate')!;
  expect(aggregate.changelog).toBe('upsert');
});

test('equal parts of a plan are built once', () => {
  const counts = '(SELECT a AS x, count(*) AS n FROM r GROUP BY a)';
  const other = '(SELECT a AS y, count(*) AS m FROM r GROUP BY a)';
  const fed = new Fed(planOf(`SELECT x, n, m FROM ${counts} p JOIN ${other} q ON n = m AND x <> y`), keyOfRelation);
  expect(fed.pipeline.operators.filter((operator) => operator.name === 'aggregate')).toHaveLength(1);
  expect(fed.pipeline.inputs).toHaveLength(1);
  const types = typesOf('r');
  for (const a of [1, 2]) fed.change('r', types, [a, null, null, ...HIDDEN], 1);
  expect(bag(fed.endEpoch())).toEqual(['1|1|1', '2|1|1']);
  fed.change('r', types, [1, null, null, ...HIDDEN], 1);
  expect(fed.endEpoch()).toEqual([]);
  fed.change('r', types, [2, null, null, ...HIDDEN], 1);
  expect(bag(fed.endEpoch())).toEqual(['1|2|2', '2|2|2']);
});

test('a row that an expression cannot compute is reported once and left out', () => {
  const fed = new Fed(planOf('SELECT a, 10 / d AS q FROM s WHERE 10 / d < 9'), keyOfRelation);
  const types = typesOf('s');
  const change = (row: Row, weight: number) => fed.change('s', types, [...row, ...HIDDEN], weight);
  change([1, 0, 'x'], 1);
  change([2, 5, 'x'], 1);
  expect(fed.endEpoch()).toEqual([[2, 2]]);
  change([1, 0, 'x'], -1);
  change([2, 5, 'x'], -1);
  expect(fed.endEpoch()).toEqual([]);
  expect(fed.errors.map((error) => error.code)).toEqual(['VALUE_DIVISION_BY_ZERO']);
});

test('a global aggregate has its row from the first epoch on, constants come once', () => {
  const fed = new Fed(planOf('SELECT count(*), sum(a) FROM r'), keyOfRelation);
  expect(fed.endEpoch()).toEqual([[0, null]]);
  expect(fed.endEpoch()).toEqual([[0, null]]);
  const constant = new Fed(planOf("SELECT 1 AS one, 'x' AS x"), keyOfRelation);
  expect(constant.endEpoch()).toEqual([[1, 'x']]);
  expect(constant.endEpoch()).toEqual([[1, 'x']]);
});
