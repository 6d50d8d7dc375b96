import { join } from 'node:path';
import { assert } from '../../../src/lib/assert.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type {
  EngineChange,
  EngineObject,
  ObjectStats,
  ReplayCounts,
  SinkSpec,
  ViewSpec,
} from '../../../src/ports/engine.ts';
import type { SinkKind } from '../../../src/ports/sink.ts';
import type { SinkLog } from '../../../src/ports/sink-log.ts';
import { type Batch, firstRows } from '../../../src/values/batch.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { AsOf } from '../../plan/as-of.ts';
import { pauseQuery } from '../runtime/catch-up.ts';
import type { DraftEntry, LoadedCheckpoint, Manifest } from '../runtime/checkpoint-store.ts';
import { Epoch, type EpochReport } from '../runtime/epoch.ts';
import { Graph } from '../runtime/graph.ts';
import type { LogReader } from '../runtime/log-reader.ts';
import { Objects, type Prepared } from '../runtime/objects.ts';
import { kept, type QueryNode } from '../runtime/query-node.ts';
import { replay } from '../runtime/replay.ts';
import { fingerprintOf } from '../runtime/restore.ts';
import type { EngineSettings } from '../runtime/settings.ts';
import { StateDrafts } from '../runtime/state-drafts.ts';
import { objectStats } from '../runtime/stats.ts';
import type { Part } from '../sharing.ts';
import type { Peers, Waiting } from './peers.ts';
import { ownPart } from './restore-tables.ts';

export interface ShardParts {
  /** Null when it is the only one. */
  readonly peers: Peers | null;
  readonly log: LogReader;
  readonly clock: Clock;
  readonly logger: Log;
  /** Only the first shard has sinks. */
  readonly sinks: readonly SinkKind[];
  readonly dataDir: string;
  readonly sinkLog?: SinkLog | undefined;
  readonly settings: EngineSettings;
  /** Whether state is saved. */
  readonly isStored: boolean;
  /** There may be something to do. */
  readonly wake: () => void;
  /** Whether somebody waits for the end of the epoch to read: it then takes in no more than it has begun. */
  readonly readsWait?: () => boolean;
}

/**
 * What the first shard asks of the others. Calls come in this order everywhere and between epochs, so that all are at the same one; what is
 * no promise is done when the next call is made.
 */
export interface OtherShard {
  /** As Objects.prepare; whether state was loaded. */
  prepare(object: EngineObject, fresh: boolean): Promise<boolean>;
  commit(id: string): void;
  abort(id: string): void;
  remove(id: string): void;
  /** As Objects.handOver, where the first shard has tried it. */
  handOver(part: Part, query: ViewSpec | SinkSpec): void;
  /** As of StreamEngine. */
  alter(id: string, change: ShardChange): void;
  resume(): void;
  lookup(id: string, key: readonly Datum[], limit: number, columns?: readonly number[]): Promise<Batch>;
  scan(wants: readonly RelationScan[]): Promise<Batch[]>;
  /** The last epoch that changed one of these views here by then. As of ViewHistory.epochAt. */
  epochAt(ids: readonly string[], moment: AsOf, nowMs: number): Promise<number>;
  /** Changes of a relation are wanted from now on or no more; `starting`: and its rows once. */
  watch(id: string, isWatched: boolean, starting: boolean): void;
  draft(): Promise<DraftEntry[]>;
  /** The last draft is durable, or lost. */
  drafted(manifest: Manifest | null, crowded: ReadonlySet<string>): void;
  stats(): Promise<ObjectStats[]>;
  /** As of QueryNode; nothing for an object that is not there. */
  spill(id: string, memoryBytes: number): Promise<number>;
  /** As StreamEngine.replay, of the letters that this shard has; not durable yet. */
  replay(id: string): Promise<ReplayCounts>;
  close(): void;
}

/** `evict`: as of Pipeline. */
export type ShardChange = EngineChange & { readonly evict?: number };

export interface RelationScan {
  readonly id: string;
  readonly columns: readonly number[];
  readonly limit?: number;
  /** Of a view with a history. */
  readonly asOf?: number;
}

/** The other shards of an engine, as the first one has them. */
export interface Crew {
  readonly peers: Peers;
  readonly others: readonly OtherShard[];
  /** Runs an epoch everywhere; the first shard's part is given. */
  runEpoch(first: Waiting<EpochReport>): EpochReport;
  /** Called when another shard may have something to do; `behind` as of EpochReport. */
  onWake(listener: (behind: boolean) => void): void;
}

/**
 * A share of an engine's work: the same graph of objects everywhere, each shard with its part of the input and of the state. One engine has one shard,
 * or several in threads of their own (`worker/`), which go through epochs in step.
 */
export class Shard implements OtherShard {
  readonly graph: Graph;
  readonly epoch: Epoch;
  readonly objects: Objects;
  readonly drafts: StateDrafts;
  readonly #index: number;
  readonly #parts: ShardParts;
  readonly #fingerprints = new Map<string, string>();
  readonly #prepared = new Map<string, Prepared>();

  constructor(parts: ShardParts, loaded: LoadedCheckpoint | null) {
    const { peers, clock, settings, logger } = parts;
    this.#index = peers?.index ?? 0;
    this.#parts = parts;
    this.graph = new Graph(logger);
    this.graph.epoch = loaded?.firstEpoch ?? 0;
    this.epoch = new Epoch(this.graph, clock, settings, peers, parts.readsWait);
    const fingerprint = (node: { spec: EngineObject }): string => this.#fingerprints.get(node.spec.id)!;
    this.drafts = new StateDrafts(this.graph, parts.isStored, fingerprint);
    this.objects = new Objects({ ...parts, graph: this.graph, drafts: this.drafts }, loaded);
  }

  async prepare(object: EngineObject, fresh: boolean): Promise<boolean> {
    const prepared = await this.objects.prepare(object, fresh);
    this.#fingerprints.set(object.id, fingerprintOf(object));
    this.#prepared.set(object.id, prepared);
    return prepared.isLoaded;
  }

  commit(id: string): void {
    const prepared = this.#prepared.get(id);
    assert(prepared !== undefined, `object ${id} was not prepared`);
    this.#prepared.delete(id);
    prepared.commit();
  }

  canHandOver(part: Part, query: ViewSpec | SinkSpec): boolean {
    return this.objects.handOver(part, query, true);
  }

  handOver(part: Part, query: ViewSpec | SinkSpec): void {
    const isDone = this.objects.handOver(part, query, false);
    assert(isDone, `${part.spec.id} is in ${query.id} in every shard`);
    for (const spec of [part.spec, query]) this.#fingerprints.set(spec.id, fingerprintOf(spec));
  }

  abort(id: string): void {
    const prepared = this.#prepared.get(id);
    this.#prepared.delete(id);
    this.drafts.forget(id);
    void prepared?.abort();
  }

  remove(id: string): void {
    const node = this.graph.remove(id);
    if (node.kind !== 'source') node.spilled?.close();
    this.objects.forget(id);
    this.drafts.forget(id);
    this.epoch.forget(id);
    this.#fingerprints.delete(id);
  }

  alter(id: string, { name, paused, stateLimit, retainHistoryMs, evict, indexes }: ShardChange): void {
    const node = this.graph.node(id);
    if (node === undefined) throw new StreamError('NOT_FOUND', `the engine has no object ${id}`);
    if (name !== undefined) Object.assign(node, { spec: { ...node.spec, name } });
    if (stateLimit !== undefined) Object.assign(node, { spec: { ...node.spec, stateLimit: stateLimit ?? undefined } });
    if (retainHistoryMs !== undefined && node.kind === 'view') {
      node.retainHistory(retainHistoryMs);
      // One that is not readable yet begins when it is.
      if (node.wasLive && !node.touched) node.history?.begin(this.graph.epoch, this.#parts.clock.nowMs());
    }
    if (indexes !== undefined) node.relation?.setIndexes(indexes);
    if (evict !== undefined && node.kind !== 'source') node.pipeline.evict(evict);
    if (paused === true && node.kind !== 'source') pauseQuery(this.graph, node);
    else if (paused !== undefined) node.paused = paused;
  }

  resume(): boolean {
    return this.objects.resume();
  }

  async lookup(id: string, key: readonly Datum[], limit: number, columns?: readonly number[]): Promise<Batch> {
    const relation = this.graph.relation(id);
    if (columns !== undefined) return relation.lookupBy(columns, key, limit);
    const { rows } = relation;
    assert(rows !== null && rows.lookup !== null, `${id} has a key`);
    return rows.lookup(key, limit);
  }

  async scan(wants: readonly RelationScan[]): Promise<Batch[]> {
    return wants.map(({ id, columns, limit, asOf }) => {
      const { rows } = this.graph.relation(id);
      if (asOf !== undefined) {
        const past = this.#view(id).scanAsOf(columns, asOf);
        return limit === undefined ? past : firstRows(past, limit);
      }
      assert(rows !== null, `${id} has rows`);
      return rows.scan(columns, limit ?? Number.POSITIVE_INFINITY);
    });
  }

  async epochAt(ids: readonly string[], moment: AsOf, nowMs: number): Promise<number> {
    const present = { epoch: this.graph.epoch, ms: nowMs };
    return Math.max(
      ...ids.map((id) => {
        const node = this.#view(id);
        return kept(node).epochAt(moment, present, node.spec.name);
      }),
    );
  }

  #view(id: string): QueryNode {
    const node = this.graph.node(id);
    if (node?.kind === 'view') return node;
    throw new StreamError('SQL_UNSUPPORTED', `${id} is no view: it has no history`);
  }

  watch(id: string, isWatched: boolean, starting: boolean): void {
    const relation = this.graph.relations.find((one) => one.id === id);
    if (relation === undefined) return;
    relation.isWatched = isWatched;
    if (starting) relation.isStarting = true;
  }

  async draft(): Promise<DraftEntry[]> {
    return this.drafts.draft();
  }

  drafted(manifest: Manifest | null, crowded: ReadonlySet<string>): void {
    if (manifest === null) this.drafts.lost();
    else
      this.drafts.stored(
        manifest.objects.map((entry) => ownPart(entry, this.#index)),
        crowded,
      );
  }

  async stats(): Promise<ObjectStats[]> {
    return objectStats(this.graph);
  }

  async spill(id: string, memoryBytes: number): Promise<number> {
    const node = this.graph.node(id);
    if (node === undefined || node.kind === 'source') return 0;
    return node.spill(memoryBytes, join(this.#parts.dataDir, 'spill'));
  }

  replay(id: string): Promise<ReplayCounts> {
    const node = this.graph.node(id);
    assert(node !== undefined, `object ${id} is there`);
    const { log, settings, wake } = this.#parts;
    const inEpoch = (run: () => void): Promise<void> => {
      const done = this.epoch.inEpoch(run);
      wake();
      return done;
    };
    return replay(node, { graph: this.graph, log, batchRecords: settings.batchRecords, inEpoch });
  }

  close(): void {
    const closing = new StreamError('CANCELLED', 'the engine is closing');
    for (const node of this.graph.nodes) {
      for (const relation of node.relations) relation.end(this.graph.epoch, closing);
      if (node.kind === 'source') node.close();
      else {
        node.unfollow();
        node.spilled?.close();
      }
    }
    this.objects.close();
  }
}
