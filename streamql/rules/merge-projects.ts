import type { Expr, Plan } from '../plan/plan.ts';
import { childrenOf, rewrite } from '../plan/walk.ts';

/** Project over Project is one Project, where that computes nothing twice; a Project that changes nothing goes. */
export function mergeProjects(plan: Plan): Plan | undefined {
  if (plan.op !== 'project') return undefined;
  const { input } = plan;
  const isIdentity =
    plan.exprs.length === input.schema.length &&
    plan.exprs.every(
      (expr, i) => expr.op === 'column' && expr.index === i && plan.schema[i].name === input.schema[i].name,
    );
  if (isIdentity) return input;
  if (input.op !== 'project') return undefined;
  const uses = new Array<number>(input.exprs.length).fill(0);
  for (const expr of plan.exprs) countUses(expr, uses);
  const twice = input.exprs.some((expr, i) => uses[i] > 1 && expr.op !== 'column' && expr.op !== 'literal');
  if (twice) return undefined;
  return { ...plan, input: input.input, exprs: plan.exprs.map((expr) => substitute(expr, input.exprs)) };
}

function countUses(expr: Expr, uses: number[]): void {
  if (expr.op === 'column') uses[expr.index]++;
  else for (const child of childrenOf(expr)) countUses(child, uses);
}

/** Column references replaced by the expressions they refer to. */
export function substitute(expr: Expr, by: readonly Expr[]): Expr {
  return rewrite(expr, (part) => (part.op === 'column' ? by[part.index] : undefined));
}
