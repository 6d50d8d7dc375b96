import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema, rowAt, weightAt } from '../../../../src/values/batch.ts';
import { BIGINT, type SqlType, TIMESTAMP, VARCHAR } from '../../../../src/values/types.ts';
import { AsofOperator } from '../../../../streamql/engine/operators/asof.ts';
import type { AsofJoin, Plan } from '../../../../streamql/plan/plan.ts';
import { runPlan } from '../../reference.ts';
import { type Case, checkOperator, info, type Row } from '../history.ts';

const LEFT: readonly SqlType[] = [BIGINT, TIMESTAMP, VARCHAR];
const RIGHT: readonly SqlType[] = [TIMESTAMP, BIGINT, VARCHAR];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const side = (relation: string, types: readonly SqlType[]): Plan => ({
  op: 'scan',
  relation,
  name: relation,
  columns: types.map((_, i) => i),
  changelog: 'general',
  schema: schema(types),
});

function asofPlan(kind: AsofJoin['kind'], cmp: AsofJoin['cmp'], keyed: boolean): AsofJoin {
  return {
    op: 'asof',
    kind,
    left: side('l', LEFT),
    right: side('r', RIGHT),
    keys: keyed ? [[0, 1]] : [],
    cmp,
    leftTime: 1,
    rightTime: 0,
    ties: [2],
    tiesDecide: false,
    schema: schema([...LEFT, ...RIGHT]),
  };
}

function asofCase(kind: AsofJoin['kind'], cmp: AsofJoin['cmp'], keyed: boolean): Case {
  const plan = asofPlan(kind, cmp, keyed);
  return {
    types: [LEFT, RIGHT],
    appendOnly: [false, false],
    make: (context) => new AsofOperator(info('0.asof'), context, plan),
    evaluate: ([lefts, rights]) => runPlan(plan, (relation) => (relation === 'l' ? lefts : rights)),
  };
}

const key = fc.constantFrom(null, 0, 1);
const time = fc.option(fc.integer({ min: 0, max: 6 }), { freq: 8, nil: null });
const text = fc.constantFrom(null, 'a', 'b');
const left = fc.tuple(key, time, text) as fc.Arbitrary<Row>;
const right = fc.tuple(time, key, text) as fc.Arbitrary<Row>;

test.each(
  (['inner', 'left'] as const).flatMap((kind) =>
    (['>=', '>', '<=', '<'] as const).flatMap((cmp) => [true, false].map((keyed) => ({ kind, cmp, keyed }))),
  ),
)('$kind, left $cmp right, with keys: $keyed', ({ kind, cmp, keyed }) => {
  checkOperator(asofCase(kind, cmp, keyed), [left, right], 60);
});

test('what is below the watermarks of both sides is let go', () => {
  const time = { columns: [{ column: 1, lagMicros: 0, ofWindow: false }], firm: true, idleTimeoutMs: 0 };
  const left = { ...side('l', LEFT), changelog: 'append', time } as Plan;
  const right = {
    ...side('r', RIGHT),
    changelog: 'append',
    time: { ...time, columns: [{ column: 0, lagMicros: 0, ofWindow: false }] },
  };
  const plan = { ...asofPlan('left', '>=', true), left, right: right as Plan };
  const shown: string[] = [];
  const operator = new AsofOperator(
    info('0.asof'),
    {
      emit: (batch) => {
        for (let i = 0; i < batch.length; i++) shown.push(`${weightAt(batch, i)} ${rowAt(batch, i).join(' ')}`);
      },
      onError: () => {},
    },
    plan,
  );
  for (let t = 0; t < 100_000; t += 1000) {
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
        times.map((at) => [1, at, 'l']),
      ),
    );
    operator.advance(0, t + 500);
    operator.advance(1, t + 900);
    operator.endEpoch();
    for (const { rows } of operator.state) expect(rows).toBeLessThan(4000);
  }
  expect(shown.length).toBe(100_000);
  shown.length = 0;
  operator.push(0, batchOfRows(LEFT, [[1, 99_500, 'x']]));
  operator.endEpoch();
  expect(shown).toEqual(['1 1 99500 x 99500 1 r']);
});

test('a right row taken back that is not there stops the pipeline', () => {
  const operator = asofCase('inner', '>=', true).make({ emit: () => {}, onError: () => {} });
  operator.push(1, batchOfRows(RIGHT, [[1, 1, 'a']], [-1]));
  expect(() => operator.endEpoch()).toThrow(expect.objectContaining({ code: 'INVARIANT' }));
});
