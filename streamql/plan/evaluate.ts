import { assert } from '../../src/lib/assert.ts';
import { StreamError } from '../../src/lib/errors.ts';
import { compareDatums, equalDatums } from '../../src/values/compare.ts';
import type { Datum } from '../../src/values/types.ts';
import { castDatum } from '../functions/casts.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import type { Expr } from './plan.ts';

/**
 * The value of an expression for one row, straight from the definitions. For constants at bind time, and the yardstick for the
 * engine's generated code in tests. Throws StreamError VALUE_* where there is no value.
 */
export function evaluate(expr: Expr, row: readonly Datum[]): Datum {
  switch (expr.op) {
    case 'column':
      return row[expr.index];
    case 'outer':
      throw new StreamError('INVARIANT', 'a column of an outer query is left in a plan');
    case 'literal':
      return expr.value;
    case 'call':
      return evaluateCall(expr, row);
    case 'and':
    case 'or':
      return evaluateLogic(expr, row);
    case 'not': {
      const value = evaluate(expr.arg, row);
      return value === null ? null : value !== true;
    }
    case 'isNull':
      return (evaluate(expr.arg, row) === null) !== expr.negated;
    case 'compare':
      return evaluateCompare(expr, row);
    case 'case': {
      const branch = expr.branches.find(({ when }) => evaluate(when, row) === true);
      return evaluate(branch === undefined ? expr.otherwise : branch.then, row);
    }
    case 'coalesce': {
      for (const arg of expr.args) {
        const value = evaluate(arg, row);
        if (value !== null) return value;
      }
      return null;
    }
    case 'in': {
      const value = evaluate(expr.arg, row);
      if (value === null) return null;
      if (expr.values.some((candidate) => candidate !== null && equalDatums(value, candidate, expr.arg.type)))
        return !expr.negated;
      return expr.values.includes(null) ? null : expr.negated;
    }
    case 'cast': {
      const value = evaluate(expr.arg, row);
      if (value === null) return null;
      if (!expr.safe) return castDatum(value, expr.arg.type, expr.type);
      try {
        return castDatum(value, expr.arg.type, expr.type);
      } catch {
        return null;
      }
    }
  }
}

function evaluateCall(expr: Extract<Expr, { op: 'call' }>, row: readonly Datum[]): Datum {
  const fn = FUNCTIONS.get(expr.fn);
  assert(fn !== undefined, `there is no function ${expr.fn}`);
  const args = expr.args.map((arg) => evaluate(arg, row));
  if (!fn.nullAware && args.includes(null)) return null;
  return fn.call(args, [...expr.args.map((arg) => arg.type), expr.type]);
}

function evaluateLogic(expr: Extract<Expr, { op: 'and' | 'or' }>, row: readonly Datum[]): Datum {
  const decisive = expr.op === 'or';
  let unknown = false;
  for (const arg of expr.args) {
    const value = evaluate(arg, row);
    if (value === decisive) return decisive;
    if (value === null) unknown = true;
  }
  return unknown ? null : !decisive;
}

function evaluateCompare(expr: Extract<Expr, { op: 'compare' }>, row: readonly Datum[]): Datum {
  const left = evaluate(expr.left, row);
  const right = evaluate(expr.right, row);
  const { type } = expr.left;
  if (expr.cmp === 'distinct' || expr.cmp === 'notDistinct') {
    const same = left === null || right === null ? left === right : equalDatums(left, right, type);
    return same === (expr.cmp === 'notDistinct');
  }
  if (left === null || right === null) return null;
  const order = compareDatums(left, right, type);
  switch (expr.cmp) {
    case '=':
      return order === 0;
    case '<>':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}
