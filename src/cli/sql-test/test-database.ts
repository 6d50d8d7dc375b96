import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { subscription, table, topic } from '../../../sinks/topic/topic.ts';
import { createEngine } from '../../../streamql/engine/engine.ts';
import { localLogReader } from '../../../streamql/engine/runtime/log-reader.ts';
import type { EngineSettings } from '../../../streamql/engine/runtime/settings.ts';
import type { DuckDbAnalytics } from '../../analytics/analytics.ts';
import { openProducerIds } from '../../broker/producer-id-topic.ts';
import { BrokerSinkLog } from '../../broker/sink-log.ts';
import { PartitionMarkers } from '../../broker/transaction-markers.ts';
import { TransactionsTopic } from '../../broker/transactions-topic.ts';
import { Catalog } from '../../catalog/catalog.ts';
import { engineObject } from '../../catalog/engine-object.ts';
import { SqlExecutor } from '../../catalog/executor.ts';
import type { Clock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { StreamEngine } from '../../ports/engine.ts';
import { MemoryDisk } from '../../storage/disk/memory-disk.ts';
import { Storage } from '../../storage/storage.ts';
import { TransactionCoordinator } from '../../transaction/transaction-coordinator.ts';
import { SeverableDisk } from './severable-disk.ts';
import { VirtualClock } from './virtual-clock.ts';

/** Log, engine, catalogue and SQL in this thread and in memory, on a clock of their own; no listeners. */
export interface TestDatabase {
  readonly clock: VirtualClock;
  readonly catalog: Catalog;
  readonly engine: StreamEngine;
  readonly executor: SqlExecutor;
  /** Made by the first view that spills. */
  readonly dataDir: string;
  /** Ends the engine as kill −9 would and starts another from its last checkpoint and the log; what was read from here before is void. */
  crash(): Promise<void>;
  close(): Promise<void>;
}

export async function openTestDatabase(
  startMs: number,
  analytics: DuckDbAnalytics,
  settings: Partial<EngineSettings> = {},
  shards: readonly number[] = [1],
): Promise<TestDatabase> {
  const clock = new VirtualClock(startMs);
  const log = await Storage.open({ disk: new MemoryDisk(), dir: null, clock, log: silentLog });
  const transactions = await openTransactions(log, clock);
  const files = new MemoryDisk();
  const dataDir = join(tmpdir(), `streamline-test-${process.pid}-${opened++}`);
  let ids = 0;
  let starts = 0;
  const newId = (): string => `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`;
  const start = async () => {
    const disk = new SeverableDisk(files);
    const engine = await createEngine({
      log: localLogReader(log),
      disk,
      clock,
      logger: silentLog,
      // Sinks into topics and tables; the rest would leave files behind.
      sinks: [subscription, table, topic],
      sinkLog: new BrokerSinkLog(log, transactions, clock),
      dataDir,
      // The clock stands still, so nothing may wait for it.
      settings: { ...settings, epochIntervalMs: 0 },
      shards: shards[starts++ % shards.length],
    });
    const catalog = await Catalog.open(disk);
    for (const object of catalog.list()) await engine.add(engineObject({ catalog }, object));
    await engine.resume();
    const executor = new SqlExecutor({
      catalog,
      engine,
      log,
      analytics,
      sinkKinds: [subscription, table, topic],
      clock,
      newId,
    });
    return { disk, engine, catalog, executor };
  };
  let running = await start();
  return {
    clock,
    dataDir,
    get catalog() {
      return running.catalog;
    },
    get engine() {
      return running.engine;
    },
    get executor() {
      return running.executor;
    },
    async crash() {
      running.disk.sever();
      await running.engine.close();
      running = await start();
    },
    async close() {
      await running.engine.close();
      transactions.close();
      await log.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

let opened = 0;

/** Of sinks only: no consumer group takes part. */
async function openTransactions(log: Storage, clock: Clock): Promise<TransactionCoordinator> {
  const journal = await TransactionsTopic.open(log, silentLog);
  const markers = new PartitionMarkers(log, null, silentLog);
  const transactions = new TransactionCoordinator({ clock, journal, markers, producerIds: await openProducerIds(log) });
  transactions.load(journal.records());
  return transactions;
}
