import { assert } from '../../src/lib/assert.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../src/lib/errors.ts';
import type { Log } from '../../src/lib/log.ts';
import type {
  EngineChange,
  EngineObject,
  EngineStats,
  ObjectStats,
  ReplayCounts,
  StreamEngine,
  Subscription,
  Unreadable,
  ViewChange,
} from '../../src/ports/engine.ts';
import { type EngineOptions, openState, type StoredState } from './engine-options.ts';
import { Flush } from './flush.ts';
import { QuerySharing } from './query-sharing.ts';
import { EngineReads } from './reads.ts';
import type { CheckpointStore, LoadedCheckpoint } from './runtime/checkpoint-store.ts';
import { Checkpointer, type Drafts } from './runtime/checkpointer.ts';
import { EpochLoop } from './runtime/epoch-loop.ts';
import { type Graph, isLive } from './runtime/graph.ts';
import type { LogReader } from './runtime/log-reader.ts';
import type { QueryNode } from './runtime/query-node.ts';
import { RateSamples } from './runtime/rates.ts';
import type { Relation, Subscriber } from './runtime/relation.ts';
import { isCatchingUp } from './runtime/replay.ts';
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from './runtime/settings.ts';
import type { SourceNode } from './runtime/source-node.ts';
import { Waiters } from './runtime/waiters.ts';
import { localCrew } from './shards/local-crew.ts';
import { mergeDrafts, mergeStats } from './shards/merge.ts';
import { runAlone } from './shards/peers.ts';
import { type Crew, type OtherShard, Shard } from './shards/shard.ts';
import { withSharedOperators } from './sharing.ts';
import { Starter } from './starter.ts';
import { StateKeeper } from './state-keeper.ts';

/**
 * The incremental engine in this thread; `worker/host.ts` runs it in another. It reads the log through LogReader, keeps its checkpoints
 * in the directory `engine` of the disk (none without a disk) and writes through the sinks it was given. Where to read on: `runtime/epoch-loop.ts`
 * (how input becomes rows), `runtime/catch-up.ts` (how a new query joins), `runtime/checkpointer.ts` (what survives), `operator.ts`
 * (the pure half).
 */
export async function createEngine(options: EngineOptions, state?: StoredState): Promise<StreamEngine> {
  const { store, loaded } = state ?? (await openState(options));
  return new LocalEngine(options, store, loaded);
}

class LocalEngine implements StreamEngine {
  readonly #log: LogReader;
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #settings: EngineSettings;
  readonly #graph: Graph;
  readonly #loop: EpochLoop;
  readonly #checkpointer: Checkpointer;
  readonly #waiters: Waiters;
  readonly #shard: Shard;
  readonly #crew: Crew | null;
  readonly #others: readonly OtherShard[];
  readonly #sharing: QuerySharing;
  readonly #starter: Starter;
  readonly #reads: EngineReads;
  readonly #flush: Flush;
  readonly #keeper: StateKeeper;
  readonly #rates = new RateSamples();
  /** Until all is added. */
  readonly #loaded: LoadedCheckpoint | null;
  #resumed = false;
  #closed = false;
  /** Adding and removing objects, one at a time. */
  #ddl: Promise<unknown> = Promise.resolve();
  #subscriptions = 0;
  /** When the clock alone makes something of the last epoch old in some shard. */
  #dueAtMs = Number.POSITIVE_INFINITY;

  constructor(options: EngineOptions, store: CheckpointStore | null, loaded: LoadedCheckpoint | null) {
    const { log, clock, logger, shards = 1 } = options;
    this.#loaded = loaded;
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
    this.#settings = { ...DEFAULT_ENGINE_SETTINGS, ...options.settings };
    const parts = { ...options, settings: this.#settings, isStored: store !== null };
    const crew = options.crew ?? (shards > 1 ? localCrew(shards, parts, loaded) : null);
    this.#crew = crew;
    this.#others = crew?.others ?? [];
    this.#waiters = new Waiters(clock);
    const wake = (behind = false): void => {
      this.#loop.wake(behind);
      this.#waiters.check();
    };
    const settings = this.#settings;
    const peers = crew?.peers ?? null;
    this.#shard = new Shard({ ...parts, peers, wake: () => wake() }, loaded);
    this.#graph = this.#shard.graph;
    this.#sharing = new QuerySharing(this.#graph, this.#shard.objects.relations);
    const { epoch } = this.#shard;
    this.#checkpointer = new Checkpointer(this.#graph, store, draftsOf([this.#shard, ...this.#others]), {
      clock,
      logger,
      settings,
      drained: () => wake(),
    });
    if (loaded !== null) this.#checkpointer.stats = { ...this.#checkpointer.stats, epoch: loaded.manifest.epoch };
    this.#loop = new EpochLoop(
      { epoch, clock, settings },
      () => (crew === null ? runAlone(epoch.run()) : crew.runEpoch(epoch.run())),
      (report) => {
        this.#dueAtMs = clock.monotonicMs() + report.dueInMs;
        if (report.worked) this.#checkpointer.changed();
        this.#waiters.check();
        if (report.worked) this.#sample();
      },
    );
    const waiters = this.#waiters;
    const checkpointer = this.#checkpointer;
    const common = {
      graph: this.#graph,
      shard: this.#shard,
      others: this.#others,
      clock,
      logger,
      waiters,
      settings,
      log,
      checkpointer,
    };
    const changed = (): void => {
      checkpointer.changed();
      wake();
    };
    this.#starter = new Starter({
      ...common,
      sharing: this.#sharing,
      isResumed: () => this.#resumed,
      changed: () => checkpointer.changed(),
    });
    this.#reads = new EngineReads(common);
    this.#flush = new Flush({
      ...common,
      wake: () => this.#loop.wake(),
      dueAtMs: () => this.#dueAtMs,
      pause: (ms) => this.#pause(ms),
    });
    this.#keeper = new StateKeeper({
      ...common,
      serial: (run) => this.#serial(run),
      stats: () => this.#objectStats(),
      changed,
    });
    crew?.onWake(wake);
  }

  add(object: EngineObject): Promise<void> {
    return this.#serial(async () => {
      if (this.#graph.node(object.id) !== undefined) {
        throw new StreamError('ALREADY_EXISTS', `the engine has an object ${object.id} already`);
      }
      try {
        await this.#starter.start(object.kind === 'source' ? object : await this.#starter.withParts(object));
      } finally {
        this.#starter.removeUnread();
      }
      if (object.kind !== 'source') this.#sharing.added(object);
      this.#loop.wake();
    });
  }

  resume(): Promise<void> {
    return this.#serial(async () => {
      assert(!this.#resumed, 'the engine was resumed already');
      this.#resumed = true;
      const isAnyLeft = this.#shard.resume();
      for (const other of this.#others) other.resume();
      await this.#loaded?.close();
      if (isAnyLeft) this.#checkpointer.changed();
      this.#checkpointer.start();
      this.#loop.start();
    });
  }

  remove(id: string): Promise<void> {
    return this.#serial(async () => {
      const node = this.#graph.node(id);
      this.#shard.remove(id);
      for (const other of this.#others) other.remove(id);
      this.#sharing.removed(id);
      this.#starter.removeUnread();
      this.#checkpointer.changed();
      this.#waiters.check();
      this.#loop.wake();
      if (node?.kind !== 'sink') return;
      await this.#checkpointer.idle();
      await node.writer?.close();
    });
  }

  alter(id: string, change: EngineChange): Promise<void> {
    return this.#serial(async () => {
      const node = this.#graph.node(id);
      const wasHalted = node !== undefined && node.kind !== 'source' && node.halted !== null;
      // What its limit stopped goes on with another limit, or when told to.
      const goesOn = wasHalted && (change.paused === false || change.stateLimit !== undefined);
      if (goesOn) node.halted = null;
      const all = goesOn ? { ...change, paused: false } : change;
      for (const shard of [this.#shard, ...this.#others]) shard.alter(id, all);
      this.#checkpointer.changed();
      this.#waiters.check();
      this.#loop.wake();
    });
  }

  async caughtUp(ids: readonly string[], timeoutMs: number): Promise<void> {
    const isThere = (id: string): boolean => {
      const node = this.#graph.node(id);
      if (node === undefined) throw new StreamError('CANCELLED', 'it was dropped meanwhile');
      if (node.error !== null) throw node.error;
      return isLive(node);
    };
    this.#loop.wake();
    await this.#waiters.until(() => ids.every(isThere), 'reading what it is made from', timeoutMs);
  }

  handOver(views: readonly (readonly [from: string, to: string])[]): Promise<void> {
    return this.#serial(async () => {
      for (const [from, to] of views) {
        const old = this.#graph.relation(from);
        const fresh = this.#graph.relation(to);
        const isAlone = this.#crew === null;
        old.handOver(fresh, this.#graph.epoch, isAlone);
        if (!isAlone && fresh.subscribers.size > 0) this.#watch(fresh);
      }
    });
  }

  flush(): Promise<number> {
    return this.#flush.run();
  }

  lookup(...args: Parameters<StreamEngine['lookup']>): ReturnType<StreamEngine['lookup']> {
    return this.#reads.lookup(...args);
  }

  snapshot(...args: Parameters<StreamEngine['snapshot']>): ReturnType<StreamEngine['snapshot']> {
    return this.#reads.snapshot(...args);
  }

  readSource(...args: Parameters<StreamEngine['readSource']>): Promise<Unreadable | null> {
    return this.#reads.readSource(...args);
  }

  async subscribe(
    id: string,
    options: { snapshot: boolean },
    onChange: (change: ViewChange) => void,
  ): Promise<Subscription> {
    const { relation } = this.#reads.relationRows(id);
    const node = this.#graph.ownerOf(relation);
    const subscriber: Subscriber = { onChange, starting: { snapshot: options.snapshot }, relation };
    relation.subscribers.add(subscriber);
    // One that is still catching up begins when it is there: its first call is the whole view.
    if (this.#crew !== null) {
      this.#watch(relation);
      const began = (): boolean => subscriber.starting === null || !relation.subscribers.has(subscriber);
      if (isLive(node)) await this.#waiters.until(began, `the first rows of ${node.spec.name}`);
    } else if (isLive(node)) relation.start(subscriber, this.#graph.epoch);
    const close = (): void => {
      const { relation: home } = subscriber;
      home.subscribers.delete(subscriber);
      if (this.#crew !== null && home.subscribers.size === 0) this.#unwatch(home);
    };
    return { id: ++this.#subscriptions, close };
  }

  async replay(id: string): Promise<ReplayCounts> {
    const node = this.#graph.node(id);
    if (node === undefined) throw new StreamError('NOT_FOUND', `the engine has no object ${id}`);
    if (node.error !== null)
      throw new StreamError('PIPELINE_FAILED', `${node.spec.name} failed: ${node.error.message}`);
    // A query on its way through the log meets some of these records itself; only when none is, all are alike.
    const sources = node.kind === 'source' ? [node] : this.#graph.sources.filter((source) => reads(node, source));
    await this.#waiters.until(
      () => sources.every((source) => !isCatchingUp(this.#graph, source)),
      `a query over ${sources.map(({ spec }) => spec.name).join(', ')} catches up, which`,
      this.#settings.readWaitMs,
    );
    const parts = await Promise.all([this.#shard, ...this.#others].map((shard) => shard.replay(id)));
    const sum = (what: keyof ReplayCounts): number => parts.reduce((n, part) => n + part[what], 0);
    const counts = { replayed: sum('replayed'), failed: sum('failed'), late: sum('late'), left: sum('left') };
    await this.#checkpointer.now();
    return counts;
  }

  async stats(): Promise<EngineStats> {
    const nowMs = this.#clock.monotonicMs();
    const { stats: checkpoint } = this.#checkpointer;
    const { epoch } = this.#graph;
    const objects = await this.#objectStats();
    const stats = {
      epoch,
      checkpointEpoch: checkpoint.epoch,
      lastCheckpointMs: checkpoint.durationMs,
      checkpointBytes: checkpoint.bytes,
      objects: this.#rates.rated(nowMs, objects),
    };
    this.#sample();
    return stats;
  }

  checkpoint(): Promise<number> {
    return this.#checkpointer.now();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#serial(async () => {
      this.#closed = true;
      this.#loop.stop();
      this.#checkpointer.stop();
      this.#waiters.close();
      if (this.#resumed) {
        await this.#checkpointer.now().catch((thrown: unknown) => {
          this.#logger.error('checkpoint.failed', { reason: asStreamError(thrown).message });
        });
      }
      this.#checkpointer.close();
      this.#shard.close();
      for (const other of this.#others) other.close();
      await this.#loaded?.close();
      for (const { writer } of this.#graph.queries) await writer?.close().catch(() => undefined);
      this.#log.close();
    });
  }

  #sample(): void {
    this.#keeper.check();
    const nowMs = this.#clock.monotonicMs();
    if (!this.#rates.due(nowMs)) return;
    void this.#objectStats().then(
      (objects) => this.#rates.add(nowMs, objects),
      () => undefined,
    );
  }

  async #objectStats(): Promise<ObjectStats[]> {
    return withSharedOperators(
      mergeStats(await Promise.all([this.#shard, ...this.#others].map((shard) => shard.stats()))),
    );
  }

  /** The rows come from all shards, at the end of an epoch. */
  #watch(relation: Relation): void {
    for (const shard of [this.#shard, ...this.#others]) shard.watch(relation.id, true, true);
    this.#loop.wake();
  }

  #unwatch(relation: Relation): void {
    for (const shard of [this.#shard, ...this.#others]) shard.watch(relation.id, false, false);
  }

  #serial<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#ddl.then(() => {
      if (this.#closed) throw new StreamError('CANCELLED', 'the engine is closing');
      return run();
    });
    this.#ddl = result.catch(() => undefined);
    return result;
  }

  #pause(ms: number): Promise<void> {
    if (this.#closed) return Promise.reject(new StreamError('CANCELLED', 'the engine is closing'));
    return new Promise((resolve) => {
      this.#clock.setTimeout(resolve, ms);
    });
  }
}

function draftsOf(shards: readonly OtherShard[]): Drafts {
  return {
    shards: shards.length,
    take: async () => mergeDrafts(await Promise.all(shards.map((shard) => shard.draft()))),
    stored: (manifest, crowded) => {
      for (const shard of shards) shard.drafted(manifest, crowded);
    },
    lost: () => {
      for (const shard of shards) shard.drafted(null, new Set());
    },
  };
}

const reads = (query: QueryNode, source: SourceNode): boolean =>
  query.inputs.some(({ relation }) => relation.owner === source.spec.id);
