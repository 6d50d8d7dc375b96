import type {
  Aggregate,
  AsofJoin,
  Expr,
  Join,
  LookupJoin,
  Moment,
  Over,
  Plan,
  Session,
  TopN,
  Union,
} from '../plan/plan.ts';
import { aggregateColumns, columnRef, columnsUsed, moveAggregate, remap } from '../plan/walk.ts';

/** A plan that kept at least the wanted columns, and where each kept column now stands (−1: gone). */
interface Pruned {
  readonly plan: Plan;
  readonly at: readonly number[];
}

/**
 * Keeps only the columns that are used above, so that a scan decodes and an operator stores nothing else. The root's columns all
 * stay. Distinct and TopN need whole rows: the former to tell them apart, the latter to break ties.
 */
export function pruneColumns(root: Plan): Plan | undefined {
  return exactly(root, allOf(root));
}

const allOf = (plan: Plan): number[] => plan.schema.map((_, i) => i);

/** Just these columns, in this order. */
function exactly(plan: Plan, wanted: readonly number[]): Plan {
  const pruned = prune(plan, new Set(wanted));
  const order = wanted.map((column) => pruned.at[column]);
  const { schema } = pruned.plan;
  if (order.length === schema.length && order.every((column, i) => column === i)) return pruned.plan;
  return {
    op: 'project',
    input: pruned.plan,
    exprs: order.map((column) => columnRef(schema, column)),
    schema: order.map((column) => schema[column]),
  };
}

function prune(plan: Plan, wanted: ReadonlySet<number>): Pruned {
  switch (plan.op) {
    case 'scan': {
      const kept = keepOne(wanted, plan);
      return {
        plan: { ...plan, columns: kept.map((i) => plan.columns[i]), schema: kept.map((i) => plan.schema[i]) },
        at: places(plan, kept),
      };
    }
    case 'values': {
      const kept = keepOne(wanted, plan);
      const rows = plan.rows.map((row) => kept.map((i) => row[i]));
      return { plan: { ...plan, rows, schema: kept.map((i) => plan.schema[i]) }, at: places(plan, kept) };
    }
    case 'filter': {
      const input = prune(plan.input, columnsUsed(plan.predicate, new Set(wanted)));
      const predicate = moved(plan.predicate, input.at);
      return { plan: { ...plan, input: input.plan, predicate, schema: input.plan.schema }, at: input.at };
    }
    case 'project': {
      const kept = keepOne(wanted, plan);
      const used = new Set<number>();
      for (const i of kept) columnsUsed(plan.exprs[i], used);
      const input = prune(plan.input, used);
      const exprs = kept.map((i) => moved(plan.exprs[i], input.at));
      return {
        plan: { ...plan, input: input.plan, exprs, schema: kept.map((i) => plan.schema[i]) },
        at: places(plan, kept),
      };
    }
    case 'window': {
      const width = plan.input.schema.length;
      const input = prune(plan.input, new Set([plan.timeColumn, ...[...wanted].filter((column) => column < width)]));
      const own = [0, 1, 2].map((i) => input.plan.schema.length + i);
      const timeColumn = input.at[plan.timeColumn];
      const schema = input.plan.schema.map((column, i) => (i === timeColumn ? { ...column, nullable: false } : column));
      return {
        plan: { ...plan, input: input.plan, timeColumn, schema: [...schema, ...plan.schema.slice(width)] },
        at: [...input.at, ...own],
      };
    }
    case 'nowFilter': {
      const moments = [...plan.from, ...plan.until].map(({ column }) => column);
      const input = prune(plan.input, new Set([...wanted, ...moments]));
      const moved = (all: readonly Moment[]): Moment[] => all.map((one) => ({ ...one, column: input.at[one.column] }));
      const [from, until] = [moved(plan.from), moved(plan.until)];
      return { plan: { ...plan, input: input.plan, from, until, schema: input.plan.schema }, at: input.at };
    }
    case 'session':
      return pruneSession(plan, wanted);
    case 'unnest': {
      const width = plan.input.schema.length;
      const input = prune(plan.input, new Set([...plan.args, ...[...wanted].filter((column) => column < width)]));
      const own = plan.schema.slice(width);
      const schema = [...input.plan.schema, ...own];
      const args = plan.args.map((column) => input.at[column]);
      return {
        plan: { ...plan, input: input.plan, args, schema },
        at: [...input.at, ...own.map((_, i) => input.plan.schema.length + i)],
      };
    }
    case 'aggregate':
      return pruneAggregate(plan, wanted);
    case 'join':
    case 'lookup':
      return pruneJoin(plan, wanted);
    case 'asof':
      return pruneAsof(plan, wanted);
    case 'setOp':
      return {
        plan: { ...plan, left: exactly(plan.left, allOf(plan.left)), right: exactly(plan.right, allOf(plan.right)) },
        at: allOf(plan),
      };
    case 'recursive': {
      const whole = (input: Plan): Plan => exactly(input, allOf(input));
      return { plan: { ...plan, base: whole(plan.base), inputs: plan.inputs.map(whole) }, at: allOf(plan) };
    }
    case 'union':
      return pruneUnion(plan, wanted);
    case 'close':
    case 'expire':
    case 'distinct':
      return { plan: { ...plan, input: exactly(plan.input, allOf(plan.input)) }, at: allOf(plan) };
    case 'match':
      return { plan: { ...plan, input: exactly(plan.input, allOf(plan.input)) }, at: allOf(plan) };
    case 'over':
      return pruneOver(plan, wanted);
    case 'topn':
      return pruneTopN(plan, wanted);
    case 'sort': {
      const input = prune(plan.input, new Set([...wanted, ...plan.orderBy.map(({ column }) => column)]));
      const orderBy = plan.orderBy.map((key) => ({ ...key, column: input.at[key.column] }));
      return { plan: { ...plan, input: input.plan, orderBy, schema: input.plan.schema }, at: input.at };
    }
  }
}

function pruneSession(plan: Session, wanted: ReadonlySet<number>): Pruned {
  const width = plan.input.schema.length;
  const used = new Set([plan.timeColumn, ...plan.partitionBy, ...[...wanted].filter((column) => column < width)]);
  const input = prune(plan.input, used);
  const own = [0, 1, 2].map((i) => input.plan.schema.length + i);
  const timeColumn = input.at[plan.timeColumn];
  const partitionBy = plan.partitionBy.map((column) => input.at[column]);
  const schema = input.plan.schema.map((column, i) => (i === timeColumn ? { ...column, nullable: false } : column));
  return {
    plan: { ...plan, input: input.plan, timeColumn, partitionBy, schema: [...schema, ...plan.schema.slice(width)] },
    at: [...input.at, ...own],
  };
}

const ascending = (columns: Iterable<number>): number[] => [...columns].sort((a, b) => a - b);

/** count(*) uses no column, but rows without any are no rows to DuckDB: the first declared one stays. */
function keepOne(wanted: ReadonlySet<number>, plan: Plan): number[] {
  if (wanted.size > 0 || plan.schema.length === 0) return ascending(wanted);
  return [
    Math.max(
      0,
      plan.schema.findIndex((column) => !column.hidden),
    ),
  ];
}

function places(plan: Plan, kept: readonly number[]): number[] {
  const at = new Array<number>(plan.schema.length).fill(-1);
  kept.forEach((column, i) => {
    at[column] = i;
  });
  return at;
}

const moved = (expr: Expr, at: readonly number[]): Expr => remap(expr, (column) => at[column]);

function pruneAggregate(plan: Aggregate, wanted: ReadonlySet<number>): Pruned {
  const groups = plan.groupBy.length;
  let calls = plan.aggregates.map((_, i) => i).filter((i) => wanted.has(groups + i));
  if (groups === 0 && calls.length === 0) calls = [0];
  const used = new Set(plan.groupBy);
  for (const i of calls) for (const column of aggregateColumns(plan.aggregates[i])) used.add(column);
  const needed = keepOne(used, plan.input);
  const input = exactly(plan.input, needed);
  const place = (column: number): number => needed.indexOf(column);
  const kept = [...plan.groupBy.map((_, i) => i), ...calls.map((i) => groups + i)];
  return {
    plan: {
      ...plan,
      input,
      groupBy: plan.groupBy.map(place),
      aggregates: calls.map((i) => moveAggregate(plan.aggregates[i], place)),
      schema: kept.map((i) => plan.schema[i]),
    },
    at: places(plan, kept),
  };
}

function pruneJoin(plan: Join | LookupJoin, wanted: ReadonlySet<number>): Pruned {
  const width = plan.left.schema.length;
  const used = plan.residual === null ? new Set(wanted) : columnsUsed(plan.residual, new Set(wanted));
  const left = new Set([...used].filter((column) => column < width));
  const right = new Set([...used].filter((column) => column >= width).map((column) => column - width));
  for (const [l, r] of plan.keys) {
    left.add(l);
    right.add(r);
  }
  const leftKept = keepOne(left, plan.left);
  const rightKept = keepOne(right, plan.right);
  const kept = [...leftKept, ...rightKept.map((column) => column + width)];
  const at = new Array<number>(width + plan.right.schema.length).fill(-1);
  kept.forEach((column, i) => {
    at[column] = i;
  });
  const shown = plan.schema.length === width ? leftKept : kept;
  return {
    plan: {
      ...plan,
      left: exactly(plan.left, leftKept),
      right: exactly(plan.right, rightKept),
      keys: plan.keys.map(([l, r]) => [leftKept.indexOf(l), rightKept.indexOf(r)] as const),
      residual: plan.residual === null ? null : moved(plan.residual, at),
      schema: shown.map((column) => plan.schema[column]),
    },
    at: at.slice(0, plan.schema.length),
  };
}

/** The right side keeps what decides between rows of one time. */
function pruneAsof(plan: AsofJoin, wanted: ReadonlySet<number>): Pruned {
  const width = plan.left.schema.length;
  const left = new Set([...wanted].filter((column) => column < width));
  const right = new Set([...wanted].filter((column) => column >= width).map((column) => column - width));
  left.add(plan.leftTime);
  right.add(plan.rightTime);
  for (const [l, r] of plan.keys) {
    left.add(l);
    right.add(r);
  }
  for (const column of plan.ties) right.add(column);
  // Rows that are alike so far are told apart by the other columns, and then by all of them, whichever are shown.
  const decided = new Set([...plan.ties, plan.rightTime, ...plan.keys.map(([, r]) => r)]);
  if (!plan.tiesDecide && [...right].some((column) => !decided.has(column)))
    for (const column of allOf(plan.right)) right.add(column);
  const leftKept = ascending(left);
  const rightKept = ascending(right);
  const kept = [...leftKept, ...rightKept.map((column) => column + width)];
  return {
    plan: {
      ...plan,
      left: exactly(plan.left, leftKept),
      right: exactly(plan.right, rightKept),
      keys: plan.keys.map(([l, r]) => [leftKept.indexOf(l), rightKept.indexOf(r)] as const),
      leftTime: leftKept.indexOf(plan.leftTime),
      rightTime: rightKept.indexOf(plan.rightTime),
      ties: plan.ties.map((column) => rightKept.indexOf(column)),
      schema: kept.map((column) => plan.schema[column]),
    },
    at: places(plan, kept),
  };
}

function pruneUnion(plan: Union, wanted: ReadonlySet<number>): Pruned {
  const kept = keepOne(wanted, plan);
  const inputs = plan.inputs.map((input) => exactly(input, kept));
  return { plan: { ...plan, inputs, schema: kept.map((i) => plan.schema[i]) }, at: places(plan, kept) };
}

/** Whole rows break ties, so that the input's columns all stay; calls that nobody reads go. */
function pruneOver(plan: Over, wanted: ReadonlySet<number>): Pruned {
  const width = plan.input.schema.length;
  const input = exactly(plan.input, allOf(plan.input));
  const kept = plan.calls.map((_, i) => i).filter((i) => wanted.has(width + i));
  if (kept.length === 0) return { plan: input, at: plan.schema.map((_, i) => (i < width ? i : -1)) };
  const columns = [...allOf(plan.input), ...kept.map((i) => width + i)];
  return {
    plan: { ...plan, input, calls: kept.map((i) => plan.calls[i]), schema: columns.map((i) => plan.schema[i]) },
    at: places(plan, columns),
  };
}

function pruneTopN(plan: TopN, wanted: ReadonlySet<number>): Pruned {
  const input = exactly(plan.input, allOf(plan.input));
  const last = plan.schema.length - 1;
  if (!plan.rank || wanted.has(last)) return { plan: { ...plan, input }, at: allOf(plan) };
  return {
    plan: { ...plan, input, rank: false, schema: plan.schema.slice(0, -1) },
    at: allOf(plan).map((i) => (i === last ? -1 : i)),
  };
}
