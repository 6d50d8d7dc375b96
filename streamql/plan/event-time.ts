import type { Datum, Interval } from '../../src/values/types.ts';
import { WINDOW_FUNCTIONS } from '../functions/window-functions.ts';
import type { Expr, Join, Match, Over, Plan, RelationTime } from './plan.ts';
import { conjuncts, inputsOf } from './walk.ts';

/**
 * What event time promises of a column: while the watermark of an edge is W, no row comes or goes any more whose value there is not
 * NULL and below W − lag.
 */
export interface TimeBound {
  readonly lagMicros: number;
  /** Never broken. Else late rows still count (`late = 'update'`): a hint, good for saying what is probably complete. */
  readonly firm: boolean;
  /** It is the end of a window, or moves with it: what EMIT ON WINDOW CLOSE waits for. */
  readonly ofWindow: boolean;
}

/** By output position. */
export type TimeBounds = ReadonlyMap<number, TimeBound>;

const NONE: TimeBounds = new Map();

/**
 * The columns of a node's output that event time bounds, relative to the node's watermark: the least of those of its inputs that have
 * bounds at all. A pure function of the plan; what has no bounds has no watermark.
 */
export function timeBoundsOf(plan: Plan): TimeBounds {
  switch (plan.op) {
    case 'scan': {
      const bounds = new Map<number, TimeBound>();
      for (const { column, lagMicros, ofWindow } of plan.time?.columns ?? []) {
        const at = plan.columns.indexOf(column);
        if (at >= 0) bounds.set(at, { lagMicros, firm: plan.time!.firm, ofWindow });
      }
      return bounds;
    }
    case 'values':
    // Rows go by the clock, whatever their times.
    case 'nowFilter':
      return NONE;
    // Old rows go.
    case 'expire':
      return NONE;
    case 'filter':
    case 'distinct':
    case 'sort':
    case 'unnest':
      return timeBoundsOf(plan.input);
    case 'project': {
      const input = timeBoundsOf(plan.input);
      if (input.size === 0) return NONE;
      return boundsOf(plan.exprs.map((expr) => exprBound(expr, input)));
    }
    case 'window': {
      const bounds = new Map(timeBoundsOf(plan.input));
      const time = bounds.get(plan.timeColumn);
      if (time === undefined) return bounds;
      // A row at t is in windows that end after t and began no earlier than a size before.
      const start = plan.input.schema.length;
      const by = (lag: number): TimeBound => ({ lagMicros: time.lagMicros + lag, firm: time.firm, ofWindow: true });
      return bounds
        .set(start, by(plan.sizeMicros - 1))
        .set(start + 1, by(-1))
        .set(start + 2, by(999));
    }
    // A row may merge sessions and so take back rows of any age, but only of sessions that end no earlier than its time.
    case 'session': {
      const time = timeBoundsOf(plan.input).get(plan.timeColumn);
      if (time === undefined) return NONE;
      const end = plan.input.schema.length + 1;
      return new Map([
        [end, { ...time, ofWindow: true }],
        [end + 1, { ...time, lagMicros: time.lagMicros + 1000, ofWindow: true }],
      ]);
    }
    case 'aggregate': {
      const input = timeBoundsOf(plan.input);
      return boundsOf(plan.groupBy.map((column) => input.get(column)));
    }
    // A row that comes changes the rows of its partition, whatever their times, unless the time is part of what names it.
    // Or unless it is what they are ordered by: then only rows behind it change.
    case 'topn':
    case 'over': {
      const input = timeBoundsOf(plan.input);
      const bounds = new Map([...input].filter(([column]) => plan.partitionBy.includes(column)));
      const column = settledColumn(plan);
      const time = column === undefined ? undefined : input.get(column);
      const ahead = column === undefined || plan.op !== 'over' ? 0 : lookAhead(plan, column);
      if (column !== undefined && time !== undefined && ahead !== null)
        bounds.set(column, { ...time, lagMicros: time.lagMicros + ahead });
      return bounds;
    }
    case 'match': {
      const input = timeBoundsOf(plan.input);
      return boundsOf(plan.partitionBy.map((column) => input.get(column)));
    }
    case 'setOp':
      return meet([timeBoundsOf(plan.left), timeBoundsOf(plan.right)]);
    case 'union':
      return meet(plan.inputs.map(timeBoundsOf));
    case 'join':
      return joinBounds(plan);
    case 'recursive':
      return NONE;
    // Its rows come and go with those of the left side.
    case 'lookup':
      return timeBoundsOf(plan.left);
    // What is let out once the watermark has passed; before that nothing is.
    case 'close':
      return new Map(
        plan.times.map(({ column, lagMicros }) => [
          column,
          { lagMicros: lagMicros + plan.delayMicros, firm: true, ofWindow: true },
        ]),
      );
    case 'asof': {
      // A right row that comes or goes changes left rows after it, where the match lies before; else also rows long past.
      const both = later([timeBoundsOf(plan.left).get(plan.leftTime), timeBoundsOf(plan.right).get(plan.rightTime)]);
      const isBackward = plan.cmp === '>=' || plan.cmp === '>';
      return both === undefined || !isBackward ? NONE : new Map([[plan.leftTime, both]]);
    }
  }
}

/** What settles the first rows of a partition of row patterns: no row comes before one whose time the watermark has passed. */
export function settledBound(plan: Match): TimeBound | undefined {
  const column = settledColumn(plan);
  const bound = column === undefined ? undefined : timeBoundsOf(plan.input).get(column);
  return bound?.firm ? bound : undefined;
}

/** What the rows of a partition are ordered by, if from the least on, and none where it is NULL comes before them. */
function settledColumn({
  input,
  partitionBy,
  orderBy,
}: Pick<Over, 'input' | 'partitionBy' | 'orderBy'>): number | undefined {
  const key = orderBy.find(({ column }) => !partitionBy.includes(column));
  if (key === undefined || key.descending || (key.nullsFirst && input.schema[key.column].nullable)) return undefined;
  return key.column;
}

/** How far behind a row, by the time that orders them, its values may depend on others; null: on any. */
function lookAhead({ calls, input }: Over, by: number): number | null {
  let most = 0;
  for (const { fn, frame } of calls) {
    const sees = WINDOW_FUNCTIONS.get(fn)?.sees ?? 'all';
    if (sees === 'before' || sees === 'lag') continue;
    if (sees !== 'frame' || frame.end === null) return null;
    const end = Number(frame.end);
    if (end <= 0) continue;
    const { kind } = input.schema[by].type;
    if (frame.unit === 'rows' || (kind !== 'timestamp' && kind !== 'timestamptz')) return null;
    most = Math.max(most, end);
  }
  return most;
}

/** What a view with this plan promises to those who read it; undefined when nothing. */
export function relationTimeOf(plan: Plan): RelationTime | undefined {
  const bounds = [...timeBoundsOf(plan)];
  if (bounds.length === 0) return undefined;
  return {
    columns: bounds.map(([column, { lagMicros, ofWindow }]) => ({ column, lagMicros, ofWindow })),
    firm: bounds.every(([, { firm }]) => firm),
    idleTimeoutMs: idleTimeoutOf(plan),
  };
}

/** The longest of the plan's relations with a watermark; 0 (never) when one of them is never idle. */
export function idleTimeoutOf(plan: Plan): number {
  if (plan.op === 'scan') return plan.time?.idleTimeoutMs ?? 0;
  const timeouts = inputsOf(plan)
    .filter((input) => timeBoundsOf(input).size > 0)
    .map(idleTimeoutOf);
  return timeouts.length === 0 || timeouts.includes(0) ? 0 : Math.max(...timeouts);
}

/**
 * A pair comes when one of its rows does, and the other may be old: a column is bounded where the condition keeps it close to a bounded
 * one of the other side. Rows without a match come and go with rows of the other side too, so there only equality will do.
 */
function joinBounds(plan: Join): TimeBounds {
  const left = timeBoundsOf(plan.left);
  const right = timeBoundsOf(plan.right);
  const width = plan.left.schema.length;
  const bounds = new Map<number, TimeBound>();
  if (left.size === 0 || right.size === 0) return NONE;
  for (const [l, r] of plan.keys) {
    const both = later([left.get(l), right.get(r)]);
    if (both === undefined) continue;
    bounds.set(l, both);
    if (plan.schema.length > width) bounds.set(width + r, both);
  }
  if (plan.kind !== 'inner') return bounds;
  const bound = (column: number): TimeBound | undefined =>
    column < width ? left.get(column) : right.get(column - width);
  for (const { at, from, plusMicros } of atLeast(plan)) {
    if (at < width === from < width || bounds.has(at)) continue;
    const reached = bound(from);
    const both = later([bound(at), reached && { ...reached, lagMicros: reached.lagMicros - plusMicros }]);
    if (both !== undefined) bounds.set(at, both);
  }
  return bounds;
}

/** `at ≥ from + plus`, as the residual says it of columns of the pair. */
function atLeast(plan: Join): { at: number; from: number; plusMicros: number }[] {
  if (plan.residual === null) return [];
  return conjuncts(plan.residual).flatMap((term) => {
    if (term.op !== 'compare') return [];
    const isGreater = term.cmp === '>' || term.cmp === '>=';
    if (!isGreater && term.cmp !== '<' && term.cmp !== '<=') return [];
    const [high, low] = isGreater ? [term.left, term.right] : [term.right, term.left];
    const above = columnPlus(high);
    const below = columnPlus(low);
    if (above === null || below === null) return [];
    return [{ at: above.column, from: below.column, plusMicros: below.plusMicros - above.plusMicros }];
  });
}

/** `column`, or `column ± INTERVAL`, of whole microseconds. */
export function columnPlus(expr: Expr): { column: number; plusMicros: number } | null {
  if (expr.op === 'column') return { column: expr.index, plusMicros: 0 };
  const shift = shiftOf(expr);
  const inner = shift === null ? null : columnPlus(shift.of);
  return inner && shift && { column: inner.column, plusMicros: inner.plusMicros + shift.byMicros };
}

const SHIFTS: Readonly<Record<string, { readonly of: 0 | 1; readonly sign: 1 | -1 }>> = {
  '+.timestamp.interval': { of: 0, sign: 1 },
  '+.timestamptz.interval': { of: 0, sign: 1 },
  '+.interval.timestamp': { of: 1, sign: 1 },
  '+.interval.timestamptz': { of: 1, sign: 1 },
  '-.timestamp.interval': { of: 0, sign: -1 },
  '-.timestamptz.interval': { of: 0, sign: -1 },
};

/** A time moved by a constant interval without months, whose length is always the same. */
export function shiftOf(expr: Expr): { readonly of: Expr; readonly byMicros: number } | null {
  if (expr.op !== 'call') return null;
  const row = SHIFTS[expr.fn];
  if (row === undefined) return null;
  const by = expr.args[1 - row.of];
  const micros = by.op === 'literal' ? fixedMicros(by.value) : null;
  return micros === null ? null : { of: expr.args[row.of], byMicros: row.sign * micros };
}

/** A day is 24 hours; null for an interval with months, and for NULL. */
export function fixedMicros(interval: Datum): number | null {
  if (interval === null) return null;
  const { months, days, micros } = interval as Interval;
  return months === 0 ? days * 86_400_000_000 + micros : null;
}

/** The longest that date_trunc goes back. */
const UNIT_MICROS: Readonly<Record<string, number>> = {
  second: 1e6,
  minute: 60e6,
  hour: 3600e6,
  day: 86_400e6,
  week: 7 * 86_400e6,
  month: 31 * 86_400e6,
  quarter: 92 * 86_400e6,
  year: 366 * 86_400e6,
};

function exprBound(expr: Expr, input: TimeBounds): TimeBound | undefined {
  switch (expr.op) {
    case 'column':
      return input.get(expr.index);
    case 'cast':
      return isTime(expr) && isTime(expr.arg) ? exprBound(expr.arg, input) : undefined;
    case 'coalesce':
      return later(expr.args.map((arg) => exprBound(arg, input)));
    case 'call': {
      const shift = shiftOf(expr);
      const [of, lag] = shift === null ? truncation(expr) : [shift.of, -shift.byMicros];
      const bound = of === null ? undefined : exprBound(of, input);
      return bound && { ...bound, lagMicros: bound.lagMicros + lag };
    }
    default:
      return undefined;
  }
}

const isTime = ({ type }: Expr): boolean => type.kind === 'timestamp' || type.kind === 'timestamptz';

function truncation({ fn, args }: Extract<Expr, { op: 'call' }>): [of: Expr | null, lagMicros: number] {
  const [unit, of] = args;
  if (unit?.op !== 'literal') return [null, 0];
  if (fn === 'date_trunc.timestamp' || fn === 'date_trunc.timestamptz') {
    const micros = UNIT_MICROS[String(unit.value).toLowerCase()];
    return micros === undefined ? [null, 0] : [of, micros - 1];
  }
  if (fn === 'date_bin.timestamp' || fn === 'date_bin.timestamptz') {
    const micros = fixedMicros(unit.value);
    return micros === null ? [null, 0] : [of, micros - 1];
  }
  return [null, 0];
}

const boundsOf = (bounds: readonly (TimeBound | undefined)[]): TimeBounds =>
  new Map(bounds.flatMap((bound, column) => (bound === undefined ? [] : [[column, bound] as const])));

/** What holds of all of them; nothing when one has none. */
function later(bounds: readonly (TimeBound | undefined)[]): TimeBound | undefined {
  let all: TimeBound | undefined;
  for (const bound of bounds) {
    if (bound === undefined) return undefined;
    all = {
      lagMicros: Math.max(bound.lagMicros, all?.lagMicros ?? Number.NEGATIVE_INFINITY),
      firm: bound.firm && (all?.firm ?? true),
      ofWindow: bound.ofWindow && (all?.ofWindow ?? true),
    };
  }
  return all;
}

function meet(inputs: readonly TimeBounds[]): TimeBounds {
  const bounds = new Map<number, TimeBound>();
  for (const column of inputs[0]?.keys() ?? []) {
    const all = later(inputs.map((input) => input.get(column)));
    if (all !== undefined) bounds.set(column, all);
  }
  return bounds;
}
