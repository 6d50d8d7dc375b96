import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema, rowAt } from '../../../../src/values/batch.ts';
import { BIGINT, type SqlType, VARCHAR } from '../../../../src/values/types.ts';
import { JoinOperator, type Selector } from '../../../../streamql/engine/operators/join.ts';
import type { Expr, Join } from '../../../../streamql/plan/plan.ts';
import { type Case, checkOperator, info, type Row } from '../history.ts';

const LEFT: readonly SqlType[] = [BIGINT, VARCHAR, BIGINT];
const RIGHT: readonly SqlType[] = [VARCHAR, BIGINT];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));

const key = fc.constantFrom(null, 0, 1, 2, 9007199254740993n);
const name = fc.constantFrom(null, 'a', 'b');
const left = fc.tuple(key, name, fc.integer({ min: 0, max: 2 })) as fc.Arbitrary<Row>;
const right = fc.tuple(name, key) as fc.Arbitrary<Row>;

/** Stands for a compiled condition: left column 2 is below right column 1 (4 of the pair), unless that is NULL. */
const below: Selector = (batch) => {
  const kept: number[] = [];
  for (let i = 0; i < batch.length; i++) if (isBelow(rowAt(batch, i))) kept.push(i);
  return { rows: Int32Array.from(kept), count: kept.length };
};
const isBelow = (pair: Row): boolean => pair[4] !== null && pair[2]! < pair[4]!;

function joinCase(
  kind: 'inner' | 'left',
  keys: Join['keys'],
  residual: boolean,
  appendOnly: readonly [boolean, boolean],
): Case {
  const plan: Join = {
    op: 'join',
    kind,
    left: { op: 'values', rows: [], schema: schema(LEFT) },
    right: { op: 'values', rows: [], schema: schema(RIGHT) },
    keys,
    residual: residual ? ({} as Expr) : null,
    schema: schema([...LEFT, ...RIGHT]),
  };
  return {
    types: [LEFT, RIGHT],
    appendOnly,
    make: (context) =>
      new JoinOperator(info('0.join'), context, plan, [!appendOnly[0], !appendOnly[1]], residual ? below : null),
    evaluate([lefts, rights]) {
      const out: Row[] = [];
      for (const l of lefts) {
        const before = out.length;
        for (const r of rights) {
          const pair = [...l, ...r];
          if (keys.some(([a, b]) => l[a] === null || l[a] !== r[b])) continue;
          if (!residual || isBelow(pair)) out.push(pair);
        }
        if (kind === 'left' && out.length === before) out.push([...l, null, null]);
      }
      return out;
    },
  };
}

const ONE: Join['keys'] = [[0, 1]];
const TWO: Join['keys'] = [
  [0, 1],
  [1, 0],
];

describe.each([
  { kind: 'inner' as const, keys: ONE, residual: false },
  { kind: 'inner' as const, keys: TWO, residual: false },
  { kind: 'inner' as const, keys: ONE, residual: true },
  { kind: 'inner' as const, keys: [], residual: false },
  { kind: 'inner' as const, keys: [], residual: true },
  { kind: 'left' as const, keys: ONE, residual: false },
  { kind: 'left' as const, keys: TWO, residual: true },
  { kind: 'left' as const, keys: ONE, residual: true },
])('$kind join on $keys, further condition: $residual', ({ kind, keys, residual }) => {
  test.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('append only left: %s, right: %s', (leftAppends, rightAppends) => {
    checkOperator(joinCase(kind, keys, residual, [leftAppends, rightAppends]), [left, right], 60);
  });
});

test('output in several batches never takes back what has yet to come', () => {
  const counts = new Map<number, number>();
  const test = joinCase('inner', ONE, false, [false, false]);
  const operator = test.make({
    emit: (batch) => {
      for (let i = 0; i < batch.length; i++) {
        const id = rowAt(batch, i)[2] as number;
        counts.set(id, (counts.get(id) ?? 0) + (batch.weights?.[i] ?? 1));
      }
      for (const count of counts.values()) expect(count).toBeGreaterThanOrEqual(0);
    },
    onError: () => {},
  });
  const many = 5000;
  operator.push(1, batchOfRows(RIGHT, new Array(many).fill(['a', 1])));
  operator.push(
    1,
    batchOfRows(
      RIGHT,
      Array.from({ length: many }, (_, i) => [`${i}`, 1]),
    ),
  );
  operator.push(
    0,
    batchOfRows(
      LEFT,
      [
        [1, 'x', 5],
        [1, 'x', 5],
        [1, 'x', 6],
      ],
      [-1, 1, 1],
    ),
  );
  expect(counts.get(5)).toBe(0);
  expect(counts.get(6)).toBe(2 * many);
});

test('a row taken back that is not there stops the pipeline', () => {
  for (const port of [0, 1]) {
    const operator = joinCase('left', ONE, false, [false, false]).make({ emit: () => {}, onError: () => {} });
    const batch = port === 0 ? batchOfRows(LEFT, [[1, 'x', 5]], [-1]) : batchOfRows(RIGHT, [['x', 1]], [-1]);
    expect(() => operator.push(port, batch)).toThrow(expect.objectContaining({ code: 'INVARIANT' }));
  }
});
