import { StreamError } from '../../../src/lib/errors.ts';
import type { Batch, ColumnSchema } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { isInteger, type SqlType, typeName } from '../../../src/values/types.ts';
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
} from './aggregate-results.ts';
import { DistinctValues } from './distinct-values.ts';
import { DoubleSum } from './double-sum.ts';
import { AppendExtreme, OrderedValues, RetractableExtreme } from './extremes.ts';

/** Accumulators that take the same rows: one argument, one FILTER, DISTINCT or not. */
interface Feed {
  readonly arg: number | null;
  readonly filter: number | null;
  readonly distinct: DistinctValues | null;
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
  readonly #id: string;
  readonly #input: readonly ColumnSchema[];
  readonly #appendOnly: boolean;
  readonly #rowCount: Counted;

  constructor(id: string, plan: Aggregate, appendOnly: boolean, rowCount: Counted) {
    this.#id = id;
    this.#input = plan.input.schema;
    this.#appendOnly = appendOnly;
    this.#rowCount = rowCount;
    this.results = plan.aggregates.map((call) => this.#result(call));
    this.accumulators = [...this.#parts.values()];
  }

  get tables(): StateTable[] {
    const distinct = [...this.#feeds.values()].flatMap((feed) => (feed.distinct === null ? [] : [feed.distinct.table]));
    return [...distinct, ...this.accumulators.flatMap((part) => part.tables)];
  }

  update(batch: Batch, slots: Int32Array): void {
    for (const feed of this.#feeds.values()) {
      const from = contribution(feed, batch, slots);
      if (from.count === 0) continue;
      const reduced = feed.distinct === null ? from : feed.distinct.reduce(from);
      for (const part of feed.accumulators) part.update(reduced);
    }
  }

  #result(call: AggregateCall): AggregateResult {
    if (call.fn === 'count') return countResult(call.type, this.#counter(call));
    const type = this.#input[call.arg!].type;
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

  #counter(call: AggregateCall): Counted {
    const never = call.arg === null || !this.#input[call.arg].nullable;
    if (never && call.filter === null && !call.distinct) return this.#rowCount;
    return this.#part('count', this.#feed(call), call, () => new Counter());
  }

  #feed(call: AggregateCall): Feed {
    const key = feedKey(call);
    let feed = this.#feeds.get(key);
    if (feed === undefined) {
      const distinct =
        call.distinct && call.arg !== null
          ? new DistinctValues(`${this.#id}.distinct.${key}`, this.#input[call.arg].type, this.#appendOnly)
          : null;
      feed = { arg: call.arg, filter: call.filter, distinct, accumulators: [], needsValues: distinct !== null };
      this.#feeds.set(key, feed);
    }
    return feed;
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

const feedKey = (call: AggregateCall): string =>
  `${call.arg ?? 'row'}${call.filter === null ? '' : `.if${call.filter}`}${call.distinct ? '.distinct' : ''}`;

const NO_VALUES = new Float64Array(0);

function contribution(feed: Feed, batch: Batch, slots: Int32Array): Contribution {
  const arg = feed.arg === null ? null : batch.columns[feed.arg];
  const filter = feed.filter === null ? null : batch.columns[feed.filter];
  const values = feed.needsValues && arg !== null ? arg.values : NO_VALUES;
  const nulls = arg === null ? null : arg.nulls;
  if (nulls === null && filter === null) {
    return { values, slots, weights: batch.weights, rows: null, count: batch.length };
  }
  const rows = new Int32Array(batch.length);
  let count = 0;
  for (let row = 0; row < batch.length; row++) {
    if (nulls !== null && nulls[row] === 1) continue;
    if (filter !== null && !isTrue(filter, row)) continue;
    rows[count++] = row;
  }
  return { values, slots, weights: batch.weights, rows, count };
}

function isTrue(column: Column, row: number): boolean {
  if (column.nulls !== null && column.nulls[row] === 1) return false;
  const value = column.values[row];
  return value === 1 || value === true;
}
