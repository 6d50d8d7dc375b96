import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows, rowAt, weightAt } from '../../../src/values/batch.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { buildPipeline } from '../../../streamql/engine/build.ts';
import type { Pipeline } from '../../../streamql/engine/operator.ts';
import type { CreateView } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import type { Close, Plan } from '../../../streamql/plan/plan.ts';
import { inputsOf, withInputs } from '../../../streamql/plan/walk.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { savedBytes } from '../../support/saved-bytes.ts';
import { catalogOf } from '../catalog.ts';
import { bag, type Row, rowKey, runPlan } from '../reference.ts';

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

/** Final by the time that orders the rows; what earlier rows say of later ones stays. */
const IN_ORDER: readonly string[] = [
  'SELECT at, k, v, sum(v) OVER (PARTITION BY k ORDER BY at), lag(v) OVER (PARTITION BY k ORDER BY at) FROM a',
  "SELECT at, v, count(*) OVER (ORDER BY at RANGE BETWEEN INTERVAL '3 s' PRECEDING AND INTERVAL '2 s' FOLLOWING) FROM b",
  'SELECT k, at, v FROM a QUALIFY row_number() OVER (PARTITION BY k ORDER BY at, v) <= 2',
];

function planOf(sql: string): Plan {
  const [statement] = parseStatements(`CREATE MATERIALIZED VIEW v AS ${sql}`) as CreateView[];
  return optimize(bindQuery(statement.query, CATALOG, { mode: 'view' }).plan);
}

function scansOf(plan: Plan): Plan[] {
  return plan.op === 'scan' ? [plan] : inputsOf(plan).flatMap(scansOf);
}

/** Joins let go of rows only when they have become many. */
const hasJoin = (plan: Plan): boolean => plan.op === 'join' || inputsOf(plan).some(hasJoin);

/** The same where the sources let no late row count. */
const firm = (plan: Plan): Plan =>
  plan.op === 'scan' && plan.time !== undefined
    ? { ...plan, time: { ...plan.time, firm: true } }
    : withInputs(plan, inputsOf(plan).map(firm));

const row = fc.record({
  relation: fc.constantFrom('a', 'b'),
  k: fc.integer({ min: 0, max: 2 }),
  v: fc.integer({ min: 0, max: 5 }),
  /** Against the time so far. */
  step: fc.integer({ min: -8, max: 6 }),
  ends: fc.nat(4).map((n) => n === 0),
  restarts: fc.nat(12).map((n) => n === 0),
});

type Step = typeof row extends fc.Arbitrary<infer T> ? T : never;

/** A pipeline fed with rows that are not late, its output, and a restart at any time. */
class Fed {
  readonly counted = new Map<string, Row[]>([
    ['a', []],
    ['b', []],
  ]);
  readonly shown = new Map<string, number>();
  readonly #plan: Plan;
  readonly #greatest = new Map<string, number>();
  #pending = new Map<string, Row[]>();
  #pipeline: Pipeline;
  /** A weight that is not 1 came. */
  takesBack = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#pipeline = this.#make();
  }

  get watermark(): number {
    const times = this.#pipeline.inputs.map(({ relation }) => this.#greatest.get(relation) ?? Number.NEGATIVE_INFINITY);
    return Math.min(...times) - DELAY;
  }

  get stateRows(): number {
    return this.#pipeline.state.reduce((sum, table) => sum + table.rows, 0);
  }

  take({ relation, k, v, step }: Step): void {
    const before = this.#greatest.get(relation) ?? 0;
    const at = before + step * SECOND;
    if (this.#greatest.has(relation) && at < before - DELAY) return;
    this.#greatest.set(relation, Math.max(at, before));
    const row: Row = [k, v, at];
    this.counted.get(relation)!.push(row);
    this.#pending.set(relation, [...(this.#pending.get(relation) ?? []), row]);
  }

  endEpoch(watermark?: number): void {
    const types = scansOf(this.#plan).map((scan) => scan.schema.map((column) => column.type));
    this.#pipeline.inputs.forEach(({ relation, columns }, input) => {
      const rows = (this.#pending.get(relation) ?? []).map((one) => columns.map((column) => one[column]));
      if (rows.length > 0) this.#pipeline.push(input, batchOfRows(types[input], rows));
      const time = this.#greatest.get(relation);
      if (watermark !== undefined) this.#pipeline.advance(input, watermark);
      else if (time !== undefined) this.#pipeline.advance(input, time - DELAY);
    });
    this.#pending = new Map();
    this.#pipeline.endEpoch();
  }

  restart(): void {
    const pieces = this.#pipeline.state.map((table) => savedBytes(table, true) as Uint8Array);
    this.#pipeline = this.#make();
    this.#pipeline.state.forEach((table, t) => {
      table.load(pieces[t]);
    });
  }

  rows(): string[] {
    return [...this.shown].flatMap(([text, weight]) => new Array<string>(weight).fill(text)).sort();
  }

  #make(): Pipeline {
    return buildPipeline(this.#plan, {
      onOutput: (batch) => {
        for (let i = 0; i < batch.length; i++) {
          const key = rowKey(rowAt(batch, i));
          const weight = weightAt(batch, i);
          if (weight !== 1) this.takesBack = true;
          this.shown.set(key, (this.shown.get(key) ?? 0) + weight);
        }
      },
      onError: ({ reason }) => expect.unreachable(reason),
    });
  }
}

describe.each([...QUERIES, ...IN_ORDER])('%s', (sql) => {
  test('emitted on close: what the watermark has passed, once', () => {
    const plan = planOf(`${sql} EMIT ON WINDOW CLOSE`) as Close;
    fc.assert(
      fc.property(fc.array(row, { maxLength: 80 }), (steps) => {
        const fed = new Fed(plan);
        for (const step of steps) {
          fed.take(step);
          if (step.ends || step.restarts) fed.endEpoch();
          if (step.restarts) fed.restart();
        }
        fed.endEpoch();
        const final = runPlan(plan.input, (relation) => fed.counted.get(relation)!).filter((one) => {
          const { column, lagMicros } = plan.times.find((time) => one[time.column] !== null)!;
          return (one[column] as number) + lagMicros < fed.watermark;
        });
        expect(fed.takesBack).toBe(false);
        expect(fed.rows()).toEqual(bag(final));
      }),
      { numRuns: 50 },
    );
  });

  test('the view is the batch answer all the time, and state goes with the watermark', () => {
    const plan = firm(planOf(sql));
    fc.assert(
      fc.property(fc.array(row, { maxLength: 80 }), (steps) => {
        const fed = new Fed(plan);
        for (const step of steps) {
          fed.take(step);
          if (!step.ends && !step.restarts) continue;
          fed.endEpoch();
          expect(fed.rows()).toEqual(bag(runPlan(plan, (relation) => fed.counted.get(relation)!)));
          if (step.restarts) fed.restart();
        }
        fed.endEpoch(Number.MAX_SAFE_INTEGER);
        expect(fed.rows()).toEqual(bag(runPlan(plan, (relation) => fed.counted.get(relation)!)));
        if (!hasJoin(plan) && !IN_ORDER.includes(sql)) expect(fed.stateRows).toBe(0);
        fed.restart();
        fed.endEpoch(Number.MAX_SAFE_INTEGER);
        if (!hasJoin(plan) && !IN_ORDER.includes(sql)) expect(fed.stateRows).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});
