import type { Position } from '../../src/lib/errors.ts';
import type { AstExpr } from './ast.ts';

type Row = readonly AstExpr[];
type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** The values of (a, b) or ROW(a, b); null for what is no row that is written out. */
export const valuesOf = (ast: AstExpr): Row | null =>
  ast.kind === 'call' && ast.name.text === 'row' && !ast.name.quoted ? ast.args : null;

const binary = (op: string, left: AstExpr, right: AstExpr, at: Position): AstExpr => ({
  kind: 'binary',
  op,
  left,
  right,
  at,
});

const joined = (op: 'and' | 'or', terms: readonly AstExpr[], at: Position): AstExpr =>
  terms.reduce((all, term) => binary(op, all, term, at));

/** Rows that are written out are compared value by value, from the left, with SQL's rules for NULL; null where a side is none or they differ in length. */
export function compareRows(op: string, left: AstExpr, right: AstExpr, at: Position): AstExpr | null {
  const [a, b] = [valuesOf(left), valuesOf(right)];
  if (a === null || b === null || a.length !== b.length) return null;
  if (op === '=' || op === 'is not distinct from')
    return joined(
      'and',
      a.map((one, i) => binary(op, one, b[i], at)),
      at,
    );
  if (op === '<>' || op === 'is distinct from')
    return joined(
      'or',
      a.map((one, i) => binary(op, one, b[i], at)),
      at,
    );
  return ordered(op as Comparison, a, b, at);
}

/** a < x, or a = x and what comes after them decides. */
function ordered(op: Comparison, a: Row, b: Row, at: Position): AstExpr {
  const last = binary(op, a[0], b[0], at);
  if (a.length === 1) return last;
  const strict = op[0] as '<' | '>';
  const rest = binary('and', binary('=', a[0], b[0], at), ordered(op, a.slice(1), b.slice(1), at), at);
  return binary('or', binary(strict, a[0], b[0], at), rest, at);
}

/** (a, b) IN ((1, 2), …). */
export function rowIn(arg: AstExpr, list: readonly AstExpr[], negated: boolean, at: Position): AstExpr | null {
  const terms = list.map((one) => compareRows('=', arg, one, at));
  if (terms.some((term) => term === null)) return null;
  const any = joined('or', terms as AstExpr[], at);
  return negated ? { kind: 'unary', op: 'not', arg: any, at } : any;
}

/** A row IS NULL when all of it is, and IS NOT NULL when nothing of it is. */
export function rowIsNull(arg: AstExpr, negated: boolean, at: Position): AstExpr | null {
  const values = valuesOf(arg);
  if (values === null) return null;
  return joined(
    'and',
    values.map((one): AstExpr => ({ kind: 'isNull', arg: one, negated, at })),
    at,
  );
}
