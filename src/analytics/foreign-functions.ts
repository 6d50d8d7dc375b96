import type { ScalarFunction } from '../../streamql/functions/function-table.ts';
import type { Expr } from '../../streamql/plan/plan.ts';

interface ForeignRow {
  readonly ids: RegExp;
  /** What DuckDB does otherwise. */
  readonly why: string;
  /** Only for these arguments. */
  readonly when?: (args: readonly Expr[]) => boolean;
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

/** Functions whose answer DuckDB would give differently: our own code runs inside DuckDB instead (foreign-calls.ts). */
const FOREIGN: readonly ForeignRow[] = [
  { ids: /^(upper|initcap|ilike)$/, why: 'it has a capital ß' },
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
  { ids: /^decode$/, why: 'it takes no white space in base64' },
  {
    ids: /^date_trunc/,
    why: 'a unit that it does not know is an error before any row is there',
    when: ([unit]) => unit.op !== 'literal' || !UNITS.has(String(unit.value).toLowerCase()),
  },
  { ids: /^(extract|date_part)\.time$/, why: 'it takes a field that a time does not have for an error in the query' },
];

export const isForeign = (fn: ScalarFunction, args: readonly Expr[]): boolean =>
  FOREIGN.some(({ ids, when }) => ids.test(fn.id) && (when === undefined || when(args)));
