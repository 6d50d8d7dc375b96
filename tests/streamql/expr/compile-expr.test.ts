import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, batchOfRows, rowAt } from '../../../src/values/batch.ts';
import { datumAt, TextColumn } from '../../../src/values/column.ts';
import { BIGINT, BOOLEAN, type Datum, INTEGER, TIMESTAMP, typeName, VARCHAR } from '../../../src/values/types.ts';
import { compileFilterProject } from '../../../streamql/engine/compile-expr.ts';
import { FUNCTIONS } from '../../../streamql/functions/functions.ts';
import { evaluate } from '../../../streamql/plan/evaluate.ts';
import type { Expr } from '../../../streamql/plan/plan.ts';
import { COLUMN_TYPES, expr, rowsOf } from './random-expr.ts';
import { isWellFormed } from './well-formed.ts';

/** Generated code against the plain interpreter: same values, same rows left out. */
/** The same rows with texts as ranges of bytes, as a decoder makes them. */
function withTextColumns(batch: Batch): Batch {
  const columns = batch.columns.map((column) => {
    if (column.type.kind !== 'varchar') return column;
    const texts = Array.from({ length: batch.length }, (_, i) => Buffer.from(String(datumAt(column, i) ?? '')));
    const starts = new Int32Array(batch.length);
    let at = 1;
    texts.forEach((text, i) => {
      starts[i] = at;
      at += text.length + 1;
    });
    const bytes = Buffer.concat([Buffer.from('"'), ...texts.flatMap((text) => [text, Buffer.from('a')])]);
    const ends = starts.map((start, i) => start + texts[i].length);
    return new TextColumn(VARCHAR, batch.length, bytes, starts, ends, column.nulls);
  });
  return { ...batch, columns };
}

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
        const run = compileFilterProject(predicate, exprs, COLUMN_TYPES);
        const plain = batchOfRows(COLUMN_TYPES, input);
        for (const form of [plain, withTextColumns(plain)]) {
          const { batch, errors } = run(form);
          expect(Array.from({ length: batch.length }, (_, i) => rowAt(batch, i))).toEqual(expected);
          expect((errors ?? []).map(({ row }) => row)).toEqual(failed);
        }
      },
    ),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) },
  );
});

/** Of two texts, a number and a moment; as constants they are values that the functions make something of. */
const TEXT_TYPES = [VARCHAR, VARCHAR, INTEGER, TIMESTAMP] as const;
const pieces = fc.constantFrom('a', 'B', 'c', ' ', '/', '=', '&', 'id=', 'é', 'ß', '漢', '😀', '', 'x'.repeat(20));
const text = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(''));
const constants: Readonly<Record<string, fc.Arbitrary<Datum>>> = {
  varchar: fc.constantFrom(
    'a',
    '/',
    '',
    ' ',
    'é',
    'id=',
    '(?:&|^)id=([^&]*)',
    '[a-cé]+',
    'x{3,}(/|$)',
    'YYYY-MM',
    '漢',
  ),
  integer: fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: -4, max: 8 })),
  timestamp: fc.constant(1_700_000_000_000_000),
};
const withBytes = [...FUNCTIONS.values()].filter((row) => row.bytes !== undefined);

/** Column 0 or a literal in each place of a function that has a form over bytes; nested once, and beside the branches of CASE. */
const bytesCall = fc.constantFrom(...withBytes).chain((row): fc.Arbitrary<Expr> => {
  const kinds = row.args.map((kind) => (kind === 'any' ? 'integer' : kind === 'timestamptz' ? 'timestamp' : kind));
  const args = kinds.map((kind, place): fc.Arbitrary<Expr> => {
    const type = TEXT_TYPES.find((one) => one.kind === kind)!;
    const columns = TEXT_TYPES.flatMap((one, index): Expr[] => (one === type ? [{ op: 'column', index, type }] : []));
    const literal = constants[kind].map((value): Expr => ({ op: 'literal', value, type }));
    const nested = fc.constantFrom<Expr>(
      { op: 'call', fn: 'lower', args: [{ op: 'column', index: 0, type: VARCHAR }], type: VARCHAR },
      { op: 'call', fn: 'btrim.1', args: [{ op: 'column', index: 1, type: VARCHAR }], type: VARCHAR },
    );
    // Patterns, delimiters and numbers are nearly always constants.
    return fc.oneof(
      fc.constantFrom(...columns),
      { arbitrary: literal, weight: place === 0 ? 1 : 6 },
      ...(kind === 'varchar' ? [nested] : []),
    );
  });
  return fc.tuple(...args).map((made): Expr => {
    const types = made.map((arg) => arg.type);
    return { op: 'call', fn: row.id, args: made, type: row.returns(types) };
  });
});

test('functions of texts in bytes are those of strings', () => {
  const rows = fc.array(
    fc.tuple(
      fc.option(text, { nil: null }),
      fc.option(text, { nil: null }),
      fc.option(fc.integer({ min: -4, max: 8 }), { nil: null }),
      fc.option(fc.constantFrom(0, 1_700_000_000_123_456), { nil: null }),
    ),
    { minLength: 1, maxLength: 6 },
  );
  const used = new Set<string>();
  fc.assert(
    fc.property(bytesCall, bytesCall, rows, (call, other, input) => {
      const exprs: Expr[] = [call, { op: 'isNull', arg: call, negated: false, type: BOOLEAN }];
      if (call.type.kind === 'varchar' && other.type.kind === 'varchar') {
        const when: Expr = { op: 'compare', cmp: '<', left: call, right: other, type: BOOLEAN };
        const constant: Expr = { op: 'literal', value: 'é', type: VARCHAR };
        exprs.push(
          { op: 'case', branches: [{ when, then: call }], otherwise: constant, type: VARCHAR },
          { op: 'coalesce', args: [call, other, constant], type: VARCHAR },
          { op: 'compare', cmp: '=', left: call, right: other, type: BOOLEAN },
          { op: 'in', arg: call, values: ['a', '', null], negated: true, type: BOOLEAN },
        );
      }
      const run = compileFilterProject(null, exprs, TEXT_TYPES);
      const plain = run(batchOfRows(TEXT_TYPES, input));
      const bytes = run(withTextColumns(batchOfRows(TEXT_TYPES, input)));
      const rowsIn = ({ batch }: typeof plain) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i));
      expect(rowsIn(bytes)).toEqual(rowsIn(plain));
      expect((bytes.errors ?? []).map(({ row, code }) => [row, code])).toEqual(
        (plain.errors ?? []).map(({ row, code }) => [row, code]),
      );
      if (bytes.batch.columns[0] instanceof TextColumn) used.add((call as Expr & { op: 'call' }).fn);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 2000) },
  );
  // No form that yields text stands in the table without ever being taken.
  expect(withBytes.filter((row) => row.returns([...TEXT_TYPES]).kind === 'varchar' && !used.has(row.id))).toEqual([]);
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

test('tests of texts in their bytes are those of the strings', () => {
  const text = fc.constantFrom('', 'a', 'ab', 'aab', 'ä', 'äa', '\u{1f600}', 'b%', 'abab', '\ud800');
  const column: Expr = { op: 'column', index: 0, type: VARCHAR };
  const literal = (value: Datum): Expr => ({ op: 'literal', value, type: VARCHAR });
  const list = fc.array(fc.option(text, { freq: 5 }), { maxLength: 20 });
  const tests: fc.Arbitrary<Expr> = fc.oneof(
    fc
      .tuple(fc.constantFrom('=' as const, '<>' as const), text, fc.boolean())
      .map<Expr>(([cmp, value, swap]) =>
        swap
          ? { op: 'compare', cmp, left: literal(value), right: column, type: BOOLEAN }
          : { op: 'compare', cmp, left: column, right: literal(value), type: BOOLEAN },
      ),
    fc
      .tuple(list, fc.boolean())
      .map<Expr>(([values, negated]) => ({ op: 'in', arg: column, values, negated, type: BOOLEAN })),
    fc
      .array(fc.constantFrom('%', '%', 'a', 'b', 'ä', '_', '\\%', '\\\\', '\\'), { maxLength: 5 })
      .map<Expr>((parts) => ({ op: 'call', fn: 'like', args: [column, literal(parts.join(''))], type: BOOLEAN })),
    fc.boolean().map<Expr>((negated) => ({ op: 'isNull', arg: column, negated, type: BOOLEAN })),
  );
  const utf8 = (value: string | null): string | null => value && Buffer.from(value).toString();
  fc.assert(
    fc.property(tests, tests, fc.array(fc.option(text, { freq: 5 }), { maxLength: 9 }), (one, other, texts) => {
      const plain = batchOfRows(
        [VARCHAR],
        texts.map((value) => [utf8(value)]),
      );
      const upper: Expr = { op: 'call', fn: 'upper', args: [column], type: VARCHAR };
      const run = compileFilterProject({ op: 'not', arg: one, type: BOOLEAN }, [other, column, upper], [VARCHAR]);
      const rows = [plain, withTextColumns(plain)].map((form) => {
        const { batch, errors } = run(form);
        return [Array.from({ length: batch.length }, (_, i) => rowAt(batch, i)), (errors ?? []).map(({ row }) => row)];
      });
      expect(rows[1]).toEqual(rows[0]);
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 500) },
  );
});
