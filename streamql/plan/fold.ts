import { StreamError } from '../../src/lib/errors.ts';
import { BOOLEAN } from '../../src/values/types.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import { evaluate } from './evaluate.ts';
import type { Expr } from './plan.ts';
import { childrenOf } from './walk.ts';

const TRUE: Expr = { op: 'literal', value: true, type: BOOLEAN };
const FALSE: Expr = { op: 'literal', value: false, type: BOOLEAN };
const isTrue = (expr: Expr): boolean => expr.op === 'literal' && expr.value === true;
const isFalse = (expr: Expr): boolean => expr.op === 'literal' && expr.value === false;

/** Has the same value for every row and every time. */
export function isConstant(expr: Expr): boolean {
  if (expr.op === 'literal') return true;
  if (expr.op === 'column' || expr.op === 'outer') return false;
  if (expr.op === 'call' && FUNCTIONS.get(expr.fn)?.deterministic === false) return false;
  return childrenOf(expr).every(isConstant);
}

/**
 * One node, its children folded already: constants become literals, AND and OR lose what does not matter. What fails for its value
 * (1 / 0) stays, so that it fails only where it is reached. Dropping an operand of AND or OR is allowed in SQL, as is any order.
 */
export function fold(expr: Expr): Expr {
  switch (expr.op) {
    case 'column':
    case 'outer':
    case 'literal':
      return expr;
    case 'and':
    case 'or': {
      const args = expr.args.flatMap((arg) => (arg.op === expr.op ? arg.args : [arg]));
      const [neutral, decisive] = expr.op === 'and' ? [isTrue, isFalse] : [isFalse, isTrue];
      if (args.some(decisive)) return expr.op === 'and' ? FALSE : TRUE;
      const left = args.filter((arg) => !neutral(arg));
      if (left.length === 0) return expr.op === 'and' ? TRUE : FALSE;
      return left.length === 1 ? left[0] : { ...expr, args: left };
    }
    case 'case':
      return foldCase(expr);
    default:
      return isConstant(expr) ? toLiteral(expr) : expr;
  }
}

function foldCase(expr: Extract<Expr, { op: 'case' }>): Expr {
  const branches = expr.branches.filter(({ when }) => !(when.op === 'literal' && when.value !== true));
  const certain = branches.findIndex(({ when }) => isTrue(when));
  if (certain === 0) return branches[0].then;
  if (certain > 0) return { ...expr, branches: branches.slice(0, certain), otherwise: branches[certain].then };
  if (branches.length === 0) return expr.otherwise;
  return branches.length === expr.branches.length ? expr : { ...expr, branches };
}

function toLiteral(expr: Expr): Expr {
  try {
    return { op: 'literal', value: evaluate(expr, []), type: expr.type };
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_')) return expr;
    throw thrown;
  }
}
