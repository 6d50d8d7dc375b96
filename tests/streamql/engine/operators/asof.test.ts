import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema } from '../../../../src/values/batch.ts';
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

function asofCase(kind: AsofJoin['kind'], cmp: AsofJoin['cmp'], keyed: boolean): Case {
  const plan: AsofJoin = {
    op: 'asof',
    kind,
    left: side('l', LEFT),
    right: side('r', RIGHT),
    keys: keyed ? [[0, 1]] : [],
    cmp,
    leftTime: 1,
    rightTime: 0,
    ties: [2],
    schema: schema([...LEFT, ...RIGHT]),
  };
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

test('a right row taken back that is not there stops the pipeline', () => {
  const operator = asofCase('inner', '>=', true).make({ emit: () => {}, onError: () => {} });
  operator.push(1, batchOfRows(RIGHT, [[1, 1, 'a']], [-1]));
  expect(() => operator.endEpoch()).toThrow(expect.objectContaining({ code: 'INVARIANT' }));
});
