import { StreamError } from '../../../src/lib/errors.ts';
import type { Batch, ColumnSchema } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { isInteger, type SqlType, typeName } from '../../../src/values/types.ts';
import type { AggregateFunction, AggregateInfo } from '../../functions/aggregate-table.ts';
import { AGGREGATES, stepsOf } from '../../functions/aggregates.ts';
import type { Moments } from '../../functions/moments.ts';
import type { Aggregate, AggregateCall } from '../../plan/plan.ts';
import type { StateTable } from '../operator.ts';
import { type Accumulator, type Contribution, Counter, ExactSum } from './accumulators.ts';
import {
  type AggregateResult,
  type Counted,
  countResult,
  doubleAvgResult,
  doubleSumResult,
  exactAvgResult,
  exactSumResult,
  extremeResult,
  momentsResult,
  rowsResult,
  steppedResult,
} from './aggregate-results.ts';
import type { DistinctEntries } from './distinct-entries.ts';
import { DistinctValues } from './distinct-values.ts';
import { DoubleSum } from './double-sum.ts';
import { AppendExtreme, OrderedValues, RetractableExtreme } from './extremes.ts';
import { FirstRow } from './first-row.ts';
import { MomentSums } from './moment-sums.ts';
import { OrderedRows, type RowShape } from './ordered-rows.ts';
import { MOST_FILTERS, SharedDistinct } from './shared-distinct.ts';
import { SteppedState } from './stepped-state.ts';

/** Accumulators that take the same rows: those where `present` is not NULL, by one argument, one FILTER, DISTINCT or not. */
interface Feed {
  readonly arg: number | null;
  readonly present: readonly number[];
  readonly filter: number | null;
  readonly distinct: DistinctValues | null;
  /** Fed by a table of distinct values that it has in common with others. */
  readonly isShared: boolean;
  readonly accumulators: Accumulator[];
  /** Whether any accumulator looks at the values. */
  needsValues: boolean;
}

/**
 * Turns the calls of an aggregate into as few accumulators as answer them: sum and avg of one column share their sum,
 * all share their counts, and a count that cannot differ from the group's row count is that.
 */
export class AggregateState {
  readonly results: readonly AggregateResult[];
  readonly accumulators: readonly Accumulator[];
  readonly #feeds = new Map<string, Feed>();
  readonly #parts = new Map<string, Accumulator>();
  /** Distinct values of one argument under several filters, and what each of these feeds. */
  readonly #shares: readonly { readonly distinct: SharedDistinct; readonly feeds: readonly Feed[] }[];
  readonly #id: string;
  readonly #input: readonly ColumnSchema[];
  readonly #appendOnly: boolean;
  readonly #rowCount: Counted;
  readonly #drops: boolean;

  /** `drops`: groups are let go of before all their rows were taken back. */
  constructor(id: string, plan: Aggregate, appendOnly: boolean, rowCount: Counted, drops: boolean) {
    this.#id = id;
    this.#drops = drops;
    this.#input = plan.input.schema;
    this.#appendOnly = appendOnly;
    this.#rowCount = rowCount;
    const shares = sharesOf(plan.aggregates);
    for (const call of shares.flat()) this.#addFeed(call, true);
    this.#shares = shares.map((calls) => this.#share(calls));
    this.results = plan.aggregates.map((call) => this.#result(call));
    this.accumulators = [...this.#parts.values()];
  }

  get tables(): StateTable[] {
    return [...this.#distinct().map(({ table }) => table), ...this.accumulators.flatMap((part) => part.tables)];
  }

  /** Lets go of all that a group holds beside its row. */
  drop(slot: number): void {
    for (const part of this.accumulators) part.drop?.(slot);
    for (const entries of this.#distinct()) entries.drop(slot);
  }

  update(batch: Batch, slots: Int32Array): void {
    for (const feed of this.#feeds.values()) {
      if (feed.isShared) continue;
      const from = contribution(feed, batch, slots);
      if (from.count === 0) continue;
      const reduced = feed.distinct === null ? from : feed.distinct.reduce(from);
      for (const part of feed.accumulators) part.update(reduced);
    }
    for (const { distinct, feeds } of this.#shares) {
      distinct.update(batch, slots, (n, rows, weights, count) => {
        const { columns } = batch;
        const values = feeds[n].needsValues ? columns[feeds[n].arg!].values : NO_VALUES;
        for (const part of feeds[n].accumulators) part.update({ columns, values, slots, weights, rows, count });
      });
    }
  }

  #distinct(): DistinctEntries[] {
    const alone = [...this.#feeds.values()].flatMap(({ distinct }) => (distinct === null ? [] : [distinct.entries]));
    return [...alone, ...this.#shares.map(({ distinct }) => distinct.entries)];
  }

  #result(call: AggregateCall): AggregateResult {
    if (call.fn === 'count') return countResult(call.type, this.#counter(call));
    const type = this.#input[call.arg!].type;
    const row = AGGREGATES.get(call.fn);
    if (row?.moments !== undefined) return this.#moments(call, row.moments);
    const steps = stepsOf(call);
    if (steps !== undefined) {
      const [a, b = null] = presentOf(call);
      const part = this.#part(
        `steps.${call.fn}`,
        this.#feed(call),
        call,
        () => new SteppedState(steps, b === null ? [a] : [a, b]),
      );
      return steppedResult(call.type, part);
    }
    if (row?.finish !== undefined) return this.#overRows(call, row);
    if (call.fn === 'min' || call.fn === 'max') return this.#extreme(call, call.fn, type);
    const feed = this.#feed(call);
    feed.needsValues = true;
    if (type.kind === 'double' || type.kind === 'real') {
      const sum = this.#part('double', feed, call, () => new DoubleSum());
      return call.fn === 'sum'
        ? doubleSumResult(call.type, sum, this.#counter(call))
        : doubleAvgResult(call.type, sum, this.#counter(call));
    }
    if (!isInteger(type) && type.kind !== 'decimal') {
      throw new StreamError('SQL_UNSUPPORTED', `${call.fn}(${typeName(type)}) is not supported`);
    }
    const sum = this.#part('exact', feed, call, () => new ExactSum());
    const scale = type.kind === 'decimal' ? type.scale : 0;
    return call.fn === 'sum'
      ? exactSumResult(call.type, scale, sum, this.#counter(call))
      : exactAvgResult(call.type, scale, sum, this.#counter(call));
  }

  #extreme(call: AggregateCall, fn: 'min' | 'max', type: SqlType): AggregateResult {
    const once = { ...call, distinct: false }; // min and max of distinct values are those of all
    const feed = this.#feed(once);
    feed.needsValues = true;
    if (this.#appendOnly) {
      return extremeResult(
        call.type,
        this.#part(fn, feed, once, () => new AppendExtreme(fn, type)),
      );
    }
    const values = this.#part('values', feed, once, (id) => new OrderedValues(id, type));
    return extremeResult(call.type, new RetractableExtreme(fn, values));
  }

  #moments(call: AggregateCall, finish: (moments: Moments) => number | null): AggregateResult {
    const feed = this.#feed(call);
    feed.needsValues = true;
    const sums = this.#part('moments', feed, call, () => new MomentSums(call.arg2 ?? null));
    return momentsResult(call.type, sums, this.#counter(call), finish);
  }

  #overRows(call: AggregateCall, row: AggregateFunction): AggregateResult {
    const shape = shapeOf(call, this.#input);
    const info: AggregateInfo = {
      types: [shape.types[shape.a], ...(shape.b < 0 ? [] : [shape.types[shape.b]])],
      params: call.params ?? [],
      type: call.type,
    };
    const feed = this.#feed(call);
    const key = `${shape.columns.join()}.${shape.orderBy.map((by) => `${by.column}${by.descending ? 'd' : ''}${by.nullsFirst ? 'n' : ''}`).join()}`;
    if (this.#appendOnly && (row.looksAt === 'first' || row.looksAt === 'last')) {
      const end = row.looksAt;
      const part = this.#part(`${end}.${key}`, feed, call, () => new FirstRow(shape, end));
      return rowsResult(call.type, part, row, info);
    }
    const positions = row.looksAt === 'positions';
    const kind = `rows${positions ? '.at' : ''}.${key}`;
    const part = this.#part(kind, feed, call, (id) => new OrderedRows(id, shape, call.distinct, positions));
    return rowsResult(call.type, part, row, info);
  }

  #counter(call: AggregateCall): Counted {
    const never = presentOf(call).every((column) => !this.#input[column].nullable);
    if (never && call.filter === null && !call.distinct) return this.#rowCount;
    return this.#part('count', this.#feed(call), call, () => new Counter());
  }

  #feed(call: AggregateCall): Feed {
    return this.#feeds.get(feedKey(call)) ?? this.#addFeed(call, false);
  }

  #addFeed(call: AggregateCall, isShared: boolean): Feed {
    const { arg, filter } = call;
    const id = this.#distinctId(call);
    const distinct =
      !isShared && keepsDistinct(call)
        ? new DistinctValues(id, arg!, this.#input[arg!].type, this.#appendOnly, this.#drops)
        : null;
    const feed = { arg, present: presentOf(call), filter, distinct, isShared, accumulators: [], needsValues: false };
    this.#feeds.set(feedKey(call), feed);
    return feed;
  }

  #share(calls: readonly AggregateCall[]) {
    const arg = calls[0].arg!;
    const { type } = this.#input[arg];
    const id = `${this.#id}.distinct.${calls.map(feedKey).join('+')}`;
    const shape = {
      arg,
      type,
      filters: calls.map(({ filter }) => filter),
      apart: calls.map((call) => this.#distinctId(call)),
    };
    return {
      distinct: new SharedDistinct(id, shape, this.#appendOnly, this.#drops),
      feeds: calls.map((call) => this.#feed(call)),
    };
  }

  #distinctId(call: AggregateCall): string {
    return `${this.#id}.distinct.${feedKey(call)}`;
  }

  #part<T extends Accumulator>(kind: string, feed: Feed, call: AggregateCall, make: (id: string) => T): T {
    const key = `${kind}.${feedKey(call)}`;
    let part = this.#parts.get(key);
    if (part === undefined) {
      part = make(`${this.#id}.${key}`);
      this.#parts.set(key, part);
      feed.accumulators.push(part);
    }
    return part as T;
  }
}

/** min and max of distinct values are those of all, and rows kept in order count their own repetitions. */
const keepsDistinct = ({ fn, arg, distinct }: AggregateCall): boolean =>
  distinct && arg !== null && fn !== 'min' && fn !== 'max' && AGGREGATES.get(fn)?.finish === undefined;

/** One call of each feed with distinct values of one argument, where several filters ask for these. */
function sharesOf(calls: readonly AggregateCall[]): AggregateCall[][] {
  const byFeed = new Map(
    calls.filter((call) => keepsDistinct(call) && call.arg2 === undefined).map((call) => [feedKey(call), call]),
  );
  const byArg = new Map<number, AggregateCall[]>();
  for (const call of byFeed.values()) byArg.set(call.arg!, [...(byArg.get(call.arg!) ?? []), call]);
  return [...byArg.values()].flatMap((all) => chunksOf(all, MOST_FILTERS)).filter((some) => some.length > 1);
}

function chunksOf<T>(all: readonly T[], most: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / most) }, (_, n) => all.slice(n * most, (n + 1) * most));
}

/** The arguments whose NULLs leave a row out. */
function presentOf({ fn, arg, arg2 }: AggregateCall): readonly number[] {
  if (arg === null) return [];
  const columns = arg2 === undefined ? [arg] : [arg, arg2];
  const skips = AGGREGATES.get(fn)?.skipsNull;
  return skips === undefined ? columns : skips.map((i) => columns[i]);
}

/** Rows kept in order count their own repetitions, so DISTINCT there is another feed than DISTINCT before a sum. */
function feedKey(call: AggregateCall): string {
  const rows = AGGREGATES.get(call.fn)?.finish === undefined ? '' : `.rows${presentOf(call).join('+')}`;
  const pair = call.arg2 === undefined ? '' : `+${call.arg2}`;
  return `${call.arg ?? 'row'}${pair}${rows}${call.filter === null ? '' : `.if${call.filter}`}${call.distinct ? '.distinct' : ''}`;
}

/** The columns an aggregate over rows keeps, those of its order first, each once. */
function shapeOf(call: AggregateCall, input: readonly ColumnSchema[]): RowShape {
  const columns: number[] = [];
  const place = (column: number): number => {
    if (!columns.includes(column)) columns.push(column);
    return columns.indexOf(column);
  };
  const orderBy = (call.orderBy ?? []).map((key) => ({ ...key, column: place(key.column) }));
  const a = place(call.arg!);
  const b = call.arg2 === undefined ? -1 : place(call.arg2);
  return { columns, types: columns.map((column) => input[column].type), orderBy, a, b };
}

const NO_VALUES = new Float64Array(0);

function contribution(feed: Feed, batch: Batch, slots: Int32Array): Contribution {
  const arg = feed.arg === null ? null : batch.columns[feed.arg];
  const filter = feed.filter === null ? null : batch.columns[feed.filter];
  const values = feed.needsValues && arg !== null ? arg.values : NO_VALUES;
  const { columns, weights } = batch;
  const absent = feed.present.map((column) => columns[column].nulls).filter((nulls) => nulls !== null);
  if (absent.length === 0 && filter === null) {
    return { columns, values, slots, weights, rows: null, count: batch.length };
  }
  const rows = new Int32Array(batch.length);
  const [nulls = null, more = null] = absent;
  let count = 0;
  for (let row = 0; row < batch.length; row++) {
    if (nulls !== null && nulls[row] === 1) continue;
    if (more !== null && more[row] === 1) continue;
    if (filter !== null && !isTrue(filter, row)) continue;
    rows[count++] = row;
  }
  return { columns, values, slots, weights, rows, count };
}

function isTrue(column: Column, row: number): boolean {
  if (column.nulls !== null && column.nulls[row] === 1) return false;
  const value = column.values[row];
  return value === 1 || value === true;
}
