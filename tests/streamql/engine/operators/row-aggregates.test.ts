import fc from 'fast-check';
import { describe, test } from 'vitest';
import type { Datum } from '../../../../src/values/types.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import { AggregateOperator } from '../../../../streamql/engine/operators/aggregate.ts';
import type { QueryStatement } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import type { Aggregate, Plan } from '../../../../streamql/plan/plan.ts';
import { inputsOf } from '../../../../streamql/plan/walk.ts';
import { catalogOf } from '../../catalog.ts';
import { type Row, runPlan } from '../../reference.ts';
import { checkOperator, info } from '../history.ts';

/** The aggregates beyond count, sum, avg, min and max: after every epoch of changes that come and go, the batch answer. */
const catalog = catalogOf('CREATE SOURCE s (g BIGINT, n INTEGER, x DOUBLE, y DOUBLE, v VARCHAR, p BOOLEAN)');
const HIDDEN: readonly Datum[] = ['x', 0, 0, 0, null, '[]'];

function aggregateOf(calls: readonly string[], by: string): Aggregate {
  const [statement] = parseStatements(
    `SELECT ${calls.join(', ')} FROM s ${by === '' ? '' : `GROUP BY ${by}`}`,
  ) as QueryStatement[];
  const find = (plan: Plan): Aggregate[] => (plan.op === 'aggregate' ? [plan] : inputsOf(plan).flatMap(find));
  return find(bindQuery(statement.query, catalog, { mode: 'view' }).plan)[0];
}

const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4, nil: null });
const doubles = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(0, -0.5, 0.1, 0.2, 1 / 3, 3, 1e15, 1e-15, 12_345.678) },
  { weight: 1, arbitrary: fc.constantFrom(1e200, -1e308, 1e-150, Number.NaN, Number.POSITIVE_INFINITY) },
);
const rows = fc.tuple(
  orNull(fc.integer({ min: 0, max: 2 })),
  orNull(fc.integer({ min: -4, max: 4 })),
  orNull(doubles),
  orNull(doubles),
  orNull(fc.constantFrom('', 'a', 'b', 'ä', '\u{10000}')),
  orNull(fc.boolean()),
) as fc.Arbitrary<Row>;

const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  lists: [
    'array_agg(n)',
    'array_agg(v ORDER BY n DESC NULLS LAST)',
    'array_agg(DISTINCT n ORDER BY n DESC)',
    "string_agg(v, ',')",
    "string_agg(DISTINCT v, ',') FILTER (WHERE p)",
    "string_agg(v, '' ORDER BY x, n)",
    'jsonb_agg(v ORDER BY v)',
    'topk(n, 3)',
    'topkdistinct(v, 2)',
    'jsonb_object_agg(coalesce(v, n::varchar, $$-$$), n ORDER BY n)',
  ],
  ends: [
    'bool_and(p)',
    'bool_or(p) FILTER (WHERE n > 0)',
    'every(DISTINCT p)',
    'any_value(v)',
    'first_value(n ORDER BY x DESC, v)',
    'last_value(v ORDER BY n)',
    'max_by(v, n)',
    'min_by(n, v) FILTER (WHERE p)',
    'arg_max(p, x)',
    'count_if(p)',
    'count_if(n > 0) FILTER (WHERE p)',
  ],
  positions: [
    'percentile_cont(0.3) WITHIN GROUP (ORDER BY x)',
    'percentile_cont(0.9) WITHIN GROUP (ORDER BY n DESC) FILTER (WHERE p)',
    'percentile_disc(0.5) WITHIN GROUP (ORDER BY v)',
    'median(DISTINCT n)',
    'median(x)',
    'mode() WITHIN GROUP (ORDER BY v DESC)',
    'mode(n)',
    'approx_percentile(x, 0.75)',
    'approx_count_distinct(v)',
    'bit_and(n)',
    'bit_or(DISTINCT n)',
    'bit_xor(n)',
  ],
  moments: [
    'var_pop(x)',
    'stddev(DISTINCT n)',
    'variance(n) FILTER (WHERE p)',
    'covar_samp(y, x)',
    'corr(n, x)',
    'regr_count(n, x)',
    'regr_slope(y, n)',
    'regr_intercept(y, n)',
    'regr_r2(x, n)',
    'regr_avgx(x, y)',
    'regr_sxy(n, n)',
  ],
};

// What overflows has no result: an error instead of a row, which batch answers cannot be compared by.
const evaluate = (plan: Aggregate, input: readonly Row[]): Row[] =>
  runPlan({ ...plan, input: { op: 'values', rows: input, schema: plan.input.schema } as Plan }, () => []);

describe.each(Object.entries(FAMILIES))('%s', (family, calls) => {
  test.each([
    [true, 'g'],
    [false, 'g'],
    [false, ''],
  ])('append only %s, by %s', (appendOnly, by) => {
    const plan = aggregateOf(calls, by);
    const usual = family === 'moments' ? rows.map((row) => row.map(tame)) : rows;
    const inputs = usual.map((row) => runPlan(plan.input, () => [[...row, ...HIDDEN]])[0]);
    checkOperator(
      {
        types: [plan.input.schema.map((column) => column.type)],
        appendOnly: [appendOnly],
        make: (context) => new AggregateOperator(info('0.aggregate'), context, plan, appendOnly),
        evaluate: ([input]) => evaluate(plan, input),
      },
      [inputs],
      100,
    );
  });
});

const tame = (datum: Datum): Datum => (typeof datum === 'number' && Math.abs(datum) > 1e100 ? Number.NaN : datum);
