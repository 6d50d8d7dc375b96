import { type Position, StreamError } from '../../src/lib/errors.ts';
import { BOOLEAN } from '../../src/values/types.ts';
import { equalSides, joinOn } from '../plan/join.ts';
import type { Expr, LookupJoin, Plan } from '../plan/plan.ts';
import { columnRef, conjunction, filterBy, identity } from '../plan/walk.ts';
import { asofBy } from './asof.ts';
import { FALSE, literal } from './literals.ts';

/**
 * l JOIN t FOR SYSTEM_TIME AS OF l.ts: each left row with the version of the table's row that counted at its time. `history` has the columns of
 * `<table>$history`; `terms` is ON over left ++ history and must set the whole primary key equal. The version is chosen by the key alone; what
 * else ON says then decides whether it matches, as does a delete, which is a version too.
 */
export function temporalJoin(
  left: Plan,
  history: Plan,
  kind: 'inner' | 'left',
  terms: readonly Expr[],
  time: Expr,
  key: readonly number[],
  at: Position,
): Plan {
  const shift = left.schema.length;
  const pairs: [Expr, Expr][] = [];
  const rest: Expr[] = [];
  for (const term of terms) {
    const pair = equalSides(term, shift);
    const [, right] = pair ?? [];
    if (pair !== null && right?.op === 'column' && key.includes(right.index)) pairs.push(pair);
    else rest.push(term);
  }
  const isKeyed = key.every((column) => pairs.some(([, right]) => right.op === 'column' && right.index === column));
  if (!isKeyed) {
    const names = key.map((column) => history.schema[column].name).join(', ');
    throw new StreamError('SQL_BIND', `a temporal join needs the whole primary key (${names}) in ON, set equal`, {
      at,
      hint: 'l JOIN t FOR SYSTEM_TIME AS OF l.ts ON l.k = t.k; without a key, an ASOF JOIN finds the nearest row',
    });
  }
  const place = (name: string): number => history.schema.findIndex((column) => column.name === name);
  const version = columnRef(history.schema, place('_version'));
  const joined = asofBy(left, history, kind, pairs, { left: time, right: version, cmp: '>=' }, () => ({
    // One record, one version.
    ties: [place('_partition'), place('_offset')],
    tiesDecide: true,
    temporal: true,
  }));
  const deleted = columnRef(joined.schema, shift + place('_deleted'));
  const matches: Expr[] = [{ op: 'compare', cmp: '=', left: deleted, right: FALSE, type: BOOLEAN }, ...rest];
  if (kind === 'inner') return filterBy(joined, matches);
  const exprs = identity(joined.schema).map((expr, i): Expr => {
    if (i < shift) return expr;
    const branches = [{ when: conjunction(matches) as Expr, then: expr }];
    return { op: 'case', branches, otherwise: literal(null, expr.type), type: expr.type };
  });
  return { op: 'project', input: joined, exprs, schema: joined.schema };
}

/** l JOIN t FOR SYSTEM_TIME AS OF PROCTIME(). */
export function lookupJoin(left: Plan, right: Plan, kind: 'inner' | 'left', terms: readonly Expr[]): Plan {
  const joined = joinOn(left, right, kind, terms);
  const asLookup = (plan: Plan): Plan => {
    if (plan.op === 'project') return { ...plan, input: asLookup(plan.input) };
    if (plan.op !== 'join') throw new StreamError('INVARIANT', 'a join was expected');
    const { left: l, right: r, keys, residual, schema } = plan;
    return { op: 'lookup', kind, left: l, right: r, keys, residual, schema } satisfies LookupJoin;
  };
  return asLookup(joined);
}
