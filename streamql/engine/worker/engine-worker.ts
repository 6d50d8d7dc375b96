import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../../src/lib/assert.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Log, LogLevel } from '../../../src/lib/log.ts';
import type { SinkKind } from '../../../src/ports/sink.ts';
import { NodeDisk } from '../../../src/storage/disk/node-disk.ts';
import { createEngine } from '../engine.ts';
import { openState } from '../engine-options.ts';
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from '../runtime/settings.ts';
import { Shard } from '../shards/shard.ts';
import { serveEngine } from './engine-service.ts';
import { type PeerLinks, PortPeers } from './port-peers.ts';
import { RemoteLog } from './remote-log.ts';
import { fromShared, remoteCrew, type SharedCheckpoint, serveShard } from './remote-shard.ts';
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
  /** Which of how many shards the thread is. */
  readonly links: PeerLinks;
  /** Of the first shard: to each other one; of the others: to the first. */
  readonly control: readonly MessagePort[];
  /** 1 while the host has sent a read that did not come yet. */
  readonly reads: Int32Array;
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

const { index, count } = options.links;
const peers = count === 1 ? null : new PortPeers(options.links);
const parts = { log, clock: systemClock, logger, dataDir: options.sinkDir };

handlers['start'] = async () => {
  const sinks: readonly SinkKind[] =
    options.sinkRegistry === null ? [] : (await import(options.sinkRegistry)).SINK_KINDS;
  const disk = options.dataDir === null ? null : new NodeDisk(options.dataDir);
  const state = await openState({ disk, logger, clock: systemClock });
  const crew = peers === null ? {} : { crew: await remoteCrew(peers, options.control, state.loaded) };
  const engine = await createEngine(
    {
      ...parts,
      ...crew,
      disk,
      sinks,
      sinkLog: remoteSinkLog(rpc),
      settings: options.settings,
      readsWait: () => Atomics.load(options.reads, 0) === 1,
    },
    state,
  );
  Object.assign(
    handlers,
    serveEngine(engine, rpc, () => void Atomics.store(options.reads, 0, 0)),
  );
};

if (index > 0 && peers !== null) {
  const served: Record<string, RpcHandlers[string]> = {};
  const first = new Rpc(options.control[0], served);
  served['begin'] = (checkpoint: SharedCheckpoint | null) => {
    const shard: Shard = new Shard(
      {
        ...parts,
        peers,
        sinks: [],
        settings: { ...DEFAULT_ENGINE_SETTINGS, ...options.settings },
        isStored: options.dataDir !== null,
        wake: () => first.note('wake', [shard.epoch.behind]),
      },
      checkpoint === null ? null : fromShared(checkpoint),
    );
    Object.assign(served, serveShard(shard, peers));
  };
}
