import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { startEngineWorker } from '../streamql/engine/worker/host.ts';
import { Broker } from './broker/broker.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { SqlExecutor } from './catalog/executor.ts';
import type { Settings } from './config.ts';
import { isLoopback, kafkaListeners, usersFile } from './kafka-listeners.ts';
import { systemClock } from './lib/clock.ts';
import type { HostPort } from './lib/config-table.ts';
import { StreamError } from './lib/errors.ts';
import type { Log } from './lib/log.ts';
import type { StreamEngine } from './ports/engine.ts';
import type { RunningServer } from './server/server.ts';
import { MemoryDisk } from './storage/disk/memory-disk.ts';
import { NodeDisk } from './storage/disk/node-disk.ts';
import { KeyRing } from './storage/encryption.ts';
import { Storage } from './storage/storage.ts';

export interface Platform {
  readonly kafka: string;
  readonly http: string;
  readonly pg: string;
  readonly executor: SqlExecutor;
  close(): Promise<void>;
}

/**
 * Puts the parts together and starts them: the log, then the broker (so that clients can connect while the rest loads), the engine with
 * everything the catalogue holds, HTTP, and the playground if asked for. What was started is closed again when a later part fails.
 */
export async function startPlatform(settings: Settings, version: string, log: Log): Promise<Platform> {
  const listeners = kafkaListeners(settings, log);
  refuseOpenListener('http-listen', settings.httpListen);
  refuseOpenListener('pg-listen', settings.pgListen);
  const clock = systemClock;
  const startedAtMs = clock.nowMs();
  const closers: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse()) {
      await close().catch((thrown: unknown) => log.error('close.failed', { reason: String(thrown) }));
    }
  };
  let notReadyReason: string | undefined = 'starting';
  let engineEnded: string | undefined;
  try {
    const dataDir = resolve(settings.dataDir);
    if (!settings.inMemory) mkdirSync(dataDir, { recursive: true });
    const disk = settings.inMemory ? null : new NodeDisk(dataDir);
    const storage = await Storage.open({
      disk: disk ?? new MemoryDisk(),
      dir: settings.inMemory ? null : dataDir,
      clock,
      log,
      ...readKeys(settings.encryptionKeyFile, log),
    });
    closers.push(() => storage.close());
    let brokerStarted: Broker | undefined;
    const starting = startEngineWorker({
      log: storage,
      // Objects are added after the broker has started.
      sinkLog: () => brokerStarted!.sinkLog,
      dataDir: settings.inMemory ? null : dataDir,
      logger: log,
      sinkRegistry: new URL('../sinks/registry.ts', import.meta.url).href,
      settings: { checkpointIntervalMs: settings.checkpointIntervalMs },
      workers: settings.engineWorkers,
      onExit: (error) => {
        engineEnded = error.message;
      },
    });
    starting.catch(() => undefined);
    const broker = await Broker.start({
      storage,
      clock,
      log,
      listeners,
      settings,
      ...usersFile(settings),
    }).catch(async (thrown: unknown) => {
      // The engine's thread would keep the process alive.
      await starting.then((engine) => engine.close()).catch(() => undefined);
      throw thrown;
    });
    brokerStarted = broker;
    closers.push(() => broker.close());
    // The language and HTTP load while the engine's thread does; Kafka clients are served meanwhile.
    const {
      analytics,
      catalogs,
      engineObjects,
      executors,
      http: server,
      pg: pgServer,
      sinks,
    } = await loadUpperLayers();
    const engine = await starting;
    closers.push(() => engine.close());
    const catalog = await catalogs.Catalog.open(disk);
    const duckdb = new analytics.DuckDbAnalytics({ memoryLimitBytes: settings.queryMemoryMb * 2 ** 20 });
    closers.push(() => duckdb.close());
    const executor = new executors.SqlExecutor({
      catalog,
      engine,
      log: storage,
      analytics: duckdb,
      sinkKinds: sinks.SINK_KINDS,
      clock,
      newId: randomUUID,
    });
    await startObjects(engine, catalog, engineObjects);
    const services = {
      executor,
      clock,
      log,
      status: () => ({
        version,
        startedAtMs,
        notReadyReason: notReadyReason ?? storage.failure?.message ?? engineEnded,
        kafka: broker.stats(),
      }),
    };
    const http: RunningServer = await server.startServer(services, settings.httpListen);
    closers.push(() => http.close());
    const pg = await pgServer.startPgServer(services, settings.pgListen);
    closers.push(() => pg.close());
    if (settings.playground) closers.push(await startPlayground(executor, broker.address, settings, log));
    notReadyReason = undefined;
    return { kafka: broker.address, http: http.address, pg: pg.address, executor, close: closeAll };
  } catch (thrown) {
    await closeAll();
    throw thrown;
  }
}

/** The keys of storage.encryption_key_file, if there is one. OPTION_INVALID when it cannot be used. */
function readKeys(path: string, log: Log): { keys?: KeyRing } {
  if (path === '') return {};
  try {
    if ((statSync(path).mode & 0o007) !== 0) log.warn('keys.readable_by_others', { path });
    return { keys: KeyRing.parse(readFileSync(path, 'utf8'), path) };
  } catch (thrown) {
    if (thrown instanceof StreamError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new StreamError('OPTION_INVALID', `cannot read the key file: ${reason}`, { cause: thrown });
  }
}

async function loadUpperLayers() {
  const [analytics, catalogs, engineObjects, executors, http, pg, sinks] = await Promise.all([
    import('./analytics/analytics.ts'),
    import('./catalog/catalog.ts'),
    import('./catalog/engine-object.ts'),
    import('./catalog/executor.ts'),
    import('./server/server.ts'),
    import('./server/pg/pg-server.ts'),
    import('../sinks/registry.ts'),
  ]);
  return { analytics, catalogs, engineObjects, executors, http, pg, sinks };
}

async function startObjects(
  engine: StreamEngine,
  catalog: Catalog,
  { engineObject }: typeof import('./catalog/engine-object.ts'),
): Promise<void> {
  for (const object of catalog.list()) await engine.add(engineObject({ catalog }, object));
  await engine.resume();
}

async function startPlayground(
  executor: SqlExecutor,
  kafka: string,
  settings: Settings,
  log: Log,
): Promise<() => Promise<void>> {
  const [{ Playground }, { WireProducer }] = await Promise.all([
    import('./playground/playground.ts'),
    import('./playground/wire-producer.ts'),
  ]);
  const playground = await Playground.start({
    executor,
    producer: await WireProducer.connect(kafka),
    clock: systemClock,
    log,
    eventsPerSecond: settings.playgroundRate,
  });
  return () => playground.close();
}

/** DESIGN D16: without authentication only this machine may connect. */
function refuseOpenListener(flag: string, listen: HostPort): void {
  if (isLoopback(listen)) return;
  throw new StreamError(
    'OPTION_INVALID',
    `--${flag}: ${listen.host} is not a loopback address, and clients of this listener do not authenticate`,
    {
      hint: 'listen on 127.0.0.1 and put an authenticating proxy in front',
    },
  );
}
