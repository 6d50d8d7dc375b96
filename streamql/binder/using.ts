import type { Position } from '../../src/lib/errors.ts';
import type { Name } from '../parser/ast.ts';
import type { Plan } from '../plan/plan.ts';
import { identity } from '../plan/walk.ts';
import { unify } from './coerce.ts';
import type { Bound } from './from.ts';
import { Scope, type ScopeColumn } from './scope.ts';

export interface UsingPair {
  readonly name: Name;
  readonly left: number;
  readonly right: number;
}

/** With USING, the merged columns come first, once each; the left one stands for both. */
export function usingScope(scope: Scope, pairs: readonly UsingPair[]): Scope {
  if (pairs.length === 0) return scope;
  const first = pairs.map(({ left }) => scope.columns.find(({ index }) => index === left) as ScopeColumn);
  const merged = new Set(pairs.map(({ right }) => right));
  const rest = scope.columns.filter((column) => !first.includes(column));
  return new Scope([...first, ...rest.map((c) => (merged.has(c.index) ? { ...c, merged: true } : c))]);
}

/** Of a full join either side may be missing, so a merged column is whichever is there: a column of its own at the end. */
export function fullUsing(plan: Plan, scope: Scope, pairs: readonly UsingPair[]): Bound {
  if (pairs.length === 0) return { plan, scope };
  const exprs = identity(plan.schema);
  const schema = [...plan.schema];
  const first = pairs.map(({ name, left, right }): ScopeColumn => {
    const value = unify([exprs[left], exprs[right]], name.at, 'USING');
    schema.push({ name: name.text, type: value[0].type, nullable: true });
    const index = exprs.push({ op: 'coalesce', args: value, type: value[0].type }) - 1;
    return { table: null, name: name.text, index, hidden: false, merged: false };
  });
  const merged = new Set(pairs.flatMap(({ left, right }) => [left, right]));
  const rest = scope.columns.map((c) => (merged.has(c.index) ? { ...c, merged: true } : c));
  return { plan: { op: 'project', input: plan, exprs, schema }, scope: new Scope([...first, ...rest]) };
}

export function commonNames(left: Scope, right: Scope, at: Position): Name[] {
  const names = new Set(right.columns.filter((c) => !c.hidden && !c.merged).map((c) => c.name));
  const common = new Set(left.columns.filter((c) => !c.hidden && !c.merged && names.has(c.name)).map((c) => c.name));
  return [...common].map((text) => ({ text, quoted: true, at }));
}
