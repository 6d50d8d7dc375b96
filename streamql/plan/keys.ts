import type { Expr, Plan, Scan } from './plan.ts';

/**
 * Output columns proven to name a row: no two rows agree in all of them (NULL counts as a value). Null when nothing is proven;
 * an empty list means that there is at most one row. `keyOfScan` gives positions in the relation, or null.
 */
export function keyOf(plan: Plan, keyOfScan: (scan: Scan) => readonly number[] | null): readonly number[] | null {
  const of = (input: Plan) => keyOf(input, keyOfScan);
  switch (plan.op) {
    case 'scan': {
      const key = keyOfScan(plan);
      return key === null ? null : place(key, (column) => plan.columns.indexOf(column));
    }
    case 'values':
      return plan.rows.length <= 1 ? [] : null;
    case 'filter':
    case 'over':
    case 'sort':
      return of(plan.input);
    case 'project': {
      const key = of(plan.input);
      return key === null ? null : place(key, (column) => plan.exprs.findIndex((expr) => passes(expr, column)));
    }
    case 'window': {
      const key = of(plan.input);
      const start = plan.input.schema.length;
      if (key === null) return null;
      if (plan.kind === 'tumble') return key;
      return [...key, plan.kind === 'hop' ? start : start + 1];
    }
    case 'session':
    case 'expire':
    case 'close':
    case 'nowFilter':
      return of(plan.input);
    case 'aggregate':
      return plan.groupBy.map((_, i) => i);
    case 'distinct':
      return of(plan.input) ?? plan.schema.map((_, i) => i);
    case 'topn':
      if (plan.limit === 1) return plan.partitionBy;
      return plan.rank ? [...plan.partitionBy, plan.schema.length - 1] : of(plan.input);
    case 'recursive':
      return plan.all ? null : plan.schema.map((_, i) => i);
    case 'unnest': {
      const key = of(plan.input);
      return key === null || !plan.ordinality ? null : [...key, plan.schema.length - 1];
    }
    case 'union':
    case 'match':
      return null;
    case 'asof':
      return of(plan.left);
    case 'lookup': {
      const right = of(plan.right);
      const isOne = right?.every((column) => plan.keys.some(([, r]) => r === column)) === true;
      return isOne ? of(plan.left) : null;
    }
    case 'setOp':
      return of(plan.left) ?? (plan.all ? null : plan.schema.map((_, i) => i));
    case 'join': {
      const left = of(plan.left);
      if (plan.kind === 'semi' || plan.kind === 'anti') return left;
      const right = of(plan.right);
      if (left === null || right === null) return null;
      const shift = plan.left.schema.length;
      if (plan.kind === 'full') {
        // A row of one side alone has NULLs in the other's key: it is told from all others only by a column that never is.
        const isTold = (side: Plan, key: readonly number[]): boolean => key.some((c) => !side.schema[c].nullable);
        if (!isTold(plan.left, left) || !isTold(plan.right, right)) return null;
      }
      // A side whose key is among the join columns adds at most one row to each row of the other.
      const rightIsOne = right.every((column) => plan.keys.some(([, r]) => r === column));
      if (rightIsOne && plan.kind !== 'full') return left;
      const leftIsOne = left.every((column) => plan.keys.some(([l]) => l === column));
      if (leftIsOne && plan.kind === 'inner') return right.map((column) => column + shift);
      return [...left, ...right.map((column) => column + shift)];
    }
  }
}

const passes = (expr: Expr, column: number): boolean => expr.op === 'column' && expr.index === column;

function place(key: readonly number[], to: (column: number) => number): readonly number[] | null {
  const placed = key.map(to);
  return placed.includes(-1) ? null : placed;
}
