import { castDatum } from '../../streamql/functions/casts.ts';
import type { ScalarFunction } from '../../streamql/functions/function-table.ts';
import { FUNCTIONS } from '../../streamql/functions/functions.ts';
import type { Expr } from '../../streamql/plan/plan.ts';
import { assert } from '../lib/assert.ts';
import { StreamError } from '../lib/errors.ts';
import { type Datum, type SqlType, TIMESTAMP, typeName } from '../values/types.ts';
import { nativeCast } from './duckdb-casts.ts';
import { castTo, printLiteral } from './duckdb-types.ts';
import { isForeign } from './foreign-functions.ts';

/** A computation that DuckDB hands back to our own code, row by row. */
export interface ForeignCall {
  /** Equal for calls that are the same function: name and types. */
  readonly key: string;
  readonly args: readonly SqlType[];
  readonly type: SqlType;
  /** NULLs included. Throws StreamError VALUE_*. */
  run(args: readonly Datum[]): Datum;
}

/** What printing an expression needs from around it. */
export interface ExprScope {
  column(index: number): string;
  /** The name under which DuckDB knows the call. */
  foreign(call: ForeignCall): string;
}

/** Texts this short are cheap to repeat where a function's spelling names an argument more than once. */
const SHORT_TEXT = 160;

/** Spellings that may answer, or fail, where an argument is NULL. */
const NULL_PRONE = /\b(case|error|greatest|least|concat|concat_ws|coalesce)\b/i;

/** An expression in DuckDB's SQL, of exactly the type that duckdbType gives for `expr.type`. */
export function printExpr(expr: Expr, scope: ExprScope): string {
  const print = (one: Expr): string => printExpr(one, scope);
  switch (expr.op) {
    case 'column':
      return scope.column(expr.index);
    case 'outer':
      throw new StreamError('INVARIANT', 'a column of an outer query is left in a plan');
    case 'literal':
      return printLiteral(expr.value, expr.type);
    case 'call':
      return castTo(printCall(expr, scope), expr.type);
    case 'and':
    case 'or':
      return `(${expr.args.map(print).join(expr.op === 'and' ? ' AND ' : ' OR ')})`;
    case 'not':
      return `(NOT ${print(expr.arg)})`;
    case 'isNull':
      return `(${print(expr.arg)} IS ${expr.negated ? 'NOT NULL' : 'NULL'})`;
    case 'compare': {
      const sign =
        expr.cmp === 'distinct' ? 'IS DISTINCT FROM' : expr.cmp === 'notDistinct' ? 'IS NOT DISTINCT FROM' : expr.cmp;
      return `(${print(expr.left)} ${sign} ${print(expr.right)})`;
    }
    case 'case': {
      const branches = expr.branches.map(
        ({ when, then }) => `WHEN ${print(when)} THEN ${castTo(print(then), expr.type)}`,
      );
      return `CASE ${branches.join(' ')} ELSE ${castTo(print(expr.otherwise), expr.type)} END`;
    }
    case 'coalesce':
      return `COALESCE(${expr.args.map((arg) => castTo(print(arg), expr.type)).join(', ')})`;
    case 'in': {
      const arg = print(expr.arg);
      if (expr.values.length === 0) return `CASE WHEN ${arg} IS NOT NULL THEN ${expr.negated ? 'TRUE' : 'FALSE'} END`;
      const values = expr.values.map((value) => printLiteral(value, expr.arg.type));
      return `(${arg} ${expr.negated ? 'NOT IN' : 'IN'} (${values.join(', ')}))`;
    }
    case 'cast':
      return printCast(expr, scope);
  }
}

function printCall(expr: Extract<Expr, { op: 'call' }>, scope: ExprScope): string {
  const fn = FUNCTIONS.get(expr.fn);
  assert(fn !== undefined, `there is no function ${expr.fn}`);
  const args = expr.args.map((arg) => printExpr(arg, scope));
  const types = [...expr.args.map((arg) => arg.type), expr.type];
  const inUtc = withoutZones(expr);
  if (inUtc !== undefined) return printExpr(inUtc, scope);
  if (isForeign(fn, expr.args, expr.type)) return foreignCall(fn, args, types, scope);
  if (fn.duckdb === undefined) return `${fn.name}(${args.join(', ')})`;
  const spell = fn.duckdb.bind(fn);
  try {
    return withShortArguments(expr.args, args, (short) => {
      const text = spell(short, types);
      if (fn.nullAware === true || !NULL_PRONE.test(text)) return text;
      return `CASE WHEN ${short.map((arg) => `${arg} IS NOT NULL`).join(' AND ')} THEN ${text} END`;
    });
  } catch (thrown) {
    // The function's way to say that DuckDB has no words for these arguments.
    if (thrown instanceof StreamError) return foreignCall(fn, args, types, scope);
    throw thrown;
  }
}

/**
 * The same call over timestamps. DuckDB's own functions of timestamptz count in the Julian calendar before 1582 and are slower; we are in
 * UTC anyway.
 */
function withoutZones(expr: Extract<Expr, { op: 'call' }>): Expr | undefined {
  const fn = FUNCTIONS.get(expr.fn.replace('timestamptz', 'timestamp'));
  if (!expr.fn.includes('timestamptz') || fn === undefined || fn.id === expr.fn || fn.own === true) return undefined;
  const args = expr.args.map((arg): Expr => (arg.type.kind === 'timestamptz' ? castExpr(arg, TIMESTAMP) : arg));
  if (args.every((arg, i) => arg === expr.args[i])) return undefined;
  const type = expr.type.kind === 'timestamptz' ? TIMESTAMP : expr.type;
  const call: Expr = { op: 'call', fn: fn.id, args, type };
  return type === expr.type ? call : castExpr(call, expr.type);
}

const castExpr = (arg: Expr, type: SqlType): Expr => ({ op: 'cast', arg, type, safe: false });

/**
 * Long arguments are bound to a lambda's variable, so that a spelling that repeats them does not grow exponentially. Constants stay, as
 * some functions want them constant.
 */
function withShortArguments(
  exprs: readonly Expr[],
  args: readonly string[],
  spell: (args: readonly string[]) => string,
): string {
  const isLong = args.map((arg, i) => arg.length > SHORT_TEXT && exprs[i].op !== 'literal');
  if (!isLong.includes(true)) return spell(args);
  const variable = `v${depthOf(args)}`;
  const fields = args.flatMap((arg, i) => (isLong[i] ? [`a${i} := ${castTo(arg, exprs[i].type)}`] : []));
  const body = spell(args.map((arg, i) => (isLong[i] ? `${variable}.a${i}` : arg)));
  return `list_transform([struct_pack(${fields.join(', ')})], lambda ${variable}: ${body})[1]`;
}

/** One more than the deepest lambda variable in the texts. */
function depthOf(texts: readonly string[]): number {
  let depth = 0;
  for (const text of texts) {
    for (const [, digits] of text.matchAll(/lambda v(\d+):/g)) depth = Math.max(depth, Number(digits) + 1);
  }
  return depth;
}

function foreignCall(fn: ScalarFunction, args: readonly string[], types: readonly SqlType[], scope: ExprScope): string {
  const name = scope.foreign({
    key: `${fn.id}(${types.map(typeName).join(',')})`,
    args: types.slice(0, -1),
    type: types[types.length - 1],
    run: (values) => (fn.nullAware !== true && values.includes(null) ? null : fn.call(values, types)),
  });
  return `${name}(${args.join(', ')})`;
}

function printCast(expr: Extract<Expr, { op: 'cast' }>, scope: ExprScope): string {
  const text = printExpr(expr.arg, scope);
  const { safe, type } = expr;
  const from = expr.arg.type;
  const native = nativeCast(text, from, type, safe);
  if (native !== undefined) return native;
  const name = scope.foreign({
    key: `${safe ? 'try_cast' : 'cast'}(${typeName(from)},${typeName(type)})`,
    args: [from],
    type,
    run: ([value]) => {
      if (value === null) return null;
      if (!safe) return castDatum(value, from, type);
      try {
        return castDatum(value, from, type);
      } catch {
        return null;
      }
    },
  });
  return `${name}(${text})`;
}
