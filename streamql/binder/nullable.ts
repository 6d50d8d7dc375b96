import type { ColumnSchema } from '../../src/values/batch.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import type { Expr } from '../plan/plan.ts';

/** Operators that have a value whenever their operands do. */
const TOTAL = new Set([
  '+',
  '-',
  '*',
  '/',
  '%',
  '||',
  '^',
  'abs',
  'like',
  'ilike',
  'lower',
  'upper',
  'length',
  'mod',
  'date_trunc',
  'extract',
]);

/** Whether NULL may come out; false only where it is proven not to. */
export function isNullable(expr: Expr, input: readonly ColumnSchema[]): boolean {
  const of = (part: Expr): boolean => isNullable(part, input);
  switch (expr.op) {
    case 'column':
      // A column that stands for what is yet to be computed may be NULL.
      return input[expr.index]?.nullable ?? true;
    case 'outer':
      return expr.nullable;
    case 'literal':
      return expr.value === null;
    case 'call':
      return !TOTAL.has(FUNCTIONS.get(expr.fn)?.name ?? '') || expr.args.some(of);
    case 'and':
    case 'or':
      return expr.args.some(of);
    case 'not':
      return of(expr.arg);
    case 'isNull':
      return false;
    case 'compare':
      return expr.cmp !== 'distinct' && expr.cmp !== 'notDistinct' && (of(expr.left) || of(expr.right));
    case 'case':
      return of(expr.otherwise) || expr.branches.some(({ then }) => of(then));
    case 'coalesce':
      return expr.args.every(of);
    case 'in':
      return of(expr.arg) || expr.values.includes(null);
    case 'cast':
      return expr.safe || expr.arg.type.kind === 'jsonb' || of(expr.arg);
  }
}
