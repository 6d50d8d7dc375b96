import { TABLE_FUNCTIONS, tableRows } from '../functions/table-functions.ts';
import type { Plan, Unnest } from './plan.ts';
import { inputsOf } from './walk.ts';

/** How many rows there are at most at any time, where the plan alone proves it; else Infinity. */
export function rowBound(plan: Plan): number {
  switch (plan.op) {
    case 'scan':
      return Number.POSITIVE_INFINITY;
    case 'values':
      return plan.rows.length;
    case 'filter':
    case 'project':
    case 'distinct':
    case 'over':
      return rowBound(plan.input);
    case 'aggregate':
      return plan.groupBy.length === 0 ? 1 : rowBound(plan.input);
    case 'topn':
      return Math.min(plan.partitionBy.length === 0 ? plan.limit : Number.POSITIVE_INFINITY, rowBound(plan.input));
    case 'sort':
      return Math.min(plan.limit ?? Number.POSITIVE_INFINITY, rowBound(plan.input));
    case 'window':
      return plan.kind === 'tumble' ? rowBound(plan.input) : Number.POSITIVE_INFINITY;
    case 'unnest':
      return seriesBound(plan);
    case 'setOp':
    case 'asof':
      return rowBound(plan.left);
    case 'union':
      return plan.inputs.reduce((sum, input) => sum + rowBound(input), 0);
    case 'join':
    case 'lookup': {
      const [left, right] = inputsOf(plan).map(rowBound);
      if (plan.kind === 'semi' || plan.kind === 'anti') return left;
      return product(left, right) + (plan.kind === 'inner' ? 0 : left) + (plan.kind === 'full' ? right : 0);
    }
    default:
      return Number.POSITIVE_INFINITY;
  }
}

const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

/** A function of constants, as generate_series(1, 12), gives so many rows for each row of its input. */
function seriesBound(plan: Unnest): number {
  const { input } = plan;
  if (input.op !== 'project') return Number.POSITIVE_INFINITY;
  const args = plan.args.map((column) => input.exprs[column]);
  const fn = TABLE_FUNCTIONS.get(plan.fn);
  if (fn === undefined || !args.every((arg) => arg.op === 'literal')) return Number.POSITIVE_INFINITY;
  try {
    const [column] = tableRows(
      fn,
      args.map((arg) => (arg.op === 'literal' ? arg.value : null)),
      args.map((arg) => arg.type),
    );
    return product(rowBound(input), Math.max(column.length, plan.outer ? 1 : 0));
  } catch {
    // It fails for every row.
    return 0;
  }
}
