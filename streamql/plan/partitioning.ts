import { changelogOf } from './changelog.ts';
import type { Filter, Plan, Project, Window } from './plan.ts';
import { inputsOf } from './walk.ts';

/**
 * How the rows of an edge are spread over the shards of an engine. `any`: nothing is known, except that a row is taken back where it came.
 * `keys`: a hash of these columns, in this order, says where a row is. `one`: all are in shard 0.
 */
export type Spread =
  | { readonly to: 'any' }
  | { readonly to: 'keys'; readonly columns: readonly number[] }
  | { readonly to: 'one' };

const ANY: Spread = { to: 'any' };
const ONE: Spread = { to: 'one' };

const byKeys = (columns: readonly number[]): Spread => (columns.length === 0 ? ONE : { to: 'keys', columns });
const byRow = (plan: Plan): Spread => byKeys(plan.schema.map((_, column) => column));

/** How a node wants each of its inputs spread, so that every shard can work alone on what it gets. */
export function partitioningOf(plan: Plan): readonly Spread[] {
  switch (plan.op) {
    case 'scan':
    case 'values':
      return [];
    case 'filter':
    case 'project':
    case 'window':
    case 'unnest':
    case 'union':
    case 'sort':
      return inputsOf(plan).map(() => ANY);
    case 'close':
      // That nothing came for a while is true of all shards or of none.
      if (plan.timeoutMicros !== null) return [ONE];
      return [changelogOf(plan.input) === 'append' ? ANY : byRow(plan)];
    case 'expire':
    case 'nowFilter':
      return [changelogOf(plan.input) === 'append' ? ANY : byRow(plan)];
    case 'recursive':
      return inputsOf(plan).map(() => ONE);
    case 'aggregate':
      return [byKeys(plan.groupBy)];
    case 'join':
    case 'asof':
    case 'lookup':
      return [byKeys(plan.keys.map(([left]) => left)), byKeys(plan.keys.map(([, right]) => right))];
    case 'setOp':
    case 'distinct':
      return inputsOf(plan).map(byRow);
    case 'topn':
    case 'over':
    case 'session':
    case 'match':
      return [byKeys(plan.partitionBy)];
  }
}

/**
 * How a window that multiplies its rows wants its input where a GROUP BY above wants its output by `keys`: by those of the keys that
 * the rows have before, so that each row changes shards once and not once per window. Keys that are all booleans name too few shards.
 */
export function wantedBelowWindow(plan: Window, keys: readonly number[]): Spread {
  if (plan.kind === 'tumble' || plan.sizeMicros <= plan.slideMicros) return ANY;
  const { schema } = plan.input;
  const before = keys.filter((column) => column < schema.length);
  return before.every((column) => schema[column].type.kind === 'boolean') ? ANY : byKeys(before);
}

/** The input columns of filters and projections, in their order from below, that stand unchanged in these output columns. */
export function keysBelow(nodes: readonly (Filter | Project)[], keys: readonly number[]): readonly number[] {
  return nodes.reduceRight<readonly number[]>((columns, node) => {
    if (node.op === 'filter') return columns;
    return columns.flatMap((column) => {
      const expr = node.exprs[column];
      return expr.op === 'column' ? [expr.index] : [];
    });
  }, keys);
}

/** How a view's or a sink's own rows are wanted: each where it is found again to be taken back; a sink has one writer. */
export function resultPartitioning(plan: Plan, kind: 'view' | 'sink', key: readonly number[] | null): Spread {
  if (kind === 'sink') return ONE;
  if (changelogOf(plan) === 'append') return ANY;
  return key === null ? byRow(plan) : byKeys(key);
}

/**
 * How an input that is spread like `have` reaches a node that wants it like `want`: as it is where that will do. Rows that agree in some columns
 * agree in fewer of them, so a node with one input is content with a hash of a part of its keys; the inputs of a join must meet.
 */
export function arrangedAs(have: Spread, want: Spread, alone: boolean): Spread {
  if (want.to === 'any' || have.to === want.to) {
    if (want.to !== 'keys' || have.to !== 'keys') return have;
    const { columns } = have;
    const enough = alone
      ? columns.every((column) => want.columns.includes(column))
      : columns.length === want.columns.length && columns.every((column, i) => column === want.columns[i]);
    return enough ? have : want;
  }
  return want;
}

/** How a node's output is spread, given how its inputs reach it. */
export function spreadOf(plan: Plan, inputs: readonly Spread[]): Spread {
  switch (plan.op) {
    case 'scan':
      return ANY;
    case 'values':
    case 'recursive':
      return ONE;
    case 'filter':
    case 'window':
    case 'unnest':
    case 'distinct':
    case 'topn':
    case 'over':
    case 'session':
    case 'close':
    case 'expire':
    case 'nowFilter':
    case 'sort':
    case 'asof':
    case 'lookup':
      return inputs[0];
    case 'project':
      return moved(inputs[0], (column) =>
        plan.exprs.findIndex((expr) => expr.op === 'column' && expr.index === column),
      );
    case 'aggregate':
      return moved(inputs[0], (column) => plan.groupBy.indexOf(column));
    case 'match':
      return moved(inputs[0], (column) => plan.partitionBy.indexOf(column));
    case 'join':
      // A full join shows rows of the right side with NULLs in the left columns.
      return plan.kind === 'full' && inputs[0].to === 'keys' ? ANY : inputs[0];
    case 'union':
    case 'setOp':
      return inputs.every((input) => sameSpread(input, inputs[0])) ? inputs[0] : ANY;
  }
}

export function sameSpread(a: Spread, b: Spread): boolean {
  if (a.to !== 'keys' || b.to !== 'keys') return a.to === b.to;
  return a.columns.length === b.columns.length && a.columns.every((column, i) => column === b.columns[i]);
}

function moved(spread: Spread, place: (column: number) => number): Spread {
  if (spread.to !== 'keys') return spread;
  const columns = spread.columns.map(place);
  return columns.includes(-1) ? ANY : { to: 'keys', columns };
}
