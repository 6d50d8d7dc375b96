import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StreamError } from '../../../../src/lib/errors.ts';
import { batchOfRows } from '../../../../src/values/batch.ts';
import { datumAt } from '../../../../src/values/column.ts';
import { BIGINT, type Datum, DOUBLE, INTEGER, type SqlType, VARCHAR } from '../../../../src/values/types.ts';
import { compileFilterProject } from '../../../../streamql/engine/compile-expr.ts';
import { prepareUserCode } from '../../../../streamql/functions/user/user-code.ts';
import { type UserFunction, userFunctionId } from '../../../../streamql/functions/user/user-function.ts';
import { WasmModule } from '../../../../streamql/functions/user/wasm-module.ts';
import type { Expr } from '../../../../streamql/plan/plan.ts';
import {
  ADD,
  ALLOC,
  assemble,
  ECHO,
  EVEN,
  type Fn,
  get,
  I32,
  I64,
  i32,
  load,
  type Module,
  set,
  TWICE_PLUS,
} from './wasm-assembler.ts';

const functionOf = (bytes: Uint8Array, params: readonly SqlType[], returns: SqlType): UserFunction => ({
  kind: 'scalar',
  name: 'f',
  language: 'wasm',
  params: params.map((type) => ({ name: '', type })),
  returns,
  columns: [],
  source: Buffer.from(bytes).toString('base64'),
});
const moduleOf = (main: Fn, params: readonly SqlType[], returns: SqlType, more: Partial<Module> = {}): WasmModule =>
  new WasmModule(functionOf(assemble({ functions: [main, ALLOC], ...more }), params, returns));

const codeOf = (run: () => unknown): string => {
  try {
    return `gave ${String(run())}`;
  } catch (thrown) {
    if (thrown instanceof StreamError) return thrown.code;
    throw thrown;
  }
};

test('numbers, NULL results and texts', () => {
  const twice = moduleOf(TWICE_PLUS, [BIGINT, DOUBLE], BIGINT);
  expect(twice.call([21, 3.9])).toBe(45);
  expect(twice.call([4503599627370497, 0])).toBe(9007199254740994n);
  expect(codeOf(() => twice.call([1, Number.NaN]))).toBe('VALUE_FUNCTION');
  expect(twice.call([1, 1])).toBe(3);
  const even = moduleOf(EVEN, [BIGINT], BIGINT);
  expect([even.call([4]), even.call([5])]).toEqual([4, null]);
  const echo = moduleOf(ECHO, [VARCHAR], VARCHAR);
  expect(echo.call(['grün \u{1f33f}'])).toBe('grün \u{1f33f}');
  expect(echo.call([''])).toBe('');
});

describe('a batch answers as row by row does', () => {
  const column = (index: number, type: SqlType): Expr => ({ op: 'column', index, type });
  const call = (fn: UserFunction, args: readonly Expr[]): Expr => ({
    op: 'call',
    fn: userFunctionId(fn),
    args,
    type: fn.returns as SqlType,
  });
  const TYPES = [BIGINT, DOUBLE, VARCHAR];
  const twice = functionOf(assemble({ functions: [TWICE_PLUS, ALLOC] }), [BIGINT, DOUBLE], BIGINT);
  const even = functionOf(assemble({ functions: [EVEN, ALLOC] }), [BIGINT], BIGINT);
  const echo = functionOf(assemble({ functions: [ECHO, ALLOC] }), [VARCHAR], VARCHAR);
  const positive: Expr = {
    op: 'compare',
    cmp: '>',
    left: column(0, BIGINT),
    right: { op: 'literal', value: 0, type: BIGINT },
    type: { kind: 'boolean' },
  };
  const orNull = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 4, nil: null });

  test.each([null, positive])('after the filter %j', async (predicate) => {
    await prepareUserCode([twice, even, echo]);
    const inner = call(even, [column(0, BIGINT)]);
    const exprs = [column(2, VARCHAR), call(twice, [inner, column(1, DOUBLE)]), call(echo, [column(2, VARCHAR)])];
    const run = compileFilterProject(predicate, exprs, TYPES);
    const row = fc.tuple(
      orNull(fc.oneof(fc.integer({ min: -5, max: 9 }), fc.constant(9007199254740991))),
      orNull(
        fc.oneof(
          { weight: 30, arbitrary: fc.constantFrom(0, 1.5, -2) },
          { weight: 1, arbitrary: fc.constant(Number.NaN) },
        ),
      ),
      orNull(fc.constantFrom('', 'a', 'ä\u{10000}', '\ud800', '\udc00')),
    );
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), (rows) => {
        const found = run(batchOfRows(TYPES, rows));
        const want: Datum[][] = [];
        const failed: number[] = [];
        rows.forEach(([x, y, text], i) => {
          if (predicate !== null && !(x !== null && x > 0)) return;
          const half = x === null || x % 2 !== 0 ? null : x;
          if (half !== null && y !== null && Number.isNaN(y)) failed.push(i);
          else {
            const wellFormed = text === null ? null : Buffer.from(text).toString();
            want.push([text, half === null || y === null ? null : 2 * half + Math.trunc(y), wellFormed]);
          }
        });
        expect((found.errors ?? []).map((error) => error.row)).toEqual(failed);
        expect(want.map((_, i) => found.batch.columns.map((one) => datumAt(one, i)))).toEqual(want);
        expect(found.batch.length).toBe(want.length);
      }),
      { numRuns: 150 },
    );
  });
});

const main = (code: readonly number[], more: Partial<Fn> = {}): Fn => ({
  name: 'f',
  params: [I32, I32, I32],
  code,
  ...more,
});
/** Only where there are rows: CREATE tries a call for none. */
const whenRows = (code: readonly number[]): number[] => [...get(0), 0x04, 0x40, ...code, 0x0b, ...i32(0)];

describe('modules that mean harm', () => {
  test.each<[string, Fn, string]>([
    ['loops for ever', main(whenRows([0x03, 0x40, 0x0c, 0, 0x0b])), 'VALUE_FUNCTION'],
    ['calls itself for ever', main([...get(0), ...get(1), ...get(2), 0x10, 0]), 'VALUE_FUNCTION'],
    [
      'fills memory for ever',
      main(whenRows([0x03, 0x40, ...i32(0), ...i32(0), 0x41, 0x80, 0x80, 0xc0, 0, 0xfc, 11, 0, 0x0c, 0, 0x0b])),
      'VALUE_FUNCTION',
    ],
    [
      'takes all memory, and more',
      main(whenRows([0x03, 0x40, ...i32(1), 0x40, 0, ...i32(0), 0x4e, 0x0d, 0, 0x0b])),
      'gave 0',
    ],
    ['traps', main(whenRows([0x00])), 'VALUE_FUNCTION'],
    ['gives a status', main(get(0)), 'VALUE_FUNCTION'],
  ])('%s', (_, fn, code) => {
    const module = moduleOf(fn, [INTEGER], INTEGER);
    expect(codeOf(() => module.call([1]))).toBe(code);
    expect(codeOf(() => module.call([1]))).toBe(code);
    const batch = batchOfRows([INTEGER], [[1], [2], [3]]);
    expect(module.batch(batch.columns, 3) === null).toBe(code === 'VALUE_FUNCTION');
  });

  test.each<[string, () => WasmModule, string]>([
    ['imports', () => moduleOf(main(i32(0)), [], INTEGER, { imports: [[1, 0x61, 1, 0x62, 0, 0]] }), 'SQL_UNSUPPORTED'],
    ['too much memory', () => moduleOf(main(i32(0)), [], INTEGER, { pages: 1000 }), 'SQL_LIMIT'],
    ['no alloc', () => new WasmModule(functionOf(assemble({ functions: [main(i32(0))] }), [], INTEGER)), 'SQL_BIND'],
    ['another name', () => moduleOf(main(i32(0), { name: 'g' }), [], INTEGER), 'SQL_BIND'],
    ['two parameters', () => moduleOf(main(i32(0), { params: [I32, I32] }), [], INTEGER), 'SQL_BIND'],
    ['parameters of i64', () => moduleOf(main(i32(0), { params: [I64, I64, I64] }), [], INTEGER), 'VALUE_FUNCTION'],
    ['a result of i64', () => moduleOf(main([0x42, 0], { results: [I64] }), [], INTEGER), 'VALUE_FUNCTION'],
    [
      'alloc beyond memory',
      () =>
        new WasmModule(
          functionOf(assemble({ functions: [main(i32(0)), { ...ALLOC, code: [0x41, 0x70] }] }), [], INTEGER),
        ),
      'VALUE_FUNCTION',
    ],
    [
      'a start that loops',
      () =>
        moduleOf(main(i32(0)), [], INTEGER, {
          functions: [main(i32(0)), ALLOC, { name: 's', params: [], results: [], code: [0x03, 0x40, 0x0c, 0, 0x0b] }],
          start: 2,
        }),
      'VALUE_FUNCTION',
    ],
    ['the counter by its number', () => moduleOf(main([0x42, 0, 0x24, 1, ...i32(0)]), [], INTEGER), 'SQL_BIND'],
    ['SIMD', () => moduleOf(main([...i32(0), 0xfd, 15, 0x1a, ...i32(0)]), [], INTEGER), 'SQL_UNSUPPORTED'],
  ])('%s: refused', (_, make, code) => {
    expect(codeOf(() => make().check())).toBe(code);
  });

  test('texts outside memory, or that are no UTF-8', () => {
    const outside = moduleOf(
      main([...get(2), 0x41, 0x70, 0x36, 2, 8, ...get(2), ...load(0), ...i32(9), 0x36, 2, 4, ...i32(0)]),
      [VARCHAR],
      VARCHAR,
    );
    expect(codeOf(() => outside.call(['a']))).toBe('VALUE_FUNCTION');
    // One byte 0xff, written to address 8.
    const torn = moduleOf(
      main([
        ...i32(8),
        0x41,
        0xff,
        1,
        0x3a,
        0,
        0,
        ...get(2),
        ...i32(8),
        0x36,
        2,
        8,
        ...get(2),
        ...load(0),
        ...i32(1),
        0x36,
        2,
        4,
        ...i32(0),
      ]),
      [VARCHAR],
      VARCHAR,
    );
    expect(codeOf(() => torn.call(['a']))).toBe('VALUE_FUNCTION');
  });

  test('a module that is cut short or changed anywhere is an error or works', () => {
    const bytes = assemble({
      functions: [ECHO, ALLOC, main([...get(0), ...set(3), ...get(3), ...get(3), ADD], { name: 'g', locals: 1 })],
    });
    const tryIt = (changed: Uint8Array): void => {
      codeOf(() => {
        const module = new WasmModule(functionOf(changed, [VARCHAR], VARCHAR));
        return module.call(['text']);
      });
    };
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => new WasmModule(functionOf(bytes.subarray(0, length), [VARCHAR], VARCHAR)).check())).toMatch(
        /^SQL_/,
      );
    }
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const changed = bytes.slice();
        changed[at] = byte;
        tryIt(changed);
      }),
      { numRuns: 400 },
    );
  });
});
