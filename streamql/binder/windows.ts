import { StreamError } from '../../src/lib/errors.ts';
import { INTERVAL, type Interval } from '../../src/values/types.ts';
import type { AstExpr, TableRef } from '../parser/ast.ts';
import type { Plan } from '../plan/plan.ts';
import { coerce } from './coerce.ts';
import type { BindContext } from './context.ts';
import { bindExpr } from './expressions.ts';
import { Scope } from './scope.ts';

type WindowRef = Extract<TableRef, { kind: 'window' }>;

const WINDOW_COLUMNS = ['window_start', 'window_end', 'window_time'];
/** The most windows that a row may be in. */
const MAX_WINDOWS = 10_000;

/** Example, and how many intervals before the offset (null: none is taken). */
const WINDOW_CALLS: Readonly<Record<WindowRef['window'], { readonly intervals: number; readonly example: string }>> = {
  tumble: { intervals: 1, example: "TUMBLE(t, ts, INTERVAL '10 seconds')" },
  hop: { intervals: 2, example: "HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds')" },
  cumulate: { intervals: 2, example: "CUMULATE(t, ts, INTERVAL '1 minute', INTERVAL '1 hour')" },
  session: { intervals: 1, example: "SESSION(t PARTITION BY k, ts, INTERVAL '5 minutes')" },
};

/** Appends the window's columns: for FROM TUMBLE(…) and its like, and for GROUP BY TUMBLE(…). */
export function windowPlan(
  input: Plan,
  call: Pick<WindowRef, 'window' | 'intervals' | 'at'> & {
    readonly timeColumn: number;
    readonly partitionBy: readonly number[];
  },
  context: BindContext,
): Plan {
  const { window, at, timeColumn } = call;
  const { intervals, example } = WINDOW_CALLS[window];
  const most = window === 'session' ? intervals : intervals + 1;
  if (call.intervals.length < intervals || call.intervals.length > most) {
    const takes = { tumble: 'a size', hop: 'slide and size', cumulate: 'step and size', session: 'a gap' }[window];
    const offset = window === 'session' ? '' : ' and maybe an offset';
    throw new StreamError('SQL_BIND', `${window.toUpperCase()} takes ${takes}${offset}`, { at, hint: example });
  }
  const micros = call.intervals.map((interval, i) => intervalMicros(interval, context, i < intervals));
  const { type } = input.schema[timeColumn];
  // Rows without a time are in no window.
  const kept = input.schema.map((column, i) => (i === timeColumn ? { ...column, nullable: false } : column));
  const schema = [...kept, ...WINDOW_COLUMNS.map((name) => ({ name, type, nullable: false }))];
  if (window === 'session')
    return { op: 'session', input, timeColumn, partitionBy: call.partitionBy, gapMicros: micros[0], schema };
  const [slideMicros] = micros;
  const sizeMicros = micros[intervals - 1];
  if (window === 'cumulate' && sizeMicros % slideMicros !== 0) {
    throw new StreamError('SQL_BIND', 'the size of CUMULATE must be a whole number of steps', { at, hint: example });
  }
  if (sizeMicros / slideMicros > MAX_WINDOWS) {
    throw new StreamError('SQL_LIMIT', `each row would be in more than ${MAX_WINDOWS} windows`, {
      at,
      hint: window === 'hop' ? 'take a longer slide' : 'take a longer step',
    });
  }
  const period = window === 'cumulate' ? sizeMicros : slideMicros;
  const offsetMicros = (((micros[intervals] ?? 0) % period) + period) % period;
  return { op: 'window', input, kind: window, timeColumn, sizeMicros, slideMicros, offsetMicros, schema };
}

/** A constant interval in microseconds; a day is 24 hours. Refuses months, and when `positive` what is not. */
export function intervalMicros(ast: AstExpr, context: BindContext, positive: boolean): number {
  const scope = { context, scope: new Scope([]), schema: [], clause: 'an interval' };
  const bound = coerce(bindExpr(ast, scope), INTERVAL, ast.at);
  if (bound.op !== 'literal' || bound.value === null) {
    throw new StreamError('SQL_TYPE', 'expected a constant interval', {
      at: ast.at,
      hint: "write INTERVAL '10 seconds'",
    });
  }
  const { months, days, micros } = bound.value as Interval;
  if (months !== 0) {
    throw new StreamError('SQL_UNSUPPORTED', 'an interval of months or years has no fixed length', {
      at: ast.at,
      hint: 'use days',
    });
  }
  const total = days * 86_400_000_000 + micros;
  if (positive && total <= 0)
    throw new StreamError('SQL_TYPE', 'the interval must be longer than zero', {
      at: ast.at,
      hint: "write INTERVAL '10 seconds'",
    });
  return total;
}
