import { asDecimal } from '../../streamql/functions/casts.ts';
import type { ScalarFunction } from '../../streamql/functions/function-table.ts';
import type { Expr } from '../../streamql/plan/plan.ts';
import { type Interval, MAX_DECIMAL_PRECISION, type SqlType } from '../values/types.ts';

type Decimal = { readonly precision: number; readonly scale: number };

interface ForeignRow {
  readonly ids: RegExp;
  /** What DuckDB does otherwise. */
  readonly why: string;
  /** Only for these arguments and this result. */
  readonly when?: (args: readonly Expr[], type: SqlType) => boolean;
}

const UNITS: ReadonlySet<string> = new Set([
  'year',
  'quarter',
  'month',
  'week',
  'day',
  'hour',
  'minute',
  'second',
  'milliseconds',
  'microseconds',
]);

const DATE_UNITS: ReadonlySet<string> = new Set([
  'year',
  'quarter',
  'month',
  'week',
  'day',
  'epoch',
  'dow',
  'isodow',
  'doy',
]);

const FIELDS: ReadonlySet<string> = new Set(['epoch', 'dow', 'isodow', 'doy']);
const isOneOf = (arg: Expr, words: ReadonlySet<string>): boolean =>
  arg.op === 'literal' && words.has(String(arg.value).toLowerCase());

/** Whether duckdbQuotient's products stay below 10^38 for every value of the types. */
const fitsShifted = (a: Decimal, b: Decimal, scale: number): boolean =>
  a.precision + Math.max(a.scale, scale + b.scale - a.scale) <= MAX_DECIMAL_PRECISION &&
  b.precision + b.scale <= MAX_DECIMAL_PRECISION;

/** Functions whose answer DuckDB would give differently: our own code runs inside DuckDB instead (foreign-calls.ts). */
const FOREIGN: readonly ForeignRow[] = [
  { ids: /^(upper|ilike)$/, why: 'it has a capital ß' },
  { ids: /^reverse$/, why: 'it keeps a letter and the accent behind it together' },
  { ids: /^chr$/, why: 'it has a character 0' },
  { ids: /^\*\.interval/, why: 'it multiplies intervals by 32 bits' },
  { ids: /^(->|->>|#>>|#>|jsonb_|to_jsonb)/, why: 'it has no empty keys, and reformats numbers in JSON' },
  {
    ids: /^(greatest|least)$/,
    why: 'it orders intervals by their months first',
    when: (args) => args.some((arg) => arg.type.kind === 'interval'),
  },
  {
    ids: /^(trunc|round)\.decimal\.integer$/,
    why: 'it wants constant digits, not far from the point',
    when: ([, digits]) => digits.op !== 'literal' || Math.abs(Number(digits.value)) > 38,
  },
  {
    ids: /^(a?(sin|cos|tan)|atan2|(sin|cos|tan)h|cot|exp|ln|log|log10|log2|power|cbrt|radians|degrees)\b/,
    why: 'the last digit differs, so a view and a query over it would differ',
  },
  {
    ids: /^\/\.decimal$/,
    why: 'it shifts the quotient in 128 bits',
    when: ([a, b], type) => !fitsShifted(asDecimal(a.type), asDecimal(b.type), asDecimal(type).scale),
  },
  {
    ids: /^like$/,
    why: 'a pattern that ends in an escape is an error',
    when: ([, pattern]) => pattern.op !== 'literal' || /(^|[^\\])(\\\\)*\\$/.test(String(pattern.value)),
  },
  {
    ids: /^(extract|date_part)/,
    why: 'a field that it does not know is an error before any row is there',
    when: ([field]) => !isOneOf(field, UNITS) && !isOneOf(field, FIELDS),
  },
  {
    ids: /^date_trunc/,
    why: 'a unit that it does not know is an error before any row is there',
    when: ([unit]) => !isOneOf(unit, UNITS),
  },
  {
    ids: /^extract\.date$/,
    why: 'it has hours of a date',
    when: ([field]) => !isOneOf(field, DATE_UNITS),
  },
  {
    ids: /^date_bin\b/,
    why: 'it has bins of months',
    when: ([stride]) => stride.op !== 'literal' || stride.value === null || (stride.value as Interval).months !== 0,
  },
  { ids: /^(extract|date_part)\.time$/, why: 'it takes a field that a time does not have for an error in the query' },
];

export const isForeign = (fn: ScalarFunction, args: readonly Expr[], type: SqlType): boolean =>
  fn.own === true || FOREIGN.some(({ ids, when }) => ids.test(fn.id) && (when === undefined || when(args, type)));
