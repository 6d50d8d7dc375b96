import { joinOn } from '../plan/join.ts';
import type { AsofJoin, Expr, Filter, Join, LookupJoin, Plan } from '../plan/plan.ts';
import { columnRef, columnsUsed, conjuncts, filterBy, remap, withInputs } from '../plan/walk.ts';
import { substitute } from './merge-projects.ts';

/** Moves each term of a filter as far towards the scans as it means the same; equalities over an inner join become its keys. */
export function pushFilter(plan: Plan): Plan | undefined {
  if (plan.op !== 'filter') return undefined;
  const { input } = plan;
  switch (input.op) {
    case 'project':
      return withInputs(input, [filterBy(input.input, [substitute(plan.predicate, input.exprs)])]);
    case 'union':
      return withInputs(
        input,
        input.inputs.map((branch) => filterBy(branch, [plan.predicate])),
      );
    case 'distinct':
      return withInputs(input, [filterBy(input.input, [plan.predicate])]);
    case 'unnest':
    case 'window':
      // Not terms on the node's own columns: these come to be here.
      return pushTerms(plan, (column) => (column < input.input.schema.length ? column : null));
    case 'aggregate':
      // Without groups there is a row even when all input is filtered away.
      return pushTerms(plan, (column) => input.groupBy[column] ?? null);
    case 'over':
    case 'session':
    case 'topn':
      return pushTerms(plan, (column) => (input.partitionBy.includes(column) ? column : null));
    case 'match':
      return pushTerms(plan, (column) => input.partitionBy[column] ?? null);
    case 'join':
      if (input.kind === 'full') return undefined;
      return input.kind === 'inner' ? intoInner(plan, input) : pushLeft(plan, input);
    case 'asof':
    case 'lookup':
      return pushLeft(plan, input);
    case 'setOp':
      return withInputs(input, [filterBy(input.left, [plan.predicate]), filterBy(input.right, [plan.predicate])]);
    default:
      return undefined;
  }
}

/** Moves the terms all of whose columns have a place in the input below the node. Terms without columns stay. */
function pushTerms(plan: Filter, place: (column: number) => number | null): Plan | undefined {
  const below: Expr[] = [];
  const above: Expr[] = [];
  for (const term of conjuncts(plan.predicate)) {
    const used = [...columnsUsed(term)];
    if (used.length > 0 && used.every((column) => place(column) !== null))
      below.push(remap(term, (column) => place(column) as number));
    else above.push(term);
  }
  if (below.length === 0) return undefined;
  const { input } = plan;
  const [inner] = 'input' in input ? [input.input] : [];
  if (inner === undefined) return undefined;
  return filterBy(withInputs(input, [filterBy(inner, below)]), above);
}

function intoInner(plan: Filter, join: Join): Plan | undefined {
  const width = join.left.schema.length;
  if (join.nullSafe) return intoNullSafe(plan, join, width);
  const left: Expr[] = [];
  const rest: Expr[] = joinTerms(join);
  for (const term of conjuncts(plan.predicate)) {
    const used = [...columnsUsed(term)];
    if (used.length > 0 && used.every((column) => column < width)) left.push(term);
    else rest.push(term);
  }
  // joinOn sorts the rest into keys, filters of the right side and residual.
  return joinOn(filterBy(join.left, left), join.right, 'inner', rest);
}

/** Null-safe keys stay as they are: what concerns one side goes there, the rest stays above. */
function intoNullSafe(plan: Filter, join: Join, width: number): Plan | undefined {
  const sides: [Expr[], Expr[], Expr[]] = [[], [], []];
  for (const term of conjuncts(plan.predicate)) {
    const used = [...columnsUsed(term)];
    const at = used.length === 0 ? 2 : used.every((c) => c < width) ? 0 : used.every((c) => c >= width) ? 1 : 2;
    sides[at].push(at === 1 ? remap(term, (column) => column - width) : term);
  }
  const [left, right, above] = sides;
  if (left.length + right.length === 0) return undefined;
  return filterBy(withInputs(join, [filterBy(join.left, left), filterBy(join.right, right)]), above);
}

/** The left side of a left, semi, anti, ASOF or lookup join may be filtered before. */
function pushLeft(plan: Filter, join: Join | AsofJoin | LookupJoin): Plan | undefined {
  const width = join.left.schema.length;
  const isLeft = (term: Expr): boolean => {
    const used = [...columnsUsed(term)];
    return used.length > 0 && used.every((column) => column < width);
  };
  const terms = conjuncts(plan.predicate);
  const below = terms.filter(isLeft);
  if (below.length === 0) return undefined;
  return filterBy(
    withInputs(join, [filterBy(join.left, below), join.right]),
    terms.filter((term) => !isLeft(term)),
  );
}

/** A join's keys and residual as terms over left ++ right. */
function joinTerms(join: Join): Expr[] {
  const schema = [...join.left.schema, ...join.right.schema];
  const width = join.left.schema.length;
  const keys = join.keys.map(
    ([l, r]): Expr => ({
      op: 'compare',
      cmp: '=',
      left: columnRef(schema, l),
      right: columnRef(schema, r + width),
      type: { kind: 'boolean' },
    }),
  );
  return [...keys, ...conjuncts(join.residual)];
}
