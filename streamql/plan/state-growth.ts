import { AGGREGATES, stepsOf } from '../functions/aggregates.ts';
import { changelogOf } from './changelog.ts';
import { settledBound, timeBoundsOf } from './event-time.ts';
import type { Aggregate, AggregateCall, Expr, Join, Plan } from './plan.ts';
import { rowBound } from './row-bound.ts';
import { timeRangeOf } from './time-range.ts';
import { childrenOf, inputsOf } from './walk.ts';

/**
 * How the state of an operator grows, as far as the plan tells (DESIGN D10).
 * - bounded: by a constant, or by the rows of tables.
 * - keys: with the number of distinct keys; whether that ends, the data says.
 * - unbounded: for as long as rows come.
 */
export interface StateGrowth {
  readonly bound: 'bounded' | 'keys' | 'unbounded';
  readonly reason: string;
  /** What would bound it; '' where nothing needs to. */
  readonly fix: string;
}

/** How the rows that are there at one time grow: not at all, with keys, with what comes. */
type Rows = 'few' | 'keys' | 'all';
const ORDER: readonly Rows[] = ['few', 'keys', 'all'];
const most = (rows: readonly Rows[]): Rows => ORDER[Math.max(0, ...rows.map((one) => ORDER.indexOf(one)))];

const BOUND_IT = "WITH (ttl = '1 day') takes old rows back, WITH (max_state = '2GB') stops it in time";

/** Null for what keeps no state. `plan` is a node as the engine runs it. */
export function stateGrowth(plan: Plan): StateGrowth | null {
  if (isLetGo(plan)) return { bound: 'keys', reason: 'what the watermark has not passed', fix: '' };
  switch (plan.op) {
    case 'aggregate':
      return growthOfAggregate(plan);
    case 'join': {
      const range = timeRangeOf(plan);
      if (range?.left?.firm && range.right?.firm)
        return bounded('the rows whose stretch of time the watermarks of both sides have not passed');
      if (isUnboundCross(plan)) {
        return unbounded(
          `pairs every row of ${leavesText(plan.left)} with every row of ${leavesText(plan.right)}: no equality says which, and neither side is known to have few rows`,
          `set a column of one side equal to one of the other, or bound a side: one row of an aggregate without GROUP BY, ORDER BY … LIMIT n, VALUES`,
        );
      }
      const sides = [plan.left, plan.right].filter((side) => rowsOf(side) === 'all');
      if (sides.length > 0) {
        const names = sides.map(leavesText).join(' and of ');
        if (range !== null) {
          return unbounded(
            `keeps every row of ${names}: late rows may still meet any of them`,
            `declare a WATERMARK for both times, with late = 'drop'; ${BOUND_IT}`,
          );
        }
        return unbounded(
          `keeps every row of ${names}: the join has no time bound`,
          `join on a window's start and end, or on a TABLE; ${BOUND_IT}`,
        );
      }
      return held(plan, 'both sides');
    }
    case 'recursive':
      return inputsOf(plan).some((input) => rowsOf(input) === 'all')
        ? unbounded(`keeps every row that follows from ${leavesText(plan)}`, `recurse over a TABLE; ${BOUND_IT}`)
        : held(plan, 'what follows from the rows');
    case 'lookup':
      return changelogOf(plan.left) === 'append' || rowsOf(plan.left) !== 'all'
        ? held(plan.right, 'the rows to look up')
        : unbounded(
            `keeps every row of ${leavesText(plan.left)} with what it was shown with: it may be taken back`,
            `look up for rows that only come; ${BOUND_IT}`,
          );
    case 'asof': {
      if (timeBoundsOf(plan).get(plan.leftTime)?.firm)
        return {
          bound: 'keys',
          reason: 'the last right row of each key, and the rows that the watermarks of both sides have not passed',
          fix: '',
        };
      if (rowsOf(plan.left) !== 'all' && rowsOf(plan.right) !== 'all') return held(plan, 'both sides');
      return unbounded(
        `keeps every row of ${leavesText(plan)}: late rows may still change any match`,
        `declare a WATERMARK for both times, with late = 'drop', and match with >= or >; ${BOUND_IT}`,
      );
    }
    case 'distinct':
      return rowsOf(plan.input) === 'all'
        ? unbounded(`keeps every distinct row of ${leavesText(plan)}`, `select fewer columns; ${BOUND_IT}`)
        : held(plan, 'the distinct rows');
    case 'over':
      return rowsOf(plan.input) === 'all'
        ? unbounded(
            `keeps every row of ${leavesText(plan)} for its window functions`,
            `for the first rows of a partition filter ROW_NUMBER() <= n; ${BOUND_IT}`,
          )
        : held(plan, 'the rows of all partitions');
    case 'expire':
      return {
        bound: 'keys',
        reason: plan.afterMicros === null ? 'the newest rows' : 'the rows of the time to live',
        fix: '',
      };
    case 'nowFilter':
      return plan.until.length > 0
        ? { bound: 'keys', reason: 'the rows whose time is not over', fix: '' }
        : held(plan, 'the rows');
    case 'close':
      return { bound: 'keys', reason: 'the rows of windows that are open', fix: '' };
    case 'session': {
      if (rowsOf(plan.input) !== 'all') return held(plan, 'the rows of all sessions');
      if (timeBoundsOf(plan.input).get(plan.timeColumn)?.firm)
        return { bound: 'keys', reason: 'the rows of sessions that the watermark has not passed', fix: '' };
      return unbounded(
        `keeps every row of ${leavesText(plan)}: late rows may still change any session`,
        `declare a WATERMARK, with late = 'drop'; ${BOUND_IT}`,
      );
    }
    case 'match': {
      if (rowsOf(plan.input) !== 'all') return held(plan, 'the rows of all partitions');
      if (settledBound(plan) !== undefined) {
        const held = 'the rows of each partition from the first on whose match the watermark has not settled';
        return { bound: 'keys', reason: plan.withinMicros === null ? `${held}; WITHIN bounds them` : held, fix: '' };
      }
      return unbounded(
        `keeps every row of ${leavesText(plan)}: late rows may still change any match`,
        `declare a WATERMARK with late = 'drop' for the column of ORDER BY, and say WITHIN; ${BOUND_IT}`,
      );
    }
    case 'topn': {
      if (changelogOf(plan.input) !== 'append' && rowsOf(plan.input) === 'all')
        return unbounded(`keeps every row of ${leavesText(plan)}: its input takes rows back`, BOUND_IT);
      if (plan.partitionBy.length === 0 && changelogOf(plan.input) === 'append') return bounded(`${plan.limit} rows`);
      return byKeys(plan.input, plan.partitionBy, `up to ${plan.limit} rows`);
    }
    case 'setOp':
      return rowsOf(plan.left) === 'all' || rowsOf(plan.right) === 'all'
        ? unbounded(`keeps every distinct row of ${leavesText(plan)}`, BOUND_IT)
        : held(plan, 'both sides');
    case 'scan':
    case 'values':
    case 'filter':
    case 'project':
    case 'window':
    case 'unnest':
    case 'union':
    case 'sort':
      return null;
  }
}

/** Whether the operator lets go of what no row can change any more. */
function isLetGo(plan: Plan): boolean {
  switch (plan.op) {
    case 'aggregate':
    case 'distinct':
    case 'setOp':
      return [...timeBoundsOf(plan).values()].some(({ firm }) => firm);
    // Whole partitions go.
    case 'over':
    case 'topn':
      return [...timeBoundsOf(plan)].some(([column, { firm }]) => firm && plan.partitionBy.includes(column));
    default:
      return false;
  }
}

/** Of the rows that a view over the plan keeps. */
export function viewGrowth(plan: Plan): StateGrowth {
  const rows = rowsOf(plan);
  if (rows === 'all')
    return unbounded(
      `the view keeps a row for every row of ${leavesText(plan)}`,
      `aggregate, filter, or send them on with CREATE SINK; ${BOUND_IT}`,
    );
  const growing = growingOutput(plan);
  if (rows === 'keys' && growing !== undefined)
    return unbounded(`the view keeps a row for every "${growing}", which ever new values come for`, BOUND_IT);
  return rows === 'few' ? bounded('the rows of the view') : { bound: 'keys', reason: 'the rows of the view', fix: '' };
}

/** What to tell whoever creates a view or a sink over the plan: each unbounded state once. */
export function unboundedStates(plan: Plan, keepsResult: boolean): StateGrowth[] {
  const found: StateGrowth[] = [];
  const visit = (node: Plan): void => {
    for (const input of inputsOf(node)) visit(input);
    const growth = stateGrowth(node);
    if (growth?.bound === 'unbounded' && !found.some(({ reason }) => reason === growth.reason)) found.push(growth);
  };
  visit(plan);
  const view = viewGrowth(plan);
  // A view over operators that grow grows with them: one warning is enough.
  if (keepsResult && found.length === 0 && view.bound === 'unbounded') found.push(view);
  return found;
}

/** With more rows than that on both sides a cross join is worth a warning. */
const FEW_ROWS = 10_000;

/** Whether a join compares all rows with all. (A join of another kind than inner has the key 1 = 1 then.) */
function isUnboundCross(plan: Join): boolean {
  const isConstant = (side: Plan, column: number): boolean =>
    side.op === 'project' && side.exprs[column].op === 'literal';
  if (!plan.keys.every(([l, r]) => isConstant(plan.left, l) && isConstant(plan.right, r))) return false;
  return Math.min(rowBound(plan.left), rowBound(plan.right)) > FEW_ROWS;
}

function growthOfAggregate(plan: Aggregate): StateGrowth {
  const input = rowsOf(plan.input);
  const keeps = plan.aggregates.filter((call) => call.distinct || keepsRows(plan, call));
  if (keeps.length > 0 && input === 'all') {
    const { distinct, fn } = keeps[0];
    const what = distinct ? `distinct value of ${fn}(DISTINCT …) in each group` : `value that ${fn} sees`;
    return unbounded(`keeps every ${what}`, BOUND_IT);
  }
  if (plan.groupBy.length === 0) return bounded('one group');
  return byKeys(plan.input, plan.groupBy, 'one entry');
}

/** Whether a group's state holds its rows, or those of its values that may still come up. */
function keepsRows(plan: Aggregate, call: AggregateCall): boolean {
  const { fn } = call;
  const row = AGGREGATES.get(fn);
  if (stepsOf(call) !== undefined) return false;
  if (row?.finish !== undefined) return (row.looksAt ?? 'all') === 'all' || changelogOf(plan.input) !== 'append';
  return (fn === 'min' || fn === 'max') && changelogOf(plan.input) !== 'append';
}

/** State per distinct value of some columns of the input. */
function byKeys(input: Plan, columns: readonly number[], what: string): StateGrowth {
  const names = columns.map((column) => input.schema[column].name).join(', ');
  if (rowsOf(input) === 'few') return bounded(`${what} per distinct (${names}), of few rows`);
  const growing = rowsOf(input) === 'all' ? columns.find((column) => isGrowing(input, column)) : undefined;
  if (growing !== undefined) {
    const name = input.schema[growing].name;
    return unbounded(`keeps ${what} for every "${name}", which ever new values come for`, BOUND_IT);
  }
  return { bound: 'keys', reason: `${what} per distinct (${names})`, fix: '' };
}

function held(plan: Plan, what: string): StateGrowth {
  const rows = most(inputsOf(plan).map(rowsOf));
  return rows === 'few'
    ? bounded(what)
    : { bound: 'keys', reason: `${what}, as many as ${leavesText(plan)} has`, fix: '' };
}

const bounded = (reason: string): StateGrowth => ({ bound: 'bounded', reason, fix: '' });
const unbounded = (reason: string, fix: string): StateGrowth => ({ bound: 'unbounded', reason, fix });

function rowsOf(plan: Plan): Rows {
  switch (plan.op) {
    case 'scan':
      return plan.changelog === 'append' ? 'all' : 'keys';
    case 'values':
      return 'few';
    case 'expire':
      return rowsOf(plan.input) === 'few' ? 'few' : 'keys';
    case 'nowFilter': {
      const rows = rowsOf(plan.input);
      return rows === 'all' && plan.until.length > 0 ? 'keys' : rows;
    }
    case 'aggregate':
      return plan.groupBy.length === 0 ? 'few' : most([rowsOf(plan.input)]) === 'few' ? 'few' : 'keys';
    case 'topn':
      return plan.partitionBy.length === 0 || rowsOf(plan.input) === 'few' ? 'few' : 'keys';
    case 'asof':
    case 'lookup':
      return rowsOf(plan.left);
    case 'join':
      return plan.kind === 'semi' || plan.kind === 'anti'
        ? rowsOf(plan.left)
        : most([rowsOf(plan.left), rowsOf(plan.right)]);
    default:
      return most(inputsOf(plan).map(rowsOf));
  }
}

/** An output column for which new values keep coming, so that keys made of it never end. */
function growingOutput(plan: Plan): string | undefined {
  return plan.schema.find((_, column) => isGrowing(plan, column))?.name;
}

/** Moments and offsets go up with the stream; whatever else is a key is thought to repeat. */
function isGrowing(plan: Plan, column: number): boolean {
  switch (plan.op) {
    case 'scan':
      return plan.changelog === 'append' && (isMoment(plan, column) || plan.schema[column].name === '_offset');
    case 'values':
    case 'expire':
      return false;
    case 'window':
    case 'session':
      return column >= plan.input.schema.length || isGrowing(plan.input, column);
    case 'project':
      return isMoment(plan, column) && columnsOf(plan.exprs[column]).some((inner) => isGrowing(plan.input, inner));
    case 'aggregate':
      return column < plan.groupBy.length && isGrowing(plan.input, plan.groupBy[column]);
    case 'join':
    case 'asof':
    case 'lookup':
      return column < plan.left.schema.length
        ? isGrowing(plan.left, column)
        : isGrowing(plan.right, column - plan.left.schema.length);
    case 'topn':
      return plan.partitionBy.includes(column) && isGrowing(plan.input, column);
    default:
      return inputsOf(plan).some((input) => column < input.schema.length && isGrowing(input, column));
  }
}

const isMoment = (plan: Plan, column: number): boolean =>
  ['timestamp', 'timestamptz', 'date'].includes(plan.schema[column].type.kind);

function columnsOf(expr: Expr): number[] {
  if (expr.op === 'column') return [expr.index];
  return childrenOf(expr).flatMap(columnsOf);
}

/** The relations below whose rows are kept, by name: those that only grow, where there are any. What rows are only looked up in is none. */
function leavesText(plan: Plan): string {
  const growing = new Set<string>();
  const all = new Set<string>();
  const visit = (node: Plan): void => {
    if (node.op === 'scan') {
      all.add(node.name);
      if (rowsOf(node) === 'all') growing.add(node.name);
    }
    const half = node.op === 'lookup' || (node.op === 'join' && (node.kind === 'semi' || node.kind === 'anti'));
    for (const input of half ? [node.left] : inputsOf(node)) visit(input);
  };
  visit(plan);
  return [...(growing.size > 0 ? growing : all)].join(', ') || 'its input';
}
