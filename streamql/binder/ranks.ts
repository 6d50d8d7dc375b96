import { BIGINT } from '../../src/values/types.ts';
import type { Expr, Over, Plan, TopN } from '../plan/plan.ts';
import { inputsOf, withInputs } from '../plan/walk.ts';
import { isUnboundedRank } from './context.ts';

/**
 * ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) begins as a TopN without a bound, in the hope that a filter says `rank <= n`
 * (boundRanks). One that stays without is a window function like any other (ranksAsOver).
 */
export function ranksAsOver(plan: Plan): Plan {
  const node = withInputs(plan, inputsOf(plan).map(ranksAsOver));
  if (node.op !== 'topn' || !isUnboundedRank(node)) return node;
  const { input, partitionBy, orderBy, schema } = node;
  const frame = { unit: 'range', start: null, end: null } as const;
  const call = { fn: 'row_number', args: [], params: [], filter: null, frame, type: BIGINT };
  const over: Over = { op: 'over', input, partitionBy, orderBy, calls: [call], schema };
  return over;
}

/**
 * Gives a rank its bound: where a term says `rank <= n`, `< n` or `= n` of a TopN's rank that reaches here through projections,
 * filters and joins, the TopN keeps that many. Answers the plan and the terms that still have to be filtered by.
 */
export function boundRanks(plan: Plan, terms: readonly Expr[]): { plan: Plan; terms: Expr[] } {
  let bounded = plan;
  const left: Expr[] = [];
  for (const term of terms) {
    const bound = boundOf(term);
    const next = bound === null ? null : limitRank(bounded, bound.column, bound.most);
    if (next === null || bound === null) left.push(term);
    else {
      bounded = next;
      if (!bound.implied) left.push(term);
    }
  }
  return { plan: bounded, terms: left };
}

interface RankBound {
  readonly column: number;
  readonly most: number;
  /** Whether the bound says all that the term says. */
  readonly implied: boolean;
}

const FLIPPED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=' };

function boundOf(term: Expr): RankBound | null {
  if (
    term.op === 'in' &&
    !term.negated &&
    term.arg.op === 'column' &&
    term.values.every((v) => typeof v === 'number')
  ) {
    return { column: term.arg.index, most: Math.max(...(term.values as number[])), implied: false };
  }
  if (term.op !== 'compare') return null;
  const [column, value, cmp] =
    term.left.op === 'column' ? [term.left, term.right, term.cmp] : [term.right, term.left, FLIPPED[term.cmp]];
  if (column.op !== 'column' || value.op !== 'literal' || typeof value.value !== 'number') return null;
  if (cmp === '<=') return { column: column.index, most: value.value, implied: true };
  if (cmp === '<') return { column: column.index, most: value.value - 1, implied: true };
  if (cmp === '=') return { column: column.index, most: value.value, implied: value.value === 1 };
  return null;
}

function limitRank(plan: Plan, column: number, most: number): Plan | null {
  if (plan.op === 'project') {
    const expr = plan.exprs[column];
    const input = expr.op === 'column' ? limitRank(plan.input, expr.index, most) : null;
    return input === null ? null : withInputs(plan, [input]);
  }
  if (plan.op === 'filter') {
    const input = limitRank(plan.input, column, most);
    return input === null ? null : withInputs(plan, [input]);
  }
  if (plan.op === 'join') {
    const width = plan.left.schema.length;
    if (plan.kind === 'full' || (column >= width && plan.kind === 'left')) return null;
    const input = column < width ? limitRank(plan.left, column, most) : limitRank(plan.right, column - width, most);
    if (input === null) return null;
    return withInputs(plan, column < width ? [input, plan.right] : [plan.left, input]);
  }
  if (plan.op !== 'topn' || !plan.rank || column !== plan.schema.length - 1 || most < 1) return null;
  const limited: TopN = { ...plan, limit: Math.min(plan.limit, most) };
  return limited;
}
