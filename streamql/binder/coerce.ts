import { asStreamError, type Position, StreamError } from '../../src/lib/errors.ts';
import { DOUBLE, isNumeric, NULL_TYPE, type SqlType, sameType, typeName, VARCHAR } from '../../src/values/types.ts';
import { canCast, commonType } from '../functions/casts.ts';
import { evaluate } from '../plan/evaluate.ts';
import { isConstant } from '../plan/fold.ts';
import type { Expr } from '../plan/plan.ts';
import { isNullLiteral, isUnknown, literal } from './literals.ts';

/** implicit: in expressions; assignment: into a table's column; explicit: CAST. */
export type CastLevel = 'implicit' | 'assignment' | 'explicit';

/** The expression as a value of `type`. Literals are converted now, so that their errors have a place. */
export function coerce(expr: Expr, type: SqlType, at: Position, level: CastLevel = 'implicit', safe = false): Expr {
  if (isNullLiteral(expr)) return literal(null, type);
  if (isUnknown(expr))
    return type.kind === 'varchar'
      ? literal((expr as { value: string }).value, VARCHAR)
      : convert(expr, type, at, safe);
  if (sameType(expr.type, type)) return expr;
  if (!canCast(expr.type, type, level)) {
    throw new StreamError(
      'SQL_TYPE',
      `${typeName(expr.type)} cannot become ${typeName(type)}${level === 'explicit' ? '' : ' by itself'}`,
      {
        at,
        ...(level !== 'explicit' && canCast(expr.type, type, 'explicit')
          ? { hint: `write CAST(… AS ${typeName(type).toUpperCase()})` }
          : {}),
      },
    );
  }
  return isConstant(expr) ? convert(expr, type, at, safe) : { op: 'cast', arg: expr, type, safe };
}

function convert(arg: Expr, type: SqlType, at: Position, safe: boolean): Expr {
  try {
    return literal(evaluate({ op: 'cast', arg, type, safe }, []), type);
  } catch (thrown) {
    const error = asStreamError(thrown);
    throw new StreamError(error.code, error.message, { at, ...(error.hint ? { hint: error.hint } : {}) });
  }
}

/** The one type that all sides take; strings without a type take the others'. SQL_TYPE when there is none. */
export function unifiedType(exprs: readonly Expr[], at: Position, what: string, compared = false): SqlType {
  const known = exprs.filter((expr) => !isUnknown(expr) && !isNullLiteral(expr)).map((expr) => expr.type);
  if (known.length === 0) return exprs.some(isUnknown) ? VARCHAR : NULL_TYPE;
  const common = known.every((type) => sameType(type, known[0])) ? known[0] : commonType(known);
  if (common === undefined || common === null) {
    const names = [...new Set(known.map(typeName))].join(' and ');
    throw new StreamError('SQL_TYPE', `${what}: ${names} have no type in common`, {
      at,
      hint: 'CAST one to the type of the other',
    });
  }
  // As one value numbers beside a real are reals; compared they are doubles, which tell more of them apart.
  if (compared && common.kind === 'real' && known.some((type) => type.kind !== 'real')) return DOUBLE;
  return common;
}

/** All as of one type. `compared`: only to be compared with each other. */
export function unify(exprs: readonly Expr[], at: Position, what: string, compared = false): Expr[] {
  const type = unifiedType(exprs, at, what, compared);
  return exprs.map((expr) => coerce(expr, type, at));
}

/** A number literal against another type keeps its own when that is exact; NULL_TYPE columns become text at the edge. */
export function settle(expr: Expr): Expr {
  if (expr.type.kind === 'null') return literal(null, VARCHAR);
  return expr;
}

/** `expr` as a boolean, for WHERE and its like. */
export function asBoolean(expr: Expr, at: Position, clause: string): Expr {
  if (expr.type.kind === 'boolean' || isUnknown(expr) || isNullLiteral(expr))
    return coerce(expr, { kind: 'boolean' }, at);
  throw new StreamError('SQL_TYPE', `${clause} must be boolean, it is ${typeName(expr.type)}`, {
    at,
    ...(isNumeric(expr.type) ? { hint: 'compare it: … <> 0' } : {}),
  });
}
