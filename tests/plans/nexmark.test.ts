import { expect, test } from 'vitest';
import { datumToText } from '../../src/values/text.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import { explainPlan } from '../../streamql/plan/explain.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { catalogOf, NEXMARK_DDL, nexmarkFile, nexmarkRows } from '../streamql/catalog.ts';
import { type Row, runPlan } from '../streamql/reference.ts';
import { EXPECTED, normal } from '../support/nexmark.ts';

const catalog = catalogOf(NEXMARK_DDL);
const rows = new Map<string, Row[]>();
for (const topic of ['person', 'auction', 'bid']) {
  rows.set(topic, nexmarkRows(topic, catalog.relation(topic)?.columns ?? []));
}
const tables = (relation: string): Row[] => rows.get(relation) ?? [];

test.each(EXPECTED)('%s', (query) => {
  const [statement] = parseStatements(nexmarkFile(`queries/${query}.sql`));
  const bound = bindQuery((statement as QueryStatement).query, catalog, { mode: 'view' });
  const optimized = optimize(bound.plan);
  const expected = nexmarkFile(`expected/${query}.txt`)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(normal)
    .sort();
  for (const plan of [bound.plan, optimized]) {
    const lines = runPlan(plan, tables).map((row) =>
      normal(row.map((datum, i) => (datum === null ? 'NULL' : datumToText(datum, plan.schema[i].type))).join(' ')),
    );
    expect(lines.sort()).toEqual(expected);
  }
  expect(optimized.schema).toEqual(bound.columns);
  expect(`${explainPlan(optimized)}\nkey: ${JSON.stringify(bound.key)}, ${bound.changelog}`).toMatchSnapshot();
});
