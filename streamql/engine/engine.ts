import { assert } from '../../src/lib/assert.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../src/lib/errors.ts';
import type { Log } from '../../src/lib/log.ts';
import type { Disk } from '../../src/ports/disk.ts';
import type {
  EngineChange,
  EngineObject,
  EngineStats,
  ObjectStats,
  ReplayCounts,
  SinkSpec,
  Snapshot,
  StreamEngine,
  Subscription,
  ViewChange,
  ViewSpec,
} from '../../src/ports/engine.ts';
import type { SinkKind } from '../../src/ports/sink.ts';
import type { SinkLog } from '../../src/ports/sink-log.ts';
import { type Batch, type ColumnSchema, concatBatches, firstRows } from '../../src/values/batch.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import type { AsOf } from '../plan/as-of.ts';
import { QuerySharing } from './query-sharing.ts';
import { waitsForResume } from './runtime/catch-up.ts';
import { CheckpointStore, type LoadedCheckpoint } from './runtime/checkpoint-store.ts';
import { Checkpointer, type Drafts } from './runtime/checkpointer.ts';
import { EpochLoop } from './runtime/epoch-loop.ts';
import type { Graph, GraphNode } from './runtime/graph.ts';
import type { LogReader } from './runtime/log-reader.ts';
import type { QueryNode } from './runtime/query-node.ts';
import { RateSamples } from './runtime/rates.ts';
import { readSource } from './runtime/read-source.ts';
import type { Relation, RelationRows, Subscriber } from './runtime/relation.ts';
import { isCatchingUp } from './runtime/replay.ts';
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from './runtime/settings.ts';
import type { SourceNode } from './runtime/source-node.ts';
import { bytesToSpill, exceeded, LIMIT_CHECK_MS, shareToExpire, usedBytesOf } from './runtime/state-limits.ts';
import { Waiters } from './runtime/waiters.ts';
import { localCrew } from './shards/local-crew.ts';
import { mergeDrafts, mergeStats } from './shards/merge.ts';
import { runAlone } from './shards/peers.ts';
import { type Crew, type OtherShard, Shard } from './shards/shard.ts';
import { isShared, withSharedOperators } from './sharing.ts';

/**
 * The incremental engine in this thread; `worker/host.ts` runs it in another. It reads the log through LogReader, keeps its checkpoints
 * in the directory `engine` of the disk (none without a disk) and writes through the sinks it was given. Where to read on: `runtime/epoch-loop.ts`
 * (how input becomes rows), `runtime/catch-up.ts` (how a new query joins), `runtime/checkpointer.ts` (what survives), `operator.ts`
 * (the pure half).
 */
export interface EngineOptions {
  readonly log: LogReader;
  /** Null: nothing survives (`--in-memory`). */
  readonly disk: Disk | null;
  readonly clock: Clock;
  readonly logger: Log;
  readonly sinks: readonly SinkKind[];
  /** Absolute; given to sinks. */
  readonly dataDir: string;
  /** For sinks into topics; without it there are none. */
  readonly sinkLog?: SinkLog;
  readonly settings?: Partial<EngineSettings>;
  /** Shards in threads of their own, beside this one. They were made with the same checkpoint. */
  readonly crew?: Crew;
  /** Without a crew: how many shards share this thread. One does all by itself. */
  readonly shards?: number;
  /** As of ShardParts. */
  readonly readsWait?: () => boolean;
}

/** Ends the relation of a table's versions. */
const HISTORY = '$history';
const CHECKPOINT_DIRECTORY = 'engine';
/** How often FLUSH asks sinks that cannot be reached again. */
const RETRY_MS = 250;

export interface StoredState {
  readonly store: CheckpointStore | null;
  readonly loaded: LoadedCheckpoint | null;
}

/** STORAGE_FAILED when there are checkpoints and none is whole. */
export async function openState({
  disk,
  logger,
  clock,
}: Pick<EngineOptions, 'disk' | 'logger' | 'clock'>): Promise<StoredState> {
  const store = disk === null ? null : new CheckpointStore(disk, CHECKPOINT_DIRECTORY, logger);
  return { store, loaded: (await store?.load(clock.nowMs())) ?? null };
}

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
  readonly #rates = new RateSamples();
  #resumed = false;
  #closed = false;
  /** Adding and removing objects, one at a time. */
  #ddl: Promise<unknown> = Promise.resolve();
  #subscriptions = 0;
  /** When the clock alone makes something of the last epoch old in some shard. */
  #dueAtMs = Number.POSITIVE_INFINITY;
  #limitsCheckedMs = Number.NEGATIVE_INFINITY;

  constructor(options: EngineOptions, store: CheckpointStore | null, loaded: LoadedCheckpoint | null) {
    const { log, clock, logger, shards = 1 } = options;
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
    crew?.onWake(wake);
  }

  add(object: EngineObject): Promise<void> {
    return this.#serial(async () => {
      if (this.#graph.node(object.id) !== undefined) {
        throw new StreamError('ALREADY_EXISTS', `the engine has an object ${object.id} already`);
      }
      try {
        await this.#start(object.kind === 'source' ? object : await this.#withParts(object));
      } finally {
        this.#removeUnread();
      }
      if (object.kind !== 'source') this.#sharing.added(object);
      this.#loop.wake();
    });
  }

  async #start(object: EngineObject): Promise<void> {
    await this.#prepare(object);
    // From here on without waiting, so that it begins in all shards with the same epoch.
    try {
      this.#shard.commit(object.id);
    } catch (thrown) {
      for (const other of this.#others) other.abort(object.id);
      throw thrown;
    }
    for (const other of this.#others) other.commit(object.id);
  }

  /** The query as it runs; what it shares is there then. */
  async #withParts(object: ViewSpec | SinkSpec): Promise<ViewSpec | SinkSpec> {
    const { object: query, parts } = this.#sharing.share(object, this.#shard.objects.savedParts(object.id));
    for (const part of parts) {
      if (this.#graph.node(part.spec.id) !== undefined) continue;
      const giver = this.#resumed ? this.#sharing.giverOf(part, (giver) => this.#shard.canHandOver(part, giver)) : null;
      if (giver === null) {
        await this.#start(part.spec);
        continue;
      }
      for (const shard of [this.#shard, ...this.#others]) shard.handOver(part, giver);
      this.#checkpointer.changed();
    }
    return query;
  }

  /** Shared parts that nobody reads, and what only they read. */
  #removeUnread(): void {
    for (;;) {
      const unread = this.#graph.queries.find(
        (node) => isShared(node.spec.id) && this.#graph.readersOf(node).length === 0,
      );
      if (unread === undefined) return;
      for (const shard of [this.#shard, ...this.#others]) shard.remove(unread.spec.id);
    }
  }

  /** In all shards, with the state of the checkpoint in all or in none. */
  async #prepare(object: EngineObject): Promise<void> {
    const shards = [this.#shard, ...this.#others];
    for (const fresh of [false, true]) {
      const prepared = await Promise.allSettled(shards.map((shard) => shard.prepare(object, fresh)));
      const refused = prepared.find((one) => one.status === 'rejected');
      const loaded = prepared.map((one) => one.status === 'fulfilled' && one.value);
      if (refused === undefined && (fresh || loaded.every((one) => one === loaded[0]))) return;
      for (const shard of shards) shard.abort(object.id);
      if (refused !== undefined) throw refused.reason;
    }
  }

  resume(): Promise<void> {
    return this.#serial(async () => {
      assert(!this.#resumed, 'the engine was resumed already');
      this.#resumed = true;
      const isAnyLeft = this.#shard.resume();
      for (const other of this.#others) other.resume();
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
      this.#removeUnread();
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

  /** What sinks write into topics that are read here is to be reflected too: as many rounds as sinks can follow each other. */
  async flush(): Promise<number> {
    let epoch = await this.#flushOnce();
    for (let left = this.#graph.queries.length; left > 0 && (await this.#wroteForUs()); left--)
      epoch = await this.#flushOnce();
    return epoch;
  }

  /** Whether sinks have written records that sources here have not read. */
  async #wroteForUs(): Promise<boolean> {
    const topics = new Set(
      this.#graph.queries.flatMap(({ spec, error }) =>
        spec.kind === 'sink' && error === null && spec.options['topic'] !== undefined ? [spec.options['topic']] : [],
      ),
    );
    for (const source of this.#graph.sources) {
      if (!source.isReading || !topics.has(source.spec.topic)) continue;
      const state = await this.#log.describe(source.spec.topic);
      if (state?.partitions.some(({ highWatermark }, i) => this.#shard.epoch.position(source, i) < highWatermark))
        return true;
    }
    return false;
  }

  async #flushOnce(): Promise<number> {
    const ends = new Map<SourceNode, readonly number[]>();
    await Promise.all(
      this.#graph.sources.map(async (source) => {
        const state = await this.#log.describe(source.spec.topic);
        if (this.#graph.node(source.spec.id) !== source) return;
        source.update(state);
        ends.set(source, state?.partitions.map((partition) => partition.highWatermark) ?? []);
      }),
    );
    this.#loop.wake();
    await this.#waiters.until(() => this.#passed(ends) && !this.#isDue, 'FLUSH');
    const { epoch } = this.#graph;
    const unsettled = () =>
      this.#graph.queries.some((node) => node.error === null && node.writer !== null && !node.writer.committed(epoch));
    while (unsettled()) {
      await this.#checkpointer.now();
      if (unsettled()) await this.#pause(RETRY_MS);
    }
    return epoch;
  }

  async lookup(
    id: string,
    key: readonly Datum[],
    limit: number,
    columns?: readonly number[],
  ): Promise<{ epoch: number; batch: Batch }> {
    const { relation, rows } = await this.#readable(id);
    if (columns === undefined && (rows.lookup === null || key.length === 0)) {
      throw new StreamError('REQUEST_INVALID', `${relation.id} cannot be looked up by key`, {
        hint: rows.lookup === null ? 'it has no key; use a SELECT' : 'give a value for the first key column at least',
      });
    }
    const { epoch } = this.#graph;
    const batches = await Promise.all(
      [this.#shard, ...this.#others].map((shard) => shard.lookup(id, key, limit, columns)),
    );
    if (batches.length === 1) return { epoch, batch: batches[0] };
    return { epoch, batch: firstRows(concatBatches(typesOf(relation.columns), batches), limit) };
  }

  async snapshot(wants: Parameters<StreamEngine['snapshot']>[0], sources: readonly string[] = []): Promise<Snapshot> {
    for (const { id } of wants) await this.#readable(id);
    const past = await this.#past(wants);
    // From here on without waiting, so all are of one epoch.
    for (const { id } of wants) this.#relationRows(id);
    const { epoch } = this.#graph;
    const offsets = sources.map((id) => this.#offsets(this.#source(id)));
    const columnsOf = wants.map(({ id }) => this.#graph.relation(id).columns);
    const scans = wants.map(({ asOf: _, ...want }, i) => (past[i] === null ? want : { ...want, asOf: past[i] }));
    const [mine, ...theirs] = await Promise.all([this.#shard, ...this.#others].map((shard) => shard.scan(scans)));
    const latest = past.length === 0 ? epoch : Math.max(...past.map((one) => one ?? epoch));
    if (theirs.length === 0) return { epoch: latest, batches: mine, offsets };
    const batches = wants.map(({ columns, limit }, i) => {
      const types = columns.map((column) => columnsOf[i][column].type);
      const all = concatBatches(types, [mine[i], ...theirs.map((scans) => scans[i])]);
      return firstRows(all, limit ?? Number.POSITIVE_INFINITY);
    });
    return { epoch: latest, batches, offsets };
  }

  /** The epochs that these are of; null: the present one. What is of one moment is of one epoch, whatever comes meanwhile. */
  async #past(wants: Parameters<StreamEngine['snapshot']>[0]): Promise<(number | null)[]> {
    const idsOf = new Map<string, { moment: AsOf; ids: string[] }>();
    for (const { id, asOf } of wants) {
      if (asOf === undefined) continue;
      const key = JSON.stringify(asOf);
      const found = idsOf.get(key);
      if (found === undefined) idsOf.set(key, { moment: asOf, ids: [id] });
      else found.ids.push(id);
    }
    const nowMs = this.#clock.nowMs();
    const epochs = new Map<string, number>();
    for (const [key, { moment, ids }] of idsOf) {
      const shards = [this.#shard, ...this.#others];
      epochs.set(key, Math.max(...(await Promise.all(shards.map((shard) => shard.epochAt(ids, moment, nowMs))))));
    }
    return wants.map(({ asOf }) => (asOf === undefined ? null : epochs.get(JSON.stringify(asOf))!));
  }

  async readSource(
    id: string,
    columns: readonly number[],
    onBatch: (batch: Batch) => Promise<boolean>,
    upTo?: readonly number[],
  ): Promise<void> {
    const isHistory = id.endsWith(HISTORY);
    const node = this.#source(id);
    if (node.store !== null && !isHistory) {
      const rows = node.store.scan(columns);
      if (rows.length > 0) await onBatch(rows);
    } else {
      const parts = { ...this.#shard.objects.cursorParts(node.spec), owns: () => true };
      await readSource(node.spec, columns, parts, onBatch, upTo);
    }
  }

  async subscribe(
    id: string,
    options: { snapshot: boolean },
    onChange: (change: ViewChange) => void,
  ): Promise<Subscription> {
    const { relation } = this.#relationRows(id);
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
      for (const { writer } of this.#graph.queries) await writer?.close().catch(() => undefined);
      this.#log.close();
    });
  }

  /** Holds views to their limits, from time to time. */
  #checkLimits(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#limitsCheckedMs < LIMIT_CHECK_MS) return;
    const isLimited = (node: QueryNode): boolean =>
      node.spec.kind === 'view' && node.spec.stateLimit !== undefined && !node.paused && node.error === null;
    if (!this.#graph.queries.some(isLimited)) return;
    this.#limitsCheckedMs = nowMs;
    void this.#serial(async () => {
      for (const stats of await this.#objectStats()) {
        const node = this.#graph.node(stats.id);
        if (node !== undefined && node.kind !== 'source' && isLimited(node)) this.#limit(node, usedBytesOf(stats));
      }
    }).catch(() => undefined);
  }

  #limit(node: QueryNode, used: number): void {
    const limit = (node.spec as ViewSpec).stateLimit!;
    if (used <= limit.bytes) return;
    const error = exceeded(used, limit);
    if (limit.onExceed === 'fail') {
      this.#graph.fail(node, error);
    } else {
      let isPausing = limit.onExceed === 'pause';
      if (limit.onExceed === 'spill') {
        const share = bytesToSpill(used, limit) / (1 + this.#others.length);
        for (const other of this.#others) other.alter(node.spec.id, { spill: share });
        if (this.#shard.spill(node.spec.id, share) > 0) return;
        isPausing = true;
      }
      const change = isPausing ? { paused: true } : { evict: shareToExpire(used, limit) };
      for (const shard of [this.#shard, ...this.#others]) shard.alter(node.spec.id, change);
      if (isPausing) {
        node.halted = error;
        this.#logger.warn('view.paused', { name: node.spec.name, reason: error.message });
      }
    }
    this.#checkpointer.changed();
    this.#waiters.check();
    this.#loop.wake();
  }

  #sample(): void {
    this.#checkLimits();
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

  get #isDue(): boolean {
    const isDueElsewhere = this.#others.length > 0 && this.#dueAtMs <= this.#clock.monotonicMs();
    return isDueElsewhere || this.#shard.epoch.isDue;
  }

  /** Whether the shared readers are past these offsets and every query reflects them. */
  #passed(ends: ReadonlyMap<SourceNode, readonly number[]>): boolean {
    for (const [source, offsets] of ends) {
      if (!source.isReading || this.#graph.node(source.spec.id) !== source) continue;
      for (let partition = 0; partition < offsets.length; partition++) {
        if (this.#shard.epoch.position(source, partition) < offsets[partition]) return false;
      }
    }
    return this.#graph.queries.every(
      (query) =>
        query.error !== null ||
        query.paused ||
        waitsForResume(this.#graph, query) ||
        (query.catchingUp === null && !query.touched),
    );
  }

  /** Of all shards. */
  #offsets(source: SourceNode): number[] {
    const { cursor } = source;
    return Array.from({ length: cursor.partitions }, (_, partition) => this.#shard.epoch.position(source, partition));
  }

  #source(relation: string): SourceNode {
    const id = relation.endsWith(HISTORY) ? relation.slice(0, -HISTORY.length) : relation;
    const node = this.#graph.node(id);
    if (node?.kind !== 'source') throw new StreamError('NOT_FOUND', `the engine has no source ${id}`);
    return node;
  }

  #relationRows(id: string): { relation: Relation; rows: RelationRows } {
    const relation = this.#graph.relation(id);
    const node = this.#graph.ownerOf(relation);
    // What went wrong stays readable when the object itself is not.
    if (node.error !== null && relation.id === node.spec.id) {
      throw new StreamError('PIPELINE_FAILED', `${node.spec.name} failed: ${node.error.message}`);
    }
    if (relation.rows === null) {
      throw new StreamError('REQUEST_INVALID', `${node.spec.name} is a source: its rows are in the log`);
    }
    return { relation, rows: relation.rows };
  }

  /** Waits until the view has caught up with the log as it was when it was created. */
  async #readable(id: string): Promise<{ relation: Relation; rows: RelationRows }> {
    const found = this.#relationRows(id);
    const node = this.#graph.ownerOf(found.relation);
    if (isLive(node)) return found;
    if (node.kind !== 'source' && waitsForResume(this.#graph, node)) {
      throw new StreamError('SQL_UNSUPPORTED', `${node.spec.name} has no rows yet: it, or what it reads, is paused`, {
        hint: 'RESUME it',
      });
    }
    await this.#waiters.until(
      () => {
        this.#relationRows(id);
        return isLive(node);
      },
      `reading what ${node.spec.name} is made from`,
      this.#settings.readWaitMs,
    );
    return this.#relationRows(id);
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

/** Dead letters of a source are always current; a query is once it follows along and its first epoch has ended, or it failed. */
function isLive(node: GraphNode): boolean {
  if (node.kind === 'source' || node.error !== null) return true;
  return node.wasLive && (node.catchingUp !== null || !node.touched);
}

const typesOf = (columns: readonly ColumnSchema[]): SqlType[] => columns.map((column) => column.type);

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
