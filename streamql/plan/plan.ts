import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Exact } from '../../src/values/decimal.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import type { AsOf } from './as-of.ts';

/**
 * What the binder yields, the rules rewrite, the engine runs and the DuckDB printer prints. Plain data: it crosses
 * threads and is stored. Column references are positions in the input's `schema`.
 */
export type Plan =
  | Scan
  | Values
  | Filter
  | Project
  | Window
  | Unnest
  | Session
  | Aggregate
  | Join
  | AsofJoin
  | LookupJoin
  | Recursive
  | Union
  | SetOp
  | Distinct
  | Expire
  | TopN
  | Over
  | Close
  | NowFilter
  | Match
  | Sort;

interface Node {
  /** Output columns, in order. */
  readonly schema: readonly ColumnSchema[];
}

/** Rows of a source, table or view. `columns[i]` is the position in the relation of output column i. */
export interface Scan extends Node {
  readonly op: 'scan';
  /** The catalogue id (also the engine's). */
  readonly relation: string;
  readonly name: string;
  readonly columns: readonly number[];
  readonly changelog: ChangelogKind;
  /** What its watermark bounds; absent without a watermark. */
  readonly time?: RelationTime;
  /** Rows below their partition's watermark are left out here, though the source lets them count elsewhere. */
  readonly dropsLate?: true;
  /** Of a query that runs once: the rows of a view as they were. */
  readonly asOf?: AsOf;
}

/** What the watermark of a relation says of its columns (plan/event-time.ts). */
export interface RelationTime {
  /** Positions in the relation, and by how much their values may be below the watermark. */
  readonly columns: readonly { readonly column: number; readonly lagMicros: number; readonly ofWindow: boolean }[];
  /** No row below the watermark comes any more; else late rows still count. */
  readonly firm: boolean;
  /** After so long without a step of the watermark, windows may close by the clock; 0: never. */
  readonly idleTimeoutMs: number;
}

/** Constant rows; `SELECT 1` is a Project over one empty row. */
export interface Values extends Node {
  readonly op: 'values';
  readonly rows: readonly (readonly Datum[])[];
}

/** Keeps rows for which the predicate is true (not NULL, not false). */
export interface Filter extends Node {
  readonly op: 'filter';
  readonly input: Plan;
  readonly predicate: Expr;
}

export interface Project extends Node {
  readonly op: 'project';
  readonly input: Plan;
  readonly exprs: readonly Expr[];
}

/**
 * TUMBLE, HOP and CUMULATE: each input row comes once per window that contains it, with window_start, window_end and window_time
 * (= end − 1 ms, as Flink) appended, of the time column's type. Rows whose time is NULL are left out.
 * A row at t is in windows [s, s + size) with s ≡ offset mod slide; TUMBLE is slide = size. CUMULATE: in windows [s, s + n · slide) with
 * s ≡ offset mod size, for the n from 1 to size / slide that reach beyond t.
 */
export interface Window extends Node {
  readonly op: 'window';
  readonly input: Plan;
  readonly kind: 'tumble' | 'hop' | 'cumulate';
  readonly timeColumn: number;
  readonly sizeMicros: number;
  readonly slideMicros: number;
  readonly offsetMicros: number;
}

/**
 * SESSION: rows of a partition that follow one another by no more than the gap are in one session, [first, last + gap), whose bounds and
 * window_time are appended as for Window. A row exactly a gap after the last still belongs to it, as in Flink. Rows without a time are
 * left out.
 */
export interface Session extends Node {
  readonly op: 'session';
  readonly input: Plan;
  readonly timeColumn: number;
  readonly partitionBy: readonly number[];
  readonly gapMicros: number;
}

/**
 * A function in FROM over columns of the input: each input row once per row that the function makes of it, with the function's columns
 * appended, and with `ordinality` the row's number from 1 (a BIGINT). `outer`: a row of which it makes none comes once, with NULLs there.
 */
export interface Unnest extends Node {
  readonly op: 'unnest';
  readonly input: Plan;
  /** A key of TABLE_FUNCTIONS. */
  readonly fn: string;
  /** Input positions. */
  readonly args: readonly number[];
  readonly ordinality: boolean;
  readonly outer: boolean;
}

/** Output: the group columns (`groupBy`, input positions), then one column per aggregate. No `groupBy` = one row, always. */
export interface Aggregate extends Node {
  readonly op: 'aggregate';
  readonly input: Plan;
  readonly groupBy: readonly number[];
  readonly aggregates: readonly AggregateCall[];
}

export interface AggregateCall {
  /** A key of AGGREGATES. */
  readonly fn: string;
  /** Input position; null for count(*). */
  readonly arg: number | null;
  /** Input position of the second column argument, of functions that have one. */
  readonly arg2?: number;
  /** The order in which the function sees the rows; what is equal there goes by the arguments. */
  readonly orderBy?: readonly SortKey[];
  /** Constant arguments. */
  readonly params?: readonly Datum[];
  readonly distinct: boolean;
  /** Input position of a boolean: only rows where it is true count. */
  readonly filter: number | null;
  readonly type: SqlType;
}

/**
 * Output: left columns, then right columns; nullable where the other side may be without a match (left: the right ones; full:
 * all). A semi join keeps left rows that have a match and an anti join those that have none: left columns only.
 */
export interface Join extends Node {
  readonly op: 'join';
  readonly kind: 'inner' | 'left' | 'full' | 'semi' | 'anti';
  readonly left: Plan;
  readonly right: Plan;
  /** Equal pairs (left position, right position), of the same type; empty = cross (inner only). */
  readonly keys: readonly (readonly [left: number, right: number])[];
  /** Keys compare with IS NOT DISTINCT FROM: NULL matches NULL. Otherwise with `=`: NULL matches nothing. */
  readonly nullSafe?: boolean;
  /** Over left ++ right columns; part of the ON condition. */
  readonly residual: Expr | null;
}

/**
 * Each left row with the one right row of its keys that is nearest in time on the side that `cmp` (left time against right time) names: for
 * `>=` and `>` the last one before it, for `<=` and `<` the first one after. Of right rows of one time the one that is greater (for
 * `<=` and `<`: less) in `ties`, then in all columns, so that the answer is one. A NULL key or time meets nothing. Output as of Join.
 */
export interface AsofJoin extends Node {
  readonly op: 'asof';
  readonly kind: 'inner' | 'left';
  readonly left: Plan;
  readonly right: Plan;
  readonly keys: readonly (readonly [left: number, right: number])[];
  readonly cmp: AsofComparison;
  /** Input positions, of one type. */
  readonly leftTime: number;
  readonly rightTime: number;
  /** Right positions; empty where keys and time name a row. */
  readonly ties: readonly number[];
  /** No two right rows are the same in keys, time and ties, so that other columns decide nothing. */
  readonly tiesDecide: boolean;
  /** FOR SYSTEM_TIME AS OF: the right side has the versions of a table's rows. For EXPLAIN. */
  readonly temporal?: boolean;
}

/**
 * A processing-time join: each left row with the right rows that match it when it arrives, after the changes of the right side that come in the
 * same epoch. What comes later to the right changes nothing; a left row that is taken back takes back what it was shown with. Output as of Join.
 */
export interface LookupJoin extends Node {
  readonly op: 'lookup';
  readonly kind: 'inner' | 'left';
  readonly left: Plan;
  readonly right: Plan;
  readonly keys: readonly (readonly [left: number, right: number])[];
  readonly residual: Expr | null;
}

export type AsofComparison = '>=' | '>' | '<=' | '<';

/**
 * WITH RECURSIVE: the rows of `base`, and of `step` over all rows so far, until no more come. `step` is a plan over scans: of `self` (the
 * rows of this node) and of `$input i` (those of `inputs[i]`); it is monotone in the former and names it once. Without `all` a row comes once,
 * else as often as it is derived, which is without end where a row derives itself.
 */
export interface Recursive extends Node {
  readonly op: 'recursive';
  readonly all: boolean;
  readonly base: Plan;
  readonly inputs: readonly Plan[];
  readonly step: Plan;
  readonly self: string;
}

/** UNION ALL; every input has the output's types. */
export interface Union extends Node {
  readonly op: 'union';
  readonly inputs: readonly Plan[];
}

/** INTERSECT and EXCEPT: a row that is n times left and m times right comes min(n, m) or max(n − m, 0) times; without `all`, once. */
export interface SetOp extends Node {
  readonly op: 'setOp';
  readonly kind: 'intersect' | 'except';
  readonly all: boolean;
  readonly left: Plan;
  readonly right: Plan;
}

export interface Distinct extends Node {
  readonly op: 'distinct';
  readonly input: Plan;
}

/** The input without the rows that came longer than `afterMicros` ago by the clock, or that had to make room; null: only these. */
export interface Expire extends Node {
  readonly op: 'expire';
  readonly input: Plan;
  readonly afterMicros: number | null;
}

export interface SortKey {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/**
 * The first `limit` rows of each partition in the given order; ties by the rest of the row, in column order, so that the answer
 * is one. `rank` appends ROW_NUMBER as a BIGINT column. Comes from `ROW_NUMBER() OVER (…) <= n`, and from ORDER BY … LIMIT in a view.
 */
export interface TopN extends Node {
  readonly op: 'topn';
  readonly input: Plan;
  readonly partitionBy: readonly number[];
  readonly orderBy: readonly SortKey[];
  readonly limit: number;
  readonly rank: boolean;
}

/**
 * Window functions: every input row with one column per call appended. Rows of a partition are in the order of `orderBy`; what is
 * equal there goes by the rest of the row, in column order, except that peers (equal in `orderBy`) have one rank and one RANGE frame.
 */
export interface Over extends Node {
  readonly op: 'over';
  readonly input: Plan;
  readonly partitionBy: readonly number[];
  readonly orderBy: readonly SortKey[];
  readonly calls: readonly OverCall[];
}

export interface OverCall {
  /** A key of WINDOW_FUNCTIONS. */
  readonly fn: string;
  /** Input positions. */
  readonly args: readonly number[];
  /** Constant arguments: how far lag and lead look, into how many parts ntile cuts, which row nth_value takes. */
  readonly params: readonly Datum[];
  /** Input position of a boolean: an aggregate sees only rows where it is true. */
  readonly filter: number | null;
  readonly frame: Frame;
  readonly type: SqlType;
}

/**
 * The rows that a call sees: from `start` to `end`, both included, relative to the present row: so many rows (negative: before it), or
 * for `range` so much of the one sort key's value; 0 is the row itself, for `range` with its peers. Null is the partition's edge.
 */
export interface Frame {
  readonly unit: 'rows' | 'range';
  readonly start: Exact | null;
  readonly end: Exact | null;
}

/**
 * EMIT ON WINDOW CLOSE, at the root of a view or sink: each row once, when no change to it can come any more, which is when the watermark
 * has passed its time by the delay. What changes later is an error row.
 */
export interface Close extends Node {
  readonly op: 'close';
  readonly input: Plan;
  /** The first of these columns that is not NULL says when: the watermark must be above its value + lag. */
  readonly times: readonly { readonly column: number; readonly lagMicros: number }[];
  readonly delayMicros: number;
  /** When the watermark has stood still for so long, event time goes on with the clock; null: never. */
  readonly idleMicros: number | null;
  /** When nothing has come for so long, all rows go; null: never. */
  readonly timeoutMicros: number | null;
}

/** A moment of a row: a column's value, moved. */
export interface Moment {
  readonly column: number;
  readonly plusMicros: number;
}

/**
 * Terms of WHERE that compare with now(): a row is there when now() has reached all moments of `from` and none of `until`. NULL is never
 * reached and always passed.
 */
export interface NowFilter extends Node {
  readonly op: 'nowFilter';
  readonly input: Plan;
  readonly from: readonly Moment[];
  readonly until: readonly Moment[];
}

/**
 * MATCH_RECOGNIZE. Each partition's rows stand in the order of `orderBy`; what is equal there goes by the rest of the row, in column
 * order. From each row that AFTER MATCH SKIP does not pass over, the first match in SQL's order of preference is taken. Output: for `one`
 * the partition columns and the measures, a row per match; for `all` a row per matched row: partition and order columns, measures, then
 * the input's columns `rest`.
 */
export interface Match extends Node {
  readonly op: 'match';
  readonly input: Plan;
  readonly partitionBy: readonly number[];
  readonly orderBy: readonly SortKey[];
  /** Names of the pattern's variables; positions in it stand for them elsewhere. */
  readonly variables: readonly string[];
  readonly pattern: RowPattern;
  /** By variable; null: any row. */
  readonly defines: readonly (MatchExpr | null)[];
  readonly measures: readonly MatchExpr[];
  /** unmatched: all, and those that are in no match. */
  readonly rows: 'one' | 'all' | 'allButEmpty' | 'unmatched';
  readonly rest: readonly number[];
  readonly skip: MatchSkip;
  /** The last row's time less the first's is shorter than this; of the first sort key, a moment. */
  readonly withinMicros: number | null;
}

export type MatchSkip =
  | { readonly to: 'pastLast' | 'nextRow' }
  /** The first or last row of the match that one of the variables took. */
  | { readonly to: 'first' | 'last'; readonly variables: readonly number[] };

export type RowPattern =
  | { readonly op: 'row'; readonly variable: number }
  | { readonly op: 'empty' | 'start' | 'end' }
  /** `choice`: earlier items are preferred. */
  | { readonly op: 'sequence' | 'choice'; readonly items: readonly RowPattern[] }
  | {
      readonly op: 'repeat';
      readonly item: RowPattern;
      readonly min: number;
      readonly max: number | null;
      readonly reluctant: boolean;
    }
  /** Its rows are not among ALL ROWS. */
  | { readonly op: 'exclude'; readonly item: RowPattern };

/** A condition or measure: `expr` over the values of `reads`, in order. */
export interface MatchExpr {
  readonly expr: Expr;
  readonly reads: readonly MatchRead[];
}

/** What a condition or measure takes from the match so far. `variables` null: any; `final`: from the whole match. */
export type MatchRead =
  | {
      /**
       * A column of one row: the present one, or the `offset`-th of those that the variables took, from the first on or from the last
       * back; then `shift` rows of the partition further (negative: before). NULL where there is no such row.
       */
      readonly kind: 'row';
      readonly from: 'present' | 'first' | 'last';
      readonly variables: readonly number[] | null;
      readonly offset: number;
      readonly shift: number;
      /** Input position; null: the name of the variable that took the row. */
      readonly column: number | null;
      readonly final: boolean;
    }
  | {
      readonly kind: 'aggregate';
      /** A key of AGGREGATES. */
      readonly fn: string;
      readonly variables: readonly number[] | null;
      /** As `column` above; none for count(*). */
      readonly args: readonly (number | null)[];
      readonly params: readonly Datum[];
      readonly type: SqlType;
      readonly final: boolean;
    }
  /** MATCH_NUMBER(): the partition's matches counted from 1. */
  | { readonly kind: 'number' };

/** Only at the root of a pull query, never in a view. */
export interface Sort extends Node {
  readonly op: 'sort';
  readonly input: Plan;
  readonly orderBy: readonly SortKey[];
  readonly limit: number | null;
  readonly offset: number;
}

/** What changes an edge may carry: only weight +1; or replacements by key; or any. */
export type ChangelogKind = 'append' | 'upsert' | 'general';

/** Every Expr knows its type. NULL in, NULL out unless the function says otherwise. */
export type Expr =
  | { readonly op: 'column'; readonly index: number; readonly type: SqlType }
  | { readonly op: 'literal'; readonly value: Datum; readonly type: SqlType }
  /**
   * Only while binding: column `index` of the query `level` (1 or more) queries outside. Decorrelation (binder/decorrelate.ts) leaves
   * none in a bound plan.
   */
  | {
      readonly op: 'outer';
      readonly level: number;
      readonly index: number;
      readonly nullable: boolean;
      readonly type: SqlType;
    }
  /** `fn` is a key of FUNCTIONS; args already have the signature's types (casts were inserted). */
  | { readonly op: 'call'; readonly fn: string; readonly args: readonly Expr[]; readonly type: SqlType }
  /** SQL's three-valued logic; AND and OR take two or more. */
  | { readonly op: 'and' | 'or'; readonly args: readonly Expr[]; readonly type: SqlType }
  | { readonly op: 'not'; readonly arg: Expr; readonly type: SqlType }
  | { readonly op: 'isNull'; readonly arg: Expr; readonly negated: boolean; readonly type: SqlType }
  /** Both sides have one type. `distinct`: IS [NOT] DISTINCT FROM. */
  | {
      readonly op: 'compare';
      readonly cmp: '=' | '<>' | '<' | '<=' | '>' | '>=' | 'distinct' | 'notDistinct';
      readonly left: Expr;
      readonly right: Expr;
      readonly type: SqlType;
    }
  /** Searched CASE (the simple form is rewritten). `otherwise` may be a NULL literal. */
  | {
      readonly op: 'case';
      readonly branches: readonly { readonly when: Expr; readonly then: Expr }[];
      readonly otherwise: Expr;
      readonly type: SqlType;
    }
  /** First that is not NULL. */
  | { readonly op: 'coalesce'; readonly args: readonly Expr[]; readonly type: SqlType }
  /** `arg IN (constants)`, NULL rules of SQL. The values are of arg's type. */
  | {
      readonly op: 'in';
      readonly arg: Expr;
      readonly values: readonly Datum[];
      readonly negated: boolean;
      readonly type: SqlType;
    }
  /** VALUE_CAST when the value cannot be converted; `safe` (TRY_CAST) gives NULL instead. */
  | { readonly op: 'cast'; readonly arg: Expr; readonly type: SqlType; readonly safe: boolean };
