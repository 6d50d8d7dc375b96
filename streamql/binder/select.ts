import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { AstExpr, Name, OrderItem, Query, Select } from '../parser/ast.ts';
import { joinOn } from '../plan/join.ts';
import type { Expr, Plan, SortKey } from '../plan/plan.ts';
import { columnRef, conjuncts, exprKey, filterBy } from '../plan/walk.ts';
import { Aggregation, projected } from './aggregates.ts';
import { bindCompare } from './calls.ts';
import type { BindContext, Commons } from './context.ts';
import { bindBoolean, bindExpr, chainOf, type ExprScope } from './expressions.ts';
import { type Bound, FromBinder } from './from.ts';
import { boundRanks, Ranks } from './ranks.ts';
import { Scope } from './scope.ts';

/** A body with its output columns first, then columns that are there to sort by only. */
export interface BoundBody {
  readonly plan: Plan;
  /** How many columns are output. */
  readonly visible: number;
  readonly sortKeys: readonly SortKey[];
}

type Subquery = (query: Query, commons: Commons | null) => Plan;

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

  constructor(context: BindContext, commons: Commons | null, subquery: Subquery) {
    this.#context = context;
    this.#commons = commons;
    this.#subquery = subquery;
  }

  bind(select: Select, orderBy: readonly OrderItem[]): BoundBody {
    const from = this.#from(select);
    const input = select.where === null ? from.plan : this.#where(from, select.where);
    const aggregation = new Aggregation();
    const ranks = new Ranks();
    const base: ExprScope = {
      context: this.#context,
      scope: from.scope,
      schema: input.schema,
      clause: 'SELECT',
      place: (expr, at, name) => aggregation.place(expr, at, name),
    };
    const withAggregates: ExprScope = { ...base, aggregate: (call, scope) => aggregation.take(call, scope) };
    const inList: ExprScope = { ...withAggregates, window: (call, scope) => ranks.take(call, scope) };
    const items = select.items.flatMap((item): Item[] => {
      if (item.kind === 'star') return this.#star(from, input, item.table, item.at, base);
      return [{ expr: bindExpr(item.expr, inList), name: item.alias?.text ?? nameOf(item.expr), at: item.at }];
    });
    const groups = select.groupBy.map((ast) => this.#group(ast, select, items, base));
    const having = select.having === null ? null : bindBoolean(select.having, { ...withAggregates, clause: 'HAVING' });
    const order = orderBy.map((item) => this.#order(item, items, { ...inList, clause: 'ORDER BY' }));

    let plan = input;
    let lift = (expr: Expr): Expr => expr;
    if (groups.length > 0 || aggregation.isUsed || having !== null) ({ plan, lift } = aggregation.build(plan, groups));
    if (having !== null) plan = filterBy(plan, conjuncts(lift(having)));
    if (ranks.isUsed) {
      this.#context.rankAt ??= ranks.at;
      const outputs = [...items, ...order].map(({ expr }) => expr);
      ({ plan, lift } = ranks.build(plan, lift, outputs));
    }
    return this.#project(select, plan, items, order, lift);
  }

  #from(select: Select): Bound {
    if (select.from.length === 0) {
      return { plan: { op: 'values', rows: [[]], schema: [] }, scope: new Scope([]) };
    }
    const binder = new FromBinder(this.#context, this.#commons, this.#subquery);
    let bound = binder.bind(select.from[0]);
    for (const ref of select.from.slice(1)) bound = binder.cross(bound, binder.bind(ref), ref.at);
    return bound;
  }

  #where(from: Bound, where: AstExpr): Plan {
    const terms = where.kind === 'binary' && where.op === 'and' ? chainOf(where) : [where];
    let { plan } = from;
    const bound: Expr[] = [];
    for (const term of terms) {
      const scope: ExprScope = { context: this.#context, scope: from.scope, schema: from.plan.schema, clause: 'WHERE' };
      if (term.kind === 'inQuery' && !term.negated) plan = this.#semiJoin(plan, term, scope);
      else bound.push(...conjuncts(bindBoolean(term, scope)));
    }
    const ranked = boundRanks(plan, bound);
    return filterBy(ranked.plan, ranked.terms);
  }

  /** `x IN (SELECT y …)` keeps a row when some y equals x: a join with the distinct ys. NULLs match nothing, as in WHERE they must. */
  #semiJoin(plan: Plan, term: Extract<AstExpr, { kind: 'inQuery' }>, scope: ExprScope): Plan {
    const arg = bindExpr(term.arg, scope);
    const inner = this.#subquery(term.query, this.#commons);
    if (inner.schema.length !== 1) {
      throw new StreamError('SQL_BIND', `the subquery of IN has ${inner.schema.length} columns, one is needed`, {
        at: term.query.at,
      });
    }
    const width = plan.schema.length;
    const distinct: Plan = { op: 'distinct', input: inner, schema: inner.schema };
    const equal = bindCompare('=', arg, { op: 'column', index: width, type: inner.schema[0].type }, term.at);
    const joined = joinOn(plan, distinct, 'inner', [equal]);
    const exprs = plan.schema.map((_, i) => columnRef(joined.schema, i));
    return { op: 'project', input: joined, exprs, schema: plan.schema };
  }

  #star(from: Bound, input: Plan, table: Name | null, at: Position, scope: ExprScope): Item[] {
    return from.scope.star(table, at).map(({ index, name }) => {
      const expr = columnRef(input.schema, index);
      scope.place?.(expr, at, name);
      return { expr, name, at };
    });
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
    const project: Plan = { op: 'project', input, exprs, schema };
    const plan: Plan = select.distinct ? { op: 'distinct', input: project, schema } : project;
    return { plan, visible: items.length, sortKeys };
  }
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

/** The name that Postgres gives a column without AS. */
function nameOf(ast: AstExpr): string {
  switch (ast.kind) {
    case 'column':
      return ast.path[ast.path.length - 1].text;
    case 'call':
      return ast.name.text;
    case 'cast': {
      const inner = nameOf(ast.arg);
      return inner === '?column?' ? ast.type.kind : inner;
    }
    case 'typedLiteral':
      return ast.type.kind;
    case 'case':
    case 'extract':
      return ast.kind;
    case 'boolean':
      return 'bool';
    default:
      return '?column?';
  }
}
