import type { Expr, Join, Plan, Scan } from './plan.ts';
import { timeRangeOf } from './time-range.ts';
import { conjunction, conjuncts, inputsOf, remap, rewrite } from './walk.ts';

/** A side of a join that only picks rows and columns of one relation. */
export interface PlainSide {
  readonly scan: Scan;
  /** By column of the side, the scan's column that it is. */
  readonly outputs: readonly number[];
  /** Over the scan's columns; null when all rows count. */
  readonly predicate: Expr | null;
}

export function plainSide(plan: Plan): PlainSide | null {
  switch (plan.op) {
    case 'scan':
      return { scan: plan, outputs: plan.columns.map((_, column) => column), predicate: null };
    case 'filter': {
      const below = plainSide(plan.input);
      if (below === null) return null;
      const own = remap(plan.predicate, (column) => below.outputs[column]);
      return { ...below, predicate: conjunction([...conjuncts(below.predicate), own]) };
    }
    case 'project': {
      const below = plainSide(plan.input);
      if (below === null) return null;
      const outputs: number[] = [];
      for (const expr of plan.exprs) {
        if (expr.op !== 'column') return null;
        outputs.push(below.outputs[expr.index]);
      }
      return { ...below, outputs };
    }
    default:
      return null;
  }
}

/**
 * The sides of a join that others may keep for it, the likelier one first: not one whose rows show by whether they have a match, since how much of
 * the other side matches is the join's own; nor what is kept in the order of time.
 */
export function sharableSides(plan: Join): readonly (0 | 1)[] {
  if (plan.keys.length === 0 || plan.kind === 'full' || timeRangeOf(plan) !== null) return [];
  return plan.kind === 'inner' ? [1, 0] : [1];
}

export const sideOf = (plan: Join, port: 0 | 1): Plan => inputsOf(plan)[port];

export const keysOf = (plan: Join, port: 0 | 1): number[] => plan.keys.map((pair) => pair[port]);

const SAFE: ReadonlySet<Expr['op']> = new Set([
  'column',
  'literal',
  'compare',
  'and',
  'or',
  'not',
  'isNull',
  'case',
  'coalesce',
  'in',
]);

/** Whether an expression has a value for every row, so that it may be asked again without news of what it refused. */
export function neverFails(expr: Expr): boolean {
  let isSafe = true;
  rewrite(expr, (part) => {
    if (!SAFE.has(part.op)) isSafe = false;
    return undefined;
  });
  return isSafe;
}
