import { assert } from '../../src/lib/assert.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../src/lib/errors.ts';
import type { Log } from '../../src/lib/log.ts';
import type { Disk } from '../../src/ports/disk.ts';
import type {
  EngineObject,
  EngineStats,
  ReplayCounts,
  StreamEngine,
  Subscription,
  ViewChange,
} from '../../src/ports/engine.ts';
import type { SinkKind } from '../../src/ports/sink.ts';
import type { SinkLog } from '../../src/ports/sink-log.ts';
import type { Batch } from '../../src/values/batch.ts';
import type { Datum } from '../../src/values/types.ts';
import { CheckpointStore, type LoadedCheckpoint } from './runtime/checkpoint-store.ts';
import { Checkpointer } from './runtime/checkpointer.ts';
import { EpochLoop } from './runtime/epoch-loop.ts';
import { Graph, type GraphNode } from './runtime/graph.ts';
import type { LogReader } from './runtime/log-reader.ts';
import { Objects } from './runtime/objects.ts';
import { RateSamples } from './runtime/rates.ts';
import { readSource } from './runtime/read-source.ts';
import type { Relation, RelationRows, Subscriber } from './runtime/relation.ts';
import { isCatchingUp, replay } from './runtime/replay.ts';
import { fingerprintOf } from './runtime/restore.ts';
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from './runtime/settings.ts';
import type { SourceNode } from './runtime/source-node.ts';
import { engineStats, objectStats } from './runtime/stats.ts';
import { Waiters } from './runtime/waiters.ts';

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
}

const CHECKPOINT_DIRECTORY = 'engine';
/** How often FLUSH asks sinks that cannot be reached again. */
const RETRY_MS = 250;

/** STORAGE_FAILED when there are checkpoints and none is whole. */
export async function createEngine(options: EngineOptions): Promise<StreamEngine> {
  const store = options.disk === null ? null : new CheckpointStore(options.disk, CHECKPOINT_DIRECTORY, options.logger);
  return new LocalEngine(options, store, (await store?.load()) ?? null);
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
  readonly #objects: Objects;
  readonly #fingerprints = new Map<string, string>();
  readonly #rates = new RateSamples();
  #resumed = false;
  #closed = false;
  /** Adding and removing objects, one at a time. */
  #ddl: Promise<unknown> = Promise.resolve();
  #subscriptions = 0;

  constructor(options: EngineOptions, store: CheckpointStore | null, loaded: LoadedCheckpoint | null) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#settings = { ...DEFAULT_ENGINE_SETTINGS, ...options.settings };
    this.#graph = new Graph(this.#logger);
    this.#graph.epoch = loaded?.manifest.epoch ?? 0;
    this.#waiters = new Waiters(this.#clock);
    this.#checkpointer = new Checkpointer(this.#graph, store, {
      clock: this.#clock,
      logger: this.#logger,
      settings: this.#settings,
      fingerprint: (node) => this.#fingerprints.get(node.spec.id)!,
    });
    this.#loop = new EpochLoop(this.#graph, this.#clock, this.#settings, () => {
      this.#checkpointer.changed();
      this.#waiters.check();
      this.#sample();
    });
    if (loaded !== null) this.#checkpointer.stats = { ...this.#checkpointer.stats, epoch: loaded.manifest.epoch };
    const { log, clock, logger, sinks, dataDir, sinkLog } = options;
    const wake = (): void => {
      this.#loop.wake();
      this.#waiters.check();
    };
    const parts = { graph: this.#graph, checkpointer: this.#checkpointer, settings: this.#settings };
    this.#objects = new Objects({ ...parts, log, clock, logger, sinks, dataDir, sinkLog, wake }, loaded);
  }

  add(object: EngineObject): Promise<void> {
    return this.#serial(async () => {
      if (this.#graph.node(object.id) !== undefined) {
        throw new StreamError('ALREADY_EXISTS', `the engine has an object ${object.id} already`);
      }
      this.#fingerprints.set(object.id, fingerprintOf(object));
      await this.#objects.add(object);
      this.#loop.wake();
    });
  }

  resume(): Promise<void> {
    return this.#serial(async () => {
      assert(!this.#resumed, 'the engine was resumed already');
      this.#resumed = true;
      if (this.#objects.resume()) this.#checkpointer.changed();
      this.#checkpointer.start();
      this.#loop.start();
    });
  }

  remove(id: string): Promise<void> {
    return this.#serial(async () => {
      const node = this.#graph.remove(id);
      this.#objects.forget(id);
      this.#fingerprints.delete(id);
      this.#checkpointer.forget(id);
      this.#waiters.check();
      this.#loop.wake();
      if (node.kind !== 'sink') return;
      await this.#checkpointer.idle();
      await node.writer?.close();
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
      if (source.error !== null || !topics.has(source.spec.topic)) continue;
      const state = await this.#log.describe(source.spec.topic);
      if (state?.partitions.some(({ highWatermark }, i) => (source.cursor.position(i) ?? 0) < highWatermark))
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
    await this.#waiters.until(() => this.#passed(ends) && !this.#loop.isDue, 'FLUSH');
    const { epoch } = this.#graph;
    const unsettled = () =>
      this.#graph.queries.some((node) => node.error === null && node.writer !== null && !node.writer.committed(epoch));
    while (unsettled()) {
      await this.#checkpointer.now();
      if (unsettled()) await this.#pause(RETRY_MS);
    }
    return epoch;
  }

  async lookup(id: string, key: readonly Datum[], limit: number): Promise<{ epoch: number; batch: Batch }> {
    const { relation, rows } = await this.#readable(id);
    if (rows.lookup === null || key.length === 0) {
      throw new StreamError('REQUEST_INVALID', `${relation.id} cannot be looked up by key`, {
        hint: rows.lookup === null ? 'it has no key; use a SELECT' : 'give a value for the first key column at least',
      });
    }
    return { epoch: this.#graph.epoch, batch: rows.lookup(key, limit) };
  }

  async snapshot(
    wants: readonly { id: string; columns: readonly number[]; limit?: number }[],
  ): Promise<{ epoch: number; batches: Batch[] }> {
    for (const { id } of wants) await this.#readable(id);
    // From here on without waiting, so all are of one epoch.
    const batches = wants.map(({ id, columns, limit }) => {
      const { rows } = this.#relationRows(id);
      return rows.scan(columns, limit ?? Number.POSITIVE_INFINITY);
    });
    return { epoch: this.#graph.epoch, batches };
  }

  async readSource(id: string, columns: readonly number[], onBatch: (batch: Batch) => Promise<boolean>): Promise<void> {
    const isHistory = id.endsWith('$history');
    const node = this.#graph.node(isHistory ? id.slice(0, -'$history'.length) : id);
    if (node?.kind !== 'source') throw new StreamError('NOT_FOUND', `the engine has no source ${id}`);
    if (node.store !== null && !isHistory) {
      const rows = node.store.scan(columns);
      if (rows.length > 0) await onBatch(rows);
    } else {
      await readSource(node.spec, columns, this.#objects.cursorParts(node.spec), onBatch);
    }
  }

  async subscribe(
    id: string,
    options: { snapshot: boolean },
    onChange: (change: ViewChange) => void,
  ): Promise<Subscription> {
    const { relation } = this.#relationRows(id);
    const node = this.#graph.ownerOf(relation);
    const subscriber: Subscriber = { onChange, starting: { snapshot: options.snapshot } };
    relation.subscribers.add(subscriber);
    // One that is still catching up begins when it is there: its first call is the whole view.
    if (isLive(node)) relation.start(subscriber, this.#graph.epoch);
    return { id: ++this.#subscriptions, close: () => void relation.subscribers.delete(subscriber) };
  }

  async replay(id: string): Promise<ReplayCounts> {
    const node = this.#graph.node(id);
    if (node === undefined) throw new StreamError('NOT_FOUND', `the engine has no object ${id}`);
    if (node.error !== null)
      throw new StreamError('PIPELINE_FAILED', `${node.spec.name} failed: ${node.error.message}`);
    const counts = await replay(node, {
      graph: this.#graph,
      log: this.#log,
      batchRecords: this.#settings.batchRecords,
      inEpoch: (run) => this.#loop.inEpoch(run),
      level: (source) =>
        this.#waiters.until(
          () => !isCatchingUp(this.#graph, source),
          `a query over ${source.spec.name} is catching up, which`,
          this.#settings.readWaitMs,
        ),
    });
    await this.#checkpointer.now();
    return counts;
  }

  async stats(): Promise<EngineStats> {
    const nowMs = this.#clock.monotonicMs();
    const stats = engineStats(this.#graph, this.#checkpointer.stats, this.#rates, nowMs);
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
      const closing = new StreamError('CANCELLED', 'the engine is closing');
      for (const node of this.#graph.nodes) {
        for (const relation of node.relations) relation.end(this.#graph.epoch, closing);
        if (node.kind === 'source') node.close();
        else await node.writer?.close().catch(() => undefined);
      }
      this.#objects.close();
      this.#log.close();
    });
  }

  #sample(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#rates.due(nowMs)) this.#rates.add(nowMs, objectStats(this.#graph));
  }

  /** Whether the shared readers are past these offsets and every query reflects them. */
  #passed(ends: ReadonlyMap<SourceNode, readonly number[]>): boolean {
    for (const [source, offsets] of ends) {
      if (source.error !== null || this.#graph.node(source.spec.id) !== source) continue;
      for (let partition = 0; partition < offsets.length; partition++) {
        if ((source.cursor.position(partition) ?? 0) < offsets[partition]) return false;
      }
    }
    return this.#graph.queries.every((query) => query.error !== null || (query.catchingUp === null && !query.touched));
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
  return node.kind === 'source' || node.error !== null || (node.catchingUp === null && !node.touched);
}
