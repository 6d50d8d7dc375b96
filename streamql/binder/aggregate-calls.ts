import { type Position, StreamError } from '../../src/lib/errors.ts';
import {
  BIGINT,
  BOOLEAN,
  type Datum,
  DOUBLE,
  INTEGER,
  isInteger,
  type SqlType,
  typeName,
  VARCHAR,
} from '../../src/values/types.ts';
import type { AggregateFunction } from '../functions/aggregate-table.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import type { AstExpr, OrderItem } from '../parser/ast.ts';
import type { Expr } from '../plan/plan.ts';
import { columnsUsed, exprKey } from '../plan/walk.ts';
import { coerce, settle } from './coerce.ts';
import { hasOuter } from './decorrelate.ts';
import { bindBoolean, bindExpr, type ExprScope } from './expressions.ts';
import { isNullLiteral, isUnknown } from './literals.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;

interface OrderKey {
  readonly expr: Expr;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** A call of an aggregate over expressions, before the Aggregate node gives them columns. */
export interface PendingAggregate {
  readonly fn: string;
  readonly args: readonly Expr[];
  readonly orderBy: readonly OrderKey[];
  readonly params: readonly Datum[];
  readonly distinct: boolean;
  readonly filter: Expr | null;
  readonly type: SqlType;
}

/** Equal for calls that are one. */
export function pendingKey({ fn, args, orderBy, params, distinct, filter }: PendingAggregate): string {
  const keys = orderBy.map((key) => `${exprKey(key.expr)}${key.descending}${key.nullsFirst}`);
  const literals = exprKey({ op: 'literal', value: params, type: VARCHAR });
  return [fn, distinct, ...args.map(exprKey), 'by', ...keys, literals, filter === null ? '' : exprKey(filter)].join(
    ' ',
  );
}

/** SQL_BIND and SQL_TYPE say what the function takes. */
export function bindAggregate(call: Call, outer: ExprScope): PendingAggregate {
  const fn = call.name.text;
  const row = AGGREGATES.get(fn) as AggregateFunction;
  const scope: ExprScope = {
    context: outer.context,
    scope: outer.scope,
    schema: outer.schema,
    clause: `the argument of ${fn}`,
    ...(outer.outer === undefined ? {} : { outer: outer.outer }),
    ...(outer.call === undefined ? {} : { call: outer.call }),
    ...(outer.argumentSubquery === undefined ? {} : { subquery: outer.argumentSubquery }),
  };
  const filter = call.filter === null ? null : bindBoolean(call.filter, { ...scope, clause: 'FILTER' });
  if (call.args.length === 1 && call.args[0].kind === 'star') {
    if (fn !== 'count' || call.distinct || call.orderBy.length > 0) throw wrongUse(row, call.at);
    return { fn, args: [], orderBy: [], params: [], distinct: false, filter, type: BIGINT };
  }
  const { columns, constants, order } = partsOf(call, row);
  const plain = columns.map((ast, i) => bindArgument(ast, row, i, scope));
  if (fn === 'count_if') {
    if (call.distinct) throw wrongUse(row, call.at, 'it takes no DISTINCT');
    const both: Expr = filter === null ? plain[0] : { op: 'and', args: [filter, plain[0]], type: BOOLEAN };
    return { fn: 'count', args: [], orderBy: [], params: [], distinct: false, filter: both, type: BIGINT };
  }
  if (plain.some(hasOuter) && !plain.some((arg) => columnsUsed(arg).size > 0)) {
    throw new StreamError('SQL_UNSUPPORTED', `${fn} of a column of the query outside is not supported`, {
      at: call.at,
      hint: 'compute the aggregate in the query outside, in a subquery in FROM',
    });
  }
  const type = row.returns(plain.map((arg) => arg.type));
  if (type === undefined) throw noOverload(row, plain[0].type, call.at);
  const args = row.prepare === undefined ? plain : [prepared(row.prepare, plain[0]), ...plain.slice(1)];
  const params = constants.map((ast, i) => constant(ast, (row.params as readonly SqlType[])[i], fn, scope));
  const orderBy = order === null ? byRow(row, args) : order.map((item) => orderKey(item, scope));
  // What looks at one end only, and min and max, see no difference.
  const distinct = call.distinct && fn !== 'min' && fn !== 'max' && row.looksAt !== 'first' && row.looksAt !== 'last';
  if (distinct) checkDistinct(row, args, orderBy, call.at);
  return { fn, args, orderBy, params, distinct, filter, type };
}

interface Parts {
  readonly columns: readonly AstExpr[];
  readonly constants: readonly AstExpr[];
  readonly order: readonly OrderItem[] | null;
}

/** Which arguments are columns and which constants, and the order that was written. */
function partsOf(call: Call, row: AggregateFunction): Parts {
  const width = row.args.length;
  const { length: constants } = row.params ?? [];
  // LISTAGG of the standard says so what Postgres says inside the parentheses.
  if (call.within !== null && call.orderBy.length === 0 && (row.order === 'optional' || row.order === 'required'))
    return partsOf({ ...call, orderBy: call.within, within: null }, row);
  if (call.within !== null) {
    if (row.order !== 'within') throw wrongUse(row, call.at, 'it takes no WITHIN GROUP');
    if (call.distinct || call.orderBy.length > 0 || call.within.length !== 1 || call.args.length !== constants) {
      throw wrongUse(row, call.at);
    }
    return { columns: [call.within[0].expr], constants: call.args, order: call.within };
  }
  // mode(x) has no constant that would be taken for its argument.
  if (call.args.length !== width + constants || (row.order === 'within' && constants > 0)) throw wrongUse(row, call.at);
  if (call.orderBy.length > 0 && row.order !== 'optional' && row.order !== 'required') {
    throw wrongUse(row, call.at, 'the order of the rows does not matter to it');
  }
  if (call.orderBy.length === 0 && row.order === 'required') throw wrongUse(row, call.at, 'it needs an ORDER BY');
  const order = call.orderBy.length === 0 ? null : call.orderBy;
  return { columns: call.args.slice(0, width), constants: call.args.slice(width), order };
}

function wrongUse(row: AggregateFunction, at: Position, why?: string): StreamError {
  const detail = why === undefined ? `these are not the arguments of ${row.name}` : `${row.name}: ${why}`;
  return new StreamError('SQL_BIND', detail, { at, hint: `write ${row.signature}` });
}

const noOverload = (row: AggregateFunction, type: SqlType, at: Position): StreamError =>
  new StreamError('SQL_TYPE', `there is no ${row.name}(${typeName(type)})`, {
    at,
    sqlState: '42883',
    hint: `CAST the argument: ${row.signature}`,
  });

function bindArgument(ast: AstExpr, row: AggregateFunction, i: number, scope: ExprScope): Expr {
  const expr = bindExpr(ast, scope);
  const kind = row.args[i];
  if (kind === 'any') return settle(expr);
  if (kind === 'integers') {
    if (isNullLiteral(expr)) return coerce(expr, INTEGER, ast.at);
    if (isInteger(expr.type) && !isUnknown(expr)) return expr;
    throw noOverload(row, expr.type, ast.at);
  }
  try {
    return coerce(expr, kind === 'double' ? DOUBLE : ({ kind } as SqlType), ast.at);
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code === 'SQL_TYPE') throw noOverload(row, expr.type, ast.at);
    throw thrown;
  }
}

const prepared = (fn: string, arg: Expr): Expr => ({ op: 'call', fn, args: [arg], type: INTEGER });

function constant(ast: AstExpr, type: SqlType, fn: string, scope: ExprScope): Datum {
  const expr = coerce(bindExpr(ast, scope), type, ast.at);
  if (expr.op === 'literal') return expr.value;
  throw new StreamError('SQL_BIND', `this argument of ${fn} must be a constant`, { at: ast.at });
}

const byRow = (row: AggregateFunction, args: readonly Expr[]): OrderKey[] =>
  (row.by ?? []).map(({ arg, descending }) => ({ expr: args[arg], descending, nullsFirst: descending }));

function orderKey(item: OrderItem, scope: ExprScope): OrderKey {
  const { descending, nullsFirst } = item;
  return { expr: settle(bindExpr(item.expr, { ...scope, clause: 'ORDER BY' })), descending, nullsFirst };
}

/** As Postgres: rows that are one by their arguments must be one by the order too. */
function checkDistinct(
  row: AggregateFunction,
  args: readonly Expr[],
  orderBy: readonly OrderKey[],
  at: Position,
): void {
  if (row.moments !== undefined && args.length > 1) throw wrongUse(row, at, 'it takes no DISTINCT');
  if (row.prepare !== undefined) throw wrongUse(row, at, 'it takes no DISTINCT');
  const keys = new Set(args.map(exprKey));
  if (orderBy.every(({ expr }) => keys.has(exprKey(expr)))) return;
  throw new StreamError('SQL_BIND', `with DISTINCT, ${row.name} can be ordered by its arguments only`, { at });
}
