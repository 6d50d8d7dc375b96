import fc from 'fast-check';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  mapOf,
  REAL,
  rowOf,
  SMALLINT,
  type SqlType,
  sameType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  typeName,
  UUID,
  VARCHAR,
} from '../../../src/values/types.ts';
import { canCast } from '../../../streamql/functions/casts.ts';
import type { ScalarFunction } from '../../../streamql/functions/function-table.ts';
import { FUNCTIONS } from '../../../streamql/functions/functions.ts';
import type { Expr } from '../../../streamql/plan/plan.ts';

/** Random well-typed expressions over one column of each type, calling every deterministic function; and rows for them. */
export const COLUMN_TYPES: readonly SqlType[] = [
  BIGINT,
  INTEGER,
  SMALLINT,
  decimal(12, 3),
  decimal(38, 10),
  DOUBLE,
  REAL,
  VARCHAR,
  BOOLEAN,
  TIMESTAMP,
  TIMESTAMPTZ,
  DATE,
  TIME,
  INTERVAL,
  UUID,
  JSONB,
  BYTEA,
  arrayOf(VARCHAR),
  rowOf([
    { name: 'a', type: INTEGER },
    { name: 'b', type: VARCHAR },
  ]),
  mapOf(VARCHAR, DOUBLE),
];

const moments = [0, -1, 1_700_000_000_123_456, 86_400_000_000, -62_135_596_800_000_000n, 1_709_210_096_789_000];
export const DATUMS: Readonly<Record<string, readonly Datum[]>> = {
  bigint: [0, 1, -1, 7, 9007199254740991, 9007199254740992n, -9223372036854775808n, 9223372036854775807n],
  integer: [0, 1, -5, 3, 2147483647, -2147483648],
  smallint: [0, 2, -1, 32767, -32768],
  'decimal(12,3)': [0, 1, -1500, 999999999999, 500],
  'decimal(38,10)': [0, 5, -10000000000, 99999999999999999999999999999999999999n, -12345678901234567890n],
  double: [0, -0, 1.5, -2.25, 0.1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, 5e-324],
  real: [0, 0.5, Math.fround(0.1), Number.NaN, Math.fround(3.4e38)],
  varchar: [
    '',
    'a',
    'ab',
    'Äß',
    '\u{1f600}b',
    '\uffff',
    '12',
    '-3.5',
    '%',
    ' x ',
    'a,b,c',
    'true',
    '2024-02-29 01:02:03',
  ],
  boolean: [true, false],
  timestamp: moments,
  timestamptz: moments,
  date: [0, -1, 19782, -719162, 11016],
  time: [0, 1, 86_399_999_999, 45_296_000_000],
  interval: [
    { months: 0, days: 0, micros: 0 },
    { months: 1, days: -1, micros: 1 },
    { months: 0, days: 30, micros: 0 },
    { months: -13, days: 0, micros: 3_600_000_000 },
    { months: 0, days: 0, micros: 10_000_000 },
  ],
  uuid: ['00000000-0000-0000-0000-000000000000', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  jsonb: ['null', '{"a":[1,{"b":"x"}],"c":true}', '[1,2.50,"a"]', '"text"', '12345678901234567890', 'true'],
  bytea: [Uint8Array.of(), Uint8Array.of(0, 255), Uint8Array.of(0, 255, 1)],
  'row(a integer,b varchar)': ['[null,null]', '["1","x"]', '["-7","a, (b) \\"c\\" \\\\"]'],
  'map(varchar,double)': ['[]', '["","1"]', '["a","0.5","b",null,"Ä","NaN"]'],
  'varchar[]': [[], ['a'], ['a', null, '1'], ['c']],
};

const PATTERNS = ['a', '^.', '[0-9]+', '(a)|(b)', '', 'x*', '(', 'Ä', ','];

/** What some arguments have to be for a call to have a value at all. */
export const ARGUMENTS: Readonly<Record<string, readonly (readonly Datum[] | null)[]>> = {
  extract: [['year', 'month', 'day', 'hour', 'second', 'milliseconds', 'epoch', 'dow', 'doy', 'week', 'quarter']],
  date_part: [['year', 'isodow', 'minute', 'second', 'epoch', 'century', 'isoyear', 'nonsense']],
  date_trunc: [['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second', 'milliseconds', 'decade', '']],
  to_char: [null, ['YYYY-MM-DD HH24:MI:SS.US', 'Mon DD, "of" YYYY', 'HH12 AM', 'IYYY-IW D Q', 'zz']],
  date_format: [null, ['yyyy-MM-dd', 'HH:mm:ss.SSS', "yyyy'y'", 'EEE d MMM']],
  encode: [null, ['hex', 'base64', 'x']],
  decode: [null, ['hex', 'base64']],
  regexp_like: [null, PATTERNS, ['', 'i', 'n']],
  regexp_match: [null, PATTERNS, ['i', 'c']],
  regexp_replace: [null, PATTERNS, null, ['g', 'gi', '']],
  regexp_count: [null, PATTERNS],
  regexp_instr: [null, PATTERNS],
  regexp_substr: [null, PATTERNS],
  regexp_extract: [null, PATTERNS],
  regexp_split_to_array: [null, PATTERNS],
  '~': [null, PATTERNS],
  '!~*': [null, PATTERNS],
  similar_to: [null, ['%', 'a_', '(a|b)%', '[a-z]+', '\\%', '']],
  format: [['%s', '%2$s %1$s', '%-5s|', '%L', '%I', '%%', '%']],
  like: [null, ['%', 'a%', '%b', '_', '%a%b%', '\\%', 'ab', '', '\\']],
  ilike: [null, ['A%', '%B', '_', 'ÄSS']],
};

export const datumOf = (type: SqlType): fc.Arbitrary<Datum> =>
  fc.option(fc.constantFrom(...DATUMS[typeName(type)]), { nil: null, freq: 5 });

export const rowsOf = (maxLength: number): fc.Arbitrary<Datum[][]> =>
  fc.array(fc.tuple(...COLUMN_TYPES.map(datumOf)) as fc.Arbitrary<Datum[]>, { maxLength });

/** The type of a row's field is known to the binder only. */
const CALLS = [...FUNCTIONS.values()].filter((row) => row.deterministic !== false && row.name !== '.');
const ofKind = (kind: string): readonly SqlType[] =>
  kind === 'any' ? COLUMN_TYPES : COLUMN_TYPES.filter((type) => type.kind === kind);

/** Arbitraries are made once per type and depth: making them anew at every step takes far longer than what is tested. */
const made = new Map<string, fc.Arbitrary<Expr>>();

export function expr(type: SqlType, depth: number): fc.Arbitrary<Expr> {
  const key = `${typeName(type)} ${depth}`;
  const known = made.get(key) ?? makeExpr(type, depth);
  made.set(key, known);
  return known;
}

function makeExpr(type: SqlType, depth: number): fc.Arbitrary<Expr> {
  const column = fc.constant<Expr>({ op: 'column', index: COLUMN_TYPES.findIndex((one) => sameType(one, type)), type });
  const literal = datumOf(type).map<Expr>((value) => ({ op: 'literal', value, type }));
  if (depth === 0) return fc.oneof({ arbitrary: column, weight: 3 }, literal);
  const inner = (of: SqlType): fc.Arbitrary<Expr> => expr(of, depth - 1);
  const choices: fc.Arbitrary<Expr>[] = [
    column,
    fc
      .tuple(fc.array(fc.tuple(inner(BOOLEAN), inner(type)), { minLength: 1, maxLength: 2 }), inner(type))
      .map(([pairs, otherwise]) => ({
        op: 'case',
        branches: pairs.map(([when, then]) => ({ when, then })),
        otherwise,
        type,
      })),
    fc.array(inner(type), { minLength: 1, maxLength: 3 }).map((args) => ({ op: 'coalesce', args, type })),
  ];
  const sources = COLUMN_TYPES.filter((from) => !sameType(from, type) && canCast(from, type, 'explicit'));
  if (sources.length > 0) {
    const safe = fc.boolean();
    choices.push(
      fc
        .tuple(fc.constantFrom(...sources).chain(inner), safe)
        .map<Expr>(([arg, isSafe]) => ({ op: 'cast', arg, type, safe: isSafe })),
    );
  }
  const calls = CALLS.filter((row) => returnsKind(row, type));
  if (calls.length > 0) {
    const call = fc.constantFrom(...calls).chain((row) => callOf(row, type, inner));
    choices.push(call, call, call);
  }
  if (type.kind === 'boolean') choices.push(...booleans(inner));
  return fc.oneof(...choices);
}

function returnsKind(row: ScalarFunction, type: SqlType): boolean {
  const args = row.args.map((kind) => ofKind(kind)[0]);
  if (args.includes(undefined as never)) return false;
  if (row.args.includes('any') && row.name !== 'concat' && row.name !== 'concat_ws' && row.name !== '||') return true;
  return row.returns(args).kind === type.kind;
}

function callOf(row: ScalarFunction, type: SqlType, inner: (of: SqlType) => fc.Arbitrary<Expr>): fc.Arbitrary<Expr> {
  const extremes = row.name === 'greatest' || row.name === 'least';
  const arg = (n: number): fc.Arbitrary<Expr> => {
    const fixed = ARGUMENTS[row.name]?.[n];
    if (fixed) return fc.constantFrom(...fixed).map<Expr>((value) => ({ op: 'literal', value, type: VARCHAR }));
    return extremes ? inner(type) : fc.constantFrom(...ofKind(row.args[Math.min(n, row.args.length - 1)])).chain(inner);
  };
  const count = row.variadic
    ? fc.integer({ min: row.args.length, max: row.args.length + 2 })
    : fc.constant(row.args.length);
  return count
    .chain((n) => fc.tuple(...Array.from({ length: n }, (_, i) => arg(i))))
    .map<Expr>((given) => {
      const types = given.map((one) => one.type);
      const wanted = row.together === undefined ? types : row.together(types);
      if (wanted === undefined) return { op: 'literal', value: null, type };
      const args = given.map((one, i) => castTo(one, wanted[i]));
      const result = row.returns(args.map((one) => one.type));
      const call: Expr = { op: 'call', fn: row.id, args, type: result };
      return castTo(call, type);
    });
}

/** As the binder does; where the types do not go together a NULL. */
function castTo(arg: Expr, type: SqlType): Expr {
  if (sameType(arg.type, type)) return arg;
  return canCast(arg.type, type, 'explicit')
    ? { op: 'cast', arg, type, safe: true }
    : { op: 'literal', value: null, type };
}

function booleans(inner: (of: SqlType) => fc.Arbitrary<Expr>): fc.Arbitrary<Expr>[] {
  const any = fc.constantFrom(...COLUMN_TYPES);
  return [
    fc
      .tuple(fc.constantFrom<'and' | 'or'>('and', 'or'), fc.array(inner(BOOLEAN), { minLength: 2, maxLength: 4 }))
      .map<Expr>(([op, args]) => ({ op, args, type: BOOLEAN })),
    inner(BOOLEAN).map<Expr>((arg) => ({ op: 'not', arg, type: BOOLEAN })),
    any.chain((of) =>
      fc.tuple(inner(of), fc.boolean()).map<Expr>(([arg, negated]) => ({ op: 'isNull', arg, negated, type: BOOLEAN })),
    ),
    any.chain((of) =>
      fc
        .tuple(
          fc.constantFrom(
            '=' as const,
            '<>' as const,
            '<' as const,
            '<=' as const,
            '>' as const,
            '>=' as const,
            'distinct' as const,
            'notDistinct' as const,
          ),
          inner(of),
          inner(of),
        )
        .map<Expr>(([cmp, left, right]) => ({ op: 'compare', cmp, left, right, type: BOOLEAN })),
    ),
    any.chain((of) =>
      fc
        .tuple(inner(of), fc.array(datumOf(of), { maxLength: 4 }), fc.boolean())
        .map<Expr>(([arg, values, negated]) => ({ op: 'in', arg, values, negated, type: BOOLEAN })),
    ),
  ];
}
