import { assert } from '../../../src/lib/assert.ts';
import { compareDatums } from '../../../src/values/compare.ts';
import { addExact, type Exact, subtractExact } from '../../../src/values/decimal.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { finishAverage } from '../../functions/aggregates.ts';
import { WINDOW_FUNCTIONS } from '../../functions/window-functions.ts';
import type { Frame, OverCall, SortKey } from '../../plan/plan.ts';

/** A partition's rows in order, by position. */
export interface OrderedPartition {
  readonly length: number;
  datum(position: number, column: number): Datum;
  /** Whether two rows are equal in the sort keys. */
  arePeers(a: number, b: number): boolean;
}

/** What evaluating a call needs to know of the input. */
export interface OverContext {
  readonly types: readonly SqlType[];
  readonly orderBy: readonly SortKey[];
}

/** The positions [from, to) whose values may be other ones after the rows from `low` to `high` came, went or moved. */
export function affected(
  call: OverCall,
  rows: OrderedPartition,
  low: number,
  high: number,
  context: OverContext,
): readonly [from: number, to: number] {
  const { sees } = WINDOW_FUNCTIONS.get(call.fn) ?? { sees: 'all' };
  const all = [0, rows.length] as const;
  const clamp = (from: number, to: number) => [Math.max(0, from), Math.min(rows.length, Math.max(0, to))] as const;
  switch (sees) {
    case 'before':
      return [Math.min(low, rows.length), rows.length];
    case 'lag':
    case 'lead': {
      const offset = call.params[0] as number;
      const reach = sees === 'lag' ? offset : -offset;
      return clamp(low + Math.min(0, reach), high + 1 + Math.max(0, reach));
    }
    case 'frame': {
      const { unit, start, end } = call.frame;
      if (unit === 'rows') {
        // The rows that came have values themselves, though their frames may lie wholly before or behind them.
        return clamp(
          end === null ? 0 : low - Math.max(0, Number(end)),
          start === null ? rows.length : high + 1 - Math.min(0, Number(start)),
        );
      }
      // A frame that ends with the row's peers reaches no row before the change's own peers.
      if (end === 0 && start === null) return [firstPeer(rows, low - 1), rows.length];
      return context.orderBy.length === 0 ? all : [end === null || end > 0 ? 0 : firstPeer(rows, low - 1), rows.length];
    }
    default:
      return all;
  }
}

/** The row before a change may be a peer of what came or went there: its frame, and those of its peers, end with it. */
function firstPeer(rows: OrderedPartition, position: number): number {
  let first = Math.max(0, position);
  while (first > 0 && rows.arePeers(first - 1, first)) first--;
  return first;
}

/** Values of `call` for the positions [from, to), into `out`; those before `from` are there already. */
export function evaluateOver(
  call: OverCall,
  rows: OrderedPartition,
  from: number,
  to: number,
  out: Datum[],
  context: OverContext,
): void {
  switch (call.fn) {
    case 'row_number':
      for (let i = from; i < to; i++) out[i] = i + 1;
      return;
    case 'rank':
      for (let i = from; i < to; i++) out[i] = i > 0 && rows.arePeers(i - 1, i) ? out[i - 1] : i + 1;
      return;
    case 'dense_rank':
      for (let i = from; i < to; i++) {
        out[i] = i === 0 ? 1 : rows.arePeers(i - 1, i) ? out[i - 1] : (out[i - 1] as number) + 1;
      }
      return;
    case 'percent_rank':
    case 'cume_dist':
      evaluateShares(call.fn, rows, out);
      return;
    case 'ntile':
      evaluateTiles(call.params[0] as number, rows.length, out);
      return;
    case 'lag':
    case 'lead': {
      const [value, otherwise] = call.args;
      const by = (call.params[0] as number) * (call.fn === 'lag' ? -1 : 1);
      for (let i = from; i < to; i++) {
        const at = i + by;
        if (at >= 0 && at < rows.length) out[i] = rows.datum(at, value);
        else out[i] = otherwise === undefined ? null : rows.datum(i, otherwise);
      }
      return;
    }
    default:
      evaluateFrames(call, rows, from, to, out, context);
  }
}

function evaluateShares(fn: 'percent_rank' | 'cume_dist', rows: OrderedPartition, out: Datum[]): void {
  const n = rows.length;
  for (let start = 0; start < n; ) {
    let end = start + 1;
    while (end < n && rows.arePeers(start, end)) end++;
    const share = fn === 'cume_dist' ? end / n : n === 1 ? 0 : start / (n - 1);
    for (let i = start; i < end; i++) out[i] = share;
    start = end;
  }
}

/** The first `n mod tiles` parts have one row more. */
function evaluateTiles(tiles: number, n: number, out: Datum[]): void {
  const small = Math.floor(n / tiles);
  const big = n % tiles;
  for (let i = 0; i < n; i++) {
    out[i] =
      i < big * (small + 1) ? Math.floor(i / (small + 1)) + 1 : big + Math.floor((i - big * (small + 1)) / small) + 1;
  }
}

function evaluateFrames(
  call: OverCall,
  rows: OrderedPartition,
  from: number,
  to: number,
  out: Datum[],
  context: OverContext,
): void {
  const frames =
    call.frame.unit === 'rows' ? new RowFrames(call.frame, rows) : new RangeFrames(call.frame, rows, context);
  const [value] = call.args;
  if (call.fn === 'first_value' || call.fn === 'last_value' || call.fn === 'nth_value') {
    for (let i = from; i < to; i++) {
      frames.moveTo(i);
      const at =
        call.fn === 'last_value'
          ? frames.end - 1
          : frames.start + (call.fn === 'nth_value' ? (call.params[0] as number) - 1 : 0);
      out[i] = at >= frames.start && at < frames.end ? rows.datum(at, value) : null;
    }
    return;
  }
  const running = runningOf(call, context.types);
  const seen = (position: number): Datum | undefined => {
    if (call.filter !== null && rows.datum(position, call.filter) !== true) return undefined;
    return value === undefined ? 1 : rows.datum(position, value);
  };
  let start = 0;
  let end = 0;
  for (let i = from; i < to; i++) {
    frames.moveTo(i);
    if (!running.removes && frames.start !== start) {
      running.reset();
      end = frames.start;
    } else if (frames.start >= end) {
      // Nothing of the last frame is left.
      running.reset();
      end = frames.start;
    } else {
      for (; start < frames.start; start++) {
        const datum = seen(start);
        if (datum !== undefined && datum !== null) running.remove(datum);
      }
    }
    start = frames.start;
    for (; end < frames.end; end++) {
      const datum = seen(end);
      if (datum !== undefined && datum !== null) running.add(datum);
    }
    out[i] = running.value();
  }
}

/** An aggregate over a frame whose ends only move forward. */
interface Running {
  /** Whether a value can be taken out again; else the frame is read anew when its start moves. */
  readonly removes: boolean;
  reset(): void;
  add(value: Datum): void;
  remove(value: Datum): void;
  value(): Datum;
}

function runningOf(call: OverCall, types: readonly SqlType[]): Running {
  const argType = call.args.length === 0 ? null : types[call.args[0]];
  if (call.fn === 'count')
    return new RunningSum(
      () => 1,
      (_, count) => count,
    );
  assert(argType !== null, `${call.fn} has an argument`);
  if (call.fn === 'min' || call.fn === 'max') return new RunningExtreme(argType, call.fn === 'min' ? 1 : -1);
  if (argType.kind === 'double' || argType.kind === 'real') return new RunningDouble(call.fn === 'avg');
  if (call.fn === 'sum')
    return new RunningSum(
      (value) => value as Exact,
      (sum, count) => (count === 0 ? null : sum),
    );
  const scale = argType.kind === 'decimal' ? argType.scale : 0;
  const resultScale = call.type.kind === 'decimal' ? call.type.scale : 0;
  return new RunningSum(
    (value) => value as Exact,
    (sum, count) => (count === 0 ? null : finishAverage(sum, scale, count, resultScale)),
  );
}

class RunningSum implements Running {
  readonly removes = true;
  #sum: Exact = 0;
  #count = 0;
  readonly #of: (value: Datum) => Exact;
  readonly #finish: (sum: Exact, count: number) => Datum;

  constructor(of: (value: Datum) => Exact, finish: (sum: Exact, count: number) => Datum) {
    this.#of = of;
    this.#finish = finish;
  }

  reset(): void {
    this.#sum = 0;
    this.#count = 0;
  }

  add(value: Datum): void {
    this.#sum = addExact(this.#sum, this.#of(value));
    this.#count++;
  }

  remove(value: Datum): void {
    this.#sum = subtractExact(this.#sum, this.#of(value));
    this.#count--;
  }

  value(): Datum {
    return this.#finish(this.#sum, this.#count);
  }
}

/** Sums of doubles depend on their order, so that nothing is ever taken out of one. */
class RunningDouble implements Running {
  readonly removes = false;
  #sum = 0;
  #count = 0;
  readonly #mean: boolean;

  constructor(mean: boolean) {
    this.#mean = mean;
  }

  reset(): void {
    this.#sum = 0;
    this.#count = 0;
  }

  add(value: Datum): void {
    this.#sum += value as number;
    this.#count++;
  }

  remove(): void {}

  value(): Datum {
    if (this.#count === 0) return null;
    return this.#mean ? this.#sum / this.#count : this.#sum;
  }
}

class RunningExtreme implements Running {
  readonly removes = false;
  #best: Datum = null;
  readonly #type: SqlType;
  readonly #sign: number;

  constructor(type: SqlType, sign: number) {
    this.#type = type;
    this.#sign = sign;
  }

  reset(): void {
    this.#best = null;
  }

  add(value: Datum): void {
    if (this.#best === null || this.#sign * compareDatums(value, this.#best, this.#type) < 0) this.#best = value;
  }

  remove(): void {}

  value(): Datum {
    return this.#best;
  }
}

/** Where the present row's frame begins and ends, [start, end); rows are asked for in order. */
interface Frames {
  start: number;
  end: number;
  moveTo(position: number): void;
}

class RowFrames implements Frames {
  start = 0;
  end = 0;
  readonly #frame: Frame;
  readonly #rows: OrderedPartition;

  constructor(frame: Frame, rows: OrderedPartition) {
    this.#frame = frame;
    this.#rows = rows;
  }

  moveTo(position: number): void {
    const { start, end } = this.#frame;
    const { length } = this.#rows;
    this.start = start === null ? 0 : Math.min(length, Math.max(0, position + Number(start)));
    this.end = end === null ? length : Math.max(this.start, Math.min(length, position + Number(end) + 1));
  }
}

/** By the sort key's value. Rows whose key is NULL see their peers where a bound is an offset. */
class RangeFrames implements Frames {
  start = 0;
  end = 0;
  readonly #frame: Frame;
  readonly #rows: OrderedPartition;
  readonly #key: SortKey | undefined;
  readonly #isDouble: boolean;
  #peersStart = 0;
  #peersEnd = 0;

  constructor(frame: Frame, rows: OrderedPartition, { orderBy, types }: OverContext) {
    this.#frame = frame;
    this.#rows = rows;
    this.#key = orderBy[0];
    const kind = orderBy.length === 0 ? null : types[orderBy[0].column].kind;
    this.#isDouble = kind === 'double' || kind === 'real';
  }

  moveTo(position: number): void {
    const { start, end } = this.#frame;
    const { length } = this.#rows;
    if (position >= this.#peersEnd || position < this.#peersStart) this.#findPeers(position);
    this.start = start === null ? 0 : start === 0 ? this.#peersStart : this.#bound(position, start, 'start');
    this.end = end === null ? length : end === 0 ? this.#peersEnd : this.#bound(position, end, 'end');
    if (this.end < this.start) this.end = this.start;
  }

  #findPeers(position: number): void {
    const rows = this.#rows;
    let first = position;
    while (first > 0 && rows.arePeers(first - 1, position)) first--;
    let last = position + 1;
    while (last < rows.length && rows.arePeers(position, last)) last++;
    this.#peersStart = first;
    this.#peersEnd = last;
  }

  /** The first row within (start), or after the last one (end), by binary search: rows without a key are at one edge. */
  #bound(position: number, offset: Exact, end: 'start' | 'end'): number {
    const key = this.#key;
    assert(key !== undefined, 'a RANGE frame with an offset has a sort key');
    const rows = this.#rows;
    const here = rows.datum(position, key.column);
    if (here === null) return end === 'start' ? this.#peersStart : this.#peersEnd;
    const moved = key.descending ? subtract(here, offset, this.#isDouble) : add(here, offset, this.#isDouble);
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const value = rows.datum(middle, key.column);
      const isBefore =
        value === null ? key.nullsFirst : isBeforeBound(value as Exact, moved, key.descending, end === 'end');
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const add = (value: Datum, offset: Exact, isDouble: boolean): Exact =>
  isDouble ? (value as number) + Number(offset) : addExact(value as Exact, offset);
const subtract = (value: Datum, offset: Exact, isDouble: boolean): Exact =>
  isDouble ? (value as number) - Number(offset) : subtractExact(value as Exact, offset);

function isBeforeBound(value: Exact, bound: Exact, descending: boolean, inclusive: boolean): boolean {
  if (value === bound) return inclusive;
  return descending ? value > bound : value < bound;
}
