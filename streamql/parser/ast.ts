import type { Position } from '../../src/lib/errors.ts';
import type { SqlType } from '../../src/values/types.ts';

/** The typed syntax tree. Names are folded as Postgres does (unquoted to lower case). Every node knows where it began. */

export interface Located {
  readonly at: Position;
}

export interface Name extends Located {
  /** Folded, or as quoted; with a schema `schema.name`. */
  readonly text: string;
  /** Of an object written as schema.name. */
  readonly schema?: string;
  readonly quoted: boolean;
}

export type Statement =
  | CreateFunction
  | DropFunction
  | CreateSource
  | CreateTable
  | CreateView
  | CreateSink
  | Drop
  | CreateIndex
  | DropIndex
  | CreateSchema
  | DropSchema
  | SetSession
  | Alter
  | Pause
  | Show
  | Describe
  | Explain
  | Flush
  | Replay
  | VerifyView
  | QueryStatement
  | Subscribe
  | Insert
  | Update
  | Delete;

export interface CreateSource extends Located {
  readonly kind: 'createSource';
  readonly name: Name;
  readonly ifNotExists: boolean;
  /** Empty: columns are inferred from the format's schema or the topic's records. */
  readonly columns: readonly ColumnDef[];
  /** For a format that says which row a record changes. */
  readonly primaryKey: readonly Name[];
  readonly watermark: WatermarkDef | null;
  readonly options: readonly Option[];
}

export interface CreateTable extends Located {
  readonly kind: 'createTable';
  readonly name: Name;
  readonly ifNotExists: boolean;
  readonly columns: readonly ColumnDef[];
  /** From the column's or the table's PRIMARY KEY clause, in order; the parser refuses two clauses. */
  readonly primaryKey: readonly Name[];
  readonly watermark: WatermarkDef | null;
  readonly options: readonly Option[];
}

export interface ColumnDef extends Located {
  readonly name: Name;
  readonly type: SqlType;
  readonly notNull: boolean;
}

/** WATERMARK FOR column AS column [- INTERVAL '…']. The binder checks the form. */
export interface WatermarkDef extends Located {
  readonly column: Name;
  readonly expr: AstExpr;
}

/** CREATE [OR REPLACE] FUNCTION and CREATE AGGREGATE. */
export interface CreateFunction extends Located {
  readonly kind: 'createFunction';
  readonly name: Name;
  readonly orReplace: boolean;
  readonly ifNotExists: boolean;
  readonly isAggregate: boolean;
  readonly params: readonly { readonly name: Name | null; readonly type: SqlType; readonly at: Position }[];
  /** Null for RETURNS TABLE. */
  readonly returns: SqlType | null;
  readonly returnsAt: Position;
  readonly columns: readonly { readonly name: Name; readonly type: SqlType }[];
  readonly language: Name;
  /** Of a SQL function: SELECT and what follows. */
  readonly source: string;
  readonly sourceAt: Position;
}

export interface DropFunction extends Located {
  readonly kind: 'dropFunction';
  readonly ifExists: boolean;
  readonly names: readonly Name[];
}

/** WITH (name = 'value', …); numbers and booleans keep their text. */
export interface Option extends Located {
  readonly name: string;
  readonly value: string;
}

export interface CreateView extends Located {
  readonly kind: 'createView';
  readonly name: Name;
  readonly orReplace: boolean;
  readonly ifNotExists: boolean;
  readonly columnNames: readonly Name[];
  readonly query: Query;
  /** The query's own text, as written. */
  readonly queryText: string;
  readonly options: readonly Option[];
}

export interface CreateSink extends Located {
  readonly kind: 'createSink';
  readonly name: Name;
  readonly ifNotExists: boolean;
  /** `FROM v` is parsed as SELECT * FROM v. */
  readonly query: Query;
  readonly queryText: string;
  /** ICEBERG, DELTA, TOPIC, TABLE; lower case. `subscription`: CREATE SUBSCRIPTION. */
  readonly into: string;
  readonly intoAt: Position;
  /** What follows INTO <kind>, if a name does: INTO ICEBERG warehouse.bids. */
  readonly target: readonly Name[];
  readonly options: readonly Option[];
}

export interface CreateIndex extends Located {
  readonly kind: 'createIndex';
  /** Null: called after the object and its columns. */
  readonly name: Name | null;
  readonly ifNotExists: boolean;
  readonly on: Name;
  readonly columns: readonly Name[];
}

export interface DropIndex extends Located {
  readonly kind: 'dropIndex';
  readonly names: readonly Name[];
  readonly ifExists: boolean;
}

export interface CreateSchema extends Located {
  readonly kind: 'createSchema';
  readonly name: Name;
  readonly ifNotExists: boolean;
}

export interface DropSchema extends Located {
  readonly kind: 'dropSchema';
  readonly name: Name;
  readonly ifExists: boolean;
  readonly cascade: boolean;
}

/** SET name = value, … for the statements after it. No values: DEFAULT. */
export interface SetSession extends Located {
  readonly kind: 'set';
  readonly name: Name;
  readonly values: readonly string[];
}

export type Alter = Located & {
  readonly kind: 'alter';
  readonly object: ObjectKind;
  readonly name: Name;
  readonly ifExists: boolean;
} & (
    | { readonly action: 'rename' | 'swap' /** RENAME TO this; SWAP WITH this. */; readonly other: Name }
    | { readonly action: 'set'; readonly options: readonly Option[] }
  );

export interface Pause extends Located {
  readonly kind: 'pause';
  readonly object: ObjectKind;
  readonly name: Name;
  /** False for RESUME. */
  readonly paused: boolean;
}

export type ObjectKind = 'source' | 'table' | 'view' | 'sink' | 'subscription';

export interface Drop extends Located {
  readonly kind: 'drop';
  readonly object: ObjectKind;
  readonly ifExists: boolean;
  readonly cascade: boolean;
  readonly names: readonly Name[];
}

export interface Show extends Located {
  readonly kind: 'show';
  /** sources, tables, views, sinks, topics, pipelines, functions, columns … lower case plural; the catalogue refuses others. */
  readonly what: Name;
}

export interface Describe extends Located {
  readonly kind: 'describe';
  readonly name: Name;
}

export interface Explain extends Located {
  readonly kind: 'explain';
  /** The plan; EXPLAIN ANALYZE: with what it did; EXPLAIN STATE: with what it keeps and how that grows. */
  readonly what: 'plan' | 'analyze' | 'state';
  /** A statement, or the name of something that runs. */
  readonly target: Statement | { readonly kind: 'name'; readonly name: Name; readonly at: Position };
}

export interface Flush extends Located {
  readonly kind: 'flush';
}

/** REPLAY FROM v$errors. */
export interface Replay extends Located {
  readonly kind: 'replay';
  readonly from: Name;
}

/** VERIFY VIEW v [LIMIT n]. */
export interface VerifyView extends Located {
  readonly kind: 'verify';
  readonly name: Name;
  /** Differing rows to show. */
  readonly limit: number | null;
}

export interface QueryStatement extends Located {
  readonly kind: 'query';
  readonly query: Query;
  readonly queryText: string;
  /** SELECT … EMIT CHANGES is a push query. */
  readonly emitChanges: boolean;
  /** EMIT PERIODIC interval: a push query whose changes come gathered. */
  readonly periodic: AstExpr | null;
  /** SELECT … AS OF: an epoch, or a time. */
  readonly asOf?: AstExpr;
}

export interface Subscribe extends Located {
  readonly kind: 'subscribe';
  /** SUBSCRIBE [TO] v is parsed as SELECT * FROM v with `name` set. */
  readonly name: Name | null;
  readonly query: Query;
  readonly queryText: string;
  readonly options: readonly Option[];
  /** AS OF an epoch; null without. */
  readonly asOf: number | null;
  /** UP TO an epoch, which is not wanted any more. */
  readonly upTo: number | null;
  readonly periodic: AstExpr | null;
  readonly envelope: Envelope | null;
}

/** How SUBSCRIBE shows the changes of an epoch: ENVELOPE UPSERT | DEBEZIUM (KEY (…)), WITHIN TIMESTAMP ORDER BY …. */
export type Envelope = Located &
  (
    | { readonly kind: 'upsert' | 'debezium'; readonly key: readonly Name[] }
    | { readonly kind: 'order'; readonly orderBy: readonly OrderItem[] }
  );

export interface Insert extends Located {
  readonly kind: 'insert';
  readonly table: Name;
  readonly columns: readonly Name[];
  /** VALUES lists and SELECTs alike. */
  readonly query: Query;
  /** Null without: a row replaces the one with the same key. */
  readonly onConflict: OnConflict | null;
}

/** ON CONFLICT [(columns)] DO NOTHING | DO ERROR | DO UPDATE SET … [WHERE …]. */
export interface OnConflict extends Located {
  readonly target: readonly Name[];
  readonly action: 'nothing' | 'error' | 'update';
  readonly set: Update['set'];
  readonly where: AstExpr | null;
}

export interface Update extends Located {
  readonly kind: 'update';
  readonly table: Name;
  readonly set: readonly { readonly column: Name; readonly value: AstExpr }[];
  readonly where: AstExpr | null;
}

export interface Delete extends Located {
  readonly kind: 'delete';
  readonly table: Name;
  readonly where: AstExpr | null;
}

/** WITH …, a body, and what orders and cuts it. */
export interface Query extends Located {
  readonly with: readonly CommonTable[];
  readonly body: QueryBody;
  readonly orderBy: readonly OrderItem[];
  readonly limit: AstExpr | null;
  readonly offset: AstExpr | null;
  /** Only of a statement's own query. */
  readonly emit: EmitOnClose | null;
}

/** EMIT ON WINDOW CLOSE, EMIT FINAL, EMIT AFTER WINDOW CLOSE [WITH DELAY delay [AND TIMEOUT timeout]]. */
export interface EmitOnClose extends Located {
  readonly delay: AstExpr | null;
  readonly timeout: AstExpr | null;
}

export interface CommonTable extends Located {
  readonly name: Name;
  readonly columnNames: readonly Name[];
  readonly query: Query;
  /** Of WITH RECURSIVE: it may name itself. */
  readonly recursive: boolean;
}

export type QueryBody =
  | Select
  | ({
      readonly kind: 'setOp';
      readonly op: 'union' | 'intersect' | 'except';
      readonly all: boolean;
      readonly left: QueryBody;
      readonly right: QueryBody;
    } & Located)
  | ({ readonly kind: 'values'; readonly rows: readonly (readonly AstExpr[])[] } & Located)
  | ({ readonly kind: 'nested'; readonly query: Query } & Located);

export interface Select extends Located {
  readonly kind: 'select';
  readonly distinct: boolean;
  /** DISTINCT ON (…); empty when there is none. */
  readonly distinctOn: readonly AstExpr[];
  readonly items: readonly SelectItem[];
  readonly from: readonly TableRef[];
  readonly where: AstExpr | null;
  readonly groupBy: readonly AstExpr[];
  /** GROUPING SETS, ROLLUP and CUBE, multiplied out: each set as positions in `groupBy`. Null for a plain GROUP BY. */
  readonly groupingSets: readonly (readonly number[])[] | null;
  readonly having: AstExpr | null;
  readonly windows: readonly NamedWindow[];
  readonly qualify: AstExpr | null;
}

export type SelectItem =
  /** `except`: columns that it does not stand for, `c` or `t.c`. */
  | ({ readonly kind: 'star'; readonly table: Name | null; readonly except: readonly (readonly Name[])[] } & Located)
  | ({ readonly kind: 'expr'; readonly expr: AstExpr; readonly alias: Name | null } & Located);

export interface OrderItem extends Located {
  readonly expr: AstExpr;
  readonly descending: boolean;
  /** Postgres: NULLs last when ascending, first when descending. */
  readonly nullsFirst: boolean;
}

export interface TableAlias {
  readonly name: Name;
  readonly columnNames: readonly Name[];
}

export type TableRef =
  | ({
      readonly kind: 'table';
      readonly name: Name;
      readonly alias: TableAlias | null;
      /** FOR SYSTEM_TIME AS OF. */
      readonly asOf?: AstExpr;
    } & Located)
  | ({
      readonly kind: 'subquery';
      readonly query: Query;
      readonly alias: TableAlias | null;
      /** It may name columns of the tables before it. */
      readonly lateral?: boolean;
    } & Located)
  | ({
      readonly kind: 'pivot';
      readonly input: TableRef;
      readonly aggregates: readonly Extract<SelectItem, { kind: 'expr' }>[];
      /** Whose values become columns. */
      readonly column: Name;
      readonly values: readonly PivotValue[];
      readonly alias: TableAlias | null;
    } & Located)
  | ({
      readonly kind: 'unpivot';
      readonly input: TableRef;
      /** What the columns of the values and of their names are called. */
      readonly value: Name;
      readonly name: Name;
      readonly columns: readonly Name[];
      readonly alias: TableAlias | null;
    } & Located)
  /** A function in FROM, whose arguments may name columns of the tables before it. */
  | ({
      readonly kind: 'function';
      readonly name: Name;
      readonly args: readonly AstExpr[];
      readonly ordinality: boolean;
      readonly alias: TableAlias | null;
    } & Located)
  /** TUMBLE, HOP, CUMULATE and SESSION in all call forms; intervals in the order of the call with positions. */
  | ({
      readonly kind: 'window';
      readonly window: 'tumble' | 'hop' | 'cumulate' | 'session';
      readonly input: TableRef;
      readonly time: Name;
      /** Of SESSION. */
      readonly partitionBy: readonly Name[];
      readonly intervals: readonly AstExpr[];
      readonly alias: TableAlias | null;
    } & Located)
  | MatchRecognize
  | ({
      readonly kind: 'join';
      readonly join: 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti' | 'cross';
      readonly left: TableRef;
      readonly right: TableRef;
      readonly on: AstExpr | null;
      readonly using: readonly Name[];
      readonly natural: boolean;
      readonly asof?: Asof;
    } & Located);

export interface PivotValue {
  readonly value: AstExpr;
  readonly alias: Name | null;
}

/** ASOF JOIN: the comparison of times is MATCH_CONDITION's, or where that is null a term of ON. */
export interface Asof {
  readonly match: AstExpr | null;
}

/** FROM t MATCH_RECOGNIZE (…), SQL:2016. */
export interface MatchRecognize extends Located {
  readonly kind: 'match';
  readonly input: TableRef;
  readonly partitionBy: readonly AstExpr[];
  readonly orderBy: readonly OrderItem[];
  readonly measures: readonly { readonly expr: AstExpr; readonly name: Name }[];
  /** ONE ROW PER MATCH, or ALL ROWS with or without those of empty matches. */
  readonly rows: 'one' | 'all' | 'allButEmpty' | 'unmatched';
  /** AFTER MATCH SKIP. */
  readonly skip: { readonly to: 'pastLast' | 'nextRow' } | { readonly to: 'first' | 'last'; readonly variable: Name };
  readonly pattern: PatternAst;
  /** WITHIN INTERVAL, as Flink has it. */
  readonly within: AstExpr | null;
  readonly subsets: readonly { readonly name: Name; readonly members: readonly Name[] }[];
  readonly defines: readonly { readonly name: Name; readonly condition: AstExpr }[];
  readonly alias: TableAlias | null;
}

export type PatternAst =
  | ({ readonly kind: 'variable'; readonly name: Name } & Located)
  /** `()`, `^` and `$`: no row, the partition's start and its end. */
  | ({ readonly kind: 'empty' | 'start' | 'end' } & Located)
  | ({ readonly kind: 'sequence' | 'choice' | 'permute'; readonly items: readonly PatternAst[] } & Located)
  /** `max` null: no bound. */
  | ({
      readonly kind: 'repeat';
      readonly item: PatternAst;
      readonly min: number;
      readonly max: number | null;
      readonly reluctant: boolean;
    } & Located)
  /** `{- … -}`: matched, but not among ALL ROWS. */
  | ({ readonly kind: 'exclude'; readonly item: PatternAst } & Located);

export type AstExpr =
  | ({ readonly kind: 'column'; readonly path: readonly Name[] } & Located)
  | ({ readonly kind: 'star'; readonly table: Name | null } & Located)
  /** Number literals keep their text: 0.1000000000000000000001 stays exact. */
  | ({ readonly kind: 'number'; readonly text: string } & Located)
  | ({ readonly kind: 'string'; readonly value: string } & Located)
  | ({ readonly kind: 'boolean'; readonly value: boolean } & Located)
  | ({ readonly kind: 'null' } & Located)
  /** $1 … */
  | ({ readonly kind: 'parameter'; readonly index: number } & Located)
  /** INTERVAL '4 seconds', INTERVAL '10' SECOND; DATE '…', TIMESTAMP '…'. */
  | ({
      readonly kind: 'typedLiteral';
      readonly type: SqlType;
      readonly text: string;
      readonly unit: string | null;
    } & Located)
  | ({ readonly kind: 'unary'; readonly op: string; readonly arg: AstExpr } & Located)
  | ({ readonly kind: 'binary'; readonly op: string; readonly left: AstExpr; readonly right: AstExpr } & Located)
  | ({ readonly kind: 'isNull'; readonly arg: AstExpr; readonly negated: boolean } & Located)
  /** IS [NOT] TRUE | FALSE | UNKNOWN. */
  | ({
      readonly kind: 'isTruth';
      readonly arg: AstExpr;
      readonly truth: boolean | null;
      readonly negated: boolean;
    } & Located)
  | ({
      readonly kind: 'between';
      readonly arg: AstExpr;
      readonly low: AstExpr;
      readonly high: AstExpr;
      readonly negated: boolean;
    } & Located)
  | ({
      readonly kind: 'in';
      readonly arg: AstExpr;
      readonly list: readonly AstExpr[];
      readonly negated: boolean;
    } & Located)
  | ({ readonly kind: 'inQuery'; readonly arg: AstExpr; readonly query: Query; readonly negated: boolean } & Located)
  /** `arg < ANY (query)`, and its like. `= ANY` is inQuery; ALL is what is not so with the opposite comparison and ANY. */
  | ({
      readonly kind: 'anyQuery';
      readonly arg: AstExpr;
      readonly cmp: '<>' | '<' | '<=' | '>' | '>=';
      readonly query: Query;
    } & Located)
  | ({ readonly kind: 'exists'; readonly query: Query } & Located)
  | ({ readonly kind: 'scalarQuery'; readonly query: Query } & Located)
  | ({
      readonly kind: 'like';
      readonly arg: AstExpr;
      readonly pattern: AstExpr;
      readonly insensitive: boolean;
      readonly negated: boolean;
    } & Located)
  | ({
      readonly kind: 'case';
      readonly operand: AstExpr | null;
      readonly branches: readonly { readonly when: AstExpr; readonly then: AstExpr }[];
      readonly otherwise: AstExpr | null;
    } & Located)
  | ({ readonly kind: 'cast'; readonly arg: AstExpr; readonly type: SqlType; readonly safe: boolean } & Located)
  | ({ readonly kind: 'extract'; readonly field: string; readonly arg: AstExpr } & Located)
  | ({
      readonly kind: 'call';
      readonly name: Name;
      readonly args: readonly AstExpr[];
      /** Of `name => value`, by argument; null for one without a name. */
      readonly argNames?: readonly (Name | null)[];
      readonly distinct: boolean;
      /** ORDER BY inside the parentheses. */
      readonly orderBy: readonly OrderItem[];
      /** WITHIN GROUP (ORDER BY …). */
      readonly within: readonly OrderItem[] | null;
      readonly filter: AstExpr | null;
      readonly over: WindowSpec | null;
    } & Located);

export interface WindowSpec extends Located {
  /** A name of the WINDOW clause, whose parts this one adds to. */
  readonly base: Name | null;
  readonly partitionBy: readonly AstExpr[];
  readonly orderBy: readonly OrderItem[];
  readonly frame: FrameDef | null;
}

export interface FrameDef extends Located {
  readonly unit: 'rows' | 'range';
  readonly start: FrameBoundDef;
  readonly end: FrameBoundDef;
}

/** `offset` null: UNBOUNDED, or CURRENT ROW where `direction` is 0. */
export interface FrameBoundDef extends Located {
  readonly direction: -1 | 0 | 1;
  readonly offset: AstExpr | null;
}

export interface NamedWindow {
  readonly name: Name;
  readonly spec: WindowSpec;
}
