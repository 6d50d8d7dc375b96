import { StreamError } from '../../src/lib/errors.ts';
import type { EmitOnClose } from '../parser/ast.ts';
import { idleTimeoutOf, timeBoundsOf } from '../plan/event-time.ts';
import type { Close, Plan } from '../plan/plan.ts';
import type { BindContext } from './context.ts';
import { intervalMicros } from './windows.ts';

/** EMIT ON WINDOW CLOSE over a query. SQL_BIND where nothing in its output says when a row is final. */
export function closing(input: Plan, { delay, timeout, at }: EmitOnClose, context: BindContext): Close {
  if (context.mode === 'pull') {
    throw new StreamError('SQL_UNSUPPORTED', 'EMIT ON WINDOW CLOSE is for views, sinks and SUBSCRIBE', {
      at,
      hint: 'leave it out: a SELECT answers once, with what is there now',
    });
  }
  const times = closingTimes(input);
  if (times.length === 0) {
    throw new StreamError('SQL_BIND', 'EMIT ON WINDOW CLOSE: no column of the result says when a row is final', {
      at,
      hint:
        'the source needs a WATERMARK, and the result window_end, window_start or the watermark column itself; an aggregate has to be ' +
        'grouped by it, a Top-N partitioned by it, a window function partitioned or ordered by it (and not looking ahead), a join to have it ' +
        'equal on both sides; matches of row patterns are shown as they are found, without EMIT',
    });
  }
  const idleMs = idleTimeoutOf(input);
  return {
    op: 'close',
    input,
    times,
    delayMicros: delay === null ? 0 : intervalMicros(delay, context, false),
    idleMicros: idleMs === 0 ? null : idleMs * 1000,
    timeoutMicros: timeout === null ? null : intervalMicros(timeout, context, true),
    schema: input.schema,
  };
}

/**
 * The columns that say when a row is final: of windows before others, the outermost window's (its columns come last) first. One is
 * enough unless it may be NULL, as on the sides of a full join.
 */
function closingTimes(input: Plan): Close['times'] {
  const bounds = [...timeBoundsOf(input)];
  const windows = bounds.filter(([, { ofWindow }]) => ofWindow);
  const ordered = (windows.length > 0 ? windows.reverse() : bounds).map(([column, { lagMicros }]) => ({
    column,
    lagMicros,
  }));
  const sure = ordered.find(({ column }) => !input.schema[column].nullable);
  return sure === undefined ? ordered : [sure];
}
