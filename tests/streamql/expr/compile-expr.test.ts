import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { batchOfRows, rowAt } from '../../../src/values/batch.ts';
import { BIGINT, BOOLEAN, type Datum, typeName, VARCHAR } from '../../../src/values/types.ts';
import { compileFilterProject } from '../../../streamql/engine/compile-expr.ts';
import { evaluate } from '../../../streamql/plan/evaluate.ts';
import type { Expr } from '../../../streamql/plan/plan.ts';
import { COLUMN_TYPES, expr, rowsOf } from './random-expr.ts';
import { isWellFormed } from './well-formed.ts';

/** Generated code against the plain interpreter: same values, same rows left out. */
test('a compiled filter and projection equals the interpreter, row by row', () => {
  const projected = fc.constantFrom(...COLUMN_TYPES).chain((type) => expr(type, 3));
  fc.assert(
    fc.property(
      fc.option(expr(BOOLEAN, 2), { nil: null }),
      fc.array(projected, { minLength: 1, maxLength: 3 }),
      rowsOf(8),
      (predicate, exprs, input) => {
        const expected: Datum[][] = [];
        const failed: number[] = [];
        input.forEach((row, i) => {
          try {
            if (predicate !== null && evaluate(predicate, row) !== true) return;
            const values = exprs.map((one) => evaluate(one, row));
            values.forEach((value, n) => {
              if (!isWellFormed(value, exprs[n].type))
                throw new Error(`${typeName(exprs[n].type)} never is ${String(value)}`);
            });
            expected.push(values);
          } catch (thrown) {
            if (!(thrown instanceof StreamError)) throw thrown;
            failed.push(i);
          }
        });
        const { batch, errors } = compileFilterProject(
          predicate,
          exprs,
          COLUMN_TYPES,
        )(batchOfRows(COLUMN_TYPES, input));
        expect(Array.from({ length: batch.length }, (_, i) => rowAt(batch, i))).toEqual(expected);
        expect((errors ?? []).map(({ row }) => row)).toEqual(failed);
      },
    ),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) },
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
