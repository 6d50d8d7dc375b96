import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ColumnSchema } from '../../../../src/values/batch.ts';
import { BIGINT, type SqlType, VARCHAR } from '../../../../src/values/types.ts';
import type { OperatorContext } from '../../../../streamql/engine/operators/base.ts';
import { LookupOperator } from '../../../../streamql/engine/operators/lookup.ts';
import type { LookupJoin } from '../../../../streamql/plan/plan.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { Bag, type Case, type History, histories, info, pushEpoch, type Row, rowKey } from '../history.ts';

const LEFT: readonly SqlType[] = [BIGINT, VARCHAR];
const RIGHT: readonly SqlType[] = [VARCHAR, BIGINT];
const schema = (types: readonly SqlType[]): ColumnSchema[] =>
  types.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const key = fc.constantFrom(null, 0, 1, 2);
const left = fc.tuple(key, fc.constantFrom('a', null)) as fc.Arbitrary<Row>;
const right = fc.tuple(fc.constantFrom('x', 'y', null), key) as fc.Arbitrary<Row>;

/** What is to be shown after each epoch, said plainly: each copy of a left row keeps what it met, and the last that came goes first. */
class Model {
  readonly #kind: LookupJoin['kind'];
  readonly #right = new Bag();
  readonly #arrivals = new Map<string, Row[][]>();

  constructor(kind: LookupJoin['kind']) {
    this.#kind = kind;
  }

  epoch(changes: History[number]): void {
    for (const { port, row, weight } of changes) if (port === 1) this.#right.add(row, weight);
    const lefts = changes.filter(({ port }) => port === 0);
    for (const { row, weight } of lefts) for (let copy = 0; copy < weight; copy++) this.#of(row).push(this.#met(row));
    for (const { row, weight } of lefts) for (let copy = weight; copy < 0; copy++) this.#of(row).pop();
  }

  shown(): [string, number][] {
    return Bag.of([...this.#arrivals.values()].flat(2)).sorted();
  }

  #of(row: Row): Row[][] {
    const found = this.#arrivals.get(rowKey(row)) ?? [];
    this.#arrivals.set(rowKey(row), found);
    return found;
  }

  #met(row: Row): Row[] {
    const met = this.#right.list().filter((r) => r[1] !== null && r[1] === row[0]);
    if (met.length === 0 && this.#kind === 'left') return [[...row, null, null]];
    return met.map((r) => [...row, ...r]);
  }
}

test.each([
  { kind: 'inner' as const, appends: true },
  { kind: 'inner' as const, appends: false },
  { kind: 'left' as const, appends: true },
  { kind: 'left' as const, appends: false },
])('$kind, left side only appended to: $appends', ({ kind, appends }) => {
  const plan: LookupJoin = {
    op: 'lookup',
    kind,
    left: { op: 'values', rows: [], schema: schema(LEFT) },
    right: { op: 'values', rows: [], schema: schema(RIGHT) },
    keys: [[0, 1]],
    residual: null,
    schema: schema([...LEFT, ...RIGHT]),
  };
  const types: Case = { types: [LEFT, RIGHT], appendOnly: [appends, false], make: () => null!, evaluate: () => [] };
  fc.assert(
    fc.property(histories([left, right], types.appendOnly), fc.constantFrom(1, 3, 100), (history, size) => {
      const output = new Bag();
      const context: OperatorContext = {
        emit: (batch) => {
          if (appends) expect(batch.weights).toBeNull();
          output.addBatch(batch);
        },
        onError: () => {},
      };
      const model = new Model(kind);
      let operator = new LookupOperator(info('0.lookup'), context, plan, appends, null);
      for (const changes of history) {
        pushEpoch(operator, types, changes, size);
        model.epoch(changes);
        expect(output.sorted()).toEqual(model.shown());
        const pieces = operator.state.map((table) => savedBytes(table, true));
        operator = new LookupOperator(info('0.lookup'), context, plan, appends, null);
        operator.state.forEach((table, t) => {
          table.load(pieces[t]!);
        });
      }
    }),
    { numRuns: 100 },
  );
});
