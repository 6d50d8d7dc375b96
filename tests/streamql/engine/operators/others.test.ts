import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema, rowAt } from '../../../../src/values/batch.ts';
import { compareDatums } from '../../../../src/values/compare.ts';
import {
  BIGINT,
  BOOLEAN,
  canonicalInteger,
  type Datum,
  DOUBLE,
  type SqlType,
  TIMESTAMP,
  VARCHAR,
} from '../../../../src/values/types.ts';
import { DistinctOperator } from '../../../../streamql/engine/operators/distinct.ts';
import { TopNOperator } from '../../../../streamql/engine/operators/topn.ts';
import { UnionOperator } from '../../../../streamql/engine/operators/union.ts';
import { ValuesOperator } from '../../../../streamql/engine/operators/values.ts';
import { WindowOperator } from '../../../../streamql/engine/operators/window.ts';
import type { TopN } from '../../../../streamql/plan/plan.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { Bag, type Case, checkOperator, info, type Row, rowKey } from '../history.ts';

const TYPES: readonly SqlType[] = [BIGINT, VARCHAR, DOUBLE, BOOLEAN];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const rows = fc.tuple(
  fc.constantFrom(null, 0, 1, 9007199254740993n),
  fc.constantFrom(null, 'a', '\uffff', '\u{10000}'),
  fc.constantFrom(null, 0.5, Number.NaN, Number.NEGATIVE_INFINITY),
  fc.constantFrom(null, true, false),
) as fc.Arbitrary<Row>;
const input = { op: 'values', rows: [], schema: schema(TYPES) } as const;

describe.each([true, false])('append only: %s', (appendOnly) => {
  test('distinct shows each row once while it is there', () => {
    checkOperator(
      {
        types: [TYPES],
        appendOnly: [appendOnly],
        make: (context) =>
          new DistinctOperator(
            info('0.distinct'),
            context,
            { op: 'distinct', input, schema: input.schema },
            appendOnly,
          ),
        evaluate: ([all]) => [...new Map(all.map((row) => [rowKey(row), row])).values()],
      },
      [rows],
    );
  });

  test.each([
    { partitionBy: [0], limit: 2, rank: false },
    { partitionBy: [0], limit: 3, rank: true },
    { partitionBy: [], limit: 4, rank: true },
    { partitionBy: [], limit: 5, rank: false },
    { partitionBy: [1, 3], limit: 1, rank: false },
    { partitionBy: [0], limit: 0, rank: true },
  ])('top $limit per $partitionBy, rank: $rank', ({ partitionBy, limit, rank }) => {
    const plan: TopN = {
      op: 'topn',
      input,
      partitionBy,
      orderBy: [
        { column: 2, descending: true, nullsFirst: true },
        { column: 1, descending: false, nullsFirst: false },
      ],
      limit,
      rank,
      schema: rank ? schema([...TYPES, BIGINT]) : input.schema,
    };
    checkOperator(
      {
        types: [TYPES],
        appendOnly: [appendOnly],
        make: (context) => new TopNOperator(info('0.topn'), context, plan, appendOnly),
        evaluate: ([all]) => firstRows(plan, all),
      },
      [rows],
    );
  });
});

function firstRows({ partitionBy, orderBy, limit, rank }: TopN, all: readonly Row[]): Row[] {
  const keys = [...orderBy];
  for (const column of [0, 1, 2, 3]) keys.push({ column, descending: false, nullsFirst: false });
  const partitions = groupBy(all, (row) => rowKey(partitionBy.map((c) => row[c])));
  return [...partitions.values()].flatMap((partition) =>
    partition
      .toSorted((a, b) => {
        for (const { column, descending, nullsFirst } of keys) {
          const [x, y] = [a[column], b[column]];
          if (x === null && y === null) continue;
          if (x === null || y === null) return (x === null) === nullsFirst ? -1 : 1;
          const order = compareDatums(x, y, TYPES[column]);
          if (order !== 0) return descending ? -order : order;
        }
        return 0;
      })
      .slice(0, limit)
      .map((row, i) => (rank ? [...row, i + 1] : row)),
  );
}

function groupBy(all: readonly Row[], by: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of all) groups.set(by(row), [...(groups.get(by(row)) ?? []), row]);
  return groups;
}

const SECOND = 1_000_000;

test.each([
  { kind: 'tumble' as const, size: 10 * SECOND, slide: 10 * SECOND, offset: 0 },
  { kind: 'tumble' as const, size: 10 * SECOND, slide: 10 * SECOND, offset: 3 * SECOND },
  { kind: 'hop' as const, size: 10 * SECOND, slide: 2 * SECOND, offset: -SECOND },
  { kind: 'hop' as const, size: 5 * SECOND, slide: 2 * SECOND, offset: 0 },
  { kind: 'hop' as const, size: 2 * SECOND, slide: 5 * SECOND, offset: 1 },
])('$kind of $size µs every $slide µs from $offset: each row once per window that contains it', (window) => {
  const types = [VARCHAR, TIMESTAMP];
  const times = fc.oneof(
    fc.integer({ min: -30 * SECOND, max: 30 * SECOND }),
    fc.constantFrom<Datum>(null, 0, -1, 10 * SECOND, 9007199254740991, -9007199254740991, 9007199254740995n),
  );
  const [size, slide, offset] = [BigInt(window.size), BigInt(window.slide), BigInt(window.offset)];
  const test: Case = {
    types: [types],
    appendOnly: [false],
    make: (context) =>
      new WindowOperator(info('0.window'), context, {
        op: 'window',
        input: { op: 'values', rows: [], schema: schema(types) },
        kind: window.kind,
        timeColumn: 1,
        sizeMicros: window.size,
        slideMicros: window.slide,
        offsetMicros: window.offset,
        schema: schema([...types, TIMESTAMP, TIMESTAMP, TIMESTAMP]),
      }),
    evaluate: ([all]) =>
      all.flatMap((row) => {
        if (row[1] === null) return [];
        const time = BigInt(row[1] as number);
        const out: Row[] = [];
        for (let start = time - size; start <= time; start++) {
          // Every multiple of the slide in (time − size, time].
          if (start === time - size) start += 1n;
          const past = (((start - offset) % slide) + slide) % slide;
          if (past !== 0n) start += slide - past;
          if (start > time) break;
          const bounds = [start, start + size, start + size - 1000n].map(canonicalInteger);
          out.push([...row, ...bounds]);
        }
        return out;
      }),
  };
  checkOperator(test, [fc.tuple(fc.constantFrom('a', 'b'), times) as fc.Arbitrary<Row>], 60);
});

test('union passes every port on', () => {
  checkOperator(
    {
      types: [TYPES, TYPES],
      appendOnly: [true, false],
      make: (context) => new UnionOperator(info('0.union'), context),
      evaluate: ([a, b]) => [...a, ...b],
    },
    [rows, rows],
    30,
  );
});

test('constants come once, also after a restart', () => {
  const output = new Bag();
  const plan = { op: 'values', rows: [[1], [1], [null]], schema: schema([BIGINT]) } as const;
  const make = () =>
    new ValuesOperator(info('0.values'), { emit: (batch) => output.addBatch(batch), onError: () => {} }, plan);
  const first = make();
  const empty = savedBytes(first.state[0], true)!;
  first.endEpoch();
  first.endEpoch();
  const change = savedBytes(first.state[0], false)!;
  const second = make();
  second.state[0].load(empty);
  second.state[0].load(change);
  second.endEpoch();
  expect(output.list()).toEqual([[1], [1], [null]]);
});

test('top-n emits one replacement per epoch, whatever passed in between', () => {
  const out: string[] = [];
  const plan: TopN = {
    op: 'topn',
    input: { op: 'values', rows: [], schema: schema([BIGINT]) },
    partitionBy: [],
    orderBy: [{ column: 0, descending: true, nullsFirst: true }],
    limit: 1,
    rank: true,
    schema: schema([BIGINT, BIGINT]),
  };
  const operator = new TopNOperator(
    info('0.topn'),
    {
      emit: (batch) => {
        for (let i = 0; i < batch.length; i++) out.push(`${rowAt(batch, i)} ${batch.weights?.[i] ?? 1}`);
      },
      onError: () => {},
    },
    plan,
    true,
  );
  for (const value of [1, 2, 3]) operator.push(0, batchOfRows([BIGINT], [[value]]));
  operator.endEpoch();
  for (const value of [7, 5, 9]) operator.push(0, batchOfRows([BIGINT], [[value]]));
  operator.endEpoch();
  expect(out).toEqual(['3,1 1', '3,1 -1', '9,1 1']);
  expect(operator.state[0].rows).toBe(1);
});
