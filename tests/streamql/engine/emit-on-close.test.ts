import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, rowAt, weightAt } from '../../../src/values/batch.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { buildPipeline } from '../../../streamql/engine/build.ts';
import type { Pipeline } from '../../../streamql/engine/operator.ts';
import type { CreateView } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import type { Close, Plan } from '../../../streamql/plan/plan.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalogOf } from '../catalog.ts';
import { bag, type Row, runPlan } from '../reference.ts';

const SECOND = 1_000_000;
const DELAY = 4 * SECOND;
const CATALOG = catalogOf(`
  CREATE SOURCE a (k BIGINT, v BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '4 seconds');
  CREATE SOURCE b (k BIGINT, v BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '4 seconds') WITH (late = 'drop')`);

const TUMBLE = "TUMBLE(a, at, INTERVAL '10 seconds')";
const QUERIES = [
  `SELECT window_start, k, count(*), max(v), string_agg(v::varchar, ',' ORDER BY v) FROM ${TUMBLE} GROUP BY window_start, window_end, k`,
  "SELECT window_end, sum(v), count(DISTINCT k) FROM HOP(b, at, INTERVAL '4 seconds', INTERVAL '10 seconds') GROUP BY window_end",
  "SELECT window_start, window_end, min(v) FROM CUMULATE(a, at, INTERVAL '5 s', INTERVAL '20 s', INTERVAL '3 s') GROUP BY window_start, window_end",
  "SELECT k, window_start, window_end, avg(v) FROM SESSION(b PARTITION BY k, at, INTERVAL '6 s') GROUP BY k, window_start, window_end",
  `SELECT window_end, v FROM ${TUMBLE} QUALIFY row_number() OVER (PARTITION BY window_end ORDER BY v DESC) <= 2`,
  `SELECT window_end, v, rank() OVER (PARTITION BY window_end, k ORDER BY v) FROM ${TUMBLE}`,
  `SELECT DISTINCT window_end, k FROM ${TUMBLE}`,
  `SELECT x.window_end, x.v, y.v FROM ${TUMBLE} x JOIN TUMBLE(b, at, INTERVAL '10 s') y
     ON x.window_start = y.window_start AND x.window_end = y.window_end AND x.k = y.k`,
  `SELECT window_end, x.v, y.v FROM ${TUMBLE} x FULL JOIN TUMBLE(b, at, INTERVAL '10 s') y USING (window_end, k)`,
  `SELECT x.window_end AS e, x.v FROM ${TUMBLE} x WHERE NOT EXISTS
     (SELECT 1 FROM TUMBLE(b, at, INTERVAL '10 s') y WHERE x.window_end = y.window_end AND x.k = y.k)`,
  `SELECT window_end, n, count(*) FROM (SELECT window_end, k, count(*) AS n FROM ${TUMBLE} GROUP BY window_end, k) c GROUP BY window_end, n`,
  'SELECT at, v FROM a UNION ALL SELECT at, k FROM b',
  "SELECT x.at, y.at AS bt FROM a x JOIN b y ON x.k = y.k AND y.at BETWEEN x.at - INTERVAL '5 s' AND x.at + INTERVAL '3 s'",
] as const;

function planOf(sql: string): Close {
  const [statement] = parseStatements(`CREATE MATERIALIZED VIEW v AS ${sql} EMIT ON WINDOW CLOSE`) as CreateView[];
  return optimize(bindQuery(statement.query, CATALOG, { mode: 'view' }).plan) as Close;
}

const row = fc.record({
  relation: fc.constantFrom('a', 'b'),
  k: fc.integer({ min: 0, max: 2 }),
  v: fc.integer({ min: 0, max: 5 }),
  /** Against the time so far. */
  step: fc.integer({ min: -8, max: 6 }),
  ends: fc.nat(4).map((n) => n === 0),
  restarts: fc.nat(12).map((n) => n === 0),
});

test.each(QUERIES)('%s', (sql) => {
  const plan = planOf(sql);
  const scans = (node: Plan): Plan[] =>
    node.op === 'scan'
      ? [node]
      : 'left' in node
        ? [...scans(node.left), ...scans(node.right)]
        : 'inputs' in node
          ? node.inputs.flatMap(scans)
          : 'input' in node
            ? scans(node.input)
            : [];
  const types = scans(plan).map((scan) => scan.schema.map((column) => column.type));
  fc.assert(
    fc.property(fc.array(row, { maxLength: 80 }), (steps) => {
      const shown: Row[] = [];
      const make = (): Pipeline =>
        buildPipeline(plan, {
          onOutput: (batch) => {
            for (let i = 0; i < batch.length; i++) {
              expect(weightAt(batch, i)).toBe(1);
              shown.push(rowAt(batch, i));
            }
          },
          onError: ({ reason }) => expect.unreachable(reason),
        });
      let pipeline = make();
      const counted = new Map<string, Row[]>([
        ['a', []],
        ['b', []],
      ]);
      const greatest = new Map<string, number>();
      let pending = new Map<string, Row[]>();
      const endEpoch = (): void => {
        pipeline.inputs.forEach(({ relation, columns }, input) => {
          const rows = (pending.get(relation) ?? []).map((one) => columns.map((column) => one[column]));
          if (rows.length > 0) pipeline.push(input, batchOfRows(types[input], rows));
          const time = greatest.get(relation);
          if (time !== undefined) pipeline.advance(input, time - DELAY);
        });
        pending = new Map();
        pipeline.endEpoch();
      };
      for (const { relation, k, v, step, ends, restarts } of steps) {
        const before = greatest.get(relation) ?? 0;
        const at = before + step * SECOND;
        if (greatest.has(relation) && at < before - DELAY) continue; // late
        greatest.set(relation, Math.max(at, before));
        const one: Row = [k, v, at];
        counted.get(relation)!.push(one);
        pending.set(relation, [...(pending.get(relation) ?? []), one]);
        if (ends || restarts) endEpoch();
        if (restarts) {
          const pieces = pipeline.state.map((table) => table.save(true) as Uint8Array);
          pipeline = make();
          pipeline.state.forEach((table, t) => {
            table.load(pieces[t]);
          });
        }
      }
      endEpoch();
      const watermarks = pipeline.inputs.map(
        ({ relation }) => (greatest.get(relation) ?? Number.NEGATIVE_INFINITY) - DELAY,
      );
      const watermark = Math.min(...watermarks);
      const final = runPlan(plan.input, (relation) => counted.get(relation)!).filter((one) => {
        const { column, lagMicros } = plan.times.find((time) => one[time.column] !== null)!;
        return (one[column] as number) + lagMicros < watermark;
      });
      expect(bag(shown)).toEqual(bag(final));
    }),
    { numRuns: 60 },
  );
});
