import { columnPlus, type TimeBound, timeBoundsOf } from './event-time.ts';
import type { Join } from './plan.ts';
import { conjuncts } from './walk.ts';

/**
 * What a join's condition says of two times, one of each side: right time − left time is from `low` to `high`, so that a row meets only rows
 * of a stretch of time, and those that the watermark of the other side has left behind are met by no more.
 */
export interface TimeRange {
  /** window: the times are equal keys, as window_start is. */
  readonly kind: 'interval' | 'window';
  readonly leftTime: number;
  readonly rightTime: number;
  readonly lowMicros: number;
  readonly highMicros: number;
  /** What event time promises of the two; undefined where nothing. */
  readonly left: TimeBound | undefined;
  readonly right: TimeBound | undefined;
}

/** The range that a join's ON bounds on both ends, or equal keys that both watermarks bound; null when there is none. */
export function timeRangeOf(plan: Join): TimeRange | null {
  if (plan.nullSafe === true) return null;
  const left = timeBoundsOf(plan.left);
  const right = timeBoundsOf(plan.right);
  for (const [l, r] of plan.keys) {
    const [ofLeft, ofRight] = [left.get(l), right.get(r)];
    if (!ofLeft?.firm || !ofRight?.firm || !isMoment(plan, l)) continue;
    return { kind: 'window', leftTime: l, rightTime: r, lowMicros: 0, highMicros: 0, left: ofLeft, right: ofRight };
  }
  return intervalOf(plan, left, right);
}

type Bounds = ReadonlyMap<number, TimeBound>;

function intervalOf(plan: Join, left: Bounds, right: Bounds): TimeRange | null {
  const width = plan.left.schema.length;
  const ranges = new Map<string, { l: number; r: number; low: number; high: number }>();
  for (const term of conjuncts(plan.residual)) {
    if (term.op !== 'compare') continue;
    const isGreater = term.cmp === '>' || term.cmp === '>=';
    const isLess = term.cmp === '<' || term.cmp === '<=';
    const [a, b] = [columnPlus(term.left), columnPlus(term.right)];
    if (!(isGreater || isLess) || a === null || b === null || a.column < width === b.column < width) continue;
    const [l, r] = a.column < width ? [a, b] : [b, a];
    const key = `${l.column} ${r.column}`;
    const range = ranges.get(key) ?? { l: l.column, r: r.column - width, low: -Infinity, high: Infinity };
    // right − left against left's shift − right's shift, the greater side on the left of `isGreater`.
    const by = l.plusMicros - r.plusMicros;
    if (isGreater === (l === a)) range.high = Math.min(range.high, by);
    else range.low = Math.max(range.low, by);
    ranges.set(key, range);
  }
  for (const { l, r, low, high } of ranges.values()) {
    if (!Number.isFinite(low) || !Number.isFinite(high) || !isMoment(plan, l)) continue;
    return {
      kind: 'interval',
      leftTime: l,
      rightTime: r,
      lowMicros: low,
      highMicros: high,
      left: left.get(l),
      right: right.get(r),
    };
  }
  return null;
}

const isMoment = (plan: Join, column: number): boolean =>
  ['timestamp', 'timestamptz'].includes(plan.left.schema[column].type.kind);
