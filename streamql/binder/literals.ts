import { type Position, StreamError } from '../../src/lib/errors.ts';
import {
  BIGINT,
  BOOLEAN,
  canonicalInteger,
  DOUBLE,
  decimal,
  INTEGER,
  MAX_DECIMAL_PRECISION,
  NULL_TYPE,
  type SqlType,
  VARCHAR,
} from '../../src/values/types.ts';
import type { Expr } from '../plan/plan.ts';

export const literal = (value: Extract<Expr, { op: 'literal' }>['value'], type: SqlType): Expr => ({
  op: 'literal',
  value,
  type,
});
export const TRUE: Expr = literal(true, BOOLEAN);
export const FALSE: Expr = literal(false, BOOLEAN);

/** Strings that stand for a value of any type, Postgres's "unknown": quoted literals and text parameters. */
const unknowns = new WeakSet<Expr>();
export const isUnknown = (expr: Expr): boolean => unknowns.has(expr);

export function unknownLiteral(text: string): Expr {
  const expr = literal(text, VARCHAR);
  unknowns.add(expr);
  return expr;
}

/** NULL as it is written; a NULL that was cast has a type, which counts. */
export const isNullLiteral = (expr: Expr): boolean =>
  expr.op === 'literal' && expr.value === null && expr.type.kind === 'null';

/**
 * The smallest exact type that holds a number as written: INTEGER, BIGINT, DECIMAL(p, s); DOUBLE only when more than
 * 38 digits would be needed.
 */
export function numberLiteral(text: string): Expr {
  const match = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return literal(Number(text), DOUBLE);
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  const shift = Number(exponent);
  const isInteger = !text.includes('.') && match[4] === undefined;
  if (Math.abs(shift) > 2 * MAX_DECIMAL_PRECISION) return literal(Number(text), DOUBLE);
  let scale = fraction.length - shift;
  let digits = (whole + fraction).replace(/^0+/, '');
  if (scale < 0) {
    digits += digits === '' ? '' : '0'.repeat(-scale);
    scale = 0;
  }
  const precision = Math.max(digits.length, scale, 1);
  if (precision > MAX_DECIMAL_PRECISION) return literal(Number(text), DOUBLE);
  const value = canonicalInteger(BigInt(`${sign}${digits || '0'}`));
  if (!isInteger) return literal(value, decimal(precision, scale));
  if (typeof value === 'number' && value >= -2147483648 && value <= 2147483647) return literal(value, INTEGER);
  const big = BigInt(value);
  if (big >= -(2n ** 63n) && big < 2n ** 63n) return literal(value, BIGINT);
  return literal(value, decimal(precision, 0));
}

/** A JSON value given for $n. */
export function parameterLiteral(params: readonly unknown[], index: number, at: Position): Expr {
  if (index > params.length) {
    throw new StreamError('SQL_BIND', `there is no value for $${index}`, {
      at,
      sqlState: '42P02',
      hint: `${params.length} values were given in params`,
    });
  }
  const value = params[index - 1];
  if (value === null) return literal(null, NULL_TYPE);
  if (typeof value === 'boolean') return literal(value, BOOLEAN);
  if (typeof value === 'string') return unknownLiteral(value);
  if (typeof value === 'bigint') return numberLiteral(String(value));
  if (typeof value === 'number' && Number.isFinite(value)) return numberLiteral(String(value));
  throw new StreamError('SQL_BIND', `the value for $${index} is neither text, number, boolean nor null`, {
    at,
    hint: 'give objects and arrays as JSON text',
  });
}
