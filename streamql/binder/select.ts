import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { AstExpr, Name, OrderItem, Query, Select, SelectItem } from '../parser/ast.ts';
import type { Expr, Plan, SortKey } from '../plan/plan.ts';
import { columnRef, conjuncts, exprKey, filterBy } from '../plan/walk.ts';
import { Aggregation, projected } from './aggregates.ts';
import { ARGUMENT_BASE, type BindContext, type Commons, SUBQUERY_BASE } from './context.ts';
import { bindBoolean, bindExpr, chainOf, type ExprScope } from './expressions.ts';
import { type Bound, FromBinder } from './from.ts';
import { type GroupedWindow, groupWindow, groupWindowOf } from './group-window.ts';
import { filterByNow, readsNow } from './now-filter.ts';
import { OverCalls } from './over.ts';
import { boundRanks } from './ranks.ts';
import { Scope } from './scope.ts';
import { notGrouped, setItemOf, withoutSet, withSetInFrom } from './set-returning.ts';
import { Subqueries } from './subqueries.ts';

/** A body with its output columns first, then columns that are there to sort by only. */
export interface BoundBody {
  readonly plan: Plan;
  /** How many columns are output. */
  readonly visible: number;
  readonly sortKeys: readonly SortKey[];
}

/** `outer`: of the query around it, whose columns it may name. */
type Subquery = (query: Query, commons: Commons | null, outer: ExprScope | undefined) => Plan;

type Star = Extract<SelectItem, { kind: 'star' }>;

interface Item {
  readonly expr: Expr;
  readonly name: string;
  readonly at: Position;
}

/**
 * SELECT in the order in which SQL means it: FROM, WHERE, GROUP BY with the aggregates of all clauses, HAVING, ROW_NUMBER, the list,
 * DISTINCT. Expressions are bound over FROM's columns and then lifted over the nodes built since.
 */
export class SelectBinder {
  readonly #context: BindContext;
  readonly #commons: Commons | null;
  readonly #subquery: Subquery;
  readonly #outer: ExprScope | undefined;

  constructor(context: BindContext, commons: Commons | null, subquery: Subquery, outer: ExprScope | undefined) {
    this.#context = context;
    this.#commons = commons;
    this.#subquery = subquery;
    this.#outer = outer;
  }

  bind(written: Select, orderBy: readonly OrderItem[]): BoundBody {
    const set = setItemOf(written);
    const select = set === undefined ? written : withSetInFrom(written, set);
    const from = this.#from(select);
    const later = new Set(select.items.flatMap((item) => (item.kind === 'star' ? [] : (item.alias?.text ?? []))));
    const filtered = select.where === null ? from.plan : this.#where(from, select.where, later);
    // What WHERE's subqueries added is of no use above.
    const rows = narrowed(filtered, from.plan.schema);
    const windowed = this.#groupWindow(select, from, rows);
    const input = windowed?.plan ?? rows;
    const aggregation = new Aggregation();
    const overs = new OverCalls(select.windows);
    const early = this.#subqueries(ARGUMENT_BASE);
    const late = this.#subqueries(SUBQUERY_BASE);
    const base: ExprScope = {
      ...this.#scope(from, 'SELECT'),
      place: (expr, at, name) => aggregation.place(expr, at, name),
      ...(windowed === null ? {} : { groupWindow: (call) => windowed.column(call) }),
    };
    const withAggregates: ExprScope = {
      ...base,
      aggregate: (call, scope) => aggregation.take(call, scope),
      grouping: (call, scope) => aggregation.takeGrouping(call, scope),
      subquery: (ast, scope) => late.take(ast, scope),
      argumentSubquery: (ast, scope) => early.take(ast, scope),
    };
    const inList: ExprScope = { ...withAggregates, window: (call, scope) => overs.take(call, scope) };
    const items = select.items.flatMap((item): Item[] => {
      if (item.kind === 'star') return this.#star(from, input, item, base);
      return [{ expr: bindExpr(item.expr, inList), name: item.alias?.text ?? nameOf(item.expr), at: item.at }];
    });
    const groups = select.groupBy.flatMap((ast) =>
      ast === windowed?.call ? windowed.groups : [this.#group(ast, select, items, base)],
    );
    const having =
      select.having === null ? null : bindBoolean(select.having, { ...withAggregates, clause: 'HAVING', later });
    const order = orderBy.map((item) => this.#order(item, items, { ...inList, clause: 'ORDER BY' }));
    const on = select.distinctOn.map((ast) => this.#order(asOrder(ast), items, { ...inList, clause: 'DISTINCT ON' }));
    const qualify = select.qualify === null ? null : this.#qualify(select.qualify, items, inList);

    if (set !== undefined && (aggregation.isUsed || overs.isUsed)) throw notGrouped(set);
    let plan = input;
    let lift = (expr: Expr): Expr => expr;
    if (groups.length > 0 || select.groupingSets !== null || aggregation.isUsed || having !== null) {
      const arguments_ = early.build(plan, lift);
      ({ plan, lift } = aggregation.build(arguments_.plan, groups, arguments_.settle, select.groupingSets));
    }
    if (late.isUsed) {
      const below = lift;
      const values = late.build(plan, below);
      plan = values.plan;
      lift = (expr) => values.settle(below(expr));
    }
    if (having !== null) plan = filterBy(plan, conjuncts(lift(having)));
    if (overs.isUsed) {
      const outputs = [...items, ...order, ...on].map(({ expr }) => expr);
      ({ plan, lift } = overs.build(plan, lift, qualify === null ? outputs : [...outputs, qualify]));
    }
    if (qualify !== null) {
      const ranked = boundRanks(plan, conjuncts(lift(qualify)));
      plan = filterBy(ranked.plan, ranked.terms);
    }
    return this.#project(select, plan, items, order, on, lift);
  }

  #from(select: Select): Bound {
    if (select.from.length === 0) {
      return { plan: { op: 'values', rows: [[]], schema: [] }, scope: new Scope([]) };
    }
    const binder = new FromBinder(this.#context, this.#commons, this.#subquery, this.#outer);
    let bound = binder.bind(select.from[0]);
    for (const ref of select.from.slice(1)) bound = binder.cross(bound, ref);
    return { plan: bound.plan, scope: withoutSet(bound.scope) };
  }

  #groupWindow(select: Select, from: Bound, input: Plan): (GroupedWindow & { readonly call: AstExpr }) | null {
    const call = groupWindowOf(select);
    if (call === null) return null;
    const scope = this.#scope(from, 'GROUP BY');
    const keys = select.groupBy.filter((ast) => ast !== call).map((ast) => this.#group(ast, select, [], scope));
    return { ...groupWindow(input, call, keys, (ast) => bindExpr(ast, scope), this.#context), call };
  }

  #scope(from: Bound, clause: string): ExprScope {
    const { plan, scope } = from;
    const outer = this.#outer === undefined ? {} : { outer: this.#outer };
    return { context: this.#context, scope, schema: plan.schema, clause, ...outer };
  }

  #subqueries(base: number): Subqueries {
    return new Subqueries(this.#context, base, (query, outer) => this.#subquery(query, this.#commons, outer));
  }

  /** The terms that are subqueries become semi and anti joins, the others may hold subqueries as values. */
  #where(from: Bound, where: AstExpr, later: ReadonlySet<string>): Plan {
    const terms = where.kind === 'binary' && where.op === 'and' ? chainOf(where) : [where];
    let { plan } = from;
    const values = this.#subqueries(SUBQUERY_BASE);
    const scope: ExprScope = { ...this.#scope(from, 'WHERE'), later };
    const inTerm: ExprScope = { ...scope, subquery: (ast, inner) => values.take(ast, inner) };
    const bound: Expr[] = [];
    for (const term of terms) {
      const joined = this.#subqueries(SUBQUERY_BASE).filter(plan, term, scope);
      if (joined === null) bound.push(...conjuncts(bindBoolean(term, inTerm)));
      else plan = joined;
    }
    const { plan: wide, settle } = values.build(plan, (expr) => expr);
    const settled = bound.map(settle);
    const ranked = boundRanks(
      wide,
      settled.filter((term) => !readsNow(term)),
    );
    return filterByNow(filterBy(ranked.plan, ranked.terms), settled.filter(readsNow), where.at);
  }

  #star(from: Bound, input: Plan, { table, except, at }: Star, scope: ExprScope): Item[] {
    const columns = from.scope.star(table, at);
    const without = new Set(except.map((path) => from.scope.resolve(path).index));
    const left = columns.filter(({ index }) => !without.has(index));
    if (left.length === 0)
      throw new StreamError('SQL_BIND', '* stands for no columns here', { at, hint: 'leave one out of EXCEPT' });
    return left.map(({ index, name }) => {
      const expr = columnRef(input.schema, index);
      scope.place?.(expr, at, name);
      return { expr, name, at };
    });
  }

  /** QUALIFY may name what the list computes; columns of FROM are meant first. */
  #qualify(ast: AstExpr, items: readonly Item[], inList: ExprScope): Expr {
    const named = (path: readonly Name[]): Expr | undefined =>
      path.length === 1 ? items.find(({ name }) => name === path[0].text)?.expr : undefined;
    return bindBoolean(ast, { ...inList, clause: 'QUALIFY', named });
  }

  /** A position in the list, a column of FROM, a name given in the list, or an expression, in Postgres's order. */
  #group(ast: AstExpr, select: Select, items: readonly Item[], base: ExprScope): Expr {
    const scope = { ...base, clause: 'GROUP BY' };
    if (ast.kind === 'number') {
      const item = select.items.some(({ kind }) => kind === 'star')
        ? undefined
        : select.items[positionOf(ast, items.length) - 1];
      if (item?.kind === 'expr') return bindExpr(item.expr, scope);
      return items[positionOf(ast, items.length) - 1].expr;
    }
    if (ast.kind === 'column' && ast.path.length === 1 && base.scope.find(ast.path) === undefined) {
      const named = select.items.find((item) => item.kind === 'expr' && item.alias?.text === ast.path[0].text);
      if (named?.kind === 'expr') return bindExpr(named.expr, scope);
    }
    return bindExpr(ast, scope);
  }

  #order(item: OrderItem, items: readonly Item[], scope: ExprScope): OrderBound {
    const { expr: ast, descending, nullsFirst, at } = item;
    const of = (column: number | null, expr: Expr): OrderBound => ({ column, expr, descending, nullsFirst, at });
    if (ast.kind === 'number') {
      const column = positionOf(ast, items.length) - 1;
      return of(column, items[column].expr);
    }
    if (ast.kind === 'column' && ast.path.length === 1) {
      const named = items.flatMap(({ name }, i) => (name === ast.path[0].text ? [i] : []));
      if (new Set(named.map((i) => exprKey(items[i].expr))).size > 1) {
        throw new StreamError('SQL_BIND', `ORDER BY "${ast.path[0].text}" is ambiguous`, {
          at,
          hint: 'order by the position instead',
        });
      }
      if (named.length > 0) return of(named[0], items[named[0]].expr);
    }
    const expr = bindExpr(ast, scope);
    const same = items.findIndex((candidate) => exprKey(candidate.expr) === exprKey(expr));
    return of(same < 0 ? null : same, expr);
  }

  #project(
    select: Select,
    input: Plan,
    items: readonly Item[],
    order: readonly OrderBound[],
    on: readonly OrderBound[],
    lift: (expr: Expr) => Expr,
  ): BoundBody {
    const exprs = items.map(({ expr }) => lift(expr));
    const schema = exprs.map((expr, i): ColumnSchema => {
      const { type, nullable } = projected(expr, input.schema, '');
      return { name: items[i].name, type, nullable };
    });
    const sortKeys = order.map(({ column, expr, descending, nullsFirst, at }): SortKey => {
      if (column !== null) return { column, descending, nullsFirst };
      if (select.distinct) {
        throw new StreamError('SQL_BIND', 'with DISTINCT, ORDER BY takes columns of the SELECT list', {
          at,
          hint: 'add it to the list',
        });
      }
      const lifted = lift(expr);
      schema.push(projected(lifted, input.schema, `sort_${exprs.length}`));
      return { column: exprs.push(lifted) - 1, descending, nullsFirst };
    });
    if (on.length > 0)
      return { plan: distinctOn(input, exprs, schema, sortKeys, on, lift), visible: items.length, sortKeys };
    const project: Plan = { op: 'project', input, exprs, schema };
    const plan: Plan = select.distinct ? { op: 'distinct', input: project, schema } : project;
    return { plan, visible: items.length, sortKeys };
  }
}

const asOrder = (expr: AstExpr): OrderItem => ({ expr, descending: false, nullsFirst: false, at: expr.at });

/** DISTINCT ON: the first row, in the query's order, of each combination of the values of `on`. */
function distinctOn(
  input: Plan,
  exprs: Expr[],
  schema: ColumnSchema[],
  sortKeys: readonly SortKey[],
  on: readonly OrderBound[],
  lift: (expr: Expr) => Expr,
): Plan {
  const partitionBy = on.map(({ column, expr }) => {
    if (column !== null) return column;
    const lifted = lift(expr);
    const same = exprs.findIndex((candidate) => exprKey(candidate) === exprKey(lifted));
    if (same >= 0) return same;
    schema.push(projected(lifted, input.schema, `on_${exprs.length}`));
    return exprs.push(lifted) - 1;
  });
  const leading = sortKeys.slice(0, partitionBy.length);
  const stray = leading.findIndex((key) => !partitionBy.includes(key.column));
  if (stray >= 0) {
    throw new StreamError('SQL_BIND', 'ORDER BY must begin with the expressions of DISTINCT ON', { at: on[0].at });
  }
  const project: Plan = { op: 'project', input, exprs, schema };
  return { op: 'topn', input: project, partitionBy, orderBy: sortKeys, limit: 1, rank: false, schema };
}

/** The first columns, where there are more. */
function narrowed(plan: Plan, schema: readonly ColumnSchema[]): Plan {
  if (plan.schema.length === schema.length) return plan;
  const exprs = schema.map((_, i) => columnRef(plan.schema, i));
  return { op: 'project', input: plan, exprs, schema: plan.schema.slice(0, schema.length) };
}

interface OrderBound {
  /** Position in the list; null when it has to be added. */
  readonly column: number | null;
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly at: Position;
}

export function positionOf(ast: Extract<AstExpr, { kind: 'number' }>, count: number): number {
  const position = Number(ast.text);
  if (Number.isInteger(position) && position >= 1 && position <= count) return position;
  throw new StreamError('SQL_BIND', `position ${ast.text} is not in the SELECT list`, {
    at: ast.at,
    hint: `the list has ${count} columns`,
  });
}

/** A field is named after itself, an element or slice after what it is of, and an operator not at all. */
function nameOfCall({ name: { text }, args }: Extract<AstExpr, { kind: 'call' }>): string {
  const [first, second] = args;
  if (text === '.' && second?.kind === 'string') return second.value;
  if (text === '[]' || text === '[:]') return nameOf(first);
  return /^\w/.test(text) ? text : '?column?';
}

/** The name that Postgres gives a column without AS. */
function nameOf(ast: AstExpr): string {
  switch (ast.kind) {
    case 'column':
      return ast.path[ast.path.length - 1].text;
    case 'call':
      return nameOfCall(ast);
    case 'cast': {
      const inner = nameOf(ast.arg);
      return inner === '?column?' ? ast.type.kind : inner;
    }
    case 'typedLiteral':
      return ast.type.kind;
    case 'case':
    case 'extract':
      return ast.kind;
    case 'exists':
      return 'exists';
    case 'scalarQuery': {
      // Named as the column of the subquery is.
      const { body } = ast.query;
      const first = body.kind === 'select' ? body.items[0] : undefined;
      return first?.kind === 'expr' ? (first.alias?.text ?? nameOf(first.expr)) : '?column?';
    }
    case 'boolean':
      return 'bool';
    default:
      return '?column?';
  }
}
