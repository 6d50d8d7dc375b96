import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { INTEGER, TIMESTAMP } from '../../../../src/values/types.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import type { OperatorContext } from '../../../../streamql/engine/operators/base.ts';
import { MatchOperator } from '../../../../streamql/engine/operators/match.ts';
import type { Query } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import { evaluate } from '../../../../streamql/plan/evaluate.ts';
import type { Match, Plan } from '../../../../streamql/plan/plan.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { catalogOf } from '../../catalog.ts';
import { runMatch, TooHard } from '../../match-reference.ts';
import { matchQueries } from '../../random-matches.ts';
import { Bag, checkHistory, histories, info, type Row } from '../history.ts';

const CATALOG = catalogOf('CREATE SOURCE t (k INT, ts TIMESTAMP, v INT)');

function matchOf(sql: string): Match {
  const [statement] = parseStatements(sql);
  let { plan } = bindQuery((statement as { query: Query }).query, CATALOG, { mode: 'view' });
  while (plan.op === 'project') plan = plan.input;
  return plan as Match;
}

/** The base row as the node's input has it. */
const inputRow = (plan: Match, row: Row): Row =>
  (plan.input as Extract<Plan, { op: 'project' }>).exprs.map((expr) => evaluate(expr, row));

const rows = fc.tuple(
  fc.constantFrom(0, 0, 0, 1, null),
  fc.integer({ min: 0, max: 9 }).map((s) => s * 1_000_000),
  fc.constantFrom(0, 1, 2, 3, null),
) as fc.Arbitrary<Row>;

/** Errors of rows are not what is looked at here. */
const tolerant = (context: OperatorContext): OperatorContext => ({ ...context, onError: () => undefined });

describe.each([true, false])('append only: %s', (appendOnly) => {
  test('is what trying all ways to read the rows gives, over random patterns, batches, retractions and restarts', () => {
    fc.assert(
      fc.property(
        matchQueries,
        histories([rows], [appendOnly]),
        fc.constantFrom(1, 3, 100),
        fc.constantFrom(1, 3, 1000),
        (sql, history, batchSize, saveEvery) => {
          const plan = matchOf(sql);
          const own = history.map((epoch) => epoch.map((change) => ({ ...change, row: inputRow(plan, change.row) })));
          const test = {
            types: [plan.input.schema.map((column) => column.type)],
            appendOnly: [appendOnly],
            make: (context: OperatorContext) => new MatchOperator(info('0.match'), tolerant(context), plan),
            evaluate: ([all]: readonly (readonly Row[])[]) => runMatch(plan, all),
          };
          try {
            checkHistory(test, own, batchSize, saveEvery);
          } catch (thrown) {
            fc.pre(!(thrown instanceof TooHard));
            throw thrown;
          }
        },
      ),
      { numRuns: Number(process.env.MATCH_RUNS ?? 60) },
    );
  });
});

test('types of the table', () => {
  expect(matchOf('SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts ALL ROWS PER MATCH PATTERN (a))').schema).toEqual([
    { name: 'ts', type: TIMESTAMP, nullable: true },
    { name: 'k', type: INTEGER, nullable: true },
    { name: 'v', type: INTEGER, nullable: true },
  ]);
});

describe('rows that a watermark has passed', () => {
  const JITTER = 3_000_000;
  const base = CATALOG.relation('t')!;
  const timed = {
    relation: () => ({
      ...base,
      time: { columns: [{ column: 1, lagMicros: 0, ofWindow: false }], firm: true, idleTimeoutMs: 0 },
    }),
    relationNames: () => ['t'],
  };
  const QUERIES = [
    "MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES MATCH_NUMBER() AS n, PREV(FIRST(v), 2) AS before, COUNT(*) AS size PATTERN (a b+ c) WITHIN INTERVAL '9 seconds' DEFINE b AS v > PREV(v), c AS v < PREV(v))",
    "MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES FIRST(ts) AS at, LAST(b.v) AS v AFTER MATCH SKIP TO NEXT ROW PATTERN (a x*? b) WITHIN INTERVAL '5 seconds' DEFINE a AS v = 0, b AS b.v = 3 AND COUNT(*) > 2)",
    'MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES SUM(v) AS total, x.v AS head PATTERN (^ x y | y y z))',
    "MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts ALL ROWS PER MATCH PATTERN (down+ up+) WITHIN INTERVAL '20 seconds' DEFINE down AS v < PREV(v), up AS v > PREV(v))",
    "MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES MATCH_NUMBER() AS n ALL ROWS PER MATCH WITH UNMATCHED ROWS PATTERN (down+ up+) WITHIN INTERVAL '20 seconds' DEFINE down AS v < PREV(v), up AS v > PREV(v))",
  ];

  test.each(QUERIES)('are dropped without a difference: %s', (text) => {
    const [statement] = parseStatements(`SELECT * FROM t ${text}`);
    let { plan } = bindQuery((statement as { query: Query }).query, timed, { mode: 'view' });
    while (plan.op === 'project') plan = plan.input;
    const match = plan as Match;
    const output = new Bag();
    const make = (): MatchOperator =>
      new MatchOperator(info('0.match'), { emit: (batch) => output.addBatch(batch), onError: () => undefined }, match);
    let operator = make();
    let pieces = operator.state.map((table): Uint8Array[] => [savedBytes(table, true)!]);
    const all: Row[] = [];
    let seed = 7;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >>> 8) % n;
    };
    const EPOCHS = 40;
    let most = 0;
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      const rows = Array.from({ length: 150 }, (_, i): Row => {
        const time = (epoch * 150 + i) * 200_000 - random(JITTER);
        return inputRow(match, [random(3), time, random(4)]);
      });
      all.push(...rows);
      operator.push(
        0,
        batchOfRows(
          match.input.schema.map((column) => column.type),
          rows,
        ),
      );
      operator.advance(0, epoch * 150 * 200_000 - JITTER);
      operator.endEpoch();
      operator.state.forEach((table, t) => {
        const piece = savedBytes(table, false);
        if (piece !== null) pieces[t].push(piece);
      });
      most = Math.max(most, operator.state[0].rows);
      if (epoch % 7 !== 6) continue;
      operator = make();
      operator.state.forEach((table, t) => {
        for (const piece of pieces[t]) table.load(piece);
      });
      pieces = operator.state.map((table) => [savedBytes(table, true)!]);
    }
    expect(output.sorted()).toEqual(Bag.of(runMatch(match, all)).sorted());
    expect(most).toBeLessThan(all.length / 2);
  });
});
