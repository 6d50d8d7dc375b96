import { StreamError } from '../../src/lib/errors.ts';
import { type SqlType, typeName } from '../../src/values/types.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import { signatureOf, type UserFunction, userFunctionId } from '../functions/user/user-function.ts';
import type { AstExpr } from '../parser/ast.ts';
import { parseStatements } from '../parser/parser.ts';
import { fold } from '../plan/fold.ts';
import type { Expr } from '../plan/plan.ts';
import { coerce } from './coerce.ts';
import type { BindContext } from './context.ts';
import type { ExprScope } from './expressions.ts';
import { Scope } from './scope.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;
type Bind = (ast: AstExpr, scope: ExprScope) => Expr;

/** SQL functions may call one another so deep. */
const MAX_INLINED = 32;

/** A call of what CREATE FUNCTION or CREATE AGGREGATE made. */
export function bindUserCall(ast: Call, fn: UserFunction, scope: ExprScope, bind: Bind): Expr {
  const { at } = ast;
  if (ast.args.length !== fn.params.length || ast.args.some((arg) => arg.kind === 'star')) {
    throw new StreamError('SQL_TYPE', `${fn.name} takes ${fn.params.length} arguments, not ${ast.args.length}`, {
      at,
      sqlState: '42883',
      hint: `there is ${fn.name}${signatureOf(fn)}`,
    });
  }
  if (ast.over !== null) {
    throw new StreamError('SQL_UNSUPPORTED', `${fn.name} with OVER is not supported`, {
      at,
      hint: 'use it with GROUP BY',
    });
  }
  if (fn.kind === 'aggregate') {
    // The name in a plan is the whole definition.
    const args = ast.args.map(
      (arg, i): AstExpr => ({ kind: 'cast', arg, type: fn.params[i].type, safe: false, at: arg.at }),
    );
    return bind({ ...ast, name: { ...ast.name, text: userFunctionId(fn) }, args }, scope);
  }
  if (ast.distinct || ast.filter !== null || ast.within !== null || ast.orderBy.length > 0)
    throw new StreamError('SQL_BIND', `${fn.name} is no aggregate`, { at });
  const args = ast.args.map((arg, i) => coerce(bind(arg, scope), fn.params[i].type, arg.at));
  if (fn.language === 'sql') return inlined(fn, args, scope.context, bind);
  const row = FUNCTIONS.get(userFunctionId(fn));
  if (row === undefined) throw new StreamError('INVARIANT', `${fn.name} is no scalar function`);
  return fold({ op: 'call', fn: row.id, args, type: fn.returns as SqlType });
}

/** The body of a SQL function with these arguments. */
export function inlined(fn: UserFunction, args: readonly Expr[], context: BindContext, bind: Bind): Expr {
  if (++context.inlined > MAX_INLINED) {
    throw new StreamError('SQL_LIMIT', `SQL functions call one another more than ${MAX_INLINED} deep`);
  }
  const body = bodyOf(fn);
  const bound = bind(body, {
    context,
    scope: new Scope([]),
    schema: [],
    clause: `the function ${fn.name}`,
    named: (path) => {
      const at = path.length === 1 ? fn.params.findIndex(({ name }) => name === path[0].text) : -1;
      return at < 0 ? undefined : args[at];
    },
  });
  context.inlined--;
  return coerce(bound, fn.returns as SqlType, body.at, 'assignment');
}

function bodyOf({ name, source, returns }: UserFunction): AstExpr {
  const [statement, second] = parseStatements(source);
  const body = second === undefined && statement?.kind === 'query' ? statement.query.body : undefined;
  const item = body?.kind === 'select' && body.from.length === 0 && body.items.length === 1 ? body.items[0] : undefined;
  if (item?.kind === 'expr') return item.expr;
  throw new StreamError('SQL_UNSUPPORTED', `the body of the SQL function "${name}" is no SELECT of one expression`, {
    hint: `write RETURN <expression of type ${returns === null ? 'TABLE' : typeName(returns)}>, or make a view`,
  });
}
