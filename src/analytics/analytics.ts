import type * as Api from '@duckdb/node-api';
import type { Plan, Scan } from '../../streamql/plan/plan.ts';
import { readChunk } from '../duckdb/chunks.ts';
import { RelationFeed } from '../duckdb/relation-feed.ts';
import { assert } from '../lib/assert.ts';
import { StreamError } from '../lib/errors.ts';
import type { Batch } from '../values/batch.ts';
import { Pool } from './connection-pool.ts';
import { fromDuckDb } from './duckdb-errors.ts';
import { type DuckDbHost, openDuckDb } from './duckdb-host.ts';
import { printPlan } from './duckdb-printer.ts';
import { QueryGuard } from './query-guard.ts';

export interface AnalyticsOptions {
  readonly memoryLimitBytes: number;
  /** Threads that DuckDB computes with, all queries together. */
  readonly threads?: number;
}

export interface AnalyticsQuery {
  readonly timeoutMs: number;
  readonly maxRows: number;
  readonly signal?: AbortSignal;
}

/** Each running query holds a thread of libuv's pool, which files and DNS need too. */
const CONNECTIONS = 4;
const MAX_WAITING = 64;
/** DuckDB's own parser grows steeply with the text. */
const MAX_SQL_LENGTH = 4_000_000;

interface Open {
  readonly host: DuckDbHost;
  readonly pool: Pool<Api.DuckDBConnection>;
}

/**
 * Pull queries by DuckDB (DESIGN D12): the plan is printed as one SELECT (duckdb-printer.ts), reads the given batches through a table
 * function (relation-feed.ts) and calls back into our own code for what DuckDB would answer differently (foreign-functions.ts).
 * DuckDB is loaded with the first query.
 */
export class DuckDbAnalytics {
  readonly #options: AnalyticsOptions;
  readonly #running = new Map<QueryGuard, Promise<unknown>>();
  #open: Promise<Open> | undefined;
  #closed = false;

  constructor(options: AnalyticsOptions) {
    this.#options = options;
  }

  /**
   * The answer's rows, in order where the plan's root sorts. `scans` has the rows of every Scan of the plan, in the Scan's columns.
   * TIMEOUT, CANCELLED, TOO_LARGE, OVERLOADED (memory, or too many wait), VALUE_*.
   */
  async run(
    plan: Plan,
    scans: ReadonlyMap<Plan, readonly Batch[]>,
    options: AnalyticsQuery,
  ): Promise<readonly Batch[]> {
    if (this.#closed) throw new StreamError('CANCELLED', 'the server is stopping');
    const guard = new QueryGuard(options);
    const answer = this.#run(plan, scans, options, guard).finally(() => {
      guard.close();
      this.#running.delete(guard);
    });
    this.#running.set(guard, answer);
    return answer;
  }

  /** Ends what runs and frees DuckDB. */
  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#running];
    for (const [guard] of running) guard.stop(new StreamError('CANCELLED', 'the server is stopping'));
    await Promise.allSettled(running.map(([, answer]) => answer));
    const open = await this.#open?.catch(() => undefined);
    this.#open = undefined;
    open?.host.close();
  }

  #opened(): Promise<Open> {
    const { memoryLimitBytes, threads = 2 } = this.#options;
    this.#open ??= openDuckDb({ memoryLimitBytes, threads, connections: CONNECTIONS }).then((host) => ({
      host,
      pool: new Pool(host.connections, MAX_WAITING),
    }));
    this.#open.catch(() => {
      this.#open = undefined;
    });
    return this.#open;
  }

  async #run(
    plan: Plan,
    scans: ReadonlyMap<Plan, readonly Batch[]>,
    { maxRows }: AnalyticsQuery,
    guard: QueryGuard,
  ): Promise<readonly Batch[]> {
    guard.check();
    const { host, pool } = await this.#opened();
    const connection = await pool.acquire((giveUp) => guard.onStop(giveUp));
    const relations: number[] = [];
    try {
      guard.onStop(() => connection.interrupt());
      guard.check();
      const nameOf = (scan: Scan): string => {
        const batches = scans.get(scan);
        assert(batches !== undefined, `there are no rows for the scan of ${scan.name}`);
        const id = host.feed.add(
          scan.schema.map((column) => column.type),
          batches,
        );
        relations.push(id);
        return `${RelationFeed.FUNCTION}(${id})`;
      };
      const sql = printPlan(plan, { nameOf, foreign: (call) => host.foreign.nameOf(call, connection) }, maxRows + 1);
      if (sql.length > MAX_SQL_LENGTH) throw new StreamError('SQL_LIMIT', 'the query is too large to run');
      return await read(host, connection, sql, plan, maxRows, guard);
    } catch (thrown) {
      throw guard.error ?? fromDuckDb(thrown);
    } finally {
      for (const id of relations) host.feed.drop(id);
      pool.release(connection);
    }
  }
}

/** Chunk by chunk; other work goes on between chunks. At most maxRows + 1 rows come, so the stream is always read to its end. */
async function read(
  { module }: DuckDbHost,
  connection: Api.DuckDBConnection,
  sql: string,
  plan: Plan,
  maxRows: number,
  guard: QueryGuard,
): Promise<Batch[]> {
  const types = plan.schema.map((column) => column.type);
  const result = await connection.stream(sql);
  const batches: Batch[] = [];
  let rowCount = 0;
  for (;;) {
    guard.check();
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    batches.push(readChunk(module, chunk, types));
    rowCount += chunk.rowCount;
  }
  guard.check();
  if (rowCount > maxRows) {
    throw new StreamError('TOO_LARGE', `the answer has more than ${maxRows} rows`, {
      hint: 'add a LIMIT, or raise maxRows',
    });
  }
  return batches;
}
