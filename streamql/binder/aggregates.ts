import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { INTEGER } from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { ListedRows } from '../functions/group-rows.ts';
import type { AstExpr } from '../parser/ast.ts';
import type { AggregateCall, Expr, Plan, Project } from '../plan/plan.ts';
import { columnRef, exprKey, identity, rewrite } from '../plan/walk.ts';
import { bindAggregate, type PendingAggregate, pendingKey } from './aggregate-calls.ts';
import { AGGREGATE_BASE, GROUPING_BASE, OVER_BASE } from './context.ts';
import { bindExpr, type ExprScope } from './expressions.ts';
import { isNullable } from './nullable.ts';

/**
 * Collects the aggregate calls of a SELECT and then makes its Aggregate node: a projection of the group expressions, arguments and
 * filters, the node, and a rewriting of expressions over FROM's columns into ones over the node's.
 */
export class Aggregation {
  readonly #pending: PendingAggregate[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #groupings: { readonly args: readonly Expr[]; readonly at: Position }[] = [];
  readonly #places = new WeakMap<Expr, { at: Position; name: string }>();

  get isUsed(): boolean {
    return this.#pending.length > 0 || this.#groupings.length > 0;
  }

  /** For ExprScope.place. */
  place(expr: Expr, at: Position, name: string): void {
    this.#places.set(expr, { at, name });
  }

  /** For ExprScope.aggregate: a reference to the call's future column. */
  take(call: Extract<AstExpr, { kind: 'call' }>, outer: ExprScope): Expr {
    const pending = bindAggregate(call, outer);
    const key = pendingKey(pending);
    let index = this.#byKey.get(key);
    if (index === undefined) {
      index = this.#pending.length;
      this.#byKey.set(key, index);
      this.#pending.push(pending);
    }
    return { op: 'column', index: AGGREGATE_BASE + index, type: pending.type };
  }

  /** For ExprScope.grouping: the number whose bits, the last argument lowest, say which arguments the row's set leaves out. */
  takeGrouping(call: Extract<AstExpr, { kind: 'call' }>, scope: ExprScope): Expr {
    const { aggregate: _, window: __, grouping: ___, subquery: ____, ...inner } = scope;
    const args = call.args.map((arg) => bindExpr(arg, { ...inner, clause: 'GROUPING' }));
    if (args.length === 0 || args.length > 31) {
      throw new StreamError('SQL_BIND', 'GROUPING takes 1 to 31 expressions of GROUP BY', { at: call.at });
    }
    const index = GROUPING_BASE + this.#groupings.push({ args, at: call.at }) - 1;
    return { op: 'column', index, type: INTEGER };
  }

  /**
   * The Aggregate over `input`, and what turns an expression over `input` into one over it. `settle` gives the arguments' subqueries
   * their columns. With `sets` (positions in `groups`) there is one Aggregate per set, all of the same columns; the engine reads their
   * common input once.
   */
  build(
    input: Plan,
    groups: readonly Expr[],
    settle: (expr: Expr) => Expr,
    sets: readonly (readonly number[])[] | null,
  ): { plan: Plan; lift: (expr: Expr) => Expr } {
    const exprs: Expr[] = [];
    const at = new Map<string, number>();
    const column = (unsettled: Expr): number => {
      const expr = settle(unsettled);
      const key = exprKey(expr);
      const known = at.get(key);
      if (known !== undefined) return known;
      at.set(key, exprs.length);
      return exprs.push(expr) - 1;
    };
    const groupBy: number[] = [];
    const groupKeys = new Map<string, number>();
    for (const group of groups) {
      if (groupKeys.has(exprKey(group))) continue;
      groupKeys.set(exprKey(group), groupBy.length);
      groupBy.push(column(group));
    }
    const aggregates = this.#pending.map(
      ({ fn, args, orderBy, params, distinct, filter, type }): AggregateCall => ({
        fn,
        arg: args.length === 0 ? null : column(args[0]),
        ...(args.length < 2 ? {} : { arg2: column(args[1]) }),
        ...(orderBy.length === 0
          ? {}
          : { orderBy: orderBy.map(({ expr, ...key }) => ({ ...key, column: column(expr) })) }),
        ...(params.length === 0 ? {} : { params }),
        distinct,
        filter: filter === null ? null : column(filter),
        type,
      }),
    );
    const schema = exprs.map((expr, i) => projected(expr, input.schema, `expr_${i}`));
    const project: Project = { op: 'project', input, exprs, schema };
    // count(*) alone needs no column made; rows without columns are best avoided.
    const source = exprs.length === 0 || isIdentity(exprs, input) ? input : project;
    const places = groups.map((group) => groupKeys.get(exprKey(group)) as number);
    const chosen = sets === null ? null : sets.map((set) => new Set(set.map((group) => places[group])));
    const groupings = this.#groupings.map(({ args, at: place }) =>
      args.map((arg) => groupPlace(arg, groupKeys, place)),
    );
    const full = groupBy.map((_, i) => i);
    const plan =
      chosen === null
        ? withGroupings(groupedOver(source, groupBy, aggregates, schema), groupings, () => true)
        : unionOfSets(
            chosen.map((set) => {
              const kept = full.filter((group) => set.has(group));
              const grouped = groupedOver(
                source,
                kept.map((group) => groupBy[group]),
                aggregates,
                schema,
              );
              const wide = withMissing(
                grouped,
                full,
                kept,
                groupBy.map((position) => schema[position]),
              );
              return withGroupings(wide, groupings, (group) => set.has(group));
            }),
          );
    const width = groupBy.length + aggregates.length;
    const lift = (expr: Expr): Expr =>
      rewrite(expr, (part) => {
        const group = groupKeys.get(exprKey(part));
        if (group !== undefined && part.op !== 'literal') return { op: 'column', index: group, type: part.type };
        if (part.op !== 'column') return undefined;
        if (part.index >= GROUPING_BASE && part.index < OVER_BASE)
          return { ...part, index: width + part.index - GROUPING_BASE };
        if (part.index >= OVER_BASE) return part;
        if (part.index >= AGGREGATE_BASE) return { ...part, index: groupBy.length + part.index - AGGREGATE_BASE };
        const place = this.#places.get(part);
        throw new StreamError(
          'SQL_BIND',
          `the column "${place?.name ?? input.schema[part.index].name}" is neither in GROUP BY nor inside an aggregate`,
          {
            ...(place === undefined ? {} : { at: place.at }),
            hint: 'add it to GROUP BY, or take min or max of it',
          },
        );
      });
    return { plan, lift };
  }
}

/** Groups without aggregates are the distinct rows, which stay append-only over append-only input. */
function groupedOver(
  source: Plan,
  groupBy: readonly number[],
  aggregates: readonly AggregateCall[],
  schema: readonly ColumnSchema[],
): Plan {
  const outputs = groupBy.map((position) => schema[position]);
  if (aggregates.length === 0 && groupBy.length > 0) {
    const exprs = groupBy.map((position) => columnRef(source.schema, position));
    return { op: 'distinct', input: { op: 'project', input: source, exprs, schema: outputs }, schema: outputs };
  }
  const added = aggregates.map((call, i) => ({
    name: `${AGGREGATES.get(call.fn)?.name ?? call.fn}_${i}`,
    type: call.type,
    nullable: AGGREGATES.get(call.fn)?.total !== true,
  }));
  return { op: 'aggregate', input: source, groupBy, aggregates, schema: [...outputs, ...added] };
}

/** All group columns, NULL where the set leaves one out, then the aggregates. */
function withMissing(
  grouped: Plan,
  full: readonly number[],
  kept: readonly number[],
  columns: readonly ColumnSchema[],
): Plan {
  const exprs = full.map((group): Expr => {
    const at = kept.indexOf(group);
    return at < 0 ? { op: 'literal', value: null, type: columns[group].type } : columnRef(grouped.schema, at);
  });
  const rest = grouped.schema.slice(kept.length);
  return {
    op: 'project',
    input: grouped,
    exprs: [...exprs, ...rest.map((_, i) => columnRef(grouped.schema, kept.length + i))],
    schema: [...columns.map((column) => ({ ...column, nullable: true })), ...rest],
  };
}

/** A constant column per GROUPING(…). */
function withGroupings(plan: Plan, groupings: readonly (readonly number[])[], has: (group: number) => boolean): Plan {
  if (groupings.length === 0) return plan;
  const exprs = groupings.map((groups): Expr => {
    const value = groups.reduce((bits, group) => bits * 2 + (has(group) ? 0 : 1), 0);
    return { op: 'literal', value, type: INTEGER };
  });
  const added = groupings.map((_, i) => ({ name: `grouping_${i}`, type: INTEGER, nullable: false }));
  return {
    op: 'project',
    input: plan,
    exprs: [...identity(plan.schema), ...exprs],
    schema: [...plan.schema, ...added],
  };
}

const unionOfSets = (inputs: readonly Plan[]): Plan =>
  inputs.length === 1 ? inputs[0] : { op: 'union', inputs, schema: inputs[0].schema };

function groupPlace(arg: Expr, groupKeys: ReadonlyMap<string, number>, at: Position): number {
  const place = groupKeys.get(exprKey(arg));
  if (place !== undefined) return place;
  throw new StreamError('SQL_BIND', 'the argument of GROUPING is not in GROUP BY', { at });
}

/** The aggregate's value where a group may be missing: what it is over no rows. */
export function aggregateDefault(call: AggregateCall, value: Expr): Expr {
  const row = AGGREGATES.get(call.fn);
  if (row?.total !== true) return value;
  const types = [call.type, call.type];
  const none =
    row.finish?.(new ListedRows([], null, false, types), { types, params: call.params ?? [], type: call.type }) ?? 0;
  return { op: 'coalesce', args: [value, { op: 'literal', value: none, type: call.type }], type: call.type };
}

function isIdentity(exprs: readonly Expr[], input: Plan): boolean {
  return (
    exprs.length === input.schema.length && identity(input.schema).every((e, i) => exprKey(e) === exprKey(exprs[i]))
  );
}

/** The column that an expression makes; a plain column keeps its name. */
export function projected(expr: Expr, input: readonly ColumnSchema[], name: string): ColumnSchema {
  return {
    name: expr.op === 'column' ? input[expr.index].name : name,
    type: expr.type,
    nullable: isNullable(expr, input),
  };
}
