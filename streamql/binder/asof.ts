import { type Position, StreamError } from '../../src/lib/errors.ts';
import { sameType } from '../../src/values/types.ts';
import { equalSides, joinSchema, sideOf, withKeyColumns } from '../plan/join.ts';
import type { AsofComparison, AsofJoin, Expr, Plan } from '../plan/plan.ts';
import { columnRef, columnsUsed, filterBy, remap } from '../plan/walk.ts';

const TURNED: Readonly<Record<string, AsofComparison>> = { '>=': '<=', '>': '<', '<=': '>=', '<': '>' };

/**
 * An ASOF join by the terms of ON over left ++ right: equalities of the two sides are its keys, one comparison (that of MATCH_CONDITION
 * in `match`, else a term of ON) sets the times against each other, and terms on the right side alone say which rows it is about.
 */
export function asofJoin(
  left: Plan,
  right: Plan,
  kind: AsofJoin['kind'],
  terms: readonly Expr[],
  match: Expr | null,
  isKey: (rightColumns: readonly number[]) => boolean,
  at: Position,
): Plan {
  const shift = left.schema.length;
  const keys: [Expr, Expr][] = [];
  const times: Times[] = [];
  const rightOnly: Expr[] = [];
  for (const term of terms) {
    const pair = equalSides(term, shift);
    const compared = match === null ? timesOf(term, shift) : null;
    const used = [...columnsUsed(term)];
    if (pair !== null) keys.push(pair);
    else if (compared !== null) times.push(compared);
    else if (used.length > 0 && used.every((column) => column >= shift))
      rightOnly.push(remap(term, (column) => column - shift));
    else throw refused('takes equalities of its two sides and conditions on the right side', at);
  }
  if (match !== null) {
    const compared = timesOf(match, shift);
    if (compared === null)
      throw refused('compares a time of the left side with one of the right in MATCH_CONDITION', at);
    times.push(compared);
  }
  const [time, second] = times;
  if (time === undefined || second !== undefined) {
    throw refused(`takes one comparison of times, there ${times.length === 0 ? 'is none' : `are ${times.length}`}`, at);
  }
  const visible = right.schema.flatMap((column, i) => (column.hidden ? [] : [i]));
  return asofBy(left, filterBy(right, rightOnly), kind, keys, time, (columns) =>
    isKey(columns) ? { ties: [], tiesDecide: true } : { ties: visible, tiesDecide: false },
  );
}

/** By pairs of equal expressions, one over each side. Output columns as if none were made for keys and times. */
export function asofBy(
  left: Plan,
  right: Plan,
  kind: AsofJoin['kind'],
  keys: readonly (readonly [Expr, Expr])[],
  time: Times,
  more: (rightColumns: readonly number[]) => Pick<AsofJoin, 'ties' | 'tiesDecide' | 'temporal'>,
): Plan {
  const shift = left.schema.length;
  const l = withKeyColumns(left, [time.left, ...keys.map(([key]) => key)]);
  const r = withKeyColumns(right, [time.right, ...keys.map(([, key]) => key)]);
  const schema = joinSchema(kind, l.plan.schema, r.plan.schema);
  const wide = l.plan.schema.length;
  const join: AsofJoin = {
    op: 'asof',
    kind,
    left: l.plan,
    right: r.plan,
    keys: keys.map((_, i) => [l.columns[i + 1], r.columns[i + 1]] as const),
    cmp: time.cmp,
    leftTime: l.columns[0],
    rightTime: r.columns[0],
    ...more(r.columns),
    schema,
  };
  if (wide === shift && r.plan.schema.length === right.schema.length) return join;
  const kept = [...left.schema.map((_, i) => i), ...right.schema.map((_, i) => wide + i)];
  return {
    op: 'project',
    input: join,
    exprs: kept.map((i) => columnRef(schema, i)),
    schema: kept.map((i) => schema[i]),
  };
}

export interface Times {
  readonly left: Expr;
  readonly right: Expr;
  readonly cmp: AsofComparison;
}

function timesOf(term: Expr, shift: number): Times | null {
  if (term.op !== 'compare' || !Object.hasOwn(TURNED, term.cmp) || !sameType(term.left.type, term.right.type))
    return null;
  const [a, b] = [sideOf(term.left, shift), sideOf(term.right, shift)];
  const cmp = term.cmp as AsofComparison;
  const moved = (expr: Expr): Expr => remap(expr, (column) => column - shift);
  if (a === 'left' && b === 'right') return { left: term.left, right: moved(term.right), cmp };
  if (a === 'right' && b === 'left') return { left: term.right, right: moved(term.left), cmp: TURNED[cmp] };
  return null;
}

const refused = (what: string, at: Position): StreamError =>
  new StreamError('SQL_BIND', `an ASOF join ${what}`, {
    at,
    hint: 'a ASOF JOIN b ON a.k = b.k AND a.ts >= b.ts, or MATCH_CONDITION (a.ts >= b.ts) ON a.k = b.k; put further conditions into WHERE',
  });
