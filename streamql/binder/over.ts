import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { type Exact, rescale } from '../../src/values/decimal.ts';
import {
  BIGINT,
  canonicalInteger,
  type Datum,
  decimal,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  typeName,
} from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { WINDOW_FUNCTIONS, type WindowFunction } from '../functions/window-functions.ts';
import type { AstExpr, FrameBoundDef, FrameDef, NamedWindow, WindowSpec } from '../parser/ast.ts';
import { withKeyColumns } from '../plan/join.ts';
import type { Expr, Frame, Over, OverCall, Plan, SortKey } from '../plan/plan.ts';
import { columnRef, columnsUsed, exprKey, remap, rewrite } from '../plan/walk.ts';
import { coerce, settle, unify } from './coerce.ts';
import { OVER_BASE, SUBQUERY_BASE, UNBOUNDED } from './context.ts';
import { bindBoolean, bindExpr, type ExprScope } from './expressions.ts';
import { suggestion } from './scope.ts';
import { intervalMicros } from './windows.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;

interface BoundKey {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

interface Spec {
  readonly partitionBy: readonly Expr[];
  readonly orderBy: readonly BoundKey[];
}

interface PendingCall {
  readonly spec: Spec;
  readonly fn: string;
  readonly args: readonly Expr[];
  readonly params: readonly Datum[];
  readonly filter: Expr | null;
  readonly frame: Frame;
  readonly type: SqlType;
}

const WHOLE: Frame = { unit: 'range', start: null, end: null };
const UP_TO_PEERS: Frame = { unit: 'range', start: null, end: 0 };

/**
 * Calls with OVER of one SELECT. Those with the same PARTITION BY and ORDER BY become one Over node; a lone ROW_NUMBER begins as a TopN
 * (ranks.ts).
 */
export class OverCalls {
  readonly #pending: PendingCall[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #windows: ReadonlyMap<string, WindowSpec>;

  constructor(windows: readonly NamedWindow[]) {
    const twice = windows.find(({ name }, i) => windows.findIndex((other) => other.name.text === name.text) !== i);
    if (twice !== undefined) {
      throw new StreamError('SQL_BIND', `the window "${twice.name.text}" is named twice`, { at: twice.name.at });
    }
    this.#windows = new Map(windows.map(({ name, spec }) => [name.text, spec]));
  }

  get isUsed(): boolean {
    return this.#pending.length > 0;
  }

  /** For ExprScope.window: a reference to the call's future column. */
  take(call: Call, scope: ExprScope): Expr {
    const pending = this.#bind(call, scope);
    const key = JSON.stringify([
      pending.fn,
      pending.args.map(exprKey),
      exprKey({ op: 'literal', value: pending.params as Datum, type: BIGINT }),
      pending.filter === null ? '' : exprKey(pending.filter),
      [pending.frame.unit, String(pending.frame.start), String(pending.frame.end)],
      specKey(pending.spec),
    ]);
    let index = this.#byKey.get(key);
    if (index === undefined) {
      index = this.#pending.push(pending) - 1;
      this.#byKey.set(key, index);
    }
    return { op: 'column', index: OVER_BASE + index, type: pending.type };
  }

  #bind(call: Call, scope: ExprScope): PendingCall {
    const name = call.name.text;
    const fn = WINDOW_FUNCTIONS.get(name);
    if (fn === undefined) throw unknownFunction(name, call.at);
    if (call.distinct) throw wrongUse(fn, 'takes no DISTINCT', call.at);
    if (call.within !== null || call.orderBy.length > 0) throw wrongUse(fn, 'takes its order from OVER', call.at);
    const isAggregate = AGGREGATES.has(name) && fn.sees === 'frame' && !name.endsWith('_value');
    if (call.filter !== null && !isAggregate) throw wrongUse(fn, 'takes no FILTER', call.at);
    const { window: _, ...inner } = scope;
    const spec = this.#resolve(call.over as WindowSpec);
    const clause = 'OVER';
    const partitionBy = spec.partitionBy.map((expr) => settle(bindExpr(expr, { ...inner, clause })));
    const orderBy = spec.orderBy.map(({ expr, descending, nullsFirst }) => ({
      expr: settle(bindExpr(expr, { ...inner, clause })),
      descending,
      nullsFirst,
    }));
    const { args, params } = bindArguments(call, fn, inner);
    const type = fn.returns(args[0]?.type);
    if (type === undefined) {
      throw new StreamError('SQL_TYPE', `there is no ${name}(${typeName(args[0].type)})`, { at: call.at });
    }
    return {
      spec: { partitionBy, orderBy },
      fn: name,
      args,
      params,
      filter: call.filter === null ? null : bindBoolean(call.filter, { ...inner, clause: 'FILTER' }),
      frame: fn.sees === 'frame' ? frameOf(spec.frame, orderBy, inner) : WHOLE,
      type,
    };
  }

  /** A window that names another takes its parts over. */
  #resolve(spec: WindowSpec, depth = 0): WindowSpec {
    if (spec.base === null) return spec;
    const named = this.#windows.get(spec.base.text);
    if (named === undefined || depth > this.#windows.size) {
      throw new StreamError('SQL_BIND', `there is no window "${spec.base.text}"`, {
        at: spec.base.at,
        hint: suggestion(spec.base.text, this.#windows.keys()) ?? 'define it: WINDOW name AS (PARTITION BY …)',
      });
    }
    const base = this.#resolve(named, depth + 1);
    if (spec.partitionBy.length > 0 || (spec.orderBy.length > 0 && base.orderBy.length > 0)) {
      throw new StreamError('SQL_BIND', `the window "${spec.base.text}" already says PARTITION BY or ORDER BY`, {
        at: spec.at,
      });
    }
    return {
      ...base,
      orderBy: spec.orderBy.length > 0 ? spec.orderBy : base.orderBy,
      frame: spec.frame ?? base.frame,
    };
  }

  /**
   * Puts the nodes above `plan`. `lift` brings an expression over FROM up to `plan`; what is answered does so up to the nodes. Only columns
   * that `outputs` or the calls use are kept, since whole rows break ties.
   */
  build(plan: Plan, lift: (expr: Expr) => Expr, outputs: readonly Expr[]): { plan: Plan; lift: (expr: Expr) => Expr } {
    const isCall = (index: number): boolean => index >= OVER_BASE && index < SUBQUERY_BASE;
    const used = new Set<number>();
    const own = this.#pending.flatMap(({ spec, args, filter }) => [
      ...spec.partitionBy,
      ...spec.orderBy.map(({ expr }) => expr),
      ...args,
      ...(filter === null ? [] : [filter]),
    ]);
    for (const expr of [...own, ...outputs]) columnsUsed(lift(expr), used);
    const kept = [...used].filter((column) => !isCall(column)).sort((a, b) => a - b);
    const narrow = (expr: Expr): Expr =>
      remap(lift(expr), (column) => (isCall(column) ? column : kept.indexOf(column)));
    let top: Plan = {
      op: 'project',
      input: plan,
      exprs: kept.map((column) => columnRef(plan.schema, column)),
      schema: kept.map((column) => plan.schema[column]),
    };
    const at: number[] = [];
    const bySpec = new Map<string, number[]>();
    this.#pending.forEach(({ spec }, i) => {
      const key = specKey(spec);
      bySpec.set(key, [...(bySpec.get(key) ?? []), i]);
    });
    for (const members of bySpec.values()) {
      const calls = members.map((i) => this.#pending[i]);
      const [{ spec }] = calls;
      const exprs = [
        ...spec.partitionBy,
        ...spec.orderBy.map(({ expr }) => expr),
        ...calls.flatMap(({ args, filter }) => [...args, ...(filter === null ? [] : [filter])]),
      ];
      const wide = withKeyColumns(top, exprs.map(narrow));
      const columns = [...wide.columns];
      const partitionBy = columns.splice(0, spec.partitionBy.length);
      const orderBy = spec.orderBy.map(
        ({ descending, nullsFirst }): SortKey => ({ column: columns.shift() as number, descending, nullsFirst }),
      );
      const { schema } = wide.plan;
      const bound = calls.map(
        ({ fn, args, params, filter, frame, type }): OverCall => ({
          fn,
          args: columns.splice(0, args.length),
          params,
          filter: filter === null ? null : (columns.shift() as number),
          frame,
          type,
        }),
      );
      const added = bound.map(
        (call, i): ColumnSchema => ({
          name: call.fn,
          type: call.type,
          nullable: WINDOW_FUNCTIONS.get(call.fn)?.total !== true || (calls[i].filter !== null && call.fn !== 'count'),
        }),
      );
      members.forEach((i, m) => {
        at[i] = schema.length + m;
      });
      top =
        bound.length === 1 && bound[0].fn === 'row_number'
          ? {
              op: 'topn',
              input: wide.plan,
              partitionBy,
              orderBy,
              limit: UNBOUNDED,
              rank: true,
              schema: [...schema, ...added],
            }
          : ({
              op: 'over',
              input: wide.plan,
              partitionBy,
              orderBy,
              calls: bound,
              schema: [...schema, ...added],
            } satisfies Over);
    }
    const { schema } = top;
    return {
      plan: top,
      lift: (expr) =>
        rewrite(narrow(expr), (part) =>
          part.op === 'column' && isCall(part.index) ? columnRef(schema, at[part.index - OVER_BASE]) : undefined,
        ),
    };
  }
}

const specKey = ({ partitionBy, orderBy }: Spec): string =>
  JSON.stringify([
    partitionBy.map(exprKey),
    orderBy.map(({ expr, descending, nullsFirst }) => [exprKey(expr), descending, nullsFirst]),
  ]);

function unknownFunction(name: string, at: Position): StreamError {
  if (AGGREGATES.has(name)) {
    return new StreamError('SQL_UNSUPPORTED', `${name} with OVER is not supported`, {
      at,
      hint: `with OVER there are ${[...WINDOW_FUNCTIONS.keys()].join(', ')}; GROUP BY and a join give the rest`,
    });
  }
  return new StreamError('SQL_BIND', `there is no window function "${name}"`, {
    at,
    hint: suggestion(name, WINDOW_FUNCTIONS.keys()) ?? `there are ${[...WINDOW_FUNCTIONS.keys()].join(', ')}`,
  });
}

const wrongUse = (fn: WindowFunction, what: string, at: Position): StreamError =>
  new StreamError('SQL_BIND', `${fn.name} ${what}`, { at, hint: fn.signature });

function bindArguments(call: Call, fn: WindowFunction, scope: ExprScope): { args: Expr[]; params: Datum[] } {
  const isStar = call.args.length === 1 && call.args[0].kind === 'star';
  if (isStar && fn.name === 'count') return { args: [], params: [] };
  const most = fn.arguments.length + (fn.constant === null ? 0 : 1);
  if (isStar || call.args.length > most || call.args.length < most - fn.optional || (fn.name === 'count' && most > 1)) {
    throw wrongUse(
      fn,
      `takes ${most - fn.optional === most ? most : `${most - fn.optional} to ${most}`} arguments`,
      call.at,
    );
  }
  const asts = [...call.args];
  const value = fn.arguments.length > 0 && asts.length > 0 ? settle(bindExpr(asts.shift() as AstExpr, scope)) : null;
  if (fn.name === 'count' && value === null) throw wrongUse(fn, 'takes * or a value', call.at);
  const constant = asts.shift();
  const params = fn.constant === null ? [] : [constant === undefined ? 1 : countOf(constant, fn, scope)];
  const [otherwise] = asts;
  const args = value === null ? [] : [value];
  if (otherwise !== undefined && value !== null)
    return { args: unify([value, bindExpr(otherwise, scope)], otherwise.at, fn.name), params };
  return { args, params };
}

/** A constant whole number. */
function countOf(ast: AstExpr, fn: WindowFunction, scope: ExprScope): number {
  const bound = coerce(bindExpr(ast, scope), BIGINT, ast.at);
  const least = fn.constant === 'positive' ? 1 : 0;
  if (bound.op === 'literal' && typeof bound.value === 'number' && bound.value >= least) return bound.value;
  throw new StreamError('SQL_BIND', `${fn.name} takes a constant of ${least} or more`, {
    at: ast.at,
    hint: fn.signature,
  });
}

function frameOf(frame: FrameDef | null, orderBy: readonly BoundKey[], scope: ExprScope): Frame {
  if (frame === null) return orderBy.length === 0 ? WHOLE : UP_TO_PEERS;
  const { unit, start, end, at } = frame;
  const isBackwards = start.direction > end.direction;
  if (
    isBackwards ||
    (start.direction === 1 && start.offset === null) ||
    (end.direction === -1 && end.offset === null)
  ) {
    throw endsFirst(at);
  }
  const hasOffset = [start, end].some((bound) => bound.offset !== null);
  if (unit === 'range' && hasOffset && orderBy.length !== 1) {
    throw new StreamError('SQL_BIND', 'RANGE with an offset needs ORDER BY one column', {
      at,
      hint: 'use ROWS, or order by one number or moment',
    });
  }
  const of = (bound: FrameBoundDef): Exact | null => {
    if (bound.offset === null) return bound.direction === 0 ? 0 : null;
    const by = unit === 'rows' ? rowCount(bound.offset, scope) : rangeOffset(bound.offset, orderBy[0].expr.type, scope);
    return bound.direction < 0 ? -by : by;
  };
  const [from, to] = [of(start), of(end)];
  if (from !== null && to !== null && from > to) throw endsFirst(at);
  return { unit, start: from, end: to };
}

const endsFirst = (at: Position): StreamError =>
  new StreamError('SQL_BIND', 'the frame ends before it starts', {
    at,
    hint: 'write the earlier end first: BETWEEN 1 PRECEDING AND CURRENT ROW',
  });

function rowCount(ast: AstExpr, scope: ExprScope): number {
  const expr = bindExpr(ast, scope);
  if (expr.type.kind === 'interval') {
    throw new StreamError('SQL_TYPE', 'ROWS counts rows, this is an interval', {
      at: ast.at,
      hint: 'write RANGE for the rows of a stretch of time',
    });
  }
  const bound = coerce(expr, BIGINT, ast.at);
  if (bound.op === 'literal' && typeof bound.value === 'number' && bound.value >= 0) return bound.value;
  throw new StreamError('SQL_BIND', 'the number of rows must be a constant of 0 or more', { at: ast.at });
}

/** In units of the sort key's values: microseconds for moments. */
function rangeOffset(ast: AstExpr, type: SqlType, scope: ExprScope): Exact {
  if (type.kind === 'timestamp' || type.kind === 'timestamptz') {
    if (ast.kind === 'number') {
      throw new StreamError('SQL_TYPE', 'RANGE goes by the distance in time here, this is a number', {
        at: ast.at,
        hint: `write INTERVAL '${ast.text} seconds', or ROWS for a number of rows`,
      });
    }
    return intervalMicros(ast, scope.context, true);
  }
  if (!['smallint', 'integer', 'bigint', 'decimal', 'real', 'double'].includes(type.kind)) {
    throw new StreamError('SQL_TYPE', `RANGE with an offset does not go by ${typeName(type)}`, {
      at: ast.at,
      hint: 'order by one number or moment',
    });
  }
  const given = bindExpr(ast, scope);
  const bound = given.type.kind === 'decimal' && type.kind === 'decimal' ? given : coerce(given, wide(type), ast.at);
  const { value } = bound as { value?: Datum };
  // Distances of keys are whole in their last digit: what the offset has beyond it makes no difference.
  if (bound === given && bound.op === 'literal' && isExact(value) && value >= 0 && type.kind === 'decimal')
    return scaledDown(value, (bound.type as typeof type).scale, type.scale);
  if (bound.op === 'literal' && (typeof value === 'number' || typeof value === 'bigint') && value >= 0) return value;
  throw new StreamError('SQL_BIND', 'the offset must be a constant of 0 or more', { at: ast.at });
}

/** What holds any offset of keys of the type. */
const wide = (type: SqlType): SqlType =>
  type.kind === 'smallint' ? BIGINT : type.kind === 'decimal' ? decimal(MAX_DECIMAL_PRECISION, type.scale) : type;

const isExact = (value: Datum | undefined): value is Exact => typeof value === 'number' || typeof value === 'bigint';

const scaledDown = (value: Exact, from: number, to: number): Exact =>
  from <= to ? rescale(value, from, to) : canonicalInteger(BigInt(value) / 10n ** BigInt(from - to));
