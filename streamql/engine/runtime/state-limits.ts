import { StreamError } from '../../../src/lib/errors.ts';
import type { ObjectStats, StateLimit } from '../../../src/ports/engine.ts';

/** How often limits are looked at while there is work. A view may exceed its limit by what it takes in meanwhile. */
export const LIMIT_CHECK_MS = 200;
/** What expires is brought down to this part of the limit, so that it is not done with every epoch. */
const BROUGHT_TO = 0.8;

/** Bytes of all its operators' rows, and of the view's own. */
export const usedBytesOf = ({ operators }: ObjectStats): number =>
  operators.reduce((sum, operator) => sum + operator.usedBytes, 0);

/** Why a view was paused or has failed. */
export function exceeded(used: number, { bytes, onExceed }: StateLimit): StreamError {
  const why = onExceed === 'spill' ? 'what is left cannot be spilled, and ' : '';
  const then =
    onExceed === 'fail' ? 'the view has failed' : `${why}the view is paused where it is; its rows can be read`;
  return new StreamError('STATE_LIMIT', `its state has ${Math.round(used)} bytes, max_state is ${bytes}: ${then}`, {
    hint: `EXPLAIN STATE shows what is large and what would bound it; ALTER MATERIALIZED VIEW … SET (max_state = …) raises the limit${
      onExceed === 'fail' ? ', and RESUME MATERIALIZED VIEW … begins it anew' : ''
    }`,
  });
}

/** Which part of what expires is to go; 0 when none. */
export function shareToExpire(used: number, { bytes }: StateLimit): number {
  return used <= bytes ? 0 : 1 - (bytes * BROUGHT_TO) / used;
}
