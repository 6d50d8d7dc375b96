import type { Expr, Plan } from '../plan/plan.ts';
import { columnsUsed, conjunction, conjuncts, filterBy, remap } from '../plan/walk.ts';

/** Residual terms of an inner join that concern one side alone filter that side. (Of a left join, joinOn has done it for the right.) */
export function splitResidual(plan: Plan): Plan | undefined {
  if (plan.op !== 'join' || plan.kind !== 'inner' || plan.residual === null) return undefined;
  const width = plan.left.schema.length;
  const left: Expr[] = [];
  const right: Expr[] = [];
  const rest: Expr[] = [];
  for (const term of conjuncts(plan.residual)) {
    const used = [...columnsUsed(term)];
    if (used.length > 0 && used.every((column) => column < width)) left.push(term);
    else if (used.length > 0 && used.every((column) => column >= width))
      right.push(remap(term, (column) => column - width));
    else rest.push(term);
  }
  if (left.length + right.length === 0) return undefined;
  return { ...plan, left: filterBy(plan.left, left), right: filterBy(plan.right, right), residual: conjunction(rest) };
}
