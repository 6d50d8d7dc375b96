import { createEngine } from '../../../streamql/engine/engine.ts';
import { localLogReader } from '../../../streamql/engine/runtime/log-reader.ts';
import type { DuckDbAnalytics } from '../../analytics/analytics.ts';
import { Catalog } from '../../catalog/catalog.ts';
import { SqlExecutor } from '../../catalog/executor.ts';
import { silentLog } from '../../lib/log.ts';
import type { StreamEngine } from '../../ports/engine.ts';
import { MemoryDisk } from '../../storage/disk/memory-disk.ts';
import { Storage } from '../../storage/storage.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Log, engine, catalogue and SQL in this thread and in memory, on a clock of their own; no listeners and no sinks. */
export interface TestDatabase {
  readonly clock: VirtualClock;
  readonly catalog: Catalog;
  readonly engine: StreamEngine;
  readonly executor: SqlExecutor;
  close(): Promise<void>;
}

export async function openTestDatabase(startMs: number, analytics: DuckDbAnalytics): Promise<TestDatabase> {
  const clock = new VirtualClock(startMs);
  const log = await Storage.open({ disk: new MemoryDisk(), dir: null, clock, log: silentLog });
  const engine = await createEngine({
    log: localLogReader(log),
    disk: null,
    clock,
    logger: silentLog,
    sinks: [],
    dataDir: '/',
    // The clock stands still, so nothing may wait for it.
    settings: { epochIntervalMs: 0 },
  });
  const catalog = await Catalog.open(null);
  let ids = 0;
  const newId = (): string => `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`;
  const executor = new SqlExecutor({ catalog, engine, log, analytics, sinkKinds: [], clock, newId });
  await engine.resume();
  return {
    clock,
    catalog,
    engine,
    executor,
    async close() {
      await engine.close();
      await log.close();
    },
  };
}
