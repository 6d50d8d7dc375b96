import type { Plan } from '../../streamql/plan/plan.ts';
import type { Clock } from '../lib/clock.ts';
import type { StreamEngine } from '../ports/engine.ts';
import type { SinkKind } from '../ports/sink.ts';
import type { TopicLog } from '../ports/topic-log.ts';
import type { Batch, ColumnSchema } from '../values/batch.ts';
import type { Catalog } from './catalog.ts';
import { SqlSession } from './session.ts';

/** What statements work on; composed by src/platform.ts. */
export interface SqlContext {
  readonly catalog: Catalog;
  readonly engine: StreamEngine;
  readonly log: TopicLog;
  readonly analytics: Analytics;
  readonly sinkKinds: readonly SinkKind[];
  readonly clock: Clock;
  readonly newId: () => string;
}

/** The rows of one Scan of a plan, in the Scan's columns. */
export type ScanData = readonly Batch[];

/** Runs a pull query's plan over given rows; DuckDB is the implementation. */
export interface Analytics {
  run(plan: Plan, scans: ReadonlyMap<Plan, ScanData>, options: QueryOptions): Promise<readonly Batch[]>;
}

export interface QueryOptions {
  /** TIMEOUT after that long. */
  readonly timeoutMs: number;
  /** TOO_LARGE when the answer has more rows. */
  readonly maxRows: number;
  /** CANCELLED when the client goes away. */
  readonly signal?: AbortSignal;
}

export interface StatementOptions extends QueryOptions {
  /** JSON values for $1, $2 … */
  readonly params: readonly unknown[];
  /** What SET has changed; absent: each call has its own. */
  readonly session?: SqlSession;
}

/** How statements that run once are bound: now() is the moment they begin. */
export const pullBinding = (
  context: Pick<SqlContext, 'clock'>,
  { params, session = new SqlSession() }: Pick<StatementOptions, 'params' | 'session'>,
) => ({
  params,
  session: session.facts,
  nowMicros: context.clock.nowMs() * 1000,
});

export type SqlResult =
  | {
      readonly kind: 'rows';
      readonly columns: readonly ColumnSchema[];
      readonly batches: readonly Batch[];
      readonly epoch?: number;
      readonly warnings?: readonly Warning[];
    }
  | {
      readonly kind: 'ok';
      readonly tag: string;
      readonly notice?: string;
      /** What was done as asked, but may not be what is wanted. */
      readonly warnings?: readonly Warning[];
    };

export interface Warning {
  readonly message: string;
  readonly hint: string;
}

export const ok = (tag: string, notice?: string, warnings: readonly Warning[] = []): SqlResult => ({
  kind: 'ok',
  tag,
  ...(notice ? { notice } : {}),
  ...(warnings.length > 0 ? { warnings } : {}),
});
