import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { BIGINT, BOOLEAN } from '../../src/values/types.ts';
import type { AstExpr, Query } from '../parser/ast.ts';
import { joinByKeys, joinOn } from '../plan/join.ts';
import { keyOf } from '../plan/keys.ts';
import type { Aggregate, AggregateCall, Expr, Plan, Project } from '../plan/plan.ts';
import { columnRef, remap, rewrite } from '../plan/walk.ts';
import { aggregateDefault } from './aggregates.ts';
import { bindCompare } from './calls.ts';
import { type BindContext, SUBQUERY_BASE } from './context.ts';
import {
  correlationOf,
  groupedBy,
  hasOuter,
  keyed,
  type Lift,
  outward,
  overBoth,
  type Pulled,
  perDomain,
  pullUp,
} from './decorrelate.ts';
import { bindExpr, type ExprScope, type SubqueryAst } from './expressions.ts';
import { literal, TRUE } from './literals.ts';
import { isNullable } from './nullable.ts';

/** Binds a query that stands in an expression; `outer` is what it may refer to. */
export type BindInner = (query: Query, outer: ExprScope) => Plan;

type Pending =
  | { readonly kind: 'exists' | 'scalar'; readonly inner: Plan }
  | { readonly kind: 'in'; readonly inner: Plan; readonly arg: Expr; readonly at: Position }
  | {
      readonly kind: 'any';
      readonly inner: Plan;
      readonly arg: Expr;
      readonly cmp: AnyComparison;
      readonly at: Position;
    };

type AnyComparison = Extract<SubqueryAst, { kind: 'anyQuery' }>['cmp'];

/**
 * Subqueries in expressions: EXISTS, IN and those used as values, correlated or not. Each becomes a join that adds a column to the plan
 * (`build`), or, where it is a whole condition of WHERE, a semi or anti join (`filter`). decorrelate.ts takes the references out.
 */
export class Subqueries {
  readonly #context: BindContext;
  readonly #bindInner: BindInner;
  readonly #pending: Pending[] = [];
  readonly #base: number;

  /** `base`: column positions from there on stand for the values until their joins exist. */
  constructor(context: BindContext, base: number, bindInner: BindInner) {
    this.#context = context;
    this.#base = base;
    this.#bindInner = bindInner;
  }

  get isUsed(): boolean {
    return this.#pending.length > 0;
  }

  /** For ExprScope.subquery: the value of the subquery, over a column that `build` makes. */
  take(ast: SubqueryAst, scope: ExprScope): Expr {
    const pending = this.#bind(ast, scope);
    const type = pending.kind === 'scalar' ? pending.inner.schema[0].type : BOOLEAN;
    const index = this.#base + this.#pending.push(pending) - 1;
    const value: Expr = { op: 'column', index, type };
    return ast.kind === 'inQuery' && ast.negated ? { op: 'not', arg: value, type: BOOLEAN } : value;
  }

  #bind(ast: SubqueryAst, scope: ExprScope): Pending {
    const inner = this.#bindInner(ast.query, scope);
    const what = ast.kind === 'inQuery' ? 'of IN' : ast.kind === 'anyQuery' ? 'of ANY or ALL' : 'used as a value';
    if (ast.kind !== 'exists' && inner.schema.length !== 1) {
      throw new StreamError('SQL_BIND', `the subquery ${what} has ${inner.schema.length} columns, one is needed`, {
        at: ast.query.at,
      });
    }
    if (ast.kind === 'inQuery') return { kind: 'in', inner, arg: bindExpr(ast.arg, scope), at: ast.at };
    if (ast.kind === 'anyQuery') return { kind: 'any', inner, arg: bindExpr(ast.arg, scope), cmp: ast.cmp, at: ast.at };
    return { kind: ast.kind === 'exists' ? 'exists' : 'scalar', inner };
  }

  /** The plan with a join for each subquery taken so far, and what replaces their columns in lifted expressions. */
  build(plan: Plan, lift: Lift): { plan: Plan; settle: Lift } {
    let built = plan;
    const values: Expr[] = [];
    const settle: Lift = (expr) =>
      rewrite(expr, (part) =>
        part.op === 'column' && part.index >= this.#base ? values[part.index - this.#base] : undefined,
      );
    for (const pending of this.#pending) {
      const value = this.#join(built, pending, (expr) => settle(lift(expr)));
      built = value.plan;
      values.push(value.expr);
    }
    return { plan: built, settle };
  }

  /** A condition of WHERE that is a subquery and nothing else; null when it must be a value. */
  filter(plan: Plan, ast: AstExpr, scope: ExprScope): Plan | null {
    const { subquery, negated } = stripNot(ast);
    if (subquery === null) return null;
    const pending = this.#bind(subquery, scope);
    if (pending.kind === 'scalar' || pending.kind === 'any') return null;
    const isIn = pending.kind === 'in';
    if (isIn && negated && (isNullable(pending.arg, plan.schema) || pending.inner.schema[0].nullable)) return null;
    const kind = negated ? 'anti' : 'semi';
    const pulled = pullUp(pending.inner);
    const width = plan.schema.length;
    const equal = (inner: Plan): Expr[] =>
      pending.kind === 'in'
        ? [bindCompare('=', pending.arg, { op: 'column', index: width, type: inner.schema[0].type }, pending.at)]
        : [];
    if (pulled !== null) {
      const terms = pulled.terms.map((term) => overBoth(term, width, (expr) => expr));
      return joinOn(plan, outward(pulled.plan), kind, [...equal(pulled.plan), ...terms]);
    }
    const { inner, keys } = perDomain(plan, pending.inner, (expr) => expr);
    return joinByKeys(plan, inner, { kind, nullSafe: true }, keys, equal(inner));
  }

  #join(plan: Plan, pending: Pending, lift: Lift): { plan: Plan; expr: Expr } {
    switch (pending.kind) {
      case 'scalar':
        return this.#scalar(plan, pending.inner, lift);
      case 'exists':
        return this.#marked(plan, pending.inner, lift, []);
      case 'in':
        return this.#in(plan, pending, lift);
      case 'any':
        return this.#any(plan, pending, lift);
    }
  }

  /** LEFT JOIN of rows that are at most one for each outer row: those of the keys with the first column single. */
  #scalar(plan: Plan, inner: Plan, lift: Lift): { plan: Plan; expr: Expr } {
    const width = plan.schema.length;
    const total = overGlobalAggregate(inner);
    if (total !== null) {
      const joined = this.#attach(plan, total, lift);
      const value = columnOf(inner, 0, (call, at) => aggregateDefault(call, columnRef(joined.schema, width + at)));
      return { plan: joined, expr: value };
    }
    const pulled = keyed(pullUp(inner));
    if (pulled === null) {
      const domain = perDomain(plan, inner, lift);
      const one = this.#single(
        domain.inner,
        domain.keys.map((_, i) => 1 + i),
      );
      const keys = domain.keys.map(([outer], i) => [outer, columnRef(one.schema, 1 + i)] as const);
      const joined = joinByKeys(plan, one, { kind: 'left', nullSafe: true }, keys, []);
      return { plan: joined, expr: columnRef(joined.schema, width) };
    }
    // The value, then the keys.
    const one = this.#single(
      chosen(pulled.plan, [0, ...pulled.keys]),
      pulled.keys.map((_, i) => 1 + i),
    );
    const terms = pulled.terms.map((term, i) => equalTerm(columnRef(one.schema, 1 + i), outerSideOf(term)));
    const joined = this.#attach(plan, { plan: one, terms }, lift);
    return { plan: joined, expr: columnRef(joined.schema, width) };
  }

  /** Column 0 and the keys, with one row per key: proven, or made so by an aggregate that fails on more. */
  #single(plan: Plan, keys: readonly number[]): Plan {
    const key = keyOf(plan, (scan) => this.#context.catalog.relation(scan.name)?.key ?? null);
    if (key?.every((column) => keys.includes(column))) return plan;
    const { type, name } = plan.schema[0];
    const call: AggregateCall = { fn: 'single_value', arg: 0, distinct: false, filter: null, type };
    const aggregate: Aggregate = {
      op: 'aggregate',
      input: plan,
      groupBy: keys,
      aggregates: [call],
      schema: [...keys.map((column) => plan.schema[column]), { name, type, nullable: true }],
    };
    return chosen(aggregate, [keys.length, ...keys.map((_, i) => i)]);
  }

  /** LEFT JOIN of the distinct keys; `extra` further equalities (outer, inner column). The value is whether there was a match. */
  #marked(
    plan: Plan,
    inner: Plan,
    lift: Lift,
    extra: readonly (readonly [outer: Expr, column: number])[],
  ): { plan: Plan; expr: Expr } {
    const width = plan.schema.length;
    const pulled = keyed(pullUp(inner));
    if (pulled !== null) {
      const columns = [...extra.map(([, column]) => column), ...pulled.keys];
      const marked = marks(pulled.plan, columns);
      const terms = pulled.terms.map((term, i) =>
        equalTerm(columnRef(marked.schema, extra.length + i), outerSideOf(term)),
      );
      const joined = joinOn(plan, outward(marked), 'left', [
        ...extra.map(([outer], i) => equalTerm(columnRef(joinedSchema(plan, marked), width + i), outer)),
        ...terms.map((term) => overBoth(term, width, lift)),
      ]);
      return { plan: joined, expr: isThere(joined, width + columns.length) };
    }
    const domain = perDomain(plan, inner, lift);
    const columns = [...extra.map(([, column]) => column), ...domain.keys.map((_, i) => inner.schema.length + i)];
    const marked = marks(domain.inner, columns);
    const joined = joinByKeys(
      plan,
      marked,
      { kind: 'left', nullSafe: true },
      domain.keys.map(([outer], i) => [outer, columnRef(marked.schema, extra.length + i)] as const),
      extra.map(([outer], i) => equalTerm(columnRef(joinedSchema(plan, marked), width + i), outer)),
    );
    return { plan: joined, expr: isThere(joined, width + columns.length) };
  }

  /**
   * IN as a value: true when there is a match, else false when the subquery is empty for this row, else NULL when the argument or one
   * of its values is NULL, else false.
   */
  #in(plan: Plan, pending: Extract<Pending, { kind: 'in' }>, lift: Lift): { plan: Plan; expr: Expr } {
    const { inner, at } = pending;
    const arg = lift(pending.arg);
    const same = sameType('=', arg, inner, at);
    if (same === null) return { plan, expr: literal(null, BOOLEAN) };
    const { outer, typed } = same;
    const match = this.#marked(plan, typed, lift, [[outer, 0]]);
    if (!isNullable(arg, plan.schema) && !inner.schema[0].nullable) return match;
    const counts: Aggregate = {
      op: 'aggregate',
      input: typed,
      groupBy: [],
      aggregates: [
        { fn: 'count', arg: null, distinct: false, filter: null, type: BIGINT },
        { fn: 'count', arg: 0, distinct: false, filter: null, type: BIGINT },
      ],
      schema: ['rows', 'values'].map((name) => ({ name, type: BIGINT, nullable: false })),
    };
    const total = this.#countsOf(plan, match.plan, counts, lift);
    const [rows, values] = total.exprs;
    const unknown: Expr = {
      op: 'or',
      args: [
        { op: 'isNull', arg: outer, negated: false, type: BOOLEAN },
        { op: 'compare', cmp: '<', left: values, right: rows, type: BOOLEAN },
      ],
      type: BOOLEAN,
    };
    const none: Expr = { op: 'compare', cmp: '=', left: rows, right: literal(0, BIGINT), type: BOOLEAN };
    const expr: Expr = {
      op: 'case',
      branches: [
        { when: match.expr, then: TRUE },
        { when: none, then: literal(false, BOOLEAN) },
        { when: unknown, then: literal(null, BOOLEAN) },
      ],
      otherwise: literal(false, BOOLEAN),
      type: BOOLEAN,
    };
    return { plan: total.plan, expr };
  }

  /**
   * `arg > ANY (…)` is `arg > min`: true, else false when the subquery is empty for this row, else NULL when one of its values or the
   * argument is NULL, else false. `<> ANY` looks at both ends.
   */
  #any(
    plan: Plan,
    { inner, arg: given, cmp, at }: Extract<Pending, { kind: 'any' }>,
    lift: Lift,
  ): { plan: Plan; expr: Expr } {
    const same = sameType(cmp, lift(given), inner, at);
    if (same === null) return { plan, expr: literal(null, BOOLEAN) };
    const { outer, typed } = same;
    const { type } = typed.schema[0];
    const ends = cmp === '<>' ? ['min', 'max'] : cmp === '>' || cmp === '>=' ? ['min'] : ['max'];
    const schema = [
      ...ends.map((name) => ({ name, type, nullable: true })),
      ...['rows', 'values'].map((name) => ({ name, type: BIGINT, nullable: false })),
    ];
    const call = (fn: string, arg: number | null, of: Expr['type']): AggregateCall => ({
      fn,
      arg,
      distinct: false,
      filter: null,
      type: of,
    });
    const aggregates = [...ends.map((fn) => call(fn, 0, type)), call('count', null, BIGINT), call('count', 0, BIGINT)];
    const total = this.#countsOf(plan, plan, { op: 'aggregate', input: typed, groupBy: [], aggregates, schema }, lift);
    const bounds = total.exprs.slice(0, ends.length);
    const [rows, values] = total.exprs
      .slice(ends.length)
      .map((expr): Expr => ({ op: 'coalesce', args: [expr, literal(0, BIGINT)], type: BIGINT }));
    const found = bounds.map((bound) => bindCompare(cmp, outer, bound, at));
    const matched: Expr = found.length === 1 ? found[0] : { op: 'or', args: found, type: BOOLEAN };
    const expr: Expr = {
      op: 'case',
      branches: [
        { when: bindCompare('=', rows, literal(0, BIGINT), at), then: literal(false, BOOLEAN) },
        { when: matched, then: TRUE },
        { when: bindCompare('<', values, rows, at), then: literal(null, BOOLEAN) },
      ],
      otherwise: matched,
      type: BOOLEAN,
    };
    return { plan: total.plan, expr };
  }

  /** The columns of an aggregate without groups, joined to `plan`, which has the columns of `source` first. */
  #countsOf(source: Plan, plan: Plan, aggregate: Aggregate, lift: Lift): { plan: Plan; exprs: Expr[] } {
    const total = overGlobalAggregate(aggregate);
    const width = plan.schema.length;
    if (total !== null) {
      const joined = this.#attach(plan, total, lift);
      return {
        plan: joined,
        exprs: aggregate.aggregates.map((call, i) => aggregateDefault(call, columnRef(joined.schema, width + i))),
      };
    }
    const domain = perDomain(source, aggregate, lift);
    const joined = joinByKeys(plan, domain.inner, { kind: 'left', nullSafe: true }, domain.keys, []);
    return { plan: joined, exprs: aggregate.aggregates.map((_, i) => columnRef(joined.schema, width + i)) };
  }

  #attach(plan: Plan, { plan: inner, terms }: Pulled, lift: Lift): Plan {
    const width = plan.schema.length;
    return joinOn(
      plan,
      outward(inner),
      'left',
      terms.map((term) => overBoth(term, width, lift)),
    );
  }
}

/** Both sides in one type; null when the comparison is NULL whatever the rows are. */
function sameType(
  cmp: '=' | AnyComparison,
  arg: Expr,
  inner: Plan,
  at: Position,
): { outer: Expr; typed: Project } | null {
  const compared = bindCompare(cmp, arg, { op: 'column', index: SUBQUERY_BASE, type: inner.schema[0].type }, at);
  if (compared.op !== 'compare') return null;
  const [outer, value] = readsBase(compared.left) ? [compared.right, compared.left] : [compared.left, compared.right];
  const schema = [{ ...inner.schema[0], type: value.type }];
  return { outer, typed: { op: 'project', input: inner, exprs: [remap(value, () => 0)], schema } };
}

function stripNot(ast: AstExpr): { subquery: SubqueryAst | null; negated: boolean } {
  if (ast.kind === 'unary' && ast.op === 'not') {
    const inner = stripNot(ast.arg);
    return { ...inner, negated: !inner.negated };
  }
  if (ast.kind === 'exists') return { subquery: ast, negated: false };
  return ast.kind === 'inQuery' ? { subquery: ast, negated: ast.negated } : { subquery: null, negated: false };
}

const readsBase = (expr: Expr): boolean => {
  let found = false;
  rewrite(expr, (part) => {
    if (part.op === 'column' && part.index === SUBQUERY_BASE) found = true;
    return undefined;
  });
  return found;
};

const joinedSchema = (left: Plan, right: Plan): ColumnSchema[] => [...left.schema, ...right.schema];

/** The outer query's side of `column = outer`. */
const outerSideOf = (term: Expr): Expr => (correlationOf(term) as { outer: Expr }).outer;

const equalTerm = (left: Expr, right: Expr): Expr => ({ op: 'compare', cmp: '=', left, right, type: BOOLEAN });

/** The distinct values of the columns, and a column that is true. */
function marks(plan: Plan, columns: readonly number[]): Plan {
  const schema = [...columns.map((column) => plan.schema[column]), { name: 'matched', type: BOOLEAN, nullable: false }];
  const exprs = [...columns.map((column) => columnRef(plan.schema, column)), TRUE];
  return { op: 'distinct', input: { op: 'project', input: plan, exprs, schema }, schema };
}

const isThere = (joined: Plan, column: number): Expr => ({
  op: 'isNull',
  arg: columnRef(joined.schema, column),
  negated: true,
  type: BOOLEAN,
});

function chosen(plan: Plan, columns: readonly number[]): Plan {
  const exprs = columns.map((column) => columnRef(plan.schema, column));
  return { op: 'project', input: plan, exprs, schema: columns.map((column) => plan.schema[column]) };
}

/**
 * A subquery that is projections over an aggregate without groups has a row for every outer row. It is joined as the aggregate grouped
 * by the correlated columns, and what stands above is computed after the join (`columnOf`), where count is 0 for rows without a group.
 * The aggregate's columns come first.
 */
function overGlobalAggregate(plan: Plan): Pulled | null {
  if (plan.op === 'project') return plan.exprs.some(hasOuter) ? null : overGlobalAggregate(plan.input);
  if (plan.op !== 'aggregate' || plan.groupBy.length > 0) return null;
  const input = keyed(pullUp(plan.input));
  return input && groupedBy(plan, input);
}

/** Column `index` of projections over the aggregate. */
function columnOf(plan: Plan, index: number, column: (call: AggregateCall, at: number) => Expr): Expr {
  if (plan.op === 'aggregate') return column(plan.aggregates[index], index);
  if (plan.op !== 'project') throw new StreamError('INVARIANT', 'a projection over an aggregate was expected');
  return rewrite(plan.exprs[index], (part) =>
    part.op === 'column' ? columnOf(plan.input, part.index, column) : undefined,
  );
}
