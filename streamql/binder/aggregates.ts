import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { BIGINT } from '../../src/values/types.ts';
import { aggregateType } from '../functions/aggregates.ts';
import type { AstExpr } from '../parser/ast.ts';
import type { AggregateCall, Expr, Plan, Project } from '../plan/plan.ts';
import { exprKey, identity, rewrite } from '../plan/walk.ts';
import { settle } from './coerce.ts';
import { bindBoolean, bindExpr, type ExprScope } from './expressions.ts';
import { isNullable } from './nullable.ts';

/** Column positions from here on stand for aggregate calls until the Aggregate node exists. */
const AGGREGATE_BASE = 1 << 24;

interface Pending {
  readonly fn: AggregateCall['fn'];
  readonly arg: Expr | null;
  readonly distinct: boolean;
  readonly filter: Expr | null;
  readonly type: AggregateCall['type'];
}

/**
 * Collects the aggregate calls of a SELECT and then makes its Aggregate node: a projection of the group expressions, arguments and
 * filters, the node, and a rewriting of expressions over FROM's columns into ones over the node's.
 */
export class Aggregation {
  readonly #pending: Pending[] = [];
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
    const fn = call.name.text as AggregateCall['fn'];
    const scope: ExprScope = {
      context: outer.context,
      scope: outer.scope,
      schema: outer.schema,
      clause: `the argument of ${fn}`,
    };
    const isStar = call.args.length === 1 && call.args[0].kind === 'star';
    if (isStar ? fn !== 'count' || call.distinct : call.args.length !== 1) {
      throw new StreamError('SQL_BIND', `${fn} takes one argument`, {
        at: call.at,
        ...(fn === 'count' ? { hint: 'count(*) counts rows' } : {}),
      });
    }
    const arg = isStar ? null : settle(bindExpr(call.args[0], scope));
    const filter = call.filter === null ? null : bindBoolean(call.filter, { ...scope, clause: 'FILTER' });
    const type = arg === null ? BIGINT : aggregateType(fn, arg.type);
    if (type === undefined || type === null) {
      throw new StreamError('SQL_TYPE', `there is no ${fn}(${arg?.type.kind})`, {
        at: call.at,
        sqlState: '42883',
        hint: 'CAST the argument',
      });
    }
    // min and max of different values are min and max.
    const distinct = call.distinct && fn !== 'min' && fn !== 'max';
    const key = `${fn} ${distinct} ${arg === null ? '*' : exprKey(arg)} ${filter === null ? '' : exprKey(filter)}`;
    let index = this.#byKey.get(key);
    if (index === undefined) {
      index = this.#pending.length;
      this.#byKey.set(key, index);
      this.#pending.push({ fn, arg, distinct, filter, type });
    }
    return { op: 'column', index: AGGREGATE_BASE + index, type };
  }

  /** The Aggregate over `input`, and what turns an expression over `input` into one over it. */
  build(input: Plan, groups: readonly Expr[]): { plan: Plan; lift: (expr: Expr) => Expr } {
    const exprs: Expr[] = [];
    const at = new Map<string, number>();
    const column = (expr: Expr): number => {
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
      ({ fn, arg, distinct, filter, type }): AggregateCall => ({
        fn,
        arg: arg === null ? null : column(arg),
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
                nullable: call.fn !== 'count',
              })),
            ],
          };
    const lift = (expr: Expr): Expr =>
      rewrite(expr, (part) => {
        const group = groupKeys.get(exprKey(part));
        if (group !== undefined && part.op !== 'literal') return { op: 'column', index: group, type: part.type };
        if (part.op !== 'column') return undefined;
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
