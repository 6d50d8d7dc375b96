import type { Batch, ColumnSchema } from '../values/batch.ts';
import type { SinkLog } from './sink-log.ts';

/**
 * Where a query's changes are written. `prepare` makes an epoch durable but unseen and returns what `commit` needs as
 * plain JSON; the engine stores that in its checkpoint before it calls `commit`. After a crash `commit` may come again
 * with the same token, and `prepare` again for an epoch whose checkpoint was lost; both then change nothing twice.
 * Epochs only grow. Batches may be empty.
 */
export interface Sink {
  /** It looks at no row: batches come without columns. */
  readonly discards?: boolean;
  /** Called before any epoch; makes or checks the target. SINK_UNAVAILABLE, SINK_REJECTED, OPTION_INVALID. */
  open(): Promise<void>;
  prepare(epoch: number, batches: readonly Batch[]): Promise<SinkToken | null>;
  /** In epoch order. Idempotent. */
  commit(epoch: number, token: SinkToken): Promise<void>;
  /** Removes what `prepare` left behind for epochs after the last committed one. Called once at restart, after pending commits. */
  recover(lastEpoch: number): Promise<void>;
  close(): Promise<void>;
}

export type SinkToken = { readonly [key: string]: unknown };

export interface SinkContext {
  /** For the life of the sink; stored in the catalogue. UUID text. */
  readonly sinkId: string;
  readonly name: string;
  readonly columns: readonly ColumnSchema[];
  /** Whether rows can be retracted or come with other weights than +1; an append-only sink refuses that at open. */
  readonly appendOnly: boolean;
  readonly options: Readonly<Record<string, string>>;
  /** Absolute path under which a local target without a path of its own lives. */
  readonly dataDir: string;
  /** Our own topics; absent where there is no broker. */
  readonly log?: SinkLog;
}

/** The query of a sink, as far as options depend on it. */
export interface SinkQuery {
  readonly columns: readonly ColumnSchema[];
  /** Columns that identify a row, when the planner proved such. */
  readonly key: readonly number[] | null;
  readonly appendOnly: boolean;
}

/** A row of the registry of sinks: what `INTO ICEBERG` means. */
export interface SinkKind {
  readonly name: string;
  /** Validates and documents `WITH (…)`; unknown or unimplemented options are refused with OPTION_INVALID. */
  readonly options: readonly OptionSpec[];
  /** What the name after INTO means: a directory's namespace.table unless told otherwise. */
  readonly target?: 'topic' | 'table' | 'subscription';
  /** Completes the options by what the query has, before they are stored. OPTION_INVALID, SINK_REJECTED. */
  settle?(options: Readonly<Record<string, string>>, query: SinkQuery): Record<string, string>;
  create(context: SinkContext): Sink;
}

export interface OptionSpec {
  readonly name: string;
  readonly doc: string;
  readonly required?: boolean;
  readonly default?: string;
  /** The values it may take, when they are few. */
  readonly oneOf?: readonly string[];
}
