import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { TIMESTAMP, typeName } from '../../src/values/types.ts';
import type { AstExpr } from '../parser/ast.ts';
import type { AsOf } from '../plan/as-of.ts';
import { evaluate } from '../plan/evaluate.ts';
import { isConstant } from '../plan/fold.ts';
import { coerce } from './coerce.ts';
import type { BindContext } from './context.ts';
import { bindExpr } from './expressions.ts';
import { isUnknown } from './literals.ts';
import { Scope } from './scope.ts';

/** The moment that AS OF names: a time, or (at the end of a SELECT) the number of an epoch. Null when it is no constant. */
export function bindAsOf(
  ast: AstExpr,
  scope: Scope,
  schema: readonly ColumnSchema[],
  clause: string,
  context: BindContext,
): AsOf | null {
  const bound = bindExpr(ast, { context, scope, schema, clause });
  if (!isConstant(bound)) return null;
  if (bound.type.kind === 'bigint' || bound.type.kind === 'integer' || bound.type.kind === 'smallint') {
    const epoch = Number(evaluate(bound, []));
    if (Number.isSafeInteger(epoch) && epoch >= 0) return { epoch };
    throw new StreamError('SQL_TYPE', `${clause} takes the number of an epoch, not ${epoch}`, { at: ast.at });
  }
  const isTime = bound.type.kind === 'timestamp' || bound.type.kind === 'timestamptz' || isUnknown(bound);
  if (!isTime) throw noMoment(clause, typeName(bound.type), ast.at);
  const micros = evaluate(coerce(bound, TIMESTAMP, ast.at, 'explicit'), []);
  if (micros === null) throw noMoment(clause, 'NULL', ast.at);
  return { micros: Number(micros) };
}

/** Of all views that the statement reads. */
export function bindWhole(ast: AstExpr, context: BindContext): AsOf {
  const asOf = bindAsOf(ast, new Scope([]), [], 'AS OF', context);
  if (asOf === null) throw noMoment('AS OF', 'not the same for every row', ast.at);
  if (context.mode === 'pull') return asOf;
  throw new StreamError('SQL_UNSUPPORTED', 'AS OF is for a SELECT that is answered once', {
    at: ast.at,
    hint: 'a push query shows the present, as it changes',
  });
}

const noMoment = (clause: string, what: string, at: Position): StreamError =>
  new StreamError('SQL_TYPE', `${clause} takes a timestamp or the number of an epoch, this is ${what}`, {
    at,
    hint: "write AS OF TIMESTAMP '2026-01-01 12:00:00', or the epoch of an earlier answer",
  });
