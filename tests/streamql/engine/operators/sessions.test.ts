import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOfRows, type ColumnSchema } from '../../../../src/values/batch.ts';
import { type Datum, TIMESTAMP, VARCHAR } from '../../../../src/values/types.ts';
import { SessionOperator } from '../../../../streamql/engine/operators/session.ts';
import { WindowOperator } from '../../../../streamql/engine/operators/window.ts';
import type { Session, Window } from '../../../../streamql/plan/plan.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { runPlan } from '../../reference.ts';
import { Bag, type Case, checkOperator, info, type Row } from '../history.ts';

const SECOND = 1_000_000;
const TYPES = [VARCHAR, TIMESTAMP, VARCHAR];
const INPUT: ColumnSchema[] = ['key', 'at', 'note'].map((name, i) => ({ name, type: TYPES[i], nullable: true }));
const scan = { op: 'scan', relation: 't', name: 't', columns: [0, 1, 2], changelog: 'general', schema: INPUT } as const;
const BOUNDS = ['window_start', 'window_end', 'window_time'].map((name) => ({
  name,
  type: TIMESTAMP,
  nullable: false,
}));
const schema = [...INPUT, ...BOUNDS];

const rowsOver = (most: number): fc.Arbitrary<Row> =>
  fc.tuple(
    fc.constantFrom<Datum>('a', 'b', null),
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: -most, max: most }) },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
    fc.constantFrom<Datum>('x', 'y'),
  );

test.each([
  { partitionBy: [0], gap: 5 },
  { partitionBy: [], gap: 3 },
  { partitionBy: [0, 2], gap: 1 },
  { partitionBy: [0], gap: 40 },
])('sessions of gap $gap by $partitionBy merge, split and move like those of a batch', ({ partitionBy, gap }) => {
  const plan: Session = { op: 'session', input: scan, timeColumn: 1, partitionBy, gapMicros: gap, schema };
  const session: Case = {
    types: [TYPES],
    appendOnly: [false],
    make: (context) => new SessionOperator(info('0.session'), context, plan),
    evaluate: ([all]) => runPlan(plan, () => all),
  };
  checkOperator(session, [rowsOver(50)], 150);
});

test.each([
  { size: 60 * SECOND, step: 10 * SECOND, offset: 0 },
  { size: 60 * SECOND, step: 60 * SECOND, offset: 7 * SECOND },
  { size: 6, step: 2, offset: 1 },
])('cumulate to $size µs by $step µs from $offset', ({ size, step, offset }) => {
  const plan: Window = {
    op: 'window',
    kind: 'cumulate',
    input: scan,
    timeColumn: 1,
    sizeMicros: size,
    slideMicros: step,
    offsetMicros: offset,
    schema,
  };
  const far = fc.constantFrom<Row>(['a', 9007199254740991, 'x'], ['a', -9007199254740991, 'x']);
  const windows: Case = {
    types: [TYPES],
    appendOnly: [false],
    make: (context) => new WindowOperator(info('0.window'), context, plan),
    evaluate: ([all]) => runPlan(plan, () => all),
  };
  checkOperator(windows, [fc.oneof({ weight: 9, arbitrary: rowsOver(3 * size) }, { weight: 1, arbitrary: far })], 60);
});

test('where no late row can come, ended sessions leave the state and what they showed stays', () => {
  const time = { columns: [{ column: 1, lagMicros: 0, ofWindow: false }], firm: true, idleTimeoutMs: 0 };
  const input = { ...scan, changelog: 'append', time } as const;
  const plan: Session = { op: 'session', input, timeColumn: 1, partitionBy: [0], gapMicros: 10, schema };
  const output = new Bag();
  const make = () =>
    new SessionOperator(info('0.session'), { emit: (batch) => output.addBatch(batch), onError: () => {} }, plan);
  let operator = make();
  const epoch = (rows: Row[], watermark: number): number => {
    if (rows.length > 0) operator.push(0, batchOfRows(TYPES, rows));
    operator.advance(0, watermark);
    operator.endEpoch();
    return operator.state[0].rows;
  };
  const all: Row[] = [
    ['a', 0, 'x'],
    ['a', 8, 'x'],
    ['b', 5, 'x'],
  ];
  expect(epoch(all, 15)).toBe(3);
  expect(epoch([], 16)).toBe(2);
  // A row at the very end of a session is in it.
  all.push(['a', 18, 'y']);
  expect(epoch(all.slice(3), 18)).toBe(3);
  const saved = savedBytes(operator.state[0], true);
  operator = make();
  operator.state[0].load(saved as Uint8Array);
  expect(epoch([], 28)).toBe(3);
  expect(epoch([], 29)).toBe(0);
  all.push(['a', 29, 'y']);
  expect(epoch(all.slice(4), 30)).toBe(1);
  expect(output.sorted()).toEqual(Bag.of(runPlan(plan, () => all)).sorted());
});
