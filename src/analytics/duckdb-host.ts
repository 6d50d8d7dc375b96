import type * as Api from '@duckdb/node-api';
import { type DuckDbModule, loadDuckDb } from '../duckdb/chunks.ts';
import { RelationFeed } from '../duckdb/relation-feed.ts';
import { ForeignCalls } from './foreign-calls.ts';

export interface HostOptions {
  /** What DuckDB may allocate for all queries together; nothing is spilled to disk. */
  readonly memoryLimitBytes: number;
  readonly threads: number;
  readonly connections: number;
}

/**
 * One DuckDB in memory that can reach nothing: no files, no network, no extensions; and whose settings can no longer change. Moments are
 * in UTC. Its functions read our batches and call our code.
 */
export interface DuckDbHost {
  readonly module: DuckDbModule;
  readonly connections: readonly Api.DuckDBConnection[];
  readonly feed: RelationFeed;
  readonly foreign: ForeignCalls;
  close(): void;
}

export async function openDuckDb(options: HostOptions): Promise<DuckDbHost> {
  const module = await loadDuckDb();
  const instance = await module.api.DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${Math.max(1, Math.floor(options.memoryLimitBytes / 2 ** 20))}MiB`,
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    preserve_insertion_order: 'true',
  });
  const connections: Api.DuckDBConnection[] = [];
  for (let i = 0; i < options.connections; i++) connections.push(await instance.connect());
  const feed = new RelationFeed(module);
  feed.register(connections[0]);
  // It computes what stands twice before the CASE that guards it.
  await connections[0].run("SET GLOBAL disabled_optimizers = 'common_subexpressions'");
  await connections[0].run("SET GLOBAL TimeZone = 'UTC'");
  await connections[0].run('SET GLOBAL enable_external_access = false');
  await connections[0].run('SET GLOBAL lock_configuration = true');
  return {
    module,
    connections,
    feed,
    foreign: new ForeignCalls(module),
    close() {
      for (const connection of connections) connection.disconnectSync();
      instance.closeSync();
    },
  };
}
