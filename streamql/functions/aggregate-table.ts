import type { StreamError } from '../../src/lib/errors.ts';
import type { Column } from '../../src/values/column.ts';
import type { Datum, SqlType, TypeKind } from '../../src/values/types.ts';
import type { GroupRows } from './group-rows.ts';
import type { Moments } from './moments.ts';

/** What a finishing function may know besides the rows. */
export interface AggregateInfo {
  /** Of the arguments, after casts. */
  readonly types: readonly SqlType[];
  /** The constant arguments. */
  readonly params: readonly Datum[];
  readonly type: SqlType;
}

/** Rows that come to states, and go from them. No argument is NULL. */
export interface StateChanges {
  readonly args: readonly Column[];
  /** By change, up to `count`: the row of the arguments, which of the states, and how often it comes (below 0: goes). */
  readonly rows: Int32Array;
  readonly groups: Int32Array;
  readonly times: Int32Array;
  readonly count: number;
}

/** Groups' states as texts, in place of their rows; null is that of no rows. */
export interface AggregateSteps {
  /** The states after the changes, of which those that come are taken before those that go; of a group in which one failed the error, VALUE_…. */
  advance(states: readonly (string | null)[], changes: StateChanges): (string | StreamError)[];
  /** VALUE_… where there is none. */
  finish(state: string | null): Datum;
}

/**
 * One row per aggregate function. The binder types its calls, the engine keeps a group's rows (or its sums) and calls `finish` (or
 * `moments`), the DuckDB printer hands `finish` the same rows as lists, so that a view and a query answer the same; docs and tests print
 * and run `example`.
 */
export interface AggregateFunction {
  readonly name: string;
  /** One or two column arguments. */
  readonly args: readonly (TypeKind | 'any' | 'integers')[];
  /** Constant arguments that follow. In WITHIN GROUP they are all that stands in the parentheses. */
  readonly params?: readonly SqlType[];
  /** ORDER BY inside the call: `within` is WITHIN GROUP (ORDER BY argument), which a plain argument may stand for. */
  readonly order?: 'optional' | 'required' | 'within';
  /** The order of the rows as `finish` sees them where the call has none of its own: by which argument, and whether descending. */
  readonly by?: readonly { readonly arg: 0 | 1; readonly descending: boolean }[];
  /** Arguments whose NULLs leave a row out; all of them unless said. */
  readonly skipsNull?: readonly number[];
  /** A scalar function that the first argument goes through before; the rows then hold its values. */
  readonly prepare?: string;
  /** Which rows `finish` looks at; the rest need not be kept where nothing is taken back, nor counted. */
  readonly looksAt?: 'first' | 'last' | 'positions' | 'all';
  /** Never NULL. */
  readonly total?: boolean;
  /** Undefined where it does not take the types. */
  returns(args: readonly SqlType[]): SqlType | undefined;
  finish?(rows: GroupRows, info: AggregateInfo): Datum;
  /** Beside `finish`: for calls without DISTINCT and order. */
  readonly steps?: AggregateSteps;
  moments?(moments: Moments): number | null;
  readonly signature: string;
  readonly doc: string;
  /** An expression over the rows of the reference page's table `t`, and its value as text. */
  readonly example: readonly [call: string, value: string];
}
