import type { AsOf } from '../../streamql/plan/as-of.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import type { StateGrowth } from '../../streamql/plan/state-growth.ts';
import type { Batch, ColumnSchema } from '../values/batch.ts';
import type { Datum } from '../values/types.ts';

/**
 * The incremental engine as the catalogue and the server see it. It may run in this thread or behind a message port;
 * everything here is plain data or a Batch. All reads answered for one call are of one epoch.
 */
export interface StreamEngine {
  /**
   * Starts an object; what it reads must have been added before. After a restart the catalogue adds the same objects
   * with the same ids again, and the engine continues each from the last checkpoint; an id that the checkpoint does not know
   * starts from the beginning of its topics. `resume` is called once all have been added.
   */
  add(object: EngineObject): Promise<void>;
  /** Begins epochs; drops state of ids that were not added. */
  resume(): Promise<void>;
  /** IN_USE when another object reads it. */
  remove(id: string): Promise<void>;
  /** Gives an object another name, stops it taking in changes, or lets it go on where it stopped: nothing is lost or comes twice. */
  alter(id: string, change: EngineChange): Promise<void>;
  /** Resolves when these queries reflect what their sources do; rejects with why one never will. TIMEOUT. */
  caughtUp(ids: readonly string[], timeoutMs: number): Promise<void>;
  /** Subscribers of each view go on with the other: they get the difference. With other columns their subscription ends. */
  handOver(views: readonly (readonly [from: string, to: string])[]): Promise<void>;
  /** Resolves once every view and sink reflects every record below the high watermarks at the call; the epoch that does. */
  flush(): Promise<number>;
  /**
   * Rows whose key columns begin with `key`, in no order, at most `limit`; or with an index on `columns`, rows with these values there. For a view that catches
   * up with the log it is waited, here and in `snapshot`, at most `waitMs`: then TIMEOUT says how far it is.
   */
  lookup(
    id: string,
    key: readonly Datum[],
    limit: number,
    columns?: readonly number[],
    waitMs?: number,
  ): Promise<{ epoch: number; batch: Batch }>;
  /**
   * A consistent copy of some columns of some views or tables, all at one epoch; with `limit`, of that many rows. Weights are expanded: none. With `asOf` the
   * rows of a view with `retainHistoryMs` as they were; those of one moment are of one epoch.
   */
  snapshot(
    wants: readonly { id: string; columns: readonly number[]; limit?: number; asOf?: AsOf }[],
    sources?: readonly string[],
    waitMs?: number,
  ): Promise<Snapshot>;
  /** Decoded rows of a source: those readable now, or before `upTo` by partition. Chunks by backpressure. Answers what does not decode and was left out. */
  readSource(
    id: string,
    columns: readonly number[],
    onBatch: (batch: Batch) => Promise<boolean>,
    upTo?: readonly number[],
  ): Promise<Unreadable | null>;
  /**
   * Changes of a view, consolidated, one call per epoch that has some, and first, unless told not to, the whole view as
   * of `epoch` with `snapshot: true`. A slow consumer is disconnected with OVERLOADED rather than buffered without bound.
   */
  subscribe(id: string, options: { snapshot: boolean }, onChange: (change: ViewChange) => void): Promise<Subscription>;
  /**
   * Reads the records behind an object's dead letters again and feeds them through once more: durable, and each exactly once, when this resolves.
   */
  replay(id: string): Promise<ReplayCounts>;
  stats(): Promise<EngineStats>;
  /** Makes the present epoch durable now. */
  checkpoint(): Promise<number>;
  close(): Promise<void>;
}

export interface Snapshot {
  /** With `asOf`, the latest of those that rows are of. */
  readonly epoch: number;
  readonly batches: Batch[];
  /** Of each source asked for, the offset before which everything has been taken in by that epoch, by partition. */
  readonly offsets: readonly (readonly number[])[];
}

/** Records that are not what their source declares. */
export interface Unreadable {
  readonly records: number;
  readonly first: { readonly partition: number; readonly offset: number; readonly reason: string };
}

export interface ViewChange {
  readonly epoch: number;
  readonly snapshot: boolean;
  readonly batch: Batch;
  /** Of a subscription that keeps its history: where a reader goes on after this change. */
  readonly cursor?: string;
  /** All changes up to this epoch have come; the batch is empty. */
  readonly progress?: true;
  /** Set on the last call where all that was asked for has come. */
  readonly end?: true;
  /** Set on the last call: the view was dropped or failed, or the consumer was too slow. */
  readonly error?: { code: string; detail: string };
}

export interface Subscription {
  readonly id: number;
  close(): void;
}

export type EngineObject = SourceSpec | ViewSpec | SinkSpec;

/** A topic as rows. Adds relation `<name>$errors` (always), `<name>$late` (late = 'dead_letter') and `<name>$history` (with a primary key), ids `<id>$errors`, `<id>$late`. */
export interface SourceSpec {
  readonly kind: 'source';
  readonly id: string;
  readonly name: string;
  readonly topic: string;
  /** A row of FORMATS in src/formats, with its options when there are some. */
  readonly format: string;
  readonly formatOptions?: Readonly<Record<string, string>>;
  /** Of a table's record keys; absent: json, or bare text. */
  readonly keyFormat?: { readonly name: string; readonly options: Readonly<Record<string, string>> };
  /** Declared columns, then HIDDEN_COLUMNS, of a source SOURCE_HIDDEN_COLUMNS. */
  readonly columns: readonly ColumnSchema[];
  /** Of a source: the declared column that is the record key rather than a part of the value. */
  readonly keyColumn?: number;
  readonly paused?: boolean;
  readonly indexes?: readonly (readonly number[])[];
  /** Set for CREATE TABLE: indexes of the primary key; the record key names the row, a null value deletes it. */
  readonly primaryKey: readonly number[] | null;
  readonly watermark: { readonly column: number; readonly delayMicros: number } | null;
  /** What happens to a row whose watermark column is below its partition's watermark. */
  readonly late: 'update' | 'drop' | 'dead_letter';
  readonly idleTimeoutMs: number;
  /** How far its event time may be ahead of that of other sources of a query that have records to read; absent: any distance. */
  readonly maxDriftMicros?: number;
}

/** Rows kept and readable: a materialized view, or the ephemeral one under a SUBSCRIBE (SELECT …). */
export interface ViewSpec {
  readonly kind: 'view';
  readonly id: string;
  readonly name: string;
  readonly columns: readonly ColumnSchema[];
  /** Columns that identify a row, when the planner proved such; null = the whole row, with a count. */
  readonly key: readonly number[] | null;
  readonly plan: Plan;
  /** Not in checkpoints and gone at restart. */
  readonly ephemeral: boolean;
  readonly paused?: boolean;
  readonly indexes?: readonly (readonly number[])[];
  /** Records per second that it may read of the log to catch up; absent: as many as it can. */
  readonly backfillRate?: number;
  readonly stateLimit?: StateLimit;
  /** Of what the engine makes for queries to share: rows for joins by these columns. `nullSafe`: NULL meets NULL. */
  readonly arranged?: { readonly by: readonly number[]; readonly nullSafe: boolean };
  /** How long its changes are kept, for reads of its past; absent: not at all. */
  readonly retainHistoryMs?: number;
}

export interface EngineChange {
  readonly name?: string;
  readonly paused?: boolean;
  /** All its indexes, each by its columns. */
  readonly indexes?: readonly (readonly number[])[];
  /** Of a view; null: none. */
  readonly stateLimit?: StateLimit | null;
  /** Of a view; 0: its past is forgotten. */
  readonly retainHistoryMs?: number;
}

export interface StateLimit {
  readonly bytes: number;
  /** What becomes of a view whose state is larger. `expire` needs a plan whose rows expire. */
  readonly onExceed: 'pause' | 'fail' | 'expire' | 'spill';
}

export interface SinkSpec {
  readonly kind: 'sink';
  readonly id: string;
  readonly name: string;
  readonly columns: readonly ColumnSchema[];
  readonly plan: Plan;
  /** Name of a row in the registry of sinks. */
  readonly sinkKind: string;
  readonly appendOnly: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly paused?: boolean;
  /** The name it was created with, for targets that are named after it; absent: `name`. */
  readonly firstName?: string;
}

export interface ReplayCounts {
  /** Rows now, or dropped on purpose since then (late). */
  readonly replayed: number;
  /** Dead letters again. */
  readonly failed: number;
  /** Of the replayed: behind the watermark by now, and treated as the source says. */
  readonly late: number;
  /** Letters that are no record of a topic, or whose record is gone from the log. */
  readonly left: number;
}

export interface EngineStats {
  readonly epoch: number;
  readonly checkpointEpoch: number;
  readonly lastCheckpointMs: number;
  readonly checkpointBytes: number;
  readonly objects: readonly ObjectStats[];
}

export interface ObjectStats {
  readonly id: string;
  readonly name: string;
  readonly kind: 'source' | 'view' | 'sink';
  readonly state: 'running' | 'paused' | 'failed';
  readonly error?: { code: string; detail: string };
  /** Rows now held (views), or decoded so far (sources), or written (sinks). */
  readonly rows: number;
  readonly errors: number;
  /** Of these, the dead letters that are kept: replayed ones are not, nor the oldest of very many. */
  readonly letters?: number;
  readonly late: number;
  /** Sources, by partition: next offset to read, high watermark, and where a WATERMARK is how far event time is (null before a first time). */
  readonly offsets?: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly highWatermark: number;
    readonly watermarkMicros?: number | null;
    /** Nothing came for the idle timeout: it holds no other back. */
    readonly idle?: boolean;
  }[];
  /** Sources: columns that were NULL in all of the rows read since the start, of which there were some. */
  readonly emptyColumns?: readonly string[];
  /** Sources: there is no such topic. */
  readonly isTopicGone?: true;
  /** Sources with `max_drift`: the name of the one that is behind and read first. */
  readonly waitsFor?: string;
  /** Sinks: rows that came and are not written, and why the target cannot be reached. */
  readonly waitingRows?: number;
  /** Sinks: so many rows wait that it reads no further. */
  readonly isHeldUp?: true;
  readonly trouble?: { readonly code: string; readonly detail: string };
  /** Of a source, or the least of the sources that a query reads; null before the first, absent where no source has one. */
  readonly watermarkMicros?: number | null;
  /** Queries that have not caught up with their sources: records to go. */
  readonly recordsBehind?: number;
  /** Sources and queries with records to read: for how long they have had some each time that it was looked. */
  readonly behindForMs?: number;
  /** Of a query that catches up with its sources: records of the log. `secondsLeft` null: at this rate, or before there is a rate, not known. */
  readonly backfill?: { readonly done: number; readonly total: number; readonly secondsLeft: number | null };
  /** Of queries that spill: how much of their state is in files. */
  readonly spilledBytes?: number;
  /** Over the last seconds. */
  readonly rates: Rates;
  readonly operators: readonly OperatorStats[];
}

export interface OperatorStats {
  /** Stable within its object; `inputs` name others of the same object, or another object's id. */
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly inputs: readonly string[];
  readonly changelog: 'append' | 'upsert' | 'general';
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly stateRows: number;
  readonly stateBytes: number;
  /** Of these, what rows use of memory; the rest is room for more, or spilled. */
  readonly usedBytes: number;
  /** Of these, what is in files. */
  readonly spilledBytes: number;
  readonly busyMs: number;
  readonly growth: StateGrowth | null;
  readonly rates: Rates;
}

/** What went on in the last seconds: from the oldest sample, at most ten seconds old, to now. */
export interface Rates {
  readonly rowsInPerSecond: number;
  readonly rowsOutPerSecond: number;
  /** Part of one core, 0 to 1. */
  readonly busyShare: number;
  readonly stateBytesPerHour: number;
}
