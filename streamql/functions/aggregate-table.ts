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

/** A group's state as a text, in place of its rows; null is that of no rows. VALUE_… where there is none. */
export interface AggregateSteps {
  /** After rows that came (`times` above 0) and went. */
  advance(state: string | null, each: (visit: (a: Datum, b: Datum, times: number) => void) => void): string;
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
