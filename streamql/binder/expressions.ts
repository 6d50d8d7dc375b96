import { type Position, StreamError } from '../../src/lib/errors.ts';
import {
  BOOLEAN,
  DATE,
  decimal,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  typeName,
  VARCHAR,
} from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { canCast } from '../functions/casts.ts';
import { functionsNamed } from '../functions/functions.ts';
import { FIELD } from '../functions/nested-functions.ts';
import { SYNONYMS } from '../functions/spellings.ts';
import type { AstExpr, Name } from '../parser/ast.ts';
import { PLAIN_NUMERIC } from '../parser/types.ts';
import { fold } from '../plan/fold.ts';
import type { Expr } from '../plan/plan.ts';
import { bindCall, bindCompare, noFunction } from './calls.ts';
import { asBoolean, coerce, unify } from './coerce.ts';
import type { BindContext } from './context.ts';
import { isNullLiteral, isUnknown, literal, numberLiteral, parameterLiteral, unknownLiteral } from './literals.ts';
import { inOrder } from './named-arguments.ts';
import type { Scope, ScopeColumn } from './scope.ts';
import { sessionCall } from './session-calls.ts';
import { spelledOut } from './spellings.ts';
import { bindUserCall } from './user-calls.ts';

type Of<K extends AstExpr['kind']> = Extract<AstExpr, { kind: K }>;

export type SubqueryAst = Of<'exists' | 'inQuery' | 'anyQuery' | 'scalarQuery'>;

/** Where an expression stands: what it may name and which calls it may hold. */
export interface ExprScope {
  readonly context: BindContext;
  readonly scope: Scope;
  /** The column types of what `scope` points into. */
  readonly schema: readonly { readonly type: Expr['type']; readonly nullable: boolean }[];
  /** For messages: WHERE, SELECT, ON. */
  readonly clause: string;
  /** Names that the SELECT list gives, where they cannot be used yet. */
  readonly later?: ReadonlySet<string>;
  /** Takes an aggregate call; absent where none may stand. */
  readonly aggregate?: (call: Of<'call'>, inner: ExprScope) => Expr;
  /** Takes calls that mean something of their own here, before any other; undefined for the rest. */
  readonly call?: (call: Of<'call'>, inner: ExprScope) => Expr | undefined;
  /** Takes GROUPING(…); absent where aggregates are. */
  readonly grouping?: (call: Of<'call'>, inner: ExprScope) => Expr;
  /** The column of GROUP BY TUMBLE(…) that a call of TUMBLE_START and its like names; absent where there is no such window. */
  readonly groupWindow?: (call: Of<'call'>) => Expr | undefined;
  /** Takes a call with OVER; absent where none may stand. */
  readonly window?: (call: Of<'call'>, inner: ExprScope) => Expr;
  /** Takes a subquery; absent where none may stand. */
  readonly subquery?: (ast: SubqueryAst, inner: ExprScope) => Expr;
  /** The same for those in arguments of aggregates. */
  readonly argumentSubquery?: (ast: SubqueryAst, inner: ExprScope) => Expr;
  /** Of the query around this one, whose columns may be named too. */
  readonly outer?: ExprScope;
  /** Names that stand for expressions where FROM has no such column. */
  readonly named?: (path: readonly Name[]) => Expr | undefined;
  /** Told of each column reference, so that a later message knows its place. */
  readonly place?: (expr: Expr, at: Position, name: string) => void;
}

export function bindExpr(ast: AstExpr, scope: ExprScope): Expr {
  switch (ast.kind) {
    case 'column':
      return bindColumn(ast, scope);
    case 'number':
      return numberLiteral(ast.text);
    case 'string':
      return unknownLiteral(ast.value);
    case 'boolean':
      return literal(ast.value, BOOLEAN);
    case 'null':
      return literal(null, { kind: 'null' });
    case 'parameter':
      return parameterLiteral(scope.context.params, ast.index, ast.at);
    case 'typedLiteral': {
      const text = unknownLiteral(ast.unit === null ? ast.text : withUnit(ast.text, ast.unit, ast.at));
      return coerce(text, ast.type === PLAIN_NUMERIC ? plainNumeric(text) : ast.type, ast.at);
    }
    case 'unary':
      return bindUnary(ast, scope);
    case 'binary':
      return bindBinary(ast, scope);
    case 'isNull':
      return fold({ op: 'isNull', arg: bindExpr(ast.arg, scope), negated: ast.negated, type: BOOLEAN });
    case 'isTruth':
      return bindTruth(ast, scope);
    case 'between':
      return bindBetween(ast, scope);
    case 'in':
      return bindIn(ast, scope);
    case 'like':
      return negateIf(
        ast.negated,
        bindCall(
          scope.context,
          ast.insensitive ? 'ilike' : 'like',
          [bindExpr(ast.arg, scope), bindExpr(ast.pattern, scope)],
          ast.at,
        ),
      );
    case 'case':
      return bindCase(ast, scope);
    case 'cast':
      return bindCast(ast, scope);
    case 'extract':
      return bindCall(scope.context, 'extract', [literal(ast.field, VARCHAR), bindExpr(ast.arg, scope)], ast.at);
    case 'call':
      return bindNamedCall(ast, scope);
    case 'star':
      throw new StreamError('SQL_SYNTAX', '* is not a value', { at: ast.at, hint: 'only count(*) takes it' });
    case 'exists':
    case 'inQuery':
    case 'anyQuery':
    case 'scalarQuery':
      if (scope.subquery === undefined) {
        throw unsupported(`a subquery in ${scope.clause}`, 'join the subquery in FROM', ast.at);
      }
      return scope.subquery(ast, scope);
  }
}

export function bindBoolean(ast: AstExpr, scope: ExprScope): Expr {
  return asBoolean(bindExpr(ast, scope), ast.at, scope.clause);
}

const unsupported = (what: string, hint: string, at: Position): StreamError =>
  new StreamError('SQL_UNSUPPORTED', `${what} is not supported`, { at, hint });

/** INTERVAL '10' SECOND is 10 seconds; the text must then be a number. */
function withUnit(text: string, unit: string, at: Position): string {
  if (!/^\s*[+-]?\d+(?:\.\d+)?\s*$/.test(text)) {
    throw new StreamError('SQL_TYPE', `INTERVAL '${text}' ${unit.toUpperCase()}: expected a number`, {
      at,
      hint: `write INTERVAL '10' ${unit.toUpperCase()} or INTERVAL '10 ${unit}s'`,
    });
  }
  return `${text.trim()} ${unit}`;
}

/** `row.field`: the field of a row-typed expression. */
function fieldOf(row: Expr, name: string, at: Position): Expr {
  const { type } = row;
  const fields = type.kind === 'row' ? type.fields : [];
  const field = fields.find((one) => one.name === name);
  if (field === undefined) {
    throw new StreamError(
      'SQL_BIND',
      type.kind === 'row' ? `the row has no field "${name}"` : `${typeName(type)} has no fields`,
      {
        at,
        hint:
          type.kind === 'row' ? `its fields are: ${fields.map((one) => one.name).join(', ')}` : 'only a ROW has fields',
      },
    );
  }
  return fold({ op: 'call', fn: FIELD, args: [row, literal(name, VARCHAR)], type: field.type });
}

/** `column.field` and `table.column.field`, where no column has the whole path for its name. */
function bindFieldPath(ast: Of<'column'>, scope: ExprScope): Expr | undefined {
  for (let length = Math.min(2, ast.path.length - 1); length > 0; length--) {
    const column = scope.scope.find(ast.path.slice(0, length));
    if (column === undefined || scope.schema[column.index].type.kind !== 'row') continue;
    let expr = bindColumn({ ...ast, path: ast.path.slice(0, length) }, scope);
    for (const part of ast.path.slice(length)) expr = fieldOf(expr, part.text, part.at);
    return expr;
  }
  return undefined;
}

function bindColumn(ast: Of<'column'>, scope: ExprScope): Expr {
  if (ast.path.length > 2 || (ast.path.length === 2 && scope.scope.find(ast.path) === undefined)) {
    const field = bindFieldPath(ast, scope);
    if (field !== undefined) return field;
  }
  const named =
    scope.named !== undefined && scope.scope.find(ast.path) === undefined ? scope.named(ast.path) : undefined;
  if (named !== undefined) return named;
  if (scope.outer !== undefined && scope.scope.find(ast.path) === undefined) {
    const outer = bindOuter(ast, scope.outer, 1);
    if (outer !== undefined) return outer;
  }
  const { index, name } = resolved(ast, scope);
  const expr: Expr = { op: 'column', index, type: scope.schema[index].type };
  scope.place?.(expr, ast.at, name);
  return expr;
}

function resolved(ast: Of<'column'>, scope: ExprScope): ScopeColumn {
  const [{ text }] = ast.path;
  try {
    return scope.scope.resolve(ast.path);
  } catch (thrown) {
    if (!(thrown instanceof StreamError) || ast.path.length > 1 || scope.later?.has(text) !== true) throw thrown;
    throw new StreamError(thrown.code, thrown.message, {
      at: ast.at,
      hint: `"${text}" is named in the SELECT list, which comes after ${scope.clause}: repeat its expression, or filter a subquery`,
    });
  }
}

/** A column of the nearest query around this one that has it. */
function bindOuter(ast: Of<'column'>, scope: ExprScope, level: number): Expr | undefined {
  const column = scope.scope.find(ast.path);
  if (column === undefined) return scope.outer === undefined ? undefined : bindOuter(ast, scope.outer, level + 1);
  const { type, nullable } = scope.schema[column.index];
  return { op: 'outer', level, index: column.index, nullable, type };
}

const negateIf = (negated: boolean, arg: Expr): Expr => (negated ? fold({ op: 'not', arg, type: BOOLEAN }) : arg);

function bindUnary(ast: Of<'unary'>, scope: ExprScope): Expr {
  if (ast.op === 'not') return negateIf(true, asBoolean(bindExpr(ast.arg, scope), ast.arg.at, 'the argument of NOT'));
  // The sign belongs to the number: -9223372036854775808 is a BIGINT.
  if (ast.op === '-' && ast.arg.kind === 'number') return numberLiteral(`-${ast.arg.text}`);
  const arg = bindExpr(ast.arg, scope);
  if (ast.op === '+' && functionsNamed('+').every((fn) => fn.args.length !== 1)) return bindPlus(arg, ast.at);
  return bindCall(scope.context, ast.op, [arg], ast.at);
}

function bindPlus(arg: Expr, at: Position): Expr {
  if (['smallint', 'integer', 'bigint', 'decimal', 'real', 'double', 'null'].includes(arg.type.kind)) return arg;
  throw new StreamError('SQL_TYPE', `there is no + ${typeName(arg.type)}`, { at });
}

const COMPARISONS = new Set(['=', '<>', '<', '<=', '>', '>=']);

function bindBinary(ast: Of<'binary'>, scope: ExprScope): Expr {
  const { op, at } = ast;
  if (op === 'and' || op === 'or') {
    const args = chainOf(ast).map((term) =>
      asBoolean(bindExpr(term, scope), term.at, `the argument of ${op.toUpperCase()}`),
    );
    return fold({ op, args, type: BOOLEAN });
  }
  const left = bindExpr(ast.left, scope);
  const right = bindExpr(ast.right, scope);
  if (COMPARISONS.has(op)) return bindCompare(op as '=', left, right, at);
  if (op === 'is distinct from') return bindCompare('distinct', left, right, at);
  if (op === 'is not distinct from') return bindCompare('notDistinct', left, right, at);
  if (
    op === '||' &&
    (left.type.kind === 'array') !== (right.type.kind === 'array') &&
    !isUnknown(left) &&
    !isUnknown(right)
  )
    return joinElement(scope.context, left, right, at);
  return bindCall(scope.context, op, [left, right], at);
}

/** array || element and element || array; a text beside an array is a text. */
function joinElement(context: ExprScope['context'], left: Expr, right: Expr, at: Position): Expr {
  const [array, element] = left.type.kind === 'array' ? [left, right] : [right, left];
  const isElement =
    array.type.kind === 'array' && (element.type.kind !== 'varchar' || array.type.element.kind === 'varchar');
  if (!isElement || isNullLiteral(element)) return bindCall(context, '||', [left, right], at);
  return bindCall(context, left === array ? 'array_append' : 'array_prepend', [left, right], at);
}

/** The terms of a AND b AND c, in order; the parser nests them to the left, maybe thousands deep. */
export function chainOf(ast: Of<'binary'>): AstExpr[] {
  const terms: AstExpr[] = [];
  const stack: AstExpr[] = [ast];
  for (let term = stack.pop(); term !== undefined; term = stack.pop()) {
    if (term.kind === 'binary' && term.op === ast.op) stack.push(term.right, term.left);
    else terms.push(term);
  }
  return terms;
}

function bindTruth(ast: Of<'isTruth'>, scope: ExprScope): Expr {
  const arg = asBoolean(bindExpr(ast.arg, scope), ast.arg.at, 'the argument of IS');
  if (ast.truth === null) return fold({ op: 'isNull', arg, negated: ast.negated, type: BOOLEAN });
  return bindCompare(ast.negated ? 'distinct' : 'notDistinct', arg, literal(ast.truth, BOOLEAN), ast.at);
}

function bindBetween(ast: Of<'between'>, scope: ExprScope): Expr {
  const arg = bindExpr(ast.arg, scope);
  const low = bindCompare('>=', arg, bindExpr(ast.low, scope), ast.at);
  const high = bindCompare('<=', arg, bindExpr(ast.high, scope), ast.at);
  return negateIf(ast.negated, fold({ op: 'and', args: [low, high], type: BOOLEAN }));
}

function bindIn(ast: Of<'in'>, scope: ExprScope): Expr {
  const [arg, ...list] = unify(
    [bindExpr(ast.arg, scope), ...ast.list.map((item) => bindExpr(item, scope))],
    ast.at,
    'IN',
    true,
  );
  if (list.every((item) => item.op === 'literal')) {
    const values = list.map((item) => (item as Extract<Expr, { op: 'literal' }>).value);
    return fold({ op: 'in', arg, values, negated: ast.negated, type: BOOLEAN });
  }
  const equal = list.map((right): Expr => ({ op: 'compare', cmp: '=', left: arg, right, type: BOOLEAN }));
  return negateIf(ast.negated, equal.length === 1 ? equal[0] : { op: 'or', args: equal, type: BOOLEAN });
}

function bindCase(ast: Of<'case'>, scope: ExprScope): Expr {
  const operand = ast.operand === null ? null : bindExpr(ast.operand, scope);
  const whens = ast.branches.map(({ when }) => {
    const bound = bindExpr(when, scope);
    return operand === null ? asBoolean(bound, when.at, 'WHEN') : bindCompare('=', operand, bound, when.at);
  });
  const otherwise = ast.otherwise === null ? literal(null, { kind: 'null' }) : bindExpr(ast.otherwise, scope);
  const values = unify([...ast.branches.map((branch) => bindExpr(branch.then, scope)), otherwise], ast.at, 'CASE');
  const branches = whens.map((when, i) => ({ when, then: values[i] }));
  return fold({ op: 'case', branches, otherwise: values[values.length - 1], type: values[0].type });
}

function bindCast(ast: Of<'cast'>, scope: ExprScope): Expr {
  const arg = bindExpr(ast.arg, scope);
  if (ast.type === PLAIN_NUMERIC) {
    const type = plainNumeric(arg);
    return coerce(arg, type, ast.at, 'explicit', ast.safe);
  }
  if (arg.type.kind !== 'null' && !isUnknown(arg) && !canCast(arg.type, ast.type, 'explicit')) {
    throw new StreamError('SQL_TYPE', `${typeName(arg.type)} cannot be cast to ${typeName(ast.type)}`, { at: ast.at });
  }
  return coerce(arg, ast.type, ast.at, 'explicit', ast.safe);
}

/** The decimal that holds the value: as many digits as it has where that is known. */
function plainNumeric(arg: Expr): SqlType {
  if (isUnknown(arg) && arg.op === 'literal' && /^\s*[+-]?\d+(\.\d+)?\s*$/.test(String(arg.value))) {
    const [whole, fraction = ''] = String(arg.value).trim().replace(/^[+-]/, '').split('.');
    const precision = whole.length + fraction.length;
    if (precision <= MAX_DECIMAL_PRECISION) return decimal(precision, fraction.length);
  }
  if (arg.type.kind === 'decimal') return arg.type;
  const digits = { smallint: 5, integer: 10, bigint: 19 }[arg.type.kind as string];
  return digits === undefined ? PLAIN_NUMERIC : decimal(digits, 0);
}

/** What only the call of an aggregate may have. */
function ofAggregates(ast: Of<'call'>): string | undefined {
  if (ast.distinct) return 'DISTINCT';
  if (ast.filter !== null) return 'FILTER';
  if (ast.within !== null) return 'WITHIN GROUP';
  return ast.orderBy.length > 0 ? 'ORDER BY' : undefined;
}

/** TUMBLE, HOP and their like, and what they are called with `_START` and so on after them. */
export const GROUP_WINDOW = /^(tumble|hop|cumulate|session)(?:_(start|end|rowtime|proctime))?$/;

/** Postgres's words for the present: now() as of these types. */
const PRESENT: Readonly<Record<string, SqlType>> = {
  current_timestamp: TIMESTAMPTZ,
  localtimestamp: TIMESTAMP,
  current_date: DATE,
  localtime: TIME,
};

function bindNamedCall(ast: Of<'call'>, scope: ExprScope): Expr {
  if (ast.argNames !== undefined) return bindNamedCall(inOrder(ast, scope.context), scope);
  const name = ast.name.text;
  const { at } = ast;
  const own = scope.call?.(ast, scope);
  if (own !== undefined) return own;
  const user = scope.context.catalog.userFunction?.(name);
  if (user !== undefined && user.kind !== 'table') return bindUserCall(ast, user, scope, bindExpr);
  if (ast.over !== null) {
    if (scope.window === undefined) {
      throw new StreamError('SQL_BIND', `a call with OVER may not stand in ${scope.clause}`, {
        at,
        hint: 'compute it in a subquery',
      });
    }
    return scope.window(ast, scope);
  }
  if (AGGREGATES.has(name)) {
    if (scope.aggregate === undefined) {
      throw new StreamError('SQL_BIND', `the aggregate ${name} may not stand in ${scope.clause}`, {
        at,
        hint: scope.clause === 'WHERE' ? 'use HAVING' : 'compute it in a subquery',
      });
    }
    return scope.aggregate(ast, scope);
  }
  const extra = ofAggregates(ast);
  if (extra !== undefined) throw new StreamError('SQL_BIND', `${name} is no aggregate: it takes no ${extra}`, { at });
  if (name === 'grouping') {
    if (scope.grouping === undefined) {
      throw new StreamError('SQL_BIND', `GROUPING may not stand in ${scope.clause}`, {
        at,
        hint: 'it goes with GROUP BY',
      });
    }
    return scope.grouping(ast, scope);
  }
  if (GROUP_WINDOW.test(name) && functionsNamed(name).length === 0) {
    const column = scope.groupWindow?.(ast);
    if (column !== undefined) return column;
    throw unsupported(
      `${name.toUpperCase()} as a function`,
      "it goes with GROUP BY TUMBLE(ts, …) of the same arguments; or write FROM TUMBLE(t, ts, INTERVAL '10 seconds') and GROUP BY window_start, window_end",
      at,
    );
  }
  if (name === 'proctime' && ast.args.length === 0) return recordTime(scope, at);
  if (
    ast.args.some((arg) => arg.kind === 'star') &&
    functionsNamed(name).length === 0 &&
    !Object.hasOwn(SYNONYMS, name)
  )
    throw noFunction(scope.context, name, at);
  const spelled = spelledOut(ast);
  if (spelled !== undefined) return bindExpr(spelled, scope);
  const args = ast.args.map((arg) => bindExpr(arg, scope));
  if (name === '.') return fieldOf(args[0], (ast.args[1] as Of<'string'>).value, at);
  const fact = sessionCall(scope.context, name, args, at);
  if (fact !== undefined) return fact;
  if (Object.hasOwn(PRESENT, name) && args.length === 0) {
    return coerce(bindCall(scope.context, 'now', [], at, scope.clause), PRESENT[name], at, 'explicit');
  }
  if (name === 'coalesce' || name === 'ifnull' || name === 'nvl') return bindCoalesce(args, at);
  if ((name === 'if' || name === 'iif') && args.length === 3) {
    const [then, otherwise] = unify(args.slice(1), at, name.toUpperCase());
    const when = asBoolean(args[0], at, `the first argument of ${name.toUpperCase()}`);
    return fold({ op: 'case', branches: [{ when, then }], otherwise, type: then.type });
  }
  if (name === 'nullif' && args.length === 2) {
    const when = bindCompare('=', args[0], args[1], at);
    const then = isUnknown(args[0]) || isNullLiteral(args[0]) ? unify(args, at, 'NULLIF')[0] : args[0];
    return fold({ op: 'case', branches: [{ when, then: literal(null, then.type) }], otherwise: then, type: then.type });
  }
  const known = functionsNamed(name).length > 0 || !Object.hasOwn(SYNONYMS, name);
  return bindCall(scope.context, known ? name : SYNONYMS[name], args, at, scope.clause);
}

/** PROCTIME(): when the record was written, so that a view says the same whenever it is made. */
function recordTime(scope: ExprScope, at: Position): Expr {
  const found = scope.scope.find([{ text: '_timestamp', quoted: true, at }]);
  if (found !== undefined) return { op: 'column', index: found.index, type: scope.schema[found.index].type };
  throw new StreamError('SQL_BIND', 'PROCTIME() is the time of a record, and there is no source here', {
    at,
    hint: 'compute it in a subquery over the source',
  });
}

function bindCoalesce(given: readonly Expr[], at: Position): Expr {
  if (given.length === 0) throw new StreamError('SQL_TYPE', 'coalesce takes at least one argument', { at });
  const args = unify(given, at, 'COALESCE');
  return args.length === 1 ? args[0] : fold({ op: 'coalesce', args, type: args[0].type });
}
