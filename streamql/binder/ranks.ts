import type { Position } from '../../src/lib/errors.ts';
import { StreamError } from '../../src/lib/errors.ts';
import { BIGINT } from '../../src/values/types.ts';
import type { AstExpr } from '../parser/ast.ts';
import { withKeyColumns } from '../plan/join.ts';
import type { Expr, Plan, SortKey, TopN } from '../plan/plan.ts';
import { columnRef, columnsUsed, remap, withInputs } from '../plan/walk.ts';
import { UNBOUNDED } from './context.ts';
import { bindExpr, type ExprScope } from './expressions.ts';

/** Column positions from here on stand for ROW_NUMBER()s until their TopN exists. */
const RANK_BASE = 1 << 25;

interface PendingRank {
  readonly partitionBy: readonly Expr[];
  readonly orderBy: readonly { readonly expr: Expr; readonly descending: boolean; readonly nullsFirst: boolean }[];
}

/**
 * ROW_NUMBER() OVER (PARTITION BY … ORDER BY …): becomes a TopN that appends the rank, without a bound at first. The bound comes
 * from an outer `WHERE rank <= n` (boundRanks); a view refuses one that stays without.
 */
export class Ranks {
  readonly #pending: PendingRank[] = [];
  at: Position | null = null;

  get isUsed(): boolean {
    return this.#pending.length > 0;
  }

  /** For ExprScope.window. */
  take(call: Extract<AstExpr, { kind: 'call' }>, scope: ExprScope): Expr {
    if (call.name.text !== 'row_number') {
      throw new StreamError('SQL_UNSUPPORTED', `${call.name.text} with OVER is not supported`, {
        at: call.at,
        hint: 'ROW_NUMBER() in a subquery, filtered by <= n, gives the first n; GROUP BY and a join give the rest',
      });
    }
    if (call.args.length > 0 || call.distinct || call.filter !== null) {
      throw new StreamError('SQL_BIND', 'row_number takes no arguments', { at: call.at });
    }
    const { window: _, ...inner } = scope;
    const over = call.over as NonNullable<typeof call.over>;
    const clause = 'OVER';
    const partitionBy = over.partitionBy.map((expr) => bindExpr(expr, { ...inner, clause }));
    const orderBy = over.orderBy.map((item) => ({ ...item, expr: bindExpr(item.expr, { ...inner, clause }) }));
    this.at ??= call.at;
    this.#pending.push({ partitionBy, orderBy });
    return { op: 'column', index: RANK_BASE + this.#pending.length - 1, type: BIGINT };
  }

  /**
   * Puts the TopNs above `plan`. `lift` brings an expression over FROM up to `plan`; what is answered does so up to the TopNs. Only
   * columns that `outputs` or the windows use are kept, since a TopN holds whole rows and breaks ties by them.
   */
  build(
    plan: Plan,
    liftToPlan: (expr: Expr) => Expr,
    outputs: readonly Expr[],
  ): { plan: Plan; lift: (expr: Expr) => Expr } {
    const own = this.#pending.flatMap(({ partitionBy, orderBy }) => [
      ...partitionBy,
      ...orderBy.map(({ expr }) => expr),
    ]);
    const used = new Set<number>();
    for (const expr of [...own, ...outputs])
      if (!isRank(expr)) columnsUsed(liftBelowRank(expr, liftToPlan, this.at), used);
    const kept = [...used].sort((a, b) => a - b);
    const lift = (expr: Expr): Expr => remap(liftToPlan(expr), (column) => kept.indexOf(column));
    const at: number[] = [];
    let top: Plan = {
      op: 'project',
      input: plan,
      exprs: kept.map((column) => columnRef(plan.schema, column)),
      schema: kept.map((column) => plan.schema[column]),
    };
    for (const { partitionBy, orderBy } of this.#pending) {
      const wide = withKeyColumns(top, [...partitionBy, ...orderBy.map(({ expr }) => expr)].map(lift));
      const sortKeys = orderBy.map(
        ({ descending, nullsFirst }, i): SortKey => ({
          column: wide.columns[partitionBy.length + i],
          descending,
          nullsFirst,
        }),
      );
      const { schema } = wide.plan;
      at.push(schema.length);
      top = {
        op: 'topn',
        input: wide.plan,
        partitionBy: wide.columns.slice(0, partitionBy.length),
        orderBy: sortKeys,
        limit: UNBOUNDED,
        rank: true,
        schema: [...schema, { name: 'row_number', type: BIGINT, nullable: false }],
      };
    }
    return {
      plan: top,
      lift: (expr) => liftRanks(expr, (i) => columnRef(top.schema, at[i]), lift, this.at),
    };
  }
}

/** Replaces references to pending ranks; all else goes through `lift`, which does not know them. */
function liftRanks(expr: Expr, rank: (i: number) => Expr, lift: (expr: Expr) => Expr, at: Position | null): Expr {
  if (isRank(expr)) return rank((expr as { index: number }).index - RANK_BASE);
  return liftBelowRank(expr, lift, at);
}

const isRank = (expr: Expr): boolean => expr.op === 'column' && expr.index >= RANK_BASE;

function liftBelowRank(expr: Expr, lift: (expr: Expr) => Expr, at: Position | null): Expr {
  if (![...columnsUsed(expr)].some((index) => index >= RANK_BASE)) return lift(expr);
  throw new StreamError('SQL_UNSUPPORTED', 'ROW_NUMBER() inside an expression is not supported', {
    ...(at === null ? {} : { at }),
    hint: 'name it in a subquery and compute with the name outside',
  });
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
