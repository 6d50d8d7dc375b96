import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Log, LogLevel } from '../../../src/lib/log.ts';
import type { StreamEngine } from '../../../src/ports/engine.ts';
import type { SinkLog } from '../../../src/ports/sink-log.ts';
import type { TopicLog } from '../../../src/ports/topic-log.ts';
import { localLogReader } from '../runtime/log-reader.ts';
import type { EngineSettings } from '../runtime/settings.ts';
import type { WorkerOptions } from './engine-worker.ts';
import { serveLog, serveSinkLog } from './log-service.ts';
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
  /** The worker ended without being asked to; every call fails from now on. */
  readonly onExit?: (error: StreamError) => void;
}

/** Runs from sources (tests, development) or compiled. */
const fromSources = import.meta.url.endsWith('.ts');
const moduleUrl = (url: string): string => (fromSources ? url : url.replace(/\.ts$/, '.js'));

/** Starts an engine in a worker thread. Rejects with what createEngine there throws. */
export async function startEngineWorker(options: EngineWorkerOptions): Promise<StreamEngine> {
  const dataDir = options.dataDir === null ? null : resolve(options.dataDir);
  const workerData: WorkerOptions = {
    dataDir,
    sinkDir: dataDir ?? join(tmpdir(), `streamline-${process.pid}`),
    sinkRegistry: options.sinkRegistry === undefined ? null : moduleUrl(options.sinkRegistry),
    settings: options.settings ?? {},
  };
  const worker = openWorker(moduleUrl(new URL('./engine-worker.ts', import.meta.url).href), workerData);
  const log = localLogReader(options.log);
  const handlers: Record<string, (...args: any[]) => unknown> = {
    logged: (level: LogLevel, event: string, fields: Record<string, unknown>) => options.logger[level](event, fields),
  };
  const rpc = new Rpc(worker, handlers);
  Object.assign(
    handlers,
    serveLog(log, () => rpc),
    serveSinkLog(options.sinkLog),
  );
  const engine = new RemoteEngine(rpc, async () => {
    log.close();
    await worker.terminate();
  });
  Object.assign(handlers, engine.handlers);

  let told = false;
  const ended = (reason: string): void => {
    const error = new StreamError('PIPELINE_FAILED', `the engine's thread ended: ${reason}`);
    const unasked = !engine.closed;
    log.close();
    engine.lost(error);
    if (!unasked || told) return;
    told = true;
    options.logger.error('engine.exited', { reason });
    options.onExit?.(error);
  };
  worker.on('error', (thrown: Error) => ended(thrown.stack ?? String(thrown)));
  worker.on('exit', (code) => ended(`exit code ${code}`));
  try {
    await rpc.call('start', []);
  } catch (thrown) {
    await engine.abandon();
    throw thrown;
  }
  return engine;
}

function openWorker(entry: string, workerData: WorkerOptions): Worker {
  if (!fromSources) return new Worker(new URL(entry), { workerData, name: 'engine', execArgv: [] });
  // A thread does not take over this one's loader of TypeScript, so it registers its own first.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const api = new URL('dist/esm/api/index.mjs', tsx).href;
  const code = `import(${JSON.stringify(api)}).then(({ register }) => { register(); return import(${JSON.stringify(entry)}); })`;
  return new Worker(code, { eval: true, workerData, name: 'engine', execArgv: [] });
}
