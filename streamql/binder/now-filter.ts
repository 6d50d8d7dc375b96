import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { fixedMicros, shiftOf } from '../plan/event-time.ts';
import type { Expr, Moment, Plan } from '../plan/plan.ts';
import { childrenOf, columnRef, exprKey, identity } from '../plan/walk.ts';
import { projected } from './aggregates.ts';

/** Whether an expression of a view's WHERE depends on the clock. */
export const readsNow = (expr: Expr): boolean =>
  (expr.op === 'call' && expr.fn === 'now') || childrenOf(expr).some(readsNow);

const FLIPPED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/**
 * The rows for which all terms hold, as time passes: each term compares now(), plus or minus a constant interval, with something that does
 * not depend on it. SQL_UNSUPPORTED for anything else.
 */
export function filterByNow(input: Plan, terms: readonly Expr[], at: Position): Plan {
  if (terms.length === 0) return input;
  const exprs = identity(input.schema);
  const schema: ColumnSchema[] = [...input.schema];
  const columnOf = (expr: Expr): number => {
    const same = exprs.findIndex((known) => exprKey(known) === exprKey(expr));
    if (same >= 0) return same;
    schema.push(projected(expr, input.schema, `moment_${exprs.length}`));
    return exprs.push(expr) - 1;
  };
  const from: Moment[] = [];
  const until: Moment[] = [];
  for (const term of terms) {
    const { cmp, other, plusMicros } = comparison(term, at);
    const moment = { column: columnOf(other), plusMicros };
    // now() > x holds from the microsecond after x.
    if (cmp === '>=') from.push(moment);
    else if (cmp === '>') from.push({ ...moment, plusMicros: plusMicros + 1 });
    else if (cmp === '<') until.push(moment);
    else until.push({ ...moment, plusMicros: plusMicros + 1 });
  }
  const wide: Plan = exprs.length === input.schema.length ? input : { op: 'project', input, exprs, schema };
  const filtered: Plan = { op: 'nowFilter', input: wide, from, until, schema };
  if (wide === input) return filtered;
  const kept = input.schema.map((_, column) => columnRef(schema, column));
  return { op: 'project', input: filtered, exprs: kept, schema: input.schema };
}

/** A term as `now() cmp other + plus`. */
function comparison(term: Expr, at: Position): { cmp: string; other: Expr; plusMicros: number } {
  if (term.op === 'compare' && term.cmp in FLIPPED) {
    const isLeft = readsNow(term.left);
    const [now, other, cmp] = isLeft ? [term.left, term.right, term.cmp] : [term.right, term.left, FLIPPED[term.cmp]];
    const ahead = aheadOfNow(now);
    if (ahead !== null && !readsNow(other) && isTime(other)) {
      const shift = shiftOf(other);
      const moved = shift === null ? { of: other, byMicros: 0 } : shift;
      return { cmp, other: moved.of, plusMicros: moved.byMicros - ahead };
    }
    const span = spanSinceNow(now);
    if (span !== null && !readsNow(other) && other.op === 'literal') {
      const micros = fixedMicros(other.value);
      if (micros !== null) {
        // now() - x cmp length: now() cmp x + length; x - now() cmp length: now() flipped x - length.
        return span.isPast
          ? { cmp, other: span.of, plusMicros: micros }
          : { cmp: FLIPPED[cmp], other: span.of, plusMicros: -micros };
      }
    }
  }
  throw new StreamError(
    'SQL_UNSUPPORTED',
    'in a view now() can only bound a time, with <, <=, > or >= and joined by AND',
    {
      at,
      hint: "write WHERE ts > now() - INTERVAL '1 hour' AND …: rows leave the view as time passes",
    },
  );
}

const isTime = ({ type }: Expr): boolean => type.kind === 'timestamp' || type.kind === 'timestamptz';

/** How far now() ± INTERVAL is ahead of now(); null for anything else. */
function aheadOfNow(expr: Expr): number | null {
  if (expr.op === 'call' && expr.fn === 'now') return 0;
  // Sessions are in UTC: a cast between the two kinds of timestamps moves nothing.
  if (expr.op === 'cast' && isTime(expr)) return aheadOfNow(expr.arg);
  const shift = shiftOf(expr);
  const inner = shift === null ? null : aheadOfNow(shift.of);
  return inner === null || shift === null ? null : inner + shift.byMicros;
}

/** now() - x, or x - now(). */
function spanSinceNow(expr: Expr): { of: Expr; isPast: boolean } | null {
  if (expr.op !== 'call' || !/^-\.timestamp/.test(expr.fn) || expr.type.kind !== 'interval') return null;
  const [left, right] = expr.args;
  if (aheadOfNow(left) === 0 && !readsNow(right)) return { of: right, isPast: true };
  return aheadOfNow(right) === 0 && !readsNow(left) ? { of: left, isPast: false } : null;
}
