import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { batchOfRows } from '../../../../src/values/batch.ts';
import { BIGINT, BOOLEAN, type Datum, INTEGER, JSONB, type SqlType, VARCHAR } from '../../../../src/values/types.ts';
import { AggregateOperator } from '../../../../streamql/engine/operators/aggregate.ts';
import { AGGREGATES } from '../../../../streamql/functions/aggregates.ts';
import { ListedRows } from '../../../../streamql/functions/group-rows.ts';
import { prepareUserCode } from '../../../../streamql/functions/user/user-code.ts';
import { type UserFunction, userFunctionId } from '../../../../streamql/functions/user/user-function.ts';
import type { Aggregate, AggregateCall } from '../../../../streamql/plan/plan.ts';
import { checkOperator, info, pushEpoch, type Row, rowKey } from '../history.ts';

const aggregate = (name: string, params: readonly SqlType[], returns: SqlType, source: string): UserFunction => ({
  kind: 'aggregate',
  name,
  language: 'js',
  params: params.map((type) => ({ name: '', type })),
  returns,
  columns: [],
  source,
});

const total = aggregate(
  'total',
  [BIGINT],
  BIGINT,
  `export function create_state() { return { sum: 0n, n: 0 } }
   export function accumulate(s, x) { s.sum += x; s.n++ }
   export function retract(s, x) { s.sum -= x; s.n-- }
   export function finish(s) { return s.n === 0 ? null : s.sum }`,
);
const tally = aggregate(
  'tally',
  [VARCHAR, INTEGER],
  JSONB,
  `function add(s, key, n) { const now = (s[key] ?? 0) + n; if (now === 0) delete s[key]; else s[key] = now }
   export function create_state() { return {} }
   export function accumulate(s, key, n) { add(s, key, n) }
   export function retract(s, key, n) { add(s, key, -n) }`,
);
const picky = aggregate(
  'picky',
  [INTEGER],
  INTEGER,
  `export function create_state() { return 0 }
   export function accumulate(s, x) { if (x === 13) throw new Error('no 13'); return s + x }
   export function retract(s, x) { return s - x }`,
);

const TYPES = [BIGINT, INTEGER, VARCHAR, BIGINT, BOOLEAN];
const schema = (types: readonly SqlType[]) => types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const call = (fn: UserFunction, arg: number, more: Partial<AggregateCall> = {}): AggregateCall => ({
  fn: userFunctionId(fn),
  arg,
  type: fn.returns as SqlType,
  distinct: false,
  filter: null,
  ...more,
});
const plan = (groupBy: readonly number[], aggregates: readonly AggregateCall[]): Aggregate => ({
  op: 'aggregate',
  input: { op: 'values', rows: [], schema: schema(TYPES) },
  groupBy,
  aggregates,
  schema: schema([...groupBy.map((column) => TYPES[column]), ...aggregates.map(({ type }) => type)]),
});
const CALLS = [
  call(total, 3),
  call(total, 3, { filter: 4 }),
  call(tally, 2, { arg2: 1 }),
  call(total, 3, { distinct: true }),
];

const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4, nil: null });
const rows = fc.tuple(
  orNull(fc.integer({ min: 0, max: 2 })),
  orNull(fc.integer({ min: -4, max: 4 })),
  orNull(fc.constantFrom('', 'a', 'ä', '\u{10000}')),
  orNull(fc.constantFrom<Datum>(-1, 2, 9007199254740991)),
  orNull(fc.boolean()),
) as fc.Arbitrary<Row>;

/** Each group computed anew from its rows. */
function evaluate({ groupBy, aggregates }: Aggregate, all: readonly Row[]): Row[] {
  const groups = new Map<string, Row[]>(groupBy.length === 0 ? [['[]', []]] : []);
  for (const row of all) {
    const key = rowKey(groupBy.map((column) => row[column]));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => [
    ...groupBy.map((column) => group[0][column]),
    ...aggregates.map(({ fn, arg, arg2, filter, distinct, type }) => {
      const args = [arg as number, ...(arg2 === undefined ? [] : [arg2])];
      const own = group.filter(
        (row) => args.every((a) => row[a] !== null) && (filter === null || row[filter] === true),
      );
      const a = own.map((row) => row[args[0]]).toSorted();
      const listed = new ListedRows(
        args.length === 1 ? a : own.map((row) => row[args[0]]),
        args.length === 1 ? null : own.map((row) => row[args[1]]),
        distinct,
        args.map((column) => TYPES[column]),
      );
      return AGGREGATES.get(fn)!.finish!(listed, { types: [], params: [], type });
    }),
  ]);
}

beforeAll(() => prepareUserCode([total, tally, picky]));

test.each([
  [true, [0]],
  [false, [0]],
  [false, []],
])('append only %s, by %j: the state answers as the rows do, also saved and loaded', (appendOnly, by) => {
  const tested = plan(by, CALLS);
  checkOperator(
    {
      types: [TYPES],
      appendOnly: [appendOnly],
      make: (context) => new AggregateOperator(info('0.aggregate'), context, tested, appendOnly),
      evaluate: ([input]) => evaluate(tested, input),
    },
    [rows],
    30,
  );
});

test('a group in which a step failed is an error until it has no rows', () => {
  const tested = plan([], [call(picky, 1)]);
  const out: Row[] = [];
  const errors: string[] = [];
  const context = {
    emit: (batch: ReturnType<typeof batchOfRows>) => {
      for (let i = 0; i < batch.length; i++) out.push([batch.columns[0].values[i], batch.weights?.[i] ?? 1]);
    },
    onError: (code: string, reason: string) => errors.push(`${code} ${reason}`),
  };
  const operator = new AggregateOperator(info('0.aggregate'), context, tested, false);
  const test = { types: [TYPES], appendOnly: [false], make: () => operator, evaluate: () => [] };
  const push = (...changes: readonly [n: number, weight: number][]) =>
    pushEpoch(
      operator,
      test,
      changes.map(([n, weight]) => ({ port: 0, row: [0, n, 'a', 1, true], weight })),
      10,
    );
  push([1, 1], [2, 1]);
  push([13, 1]);
  push([13, -1]);
  push([1, -1], [2, -1]);
  push([5, 1]);
  expect(errors).toEqual(['VALUE_FUNCTION picky threw Error: no 13']);
  expect(out).toEqual([
    [3, 1],
    [3, -1],
    [0, 1],
    [0, -1],
    [5, 1],
  ]);
});
