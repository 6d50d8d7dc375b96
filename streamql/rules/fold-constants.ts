import { fold } from '../plan/fold.ts';
import type { Expr, Plan } from '../plan/plan.ts';
import { childrenOf, withChildren } from '../plan/walk.ts';

/** Computes constant parts of expressions; a filter that is always true goes. */
export function foldConstants(plan: Plan): Plan | undefined {
  switch (plan.op) {
    case 'filter': {
      const predicate = foldAll(plan.predicate);
      if (predicate.op === 'literal' && predicate.value === true) return plan.input;
      return predicate === plan.predicate ? undefined : { ...plan, predicate };
    }
    case 'project': {
      const exprs = plan.exprs.map(foldAll);
      return exprs.every((expr, i) => expr === plan.exprs[i]) ? undefined : { ...plan, exprs };
    }
    case 'join': {
      if (plan.residual === null) return undefined;
      const residual = foldAll(plan.residual);
      if (residual.op === 'literal' && residual.value === true) return { ...plan, residual: null };
      return residual === plan.residual ? undefined : { ...plan, residual };
    }
    default:
      return undefined;
  }
}

function foldAll(expr: Expr): Expr {
  const inner = withChildren(expr, childrenOf(expr).map(foldAll));
  const folded = fold(inner);
  // fold makes new nodes for AND and OR even when all terms stay.
  if ((inner.op === 'and' || inner.op === 'or') && folded.op === inner.op && folded.args.length === inner.args.length)
    return inner;
  return folded;
}
