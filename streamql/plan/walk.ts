import type { ColumnSchema } from '../../src/values/batch.ts';
import type { AggregateCall, Expr, Plan } from './plan.ts';

/** What every pass over plans and expressions needs: children, rebuilding, references. */

export function inputsOf(plan: Plan): readonly Plan[] {
  switch (plan.op) {
    case 'scan':
    case 'values':
      return [];
    case 'join':
    case 'asof':
    case 'lookup':
    case 'setOp':
      return [plan.left, plan.right];
    case 'union':
      return plan.inputs;
    case 'recursive':
      return [plan.base, ...plan.inputs];
    default:
      return [plan.input];
  }
}

/** The same node over other inputs; the very same object when no input changed. */
export function withInputs(plan: Plan, inputs: readonly Plan[]): Plan {
  if (inputsOf(plan).every((input, i) => input === inputs[i])) return plan;
  if (plan.op === 'join' || plan.op === 'asof' || plan.op === 'lookup' || plan.op === 'setOp')
    return { ...plan, left: inputs[0], right: inputs[1] };
  if (plan.op === 'union') return { ...plan, inputs };
  if (plan.op === 'recursive') return { ...plan, base: inputs[0], inputs: inputs.slice(1) };
  if (plan.op === 'scan' || plan.op === 'values') return plan;
  return { ...plan, input: inputs[0] };
}

export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.op) {
    case 'column':
    case 'outer':
    case 'literal':
      return [];
    case 'call':
    case 'and':
    case 'or':
    case 'coalesce':
      return expr.args;
    case 'compare':
      return [expr.left, expr.right];
    case 'case':
      return [...expr.branches.flatMap(({ when, then }) => [when, then]), expr.otherwise];
    default:
      return [expr.arg];
  }
}

/** The same expression over other children, in the order of `childrenOf`. */
export function withChildren(expr: Expr, children: readonly Expr[]): Expr {
  if (childrenOf(expr).every((child, i) => child === children[i])) return expr;
  switch (expr.op) {
    case 'column':
    case 'outer':
    case 'literal':
      return expr;
    case 'call':
    case 'and':
    case 'or':
    case 'coalesce':
      return { ...expr, args: children };
    case 'compare':
      return { ...expr, left: children[0], right: children[1] };
    case 'case': {
      const branches = expr.branches.map((_, i) => ({ when: children[2 * i], then: children[2 * i + 1] }));
      return { ...expr, branches, otherwise: children[children.length - 1] };
    }
    default:
      return { ...expr, arg: children[0] };
  }
}

/** Top down: where `replace` answers, its answer stands and is not looked into. */
export function rewrite(expr: Expr, replace: (expr: Expr) => Expr | undefined): Expr {
  const replaced = replace(expr);
  if (replaced !== undefined) return replaced;
  return withChildren(
    expr,
    childrenOf(expr).map((child) => rewrite(child, replace)),
  );
}

/** Column references moved by a map of positions. */
export function remap(expr: Expr, to: (index: number) => number): Expr {
  return rewrite(expr, (e) => (e.op === 'column' ? { ...e, index: to(e.index) } : undefined));
}

/** Every expression of the whole plan through `change`. */
export function mapExprs(plan: Plan, change: (expr: Expr) => Expr): Plan {
  const node = withInputs(
    plan,
    inputsOf(plan).map((input) => mapExprs(input, change)),
  );
  switch (node.op) {
    case 'filter':
      return { ...node, predicate: change(node.predicate) };
    case 'project':
      return { ...node, exprs: node.exprs.map(change) };
    case 'join':
    case 'lookup':
      return node.residual === null ? node : { ...node, residual: change(node.residual) };
    default:
      return node;
  }
}

/** The expressions of one node. */
export function exprsOf(plan: Plan): readonly Expr[] {
  switch (plan.op) {
    case 'filter':
      return [plan.predicate];
    case 'project':
      return plan.exprs;
    case 'join':
    case 'lookup':
      return plan.residual === null ? [] : [plan.residual];
    default:
      return [];
  }
}

export function columnsUsed(expr: Expr, into: Set<number> = new Set()): Set<number> {
  if (expr.op === 'column') into.add(expr.index);
  else for (const child of childrenOf(expr)) columnsUsed(child, into);
  return into;
}

/** The terms of an AND, or the expression alone. */
export function conjuncts(expr: Expr | null): Expr[] {
  if (expr === null) return [];
  return expr.op === 'and' ? expr.args.flatMap(conjuncts) : [expr];
}

export function conjunction(terms: readonly Expr[]): Expr | null {
  if (terms.length === 0) return null;
  return terms.length === 1 ? terms[0] : { op: 'and', args: terms, type: { kind: 'boolean' } };
}

export function filterBy(input: Plan, terms: readonly Expr[]): Plan {
  const predicate = conjunction(terms);
  return predicate === null ? input : { op: 'filter', input, predicate, schema: input.schema };
}

export const columnRef = (schema: readonly ColumnSchema[], index: number): Expr => ({
  op: 'column',
  index,
  type: schema[index].type,
});

export const identity = (schema: readonly ColumnSchema[]): Expr[] => schema.map((_, i) => columnRef(schema, i));

/** The input columns that a call of an aggregate reads. */
export function aggregateColumns({ arg, arg2, filter, orderBy }: AggregateCall): number[] {
  const columns = [arg, arg2 ?? null, filter, ...(orderBy ?? []).map((key) => key.column)];
  return columns.filter((column) => column !== null);
}

/** The call over an input whose columns have other places. */
export function moveAggregate(call: AggregateCall, place: (column: number) => number): AggregateCall {
  const { arg, arg2, filter, orderBy } = call;
  return {
    ...call,
    arg: arg === null ? null : place(arg),
    ...(arg2 === undefined ? {} : { arg2: place(arg2) }),
    ...(orderBy === undefined ? {} : { orderBy: orderBy.map((key) => ({ ...key, column: place(key.column) })) }),
    filter: filter === null ? null : place(filter),
  };
}

/** Equal text means equal expressions. */
export function exprKey(expr: Expr): string {
  return JSON.stringify(expr, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    if (Object.is(value, -0)) return '-0';
    if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
    return value;
  });
}
