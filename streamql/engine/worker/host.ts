import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Log, LogLevel } from '../../../src/lib/log.ts';
import type { StreamEngine } from '../../../src/ports/engine.ts';
import type { SinkLog } from '../../../src/ports/sink-log.ts';
import type { TopicLog } from '../../../src/ports/topic-log.ts';
import { localLogReader } from '../runtime/log-reader.ts';
import type { EngineSettings } from '../runtime/settings.ts';
import type { WorkerOptions } from './engine-worker.ts';
import { serveLog, serveSinkLog } from './log-service.ts';
import { stopAll } from './port-peers.ts';
import { RemoteEngine } from './remote-engine.ts';
import { Rpc } from './rpc.ts';

export interface EngineWorkerOptions {
  /** Stays in this thread; the worker asks for its bytes. */
  readonly log: TopicLog;
  /** How sinks write topics, asked for when the first one does. */
  readonly sinkLog?: () => SinkLog;
  /** Where checkpoints go, and local sinks; null keeps everything in memory. */
  readonly dataDir: string | null;
  readonly logger: Log;
  /** URL of the module that exports SINK_KINDS. `.ts` stands for the compiled file when this one is compiled. */
  readonly sinkRegistry?: string;
  readonly settings?: Partial<EngineSettings>;
  /** Threads that share the work; 1 unless told otherwise. */
  readonly workers?: number;
  /** A worker ended without being asked to; every call fails from now on. */
  readonly onExit?: (error: StreamError) => void;
}

/** Runs from sources (tests, development) or compiled. */
const fromSources = import.meta.url.endsWith('.ts');
const moduleUrl = (url: string): string => (fromSources ? url : url.replace(/\.ts$/, '.js'));

/** Starts an engine in threads of its own, one per shard. Rejects with what createEngine there throws. */
export async function startEngineWorker(options: EngineWorkerOptions): Promise<StreamEngine> {
  const dataDir = options.dataDir === null ? null : resolve(options.dataDir);
  const common = {
    dataDir,
    sinkDir: dataDir ?? join(tmpdir(), `streamline-${process.pid}`),
    sinkRegistry: options.sinkRegistry === undefined ? null : moduleUrl(options.sinkRegistry),
    settings: options.settings ?? {},
    reads: new Int32Array(new SharedArrayBuffer(4)),
  };
  const wiring = wire(options.workers ?? 1);
  const entry = moduleUrl(new URL('./engine-worker.ts', import.meta.url).href);
  const workers = wiring.map(({ ports, ...links }) => openWorker(entry, { ...common, ...links }, ports));
  const log = localLogReader(options.log);
  const logged = (level: LogLevel, event: string, fields: Record<string, unknown>): void =>
    options.logger[level](event, fields);
  const rpcs = workers.map((worker) => {
    const handlers: Record<string, (...args: any[]) => unknown> = { logged };
    const rpc = new Rpc(worker, handlers);
    Object.assign(
      handlers,
      serveLog(log, () => rpc),
      serveSinkLog(options.sinkLog),
    );
    return { rpc, handlers };
  });
  const [{ rpc, handlers }] = rpcs;
  const end = async (): Promise<void> => {
    log.close();
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  const engine = new RemoteEngine(rpc, end, () => void Atomics.store(common.reads, 0, 1));
  Object.assign(handlers, engine.handlers);

  let told = false;
  const ended = (reason: string): void => {
    const error = new StreamError('PIPELINE_FAILED', `the engine's thread ended: ${reason}`);
    const unasked = !engine.closed;
    stopAll(wiring[0].links.signals);
    log.close();
    engine.lost(error);
    if (!unasked || told) return;
    told = true;
    options.logger.error('engine.exited', { reason });
    options.onExit?.(error);
    for (const worker of workers) void worker.terminate();
  };
  for (const worker of workers) {
    worker.on('error', (thrown: Error) => ended(thrown.stack ?? String(thrown)));
    worker.on('exit', (code) => ended(`exit code ${code}`));
  }
  try {
    await rpc.call('start', []);
  } catch (thrown) {
    await engine.abandon();
    throw thrown;
  }
  return engine;
}

/** A port between every two threads for rows, and one from the first to each other for what it asks of them. */
function wire(count: number) {
  const signals = new Int32Array(new SharedArrayBuffer(4 * (count + 1)));
  const rows: (MessagePort | null)[][] = Array.from({ length: count }, () => new Array(count).fill(null));
  const control: MessagePort[][] = Array.from({ length: count }, () => []);
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      const { port1, port2 } = new MessageChannel();
      rows[a][b] = port1;
      rows[b][a] = port2;
    }
    if (a === 0) continue;
    const { port1, port2 } = new MessageChannel();
    control[0].push(port1);
    control[a].push(port2);
  }
  return rows.map((ports, index) => ({
    links: { index, count, ports, signals },
    control: control[index],
    ports: [...ports.filter((port) => port !== null), ...control[index]],
  }));
}

function openWorker(entry: string, workerData: WorkerOptions, transferList: MessagePort[]): Worker {
  if (!fromSources) return new Worker(new URL(entry), { workerData, transferList, name: 'engine', execArgv: [] });
  // A thread does not take over this one's loader of TypeScript, so it registers its own first.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const api = new URL('dist/esm/api/index.mjs', tsx).href;
  const code = `import(${JSON.stringify(api)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}); })`;
  return new Worker(code, { eval: true, workerData, transferList, name: 'engine', execArgv: [] });
}
