import { FUNCTIONS } from '../functions/functions.ts';
import type { Expr, Plan } from '../plan/plan.ts';
import { conjuncts } from '../plan/walk.ts';

/** A filter that cannot be true when the right side is NULL makes a left join an inner one. */
export function innerFromLeft(plan: Plan): Plan | undefined {
  if (plan.op !== 'filter' || plan.input.op !== 'join' || plan.input.kind !== 'left') return undefined;
  const join = plan.input;
  const width = join.left.schema.length;
  const isRight = (column: number): boolean => column >= width;
  if (!conjuncts(plan.predicate).some((term) => rejectsNull(term, isRight))) return undefined;
  const schema = [...join.left.schema, ...join.right.schema];
  return { ...plan, input: { ...join, kind: 'inner', schema } };
}

/** Whether the term is not true for certain when all the columns told of by `isRight` are NULL. */
function rejectsNull(term: Expr, isRight: (column: number) => boolean): boolean {
  if (term.op === 'isNull') return term.negated && isNullWith(term.arg, isRight);
  if (term.op === 'or') return term.args.every((arg) => rejectsNull(arg, isRight));
  return isNullWith(term, isRight);
}

/** Whether the expression is NULL for certain when those columns are. */
function isNullWith(expr: Expr, isRight: (column: number) => boolean): boolean {
  switch (expr.op) {
    case 'column':
      return isRight(expr.index);
    case 'call':
      return FUNCTIONS.get(expr.fn)?.nullAware !== true && expr.args.some((arg) => isNullWith(arg, isRight));
    case 'compare':
      return (
        expr.cmp !== 'distinct' &&
        expr.cmp !== 'notDistinct' &&
        (isNullWith(expr.left, isRight) || isNullWith(expr.right, isRight))
      );
    case 'not':
    case 'in':
    case 'cast':
      return isNullWith(expr.arg, isRight);
    default:
      return false;
  }
}
