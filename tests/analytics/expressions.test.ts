import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { StreamError } from '../../src/lib/errors.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import { typeName } from '../../src/values/types.ts';
import { evaluate } from '../../streamql/plan/evaluate.ts';
import type { Expr } from '../../streamql/plan/plan.ts';
import { childrenOf } from '../../streamql/plan/walk.ts';
import { COLUMN_TYPES, expr, rowsOf } from '../streamql/expr/random-expr.ts';
import { newAnalytics, projectOf, runOver, scanOf } from './rig.ts';

const analytics = newAnalytics();
afterAll(() => analytics.close());

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 40);

/** Doubles may differ in their last digits: the C library's and V8's functions round differently. */
function comparable(datum: Datum): unknown {
  if (datum instanceof Uint8Array) return Buffer.from(datum).toString('hex');
  if (typeof datum === 'number') {
    return Number.isFinite(datum) && !Number.isSafeInteger(datum) ? Number(datum.toPrecision(12)) : datum + 0;
  }
  return datum;
}

/** The values of one expression over the rows; undefined when it has none for some row. */
function ours(one: Expr, rows: readonly Datum[][]): unknown[] | undefined {
  try {
    return rows.map((row) => comparable(evaluate(one, row)));
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_')) return undefined;
    throw thrown;
  }
}

/** DuckDB may compute what AND, OR and constants in CASE would have spared. */
const partFails = (one: Expr, rows: readonly Datum[][]): boolean =>
  ours(one, rows) === undefined || childrenOf(one).some((child) => partFails(child, rows));

test.each(COLUMN_TYPES.map((type) => [typeName(type), type] as const))(
  'expressions of type %s answer as the interpreter does',
  async (_name: string, type: SqlType) => {
    await fc.assert(
      fc.asyncProperty(
        expr(type, 2),
        rowsOf(5).filter((rows) => rows.length > 0),
        async (one, rows) => {
          const expected = ours(one, rows);
          if (expected === undefined) return;
          const answer = await runOver(analytics, projectOf(scanOf(COLUMN_TYPES), [one]), () => rows).catch(
            (thrown) => {
              if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_') && partFails(one, rows))
                return undefined;
              throw thrown;
            },
          );
          if (answer === undefined) return;
          expect(answer.map(([value]) => comparable(value))).toEqual(expected);
        },
      ),
      { numRuns: RUNS },
    );
  },
  60_000,
);
