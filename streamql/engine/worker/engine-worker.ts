import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../src/lib/assert.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Log, LogLevel } from '../../../src/lib/log.ts';
import type { SinkKind } from '../../../src/ports/sink.ts';
import { NodeDisk } from '../../../src/storage/disk/node-disk.ts';
import { createEngine } from '../engine.ts';
import type { EngineSettings } from '../runtime/settings.ts';
import { serveEngine } from './engine-service.ts';
import { RemoteLog } from './remote-log.ts';
import { remoteSinkLog } from './remote-sink-log.ts';
import { Rpc, type RpcHandlers } from './rpc.ts';

/** What the host tells the worker when it starts. */
export interface WorkerOptions {
  /** Where checkpoints go; null keeps everything in memory. */
  readonly dataDir: string | null;
  /** Given to sinks. */
  readonly sinkDir: string;
  /** URL of a module that exports SINK_KINDS; null for none. The engine does not import sinks by itself. */
  readonly sinkRegistry: string | null;
  readonly settings: Partial<EngineSettings>;
}

assert(parentPort !== null, 'engine-worker.ts runs in a worker thread');
const options = workerData as WorkerOptions;
const handlers: Record<string, RpcHandlers[string]> = {};
const rpc = new Rpc(parentPort, handlers);
const log = new RemoteLog(rpc);
Object.assign(handlers, log.handlers);

const forward =
  (level: LogLevel) =>
  (event: string, fields: Record<string, unknown> = {}): void =>
    rpc.note('logged', [level, event, fields]);
const logger: Log = { debug: forward('debug'), info: forward('info'), warn: forward('warn'), error: forward('error') };

handlers['start'] = async () => {
  const sinks: readonly SinkKind[] =
    options.sinkRegistry === null ? [] : (await import(options.sinkRegistry)).SINK_KINDS;
  const engine = await createEngine({
    log,
    disk: options.dataDir === null ? null : new NodeDisk(options.dataDir),
    clock: systemClock,
    logger,
    sinks,
    dataDir: options.sinkDir,
    sinkLog: remoteSinkLog(rpc),
    settings: options.settings,
  });
  Object.assign(handlers, serveEngine(engine, rpc));
};
