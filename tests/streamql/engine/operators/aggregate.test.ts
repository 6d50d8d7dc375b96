import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema } from '../../../../src/values/batch.ts';
import { compareDatums } from '../../../../src/values/compare.ts';
import {
  BIGINT,
  BOOLEAN,
  canonicalInteger,
  type Datum,
  DOUBLE,
  decimal,
  type SqlType,
  VARCHAR,
} from '../../../../src/values/types.ts';
import { AggregateOperator } from '../../../../streamql/engine/operators/aggregate.ts';
import type { Aggregate, AggregateCall } from '../../../../streamql/plan/plan.ts';
import { type Case, checkOperator, info, type Row, rowKey } from '../history.ts';

const MONEY = decimal(12, 2);
const TYPES: readonly SqlType[] = [BIGINT, VARCHAR, BIGINT, DOUBLE, BOOLEAN, MONEY];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));

const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4, nil: null });
const integers = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom<Datum>(9007199254740991, -9007199254740991, 9223372036854775807n, -9223372036854775808n),
);
const doubles = fc.oneof(
  fc.constantFrom(0, -0.5, 0.1, 0.2, 0.3, 1 / 3, 1e15, 1e-15),
  fc.constantFrom(1e300, -1e300, 5e-324, 1.7e308, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
);
const rows = fc.tuple(
  orNull(fc.integer({ min: 0, max: 2 })),
  orNull(fc.constantFrom('', 'a', 'ä', '\u{10000}', '\uffff')),
  orNull(integers),
  orNull(doubles),
  orNull(fc.boolean()),
  orNull(fc.integer({ min: -500, max: 500 })),
) as fc.Arbitrary<Row>;

const call = (fn: AggregateCall['fn'], arg: number | null, type: SqlType, more: Partial<AggregateCall> = {}) => ({
  fn,
  arg,
  type,
  distinct: false,
  filter: null,
  ...more,
});

const CALLS: readonly AggregateCall[] = [
  call('count', null, BIGINT),
  call('count', 1, BIGINT),
  call('count', null, BIGINT, { filter: 4 }),
  call('count', 1, BIGINT, { distinct: true }),
  call('count', 3, BIGINT, { distinct: true, filter: 4 }),
  call('count', 1, BIGINT, { distinct: true, filter: 4 }),
  call('sum', 2, decimal(38, 0), { distinct: true, filter: 4 }),
  call('sum', 2, decimal(38, 0)),
  call('sum', 2, decimal(38, 0), { distinct: true }),
  call('avg', 2, decimal(38, 6)),
  call('sum', 5, decimal(38, 2)),
  call('avg', 5, decimal(38, 4)),
  call('avg', 5, DOUBLE),
  call('min', 1, VARCHAR),
  call('max', 1, VARCHAR),
  call('min', 2, BIGINT),
  call('max', 2, BIGINT, { filter: 4 }),
  call('min', 3, DOUBLE),
  call('max', 3, DOUBLE),
  call('max', 4, BOOLEAN),
  call('min', 5, MONEY),
];

const plan = (groupBy: readonly number[], aggregates: readonly AggregateCall[]): Aggregate => ({
  op: 'aggregate',
  input: { op: 'values', rows: [], schema: schema(TYPES) },
  groupBy,
  aggregates,
  schema: schema([...groupBy.map((column) => TYPES[column]), ...aggregates.map(({ type }) => type)]),
});

function evaluate({ groupBy, aggregates }: Aggregate, rows: readonly Row[]): Row[] {
  const groups = new Map<string, Row[]>();
  if (groupBy.length === 0) groups.set('[]', []);
  for (const row of rows) {
    const key = rowKey(groupBy.map((column) => row[column]));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].map((group) => [
    ...groupBy.map((column) => group[0][column]),
    ...aggregates.map((aggregate) => evaluateCall(aggregate, group)),
  ]);
}

function evaluateCall({ fn, arg, filter, distinct, type }: AggregateCall, group: readonly Row[]): Datum {
  const rows = filter === null ? group : group.filter((row) => row[filter] === true);
  if (arg === null) return rows.length;
  let values = rows.map((row) => row[arg]).filter((value) => value !== null);
  if (distinct) values = [...new Map(values.map((value) => [rowKey([value]), value])).values()];
  if (fn === 'count') return values.length;
  if (values.length === 0) return null;
  const argType = TYPES[arg];
  const ordered = values.toSorted((a, b) => compareDatums(a, b, argType));
  if (fn === 'min') return ordered[0];
  if (fn === 'max') return ordered[ordered.length - 1];
  if (argType.kind === 'double') return exactDoubleSum(values as number[]) / (fn === 'avg' ? values.length : 1);
  const sum = values.reduce((total: bigint, value) => total + BigInt(value as number), 0n);
  if (fn === 'sum') return canonicalInteger(sum);
  const scale = argType.kind === 'decimal' ? argType.scale : 0;
  if (type.kind !== 'decimal') return Number(sum) / 10 ** scale / values.length;
  const scaled = sum * 10n ** BigInt(type.scale - scale);
  const count = BigInt(values.length);
  const size = scaled < 0n ? -scaled : scaled;
  const quotient = size / count + ((size % count) * 2n >= count ? 1n : 0n);
  return canonicalInteger(scaled < 0n ? -quotient : quotient);
}

/** Through the exact decimal expansion, which the number parser rounds once. */
function exactDoubleSum(values: readonly number[]): number {
  const odd = values.filter((value) => !Number.isFinite(value));
  if (odd.length > 0) return odd.reduce((a, b) => a + b);
  let units = 0n;
  for (const value of values) {
    let whole = value;
    let power = 0;
    for (; !Number.isInteger(whole); power++) whole *= 2;
    units += BigInt(whole) << BigInt(1074 - power);
  }
  return Number(`${units * 5n ** 1074n}e-1074`);
}

function aggregateCase(aggregate: Aggregate, appendOnly: boolean): Case {
  return {
    types: [TYPES],
    appendOnly: [appendOnly],
    make: (context) => new AggregateOperator(info('0.aggregate'), context, aggregate, appendOnly),
    evaluate: ([input]) => evaluate(aggregate, input),
  };
}

describe.each([
  { appendOnly: true, groupBy: [0] },
  { appendOnly: false, groupBy: [0] },
  { appendOnly: false, groupBy: [1, 4] },
  { appendOnly: false, groupBy: [3] },
  { appendOnly: true, groupBy: [] },
  { appendOnly: false, groupBy: [] },
])('aggregate by $groupBy, append only: $appendOnly', ({ appendOnly, groupBy }) => {
  test('equals the batch answer after every epoch', () => {
    checkOperator(aggregateCase(plan(groupBy, CALLS), appendOnly), [rows]);
  });
});

describe('sum and avg of doubles', () => {
  const finite = rows.map((row) => row.with(3, typeof row[3] === 'number' && Math.abs(row[3]) > 1e305 ? 0.7 : row[3]));
  test.each([true, false])('are rounded once and forget what is taken back; append only: %s', (appendOnly) => {
    const calls = [call('sum', 3, DOUBLE), call('avg', 3, DOUBLE), call('sum', 3, DOUBLE, { distinct: true })];
    checkOperator(aggregateCase(plan([0], calls), appendOnly), [finite as fc.Arbitrary<Row>], 300);
  });

  test('an overflow is reported and its group left out until it passes', () => {
    const errors: string[] = [];
    const output: Row[] = [];
    const operator = new AggregateOperator(
      info('0.aggregate'),
      {
        emit: (batch) => {
          for (let i = 0; i < batch.length; i++) {
            output.push([...batch.columns.map((column) => column.values[i] as Datum), batch.weights?.[i] ?? 1]);
          }
        },
        onError: (code, _, row) => errors.push(`${code} ${row}`),
      },
      plan([0], [call('sum', 3, DOUBLE)]),
      false,
    );
    const change = (value: number, weight: number) =>
      operator.push(0, batchOfRows(TYPES, [[7, null, null, value, null, null]], [weight]));
    change(1.7e308, 1);
    operator.endEpoch();
    change(1.7e308, 1);
    operator.endEpoch();
    change(1, 1);
    operator.endEpoch();
    change(1.7e308, -1);
    operator.endEpoch();
    expect(errors).toEqual(['VALUE_OVERFLOW 7']);
    expect(output).toEqual([
      [7, 1.7e308, 1],
      [7, 1.7e308, -1],
      [7, 1.7e308, 1],
    ]);
  });
});

test('a row taken back that never came stops the pipeline', () => {
  const operator = new AggregateOperator(
    info('0.aggregate'),
    { emit: () => {}, onError: () => {} },
    plan([0], [call('count', null, BIGINT)]),
    false,
  );
  operator.push(0, batchOfRows(TYPES, [[1, null, null, null, null, null]], [-1]));
  expect(() => operator.endEpoch()).toThrow(expect.objectContaining({ code: 'INVARIANT' }));
});

test('groups that did not change emit nothing', () => {
  let batches = 0;
  const operator = new AggregateOperator(
    info('0.aggregate'),
    { emit: () => batches++, onError: () => {} },
    plan([0], [call('max', 2, BIGINT)]),
    true,
  );
  const row = (value: number) => [1, null, value, null, null, null];
  operator.push(0, batchOfRows(TYPES, [row(5)]));
  operator.endEpoch();
  expect(batches).toBe(1);
  operator.push(0, batchOfRows(TYPES, [row(4), row(5)]));
  operator.endEpoch();
  expect(batches).toBe(1);
});
