import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { ListedRows } from '../functions/group-rows.ts';
import type { AstExpr } from '../parser/ast.ts';
import type { AggregateCall, Expr, Plan, Project } from '../plan/plan.ts';
import { exprKey, identity, rewrite } from '../plan/walk.ts';
import { bindAggregate, type PendingAggregate, pendingKey } from './aggregate-calls.ts';
import { AGGREGATE_BASE, OVER_BASE } from './context.ts';
import type { ExprScope } from './expressions.ts';
import { isNullable } from './nullable.ts';

/**
 * Collects the aggregate calls of a SELECT and then makes its Aggregate node: a projection of the group expressions, arguments and
 * filters, the node, and a rewriting of expressions over FROM's columns into ones over the node's.
 */
export class Aggregation {
  readonly #pending: PendingAggregate[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #places = new WeakMap<Expr, { at: Position; name: string }>();

  get isUsed(): boolean {
    return this.#pending.length > 0;
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

  /**
   * The Aggregate over `input`, and what turns an expression over `input` into one over it. `settle` gives the arguments' subqueries
   * their columns.
   */
  build(
    input: Plan,
    groups: readonly Expr[],
    settle: (expr: Expr) => Expr,
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
    const outputs = groupBy.map((position) => schema[position]);
    const plan: Plan =
      aggregates.length === 0 && groups.length > 0
        ? // Groups without aggregates are the distinct rows, which stay append-only over append-only input.
          {
            op: 'distinct',
            input: { ...project, exprs: groupBy.map((g) => exprs[g]), schema: outputs },
            schema: outputs,
          }
        : {
            op: 'aggregate',
            input: source,
            groupBy,
            aggregates,
            schema: [
              ...outputs,
              ...aggregates.map((call, i) => ({
                name: `${call.fn}_${i}`,
                type: call.type,
                nullable: AGGREGATES.get(call.fn)?.total !== true,
              })),
            ],
          };
    const lift = (expr: Expr): Expr =>
      rewrite(expr, (part) => {
        const group = groupKeys.get(exprKey(part));
        if (group !== undefined && part.op !== 'literal') return { op: 'column', index: group, type: part.type };
        if (part.op !== 'column') return undefined;
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
