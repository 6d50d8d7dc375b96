import type { ColumnSchema } from '../../src/values/batch.ts';
import { BOOLEAN, sameType } from '../../src/values/types.ts';
import type { Expr, Join, Plan } from './plan.ts';
import { columnRef, columnsUsed, conjunction, filterBy, identity, remap } from './walk.ts';

const TRUE: Expr = { op: 'literal', value: true, type: BOOLEAN };

/** How a join's keys compare: only then, where `nullSafe`, is a term IS NOT DISTINCT FROM a key. */
export interface JoinForm {
  readonly kind: Join['kind'];
  readonly nullSafe?: boolean;
}

/**
 * A join by the given condition over left ++ right: equalities between the two sides become keys (with a column made for each side
 * that is an expression), what concerns one side alone filters it where that means the same, the rest is residual. A join that is
 * not inner and has no key gets the key 1 = 1.
 */
export function joinOn(left: Plan, right: Plan, kind: Join['kind'], terms: readonly Expr[]): Plan {
  const shift = left.schema.length;
  const keys: [Expr, Expr][] = [];
  const residual: Expr[] = [];
  const rightOnly: Expr[] = [];
  for (const term of terms) {
    const pair = equalSides(term, shift);
    const used = [...columnsUsed(term)];
    if (pair !== null) keys.push(pair);
    else if (kind !== 'full' && used.length > 0 && used.every((column) => column >= shift))
      rightOnly.push(remap(term, (column) => column - shift));
    else residual.push(term);
  }
  if (kind !== 'inner' && keys.length === 0) keys.push([TRUE, TRUE]);
  return joinByKeys(left, filterBy(right, rightOnly), { kind }, keys, residual);
}

/** A join by pairs of equal expressions, one over each side, and a residual over left ++ right. Output columns as if none were made for keys. */
export function joinByKeys(
  left: Plan,
  right: Plan,
  form: JoinForm,
  keys: readonly (readonly [Expr, Expr])[],
  residual: readonly Expr[],
): Plan {
  const shift = left.schema.length;
  const l = withKeyColumns(
    left,
    keys.map(([key]) => key),
  );
  const r = withKeyColumns(
    right,
    keys.map(([, key]) => key),
  );
  const wide = l.plan.schema.length;
  // Without NULLs on one side, `=` is the same and cheaper.
  const isNullableKey = (_: unknown, i: number): boolean =>
    l.plan.schema[l.columns[i]].nullable && r.plan.schema[r.columns[i]].nullable;
  const nullSafe = form.nullSafe === true && keys.some(isNullableKey);
  const place = (column: number): number => (column < shift ? column : column - shift + wide);
  const join: Join = {
    op: 'join',
    kind: form.kind,
    ...(nullSafe ? { nullSafe } : {}),
    left: l.plan,
    right: r.plan,
    keys: keys.map((_, i) => [l.columns[i], r.columns[i]] as const),
    residual: conjunction(residual.map((term) => remap(term, place))),
    schema: joinSchema(form.kind, l.plan.schema, r.plan.schema),
  };
  if (l.plan === left && r.plan === right) return join;
  // Drop the columns made for keys.
  const kept = [...left.schema.map((_, i) => i), ...(isHalf(form.kind) ? [] : right.schema.map((_, i) => wide + i))];
  return {
    op: 'project',
    input: join,
    exprs: kept.map((i) => columnRef(join.schema, i)),
    schema: kept.map((i) => join.schema[i]),
  };
}

/** Whether only left columns come out. */
export const isHalf = (kind: Join['kind']): boolean => kind === 'semi' || kind === 'anti';

export function joinSchema(
  kind: Join['kind'],
  left: readonly ColumnSchema[],
  right: readonly ColumnSchema[],
): ColumnSchema[] {
  if (isHalf(kind)) return [...left];
  const nullable = (column: ColumnSchema): ColumnSchema => ({ ...column, nullable: true });
  return [...(kind === 'full' ? left.map(nullable) : left), ...(kind === 'inner' ? right : right.map(nullable))];
}

/** `l = r` with one side from the left input and the other from the right, as expressions over each; else null. */
export function equalSides(term: Expr, shift: number): [Expr, Expr] | null {
  if (term.op !== 'compare' || term.cmp !== '=' || !sameType(term.left.type, term.right.type)) return null;
  const a = sideOf(term.left, shift);
  const b = sideOf(term.right, shift);
  if (a === 'left' && b === 'right') return [term.left, remap(term.right, (i) => i - shift)];
  if (a === 'right' && b === 'left') return [term.right, remap(term.left, (i) => i - shift)];
  return null;
}

export function sideOf(expr: Expr, shift: number): 'left' | 'right' | null {
  const used = [...columnsUsed(expr)];
  if (used.length === 0) return null;
  if (used.every((column) => column < shift)) return 'left';
  return used.every((column) => column >= shift) ? 'right' : null;
}

/** The plan with one column per expression; the plan itself when all are columns already. */
export function withKeyColumns(plan: Plan, exprs: readonly Expr[]): { plan: Plan; columns: number[] } {
  const made: Expr[] = [];
  const columns = exprs.map((expr) => {
    if (expr.op === 'column') return expr.index;
    made.push(expr);
    return plan.schema.length + made.length - 1;
  });
  if (made.length === 0) return { plan, columns };
  const extra: ColumnSchema[] = made.map((expr, i) => ({ name: `key_${i}`, type: expr.type, nullable: true }));
  const project: Plan = {
    op: 'project',
    input: plan,
    exprs: [...identity(plan.schema), ...made],
    schema: [...plan.schema, ...extra],
  };
  return { plan: project, columns };
}
