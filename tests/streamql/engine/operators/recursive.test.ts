import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Relation } from '../../../../src/ports/relations.ts';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { BIGINT, type SqlType } from '../../../../src/values/types.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import { buildPipeline } from '../../../../streamql/engine/build.ts';
import type { Operator } from '../../../../streamql/engine/operator.ts';
import type { QueryStatement } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import { optimize } from '../../../../streamql/rules/optimize.ts';
import { runPlan } from '../../reference.ts';
import { type Case, checkOperator, type Row } from '../history.ts';

/** Edges a → b with a weight, and nodes to begin at. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = { edge: ['a', 'b', 'w'], root: ['n'] };
const relationOf = (name: string, isAppend: boolean): Relation => ({
  id: name,
  name,
  kind: 'view',
  columns: COLUMNS[name].map((column) => ({ name: column, type: BIGINT, nullable: true })),
  key: null,
  changelog: isAppend ? 'append' : 'general',
});

function caseOf(sql: string, isAppend: boolean): Case {
  const catalog = {
    relation: (name: string) => (name in COLUMNS ? relationOf(name, isAppend) : undefined),
    relationNames: () => Object.keys(COLUMNS),
  };
  const bound = bindQuery((parseStatements(sql)[0] as QueryStatement).query, catalog, { mode: 'view' }).plan;
  const plan = optimize(bound);
  const names = ['edge', 'root'];
  const types = names.map((name): SqlType[] => COLUMNS[name].map(() => BIGINT));
  return {
    types,
    appendOnly: [isAppend, isAppend],
    make: (context) => {
      const pipeline = buildPipeline(plan, { onOutput: context.emit, onError: () => {} });
      return {
        state: pipeline.state,
        endEpoch: () => pipeline.endEpoch(),
        push: (port, batch) =>
          pipeline.inputs.forEach(({ relation, columns }, input) => {
            if (relation === names[port])
              pipeline.push(input, { ...batch, columns: columns.map((column) => batch.columns[column]) });
          }),
      } as Operator;
    },
    evaluate: (ports) => runPlan(bound, (relation) => ports[names.indexOf(relation)]),
  };
}

const node = fc.integer({ min: 0, max: 4 });
const root = fc.tuple(node) as fc.Arbitrary<Row>;
const edge = fc.tuple(fc.option(node, { freq: 9, nil: null }), node, fc.constantFrom(1, 2)) as fc.Arbitrary<Row>;
const downhill = fc.tuple(node, node, fc.constantFrom(1, 2)).filter(([a, b]) => a < b) as fc.Arbitrary<Row>;

const REACHED =
  'WITH RECURSIVE r(n) AS (SELECT n FROM root UNION SELECT e.b FROM r JOIN edge e ON e.a = r.n) SELECT * FROM r';
const CLOSURE =
  'WITH RECURSIVE c AS (SELECT a, b FROM edge UNION SELECT c.a, e.b FROM c, edge e WHERE c.b = e.a AND e.w < 2) SELECT a, count(*) AS n FROM c GROUP BY a';
const BOUNDED =
  'WITH RECURSIVE d(n, depth) AS (SELECT n, 0 FROM root UNION SELECT e.b, d.depth + 1 FROM d JOIN edge e ON e.a = d.n WHERE d.depth < 3) SELECT n, min(depth) FROM d GROUP BY n';
const FILTERED =
  'WITH RECURSIVE r(n) AS (SELECT n FROM root UNION SELECT e.b FROM r JOIN edge e ON e.a = r.n WHERE e.w = (SELECT min(w) FROM edge)) SELECT r.n, x.w FROM r LEFT JOIN edge x ON x.a = r.n';
const EXISTING =
  'WITH RECURSIVE r(n) AS (SELECT n FROM root UNION SELECT b FROM edge WHERE EXISTS (SELECT 1 FROM r WHERE r.n = edge.a)) SELECT * FROM r';
const PATHS =
  'WITH RECURSIVE p AS (SELECT n, 0 AS cost FROM root UNION ALL SELECT e.b, p.cost + e.w FROM p JOIN edge e ON e.a = p.n) SELECT * FROM p';

test.each([
  ['what is reached, in graphs with cycles', REACHED, edge],
  ['the transitive closure, below an aggregate', CLOSURE, edge],
  ['steps up to a depth', BOUNDED, edge],
  ['a step over an aggregate of another relation', FILTERED, edge],
  ['a step by EXISTS', EXISTING, edge],
  ['every path, in graphs without cycles', PATHS, downhill],
])('%s', (_, sql, edges) => {
  for (const isAppend of [true, false]) checkOperator(caseOf(sql, isAppend), [edges, root], 15);
});

test('a recursion without end stops with a hint', () => {
  const endless = caseOf(
    'WITH RECURSIVE n(i) AS (SELECT n FROM root UNION ALL SELECT i + 1 FROM n) SELECT * FROM n',
    true,
  );
  const operator = endless.make({ emit: () => {}, onError: () => {} });
  operator.push(1, batchOfRows([BIGINT], [[1]]));
  expect(() => operator.endEpoch()).toThrow(/has not ended after 10000 rounds/);
});
