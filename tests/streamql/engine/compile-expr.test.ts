import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { batchOfRows, rowAt } from '../../../src/values/batch.ts';
import {
  BIGINT,
  BOOLEAN,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  type SqlType,
  TIMESTAMP,
  VARCHAR,
} from '../../../src/values/types.ts';
import { compileFilterProject } from '../../../streamql/engine/compile-expr.ts';
import { FUNCTIONS } from '../../../streamql/functions/functions.ts';
import { evaluate } from '../../../streamql/plan/evaluate.ts';
import type { Expr } from '../../../streamql/plan/plan.ts';

/** Generated code against the plain interpreter: same values, same rows left out. */
const TYPES: readonly SqlType[] = [BIGINT, INTEGER, decimal(12, 3), DOUBLE, VARCHAR, BOOLEAN, TIMESTAMP];
const big = fc.constantFrom<Datum>(
  0,
  1,
  -1,
  7,
  9007199254740991,
  9007199254740992n,
  -9223372036854775808n,
  9223372036854775807n,
);
const DATUMS: Readonly<Record<string, fc.Arbitrary<Datum>>> = {
  bigint: big,
  integer: fc.constantFrom<Datum>(0, 1, -5, 2147483647, -2147483648),
  decimal: fc.constantFrom<Datum>(0, 1, -1500, 999999999999, 500),
  double: fc.constantFrom<Datum>(0, 1.5, -2.25, Number.NaN, Number.POSITIVE_INFINITY, 1e300),
  varchar: fc.constantFrom<Datum>('', 'a', 'ab', 'Äß', '\u{1f600}', '\uffff', '12', '%'),
  boolean: fc.boolean(),
  timestamp: fc.constantFrom<Datum>(0, -1, 1_700_000_000_123_456, 86_400_000_000),
};
const datum = (type: SqlType): fc.Arbitrary<Datum> => fc.option(DATUMS[type.kind], { nil: null, freq: 4 });

/** Calls by a result kind: functions whose argument kinds we can make. */
const CALLS = [...FUNCTIONS.values()].filter(
  (row) =>
    row.deterministic !== false &&
    !row.variadic &&
    row.args.every((kind) => TYPES.some((type) => type.kind === kind)) &&
    row.name !== 'repeat',
);

const made = new Map<string, fc.Arbitrary<Expr>>();

function expr(type: SqlType, depth: number): fc.Arbitrary<Expr> {
  const key = `${type.kind}${depth}`;
  const known = made.get(key) ?? makeExpr(type, depth);
  made.set(key, known);
  return known;
}

function makeExpr(type: SqlType, depth: number): fc.Arbitrary<Expr> {
  const column = fc.constant<Expr>({
    op: 'column',
    index: TYPES.findIndex((one) => one.kind === type.kind),
    type: TYPES.find((one) => one.kind === type.kind) ?? type,
  });
  const literal = datum(type).map<Expr>((value) => ({ op: 'literal', value, type }));
  if (depth === 0) return fc.oneof(column, literal);
  const inner = (of: SqlType): fc.Arbitrary<Expr> => expr(of, depth - 1);
  const any = fc.constantFrom(...TYPES);
  const choices: fc.Arbitrary<Expr>[] = [
    column,
    fc
      .tuple(inner(BOOLEAN), inner(type), inner(type))
      .map(([when, then, otherwise]) => ({ op: 'case', branches: [{ when, then }], otherwise, type })),
    fc.tuple(inner(type), inner(type)).map(([a, b]) => ({ op: 'coalesce', args: [a, b], type })),
  ];
  if (type.kind !== 'boolean' && type.kind !== 'timestamp') {
    const from = fc.constantFrom(...TYPES.filter(({ kind }) => kind !== 'boolean' && kind !== 'timestamp'));
    choices.push(from.chain((of) => inner(of).map<Expr>((arg) => ({ op: 'cast', arg, type, safe: depth === 1 }))));
  }
  const calls = CALLS.filter((row) => {
    const result = row.returns(row.args.map((kind) => TYPES.find((one) => one.kind === kind) as SqlType));
    return result.kind === type.kind && type.kind !== 'decimal';
  });
  if (calls.length > 0) {
    choices.push(
      fc
        .constantFrom(...calls)
        .chain((row) =>
          fc
            .tuple(...row.args.map((kind) => inner(TYPES.find((one) => one.kind === kind) as SqlType)))
            .map<Expr>((args) => ({ op: 'call', fn: row.id, args, type })),
        ),
    );
  }
  if (type.kind === 'boolean') {
    choices.push(
      fc
        .tuple(fc.constantFrom<'and' | 'or'>('and', 'or'), inner(BOOLEAN), inner(BOOLEAN), inner(BOOLEAN))
        .map(([op, ...args]) => ({ op, args, type })),
      inner(BOOLEAN).map((arg) => ({ op: 'not', arg, type })),
      any.chain((of) =>
        fc.tuple(inner(of), fc.boolean()).map<Expr>(([arg, negated]) => ({ op: 'isNull', arg, negated, type })),
      ),
      any.chain((of) =>
        fc
          .tuple(fc.constantFrom('=', '<>', '<', '<=', '>', '>=', 'distinct', 'notDistinct'), inner(of), inner(of))
          .map<Expr>(([cmp, left, right]) => ({ op: 'compare', cmp: cmp as '=', left, right, type })),
      ),
      any.chain((of) =>
        fc
          .tuple(inner(of), fc.array(datum(of), { maxLength: 4 }), fc.boolean())
          .map<Expr>(([arg, values, negated]) => ({ op: 'in', arg, values, negated, type })),
      ),
    );
  }
  return fc.oneof(...choices);
}

const rows = fc.array(fc.tuple(...TYPES.map(datum)), { maxLength: 8 });

test('a compiled filter and projection equals the interpreter, row by row', () => {
  const projected = fc.constantFrom(...TYPES).chain((type) => expr(type, 3));
  fc.assert(
    fc.property(
      fc.option(expr(BOOLEAN, 2), { nil: null }),
      fc.array(projected, { minLength: 1, maxLength: 3 }),
      rows,
      (predicate, exprs, input) => {
        const expected: Datum[][] = [];
        const failed: number[] = [];
        input.forEach((row, i) => {
          try {
            if (predicate !== null && evaluate(predicate, row) !== true) return;
            expected.push(exprs.map((one) => evaluate(one, row)));
          } catch (thrown) {
            if (!(thrown instanceof StreamError)) throw thrown;
            failed.push(i);
          }
        });
        const { batch, errors } = compileFilterProject(predicate, exprs, TYPES)(batchOfRows(TYPES, input));
        expect(Array.from({ length: batch.length }, (_, i) => rowAt(batch, i))).toEqual(expected);
        expect((errors ?? []).map(({ row }) => row)).toEqual(failed);
      },
    ),
    { numRuns: 400 },
  );
});

test('weights follow their rows, and columns that are passed on are the same objects', () => {
  const batch = batchOfRows(
    [BIGINT, VARCHAR],
    [
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ],
    [1, -1, 2],
  );
  const column: Expr = { op: 'column', index: 1, type: VARCHAR };
  const all = compileFilterProject(null, [column], [BIGINT, VARCHAR])(batch);
  expect(all.batch.columns[0]).toBe(batch.columns[1]);
  const predicate: Expr = {
    op: 'compare',
    cmp: '>',
    left: { op: 'column', index: 0, type: BIGINT },
    right: { op: 'literal', value: 1, type: BIGINT },
    type: BOOLEAN,
  };
  const some = compileFilterProject(predicate, [column], [BIGINT, VARCHAR])(batch);
  expect([...(some.batch.weights ?? [])]).toEqual([-1, 2]);
  expect([rowAt(some.batch, 0), rowAt(some.batch, 1)]).toEqual([['b'], ['c']]);
});
