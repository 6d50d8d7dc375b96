import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema } from '../../../../src/values/batch.ts';
import { BIGINT, BOOLEAN, INTERVAL, type SqlType, TIMESTAMP, VARCHAR } from '../../../../src/values/types.ts';
import { JoinOperator } from '../../../../streamql/engine/operators/join.ts';
import { residualSelector } from '../../../../streamql/engine/operators/join-residual.ts';
import type { Expr, Join, Plan } from '../../../../streamql/plan/plan.ts';
import { timeRangeOf } from '../../../../streamql/plan/time-range.ts';
import { runPlan } from '../../reference.ts';
import { type Case, checkOperator, info, type Row } from '../history.ts';

const LEFT: readonly SqlType[] = [BIGINT, TIMESTAMP];
const RIGHT: readonly SqlType[] = [TIMESTAMP, BIGINT, VARCHAR];
const ALL = [...LEFT, ...RIGHT];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const side = (relation: string, types: readonly SqlType[], time: number): Plan => ({
  op: 'scan',
  relation,
  name: relation,
  columns: types.map((_, i) => i),
  changelog: 'append',
  time: { columns: [{ column: time, lagMicros: 0, ofWindow: false }], firm: true, idleTimeoutMs: 0 },
  schema: schema(types),
});

const column = (index: number): Expr => ({ op: 'column', index, type: ALL[index] });
const shifted = (index: number, micros: number): Expr => ({
  op: 'call',
  fn: '+.timestamp.interval',
  args: [column(index), { op: 'literal', value: { months: 0, days: 0, micros }, type: INTERVAL }],
  type: TIMESTAMP,
});
const compare = (cmp: '<' | '<=' | '>' | '>=', left: Expr, right: Expr): Expr => ({
  op: 'compare',
  cmp,
  left,
  right,
  type: BOOLEAN,
});
/** right between left − 2 and left + 3, the latter not included. */
const between: Expr = {
  op: 'and',
  args: [compare('>=', column(2), shifted(1, -2)), compare('>', shifted(1, 3), column(2))],
  type: BOOLEAN,
};

const planOf = (kind: Join['kind'], keys: Join['keys'], residual: Expr | null): Join => ({
  op: 'join',
  kind,
  left: side('l', LEFT, 1),
  right: side('r', RIGHT, 0),
  keys,
  residual,
  schema: schema(kind === 'semi' || kind === 'anti' ? LEFT : ALL),
});

const make =
  (plan: Join, appendOnly: readonly boolean[]): Case['make'] =>
  (context) =>
    new JoinOperator(
      info('0.join'),
      context,
      plan,
      [!appendOnly[0], !appendOnly[1]],
      plan.residual === null ? null : residualSelector(plan.residual, ALL, context),
    );

const key = fc.constantFrom(null, 0, 1);
const time = fc.option(fc.integer({ min: 0, max: 9 }), { freq: 8, nil: null });
const left = fc.tuple(key, time) as fc.Arbitrary<Row>;
const right = fc.tuple(time, key, fc.constantFrom('a', 'b')) as fc.Arbitrary<Row>;
const ON_KEY: Join['keys'] = [[0, 1]];

test.each(
  (['inner', 'left', 'full', 'semi', 'anti'] as const).flatMap((kind) => [
    { kind, what: 'an interval', keys: ON_KEY, residual: between, appends: false },
    { kind, what: 'an interval, only appended to', keys: ON_KEY, residual: between, appends: true },
    { kind, what: 'equal times', keys: [[1, 0]] as const, residual: null, appends: false },
  ]),
)('$kind join on $what', ({ kind, keys, residual, appends }) => {
  const plan = planOf(kind, keys, residual);
  expect(timeRangeOf(plan)).toMatchObject(
    residual === null ? { kind: 'window' } : { kind: 'interval', lowMicros: -2, highMicros: 3 },
  );
  const appendOnly = [appends, appends];
  checkOperator(
    {
      types: [LEFT, RIGHT],
      appendOnly,
      make: (context) =>
        make(
          plan,
          appendOnly,
        )({
          ...context,
          emit: (batch) => {
            // Whoever reads what is only appended to knows no weights.
            if (appends && kind === 'inner') expect(batch.weights).toBeNull();
            context.emit(batch);
          },
        }),
      evaluate: ([lefts, rights]) => runPlan(plan, (relation) => (relation === 'l' ? lefts : rights)),
    },
    [left, right],
    50,
  );
});

test('what the watermarks have left behind is let go', () => {
  let shown = 0;
  const plan = planOf('left', ON_KEY, between);
  const operator = make(plan, [true, true])({
    emit: (batch) => {
      shown += batch.length;
    },
    onError: () => {},
  });
  for (let t = 0; t < 60_000; t += 1000) {
    const times = Array.from({ length: 1000 }, (_, i) => t + i);
    operator.push(
      1,
      batchOfRows(
        RIGHT,
        times.map((at) => [at, 1, 'r']),
      ),
    );
    operator.push(
      0,
      batchOfRows(
        LEFT,
        times.map((at) => [1, at]),
      ),
    );
    operator.advance?.(0, t + 1000);
    operator.advance?.(1, t + 1000);
    operator.endEpoch();
    for (const { rows } of operator.state) expect(rows).toBeLessThan(8000);
  }
  // Each meets five, but for two at the beginning and those whose partners were yet to come.
  expect(shown).toBeGreaterThan(60_000 * 5 - 10);
});
