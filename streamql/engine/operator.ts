import type { ErrorCode, StreamError } from '../../src/lib/errors.ts';
import type { Batch } from '../../src/values/batch.ts';
import type { Column } from '../../src/values/column.ts';
import type { Datum } from '../../src/values/types.ts';
import type { Spread } from '../plan/partitioning.ts';
import type { ChangelogKind, Join } from '../plan/plan.ts';
import type { StateGrowth } from '../plan/state-growth.ts';
import type { JoinOperator } from './operators/join.ts';
import type { Waiting } from './shards/peers.ts';
import type { Visit } from './state/arrays.ts';
import type { Parts } from './state/piece.ts';

/**
 * The pure half of the engine: operators turn batches of row changes into batches of row changes, synchronously, with
 * no clock, disk or thread of their own. `build.ts` makes a Pipeline of them from a plan; the runtime owns epochs,
 * sources and checkpoints. After each `endEpoch` the sum of all output equals the query over the sum of all input.
 *
 * What a thrown error means: the pipeline's state is in doubt and it must stop (StreamError INVARIANT when we are at
 * fault). A row that has no value (overflow, failed cast) does not throw; it goes to `onError` and is left out.
 */
export interface Operator {
  /** Stable for a plan: the path in the plan tree and the kind, `0.1.join`. */
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  /** Ids of the operators that feed this one, by port; a scan's is its relation id. */
  readonly inputs: readonly string[];
  /** What the operator's output may carry. */
  readonly changelog: ChangelogKind;
  /** Null for one without state. */
  readonly growth: StateGrowth | null;
  readonly state: readonly StateTable[];
  readonly stats: OperatorCounters;
  /** Consumes one batch on an input port; may emit at once through the function it was built with. */
  push(port: number, batch: Batch): void;
  /**
   * The watermark of an input port has come to `micros`: what plan/event-time.ts says of its columns holds from the next epoch on. Only
   * grows; once an epoch at most, after all of the epoch's input and before `endEpoch`.
   */
  advance?(port: number, micros: number): void;
  /** What the clock shows at the end of this epoch, in microseconds since 1970; never less than before. Before `endEpoch`. */
  tick?(nowMicros: number): void;
  /** Lets go of this part of its rows, oldest first, with the next `tick`: of those that expire. */
  evict?(share: number): void;
  /** When the clock will have a bearing on the output although nothing comes; null: not foreseeable. For those that have `tick`. */
  readonly wakeAtMicros?: number | null;
  /** Between epochs: all that it has output and not taken back. Absent where its state does not tell. */
  output?(): Batch;
  /** All input of this epoch has come; emits what was held back. Called once per epoch, inputs before consumers. */
  endEpoch(): void;
}

export interface OperatorCounters {
  rowsIn: number;
  rowsOut: number;
  /** Time inside this operator alone, without those it emits to. */
  busyMs: number;
}

/** How an operator hands on its output; a batch given away is not changed afterwards. */
export type Emit = (batch: Batch) => void;

export interface StateSize {
  readonly bytes: number;
  /** Of these, what rows use of memory; the rest is room that was made for more, or spilled. */
  readonly used: number;
  /** Of these, what is in files. */
  readonly spilled: number;
}

/** Of state that cannot be put elsewhere. */
export const inMemory = (bytes: number): StateSize => ({ bytes, used: bytes, spilled: 0 });

/**
 * State that a checkpoint stores. Save and load only between epochs: after an `endEpoch` and before the next `push`,
 * and load only into a pipeline freshly built from the same plan.
 */
export interface StateTable {
  /** Unique within a pipeline and stable for a plan. */
  readonly id: string;
  readonly rows: number;
  readonly size: StateSize;
  /** Its arrays can be put elsewhere, between epochs. */
  arrays?(visit: Visit): void;
  /** Bytes of the last full piece, and of the changes saved after it: when to take a full one is the caller's choice. */
  readonly fullBytes: number;
  readonly changeBytes: number;
  /** Opaque bytes of everything (`full`), or of what changed since the last save, null if nothing did. */
  save(full: boolean): Parts | null;
  /**
   * As `save(false)`, and about `bytes` of rows that did not change with it, from slot `from` on; `next` is where to go on another time, null after
   * the last. What was saved from slot 0 on until then is all there is. Absent where that is small, or saved whole at once.
   */
  renew?(from: number, bytes: number): { readonly piece: Parts | null; readonly next: number | null };
  /** Applies one saved piece, in the order of saving. */
  load(piece: Uint8Array): void;
  /**
   * What the table's rows are about, so that they can move to other shards; absent where they cannot, and then the query starts again
   * from the log when the number of workers changes.
   */
  holds?: TableRows | undefined;
  /** Where this table stands in for others that builds before this one kept, and a checkpoint has those. */
  readonly formerly?: FormerTables | undefined;
  /** Takes over, into an empty or a growing table, what another shard's pieces hold of the rows that `pick` chooses. */
  takeOver?(pieces: readonly Uint8Array[], pick: TablePick): Int32Array;
}

/**
 * Key columns that are columns `columns` of the operator's input on `port` (`counted`: where several shards may hold the same row, whose one value, a
 * count, is then the sum); or a slot of another table, and then more; or none, and one number: of
 * those of all shards the greatest is true.
 */
export type TableRows =
  | { readonly port: number; readonly columns: readonly number[]; readonly counted?: true }
  | { readonly greatest: true }
  | { readonly slotsOf: StateTable };

/** Empty tables for the former pieces; once these are loaded `takeIn` moves over what they hold. */
export interface FormerTables {
  tables(): readonly StateTable[];
  takeIn(loaded: readonly StateTable[]): void;
}

/** Of a table whose key is the whole input row. */
export const wholeRows = (port: number, width: number) => ({
  port,
  columns: Array.from({ length: width }, (_, column) => column),
});

/**
 * Which rows of a table are taken: those that `mine` marks; with `slots`, those whose first key column leads somewhere there, which it becomes.
 * For a row whose key is there already `meets` says what becomes of their first values.
 */
export interface TablePick {
  readonly meets: 'never' | 'add' | 'greatest';
  readonly mine: ((keys: readonly Column[], length: number) => Uint8Array) | null;
  /** By old slot of the other table, the new one, −1 for none. */
  readonly slots: Int32Array | null;
}

/** How the inputs of the operator that a table belongs to reach it. */
export interface TablePlace {
  readonly table: StateTable;
  readonly inputs: readonly Spread[];
}

export interface BuiltJoin {
  readonly operator: JoinOperator;
  readonly plan: Join;
}

/** A row that an operator could not compute. */
export interface PipelineError {
  readonly code: ErrorCode;
  readonly reason: string;
  /** Id of the operator. */
  readonly operator: string;
  /** The row it was about: the operator's input row, or for an aggregate the group's key. */
  readonly row: readonly Datum[];
  /** The record that the row was decoded from, where that is known. */
  readonly origin: RecordOrigin | null;
}

export interface RecordOrigin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
}

export interface PipelineOutput {
  onOutput(batch: Batch): void;
  onError(error: PipelineError): void;
}

/** One leaf of the plan: push the changes of that relation, columns in the order of `columns` (those of the Scan). */
export interface PipelineInput {
  readonly relation: string;
  readonly columns: readonly number[];
  /** Its rows must be there before those of the other inputs come: a lookup join finds what is there. */
  readonly isLookedUp: boolean;
  /** Late rows are none of its. */
  readonly dropsLate: boolean;
}

/** A built query. */
export interface Pipeline {
  /** One per Scan leaf, in plan order; a relation read twice comes twice, and its batches must be pushed to both. */
  readonly inputs: readonly PipelineInput[];
  /** In topological order, inputs before consumers. */
  readonly operators: readonly Operator[];
  /** Every operator's state, in a stable order. */
  readonly state: readonly StateTable[];
  /** What the output may carry. */
  readonly changelog: ChangelogKind;
  /** How the output is spread over shards. */
  readonly result: Spread;
  /** Its joins, as they are planned. */
  readonly joins: readonly BuiltJoin[];
  /** By table id. */
  readonly places: ReadonlyMap<string, TablePlace>;
  push(input: number, batch: Batch): void;
  /** In the coming epoch rows that come pass between shards before those that go: what was held back in several shards is let go. */
  takeComingFirst(): void;
  /** The watermark of an input, for the end of this epoch. True when an operator will have use for it. */
  advance(input: number, micros: number): boolean;
  /** What the inputs' watermarks make of the output's; null before all those that count have one. */
  readonly watermark: number | null;
  /** The earliest time by the clock at which `endEpoch` has something to do without input; null when there is none. */
  readonly wakeAtMicros: number | null;
  /** Rows of what expires are let go of, oldest first: this part, at the end of the next epoch. */
  evict(share: number): void;
  /** The input that feeds this operator alone and directly, if one does. */
  inputTo(operator: string): number | null;
  /** The operator at work when something was thrown. */
  readonly interrupted: Operator | null;
  /** Of a pipeline that has no shards. `nowMicros` is what the clock shows; it matters only to operators with `tick`. */
  endEpoch(nowMicros?: number): void;
  /** The same in step with the other shards. */
  meetAndEndEpoch(nowMicros: number): Waiting<void>;
  /** It failed in this epoch: the other shards are not to wait for it. */
  giveUp(error: StreamError): void;
}
