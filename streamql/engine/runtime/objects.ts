import { join } from 'node:path';
import { assert } from '../../../src/lib/assert.ts';
import type { Clock } from '../../../src/lib/clock.ts';
import { asStreamError, ERRORS, StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { EngineObject, SinkSpec, SourceSpec, ViewSpec } from '../../../src/ports/engine.ts';
import type { SinkKind } from '../../../src/ports/sink.ts';
import type { SinkLog } from '../../../src/ports/sink-log.ts';
import { prepareUserCode } from '../../functions/user/user-code.ts';
import { userFunctionsIn } from '../../functions/user/user-function.ts';
import type { Peers } from '../shards/peers.ts';
import { ownerOfPartition } from '../shards/place.ts';
import { ownPart, restoreTables } from '../shards/restore-tables.ts';
import { isShared, type Part, type Relations } from '../sharing.ts';
import { beginCatchUp, pauseQuery } from './catch-up.ts';
import { isPlacedFor, type LoadedCheckpoint, type ObjectEntry } from './checkpoint-store.ts';
import type { DeadLetter } from './dead-letters.ts';
import type { Graph, GraphNode } from './graph.ts';
import { handOverOf } from './hand-over.ts';
import type { LogReader } from './log-reader.ts';
import { QueryNode } from './query-node.ts';
import { restorationOf } from './restore.ts';
import type { EngineSettings } from './settings.ts';
import { SinkWriter } from './sink-writer.ts';
import type { CursorParts } from './source-cursor.ts';
import { SourceNode } from './source-node.ts';
import type { StateDrafts } from './state-drafts.ts';

/** After the log could not be read it is described, and then read, again that often. */
const RETRY_MS = 250;

export interface ObjectsParts {
  readonly graph: Graph;
  readonly drafts: StateDrafts;
  /** The other shards; null when there are none. */
  readonly peers: Peers | null;
  readonly log: LogReader;
  readonly clock: Clock;
  readonly logger: Log;
  readonly sinks: readonly SinkKind[];
  readonly dataDir: string;
  readonly sinkLog?: SinkLog | undefined;
  readonly settings: EngineSettings;
  /** There may be something to do. */
  readonly wake: () => void;
}

/** An object that is ready to run. */
export interface Prepared {
  /** It goes on from a checkpoint. */
  readonly isLoaded: boolean;
  /** Puts it among what runs. Throws when it is not to be, and nothing is left of it then. */
  commit(): void;
  abort(): void | Promise<void>;
}

/** Starts objects: with the state that a checkpoint has for them, or from the beginning. One call at a time. */
export class Objects {
  readonly #graph: Graph;
  readonly #drafts: StateDrafts;
  readonly #peers: Peers | null;
  readonly #log: LogReader;
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #sinks: readonly SinkKind[];
  readonly #dataDir: string;
  readonly #sinkLog: SinkLog | undefined;
  readonly #settings: EngineSettings;
  readonly #wake: () => void;
  /** State to be taken over by objects as they are added; null after `resume`. */
  #loaded: LoadedCheckpoint | null;
  readonly #saved = new Map<string, ObjectEntry>();
  readonly #restored = new Set<string>();
  readonly #unwatch = new Map<string, () => void>();
  #resumed = false;
  #closed = false;

  constructor(parts: ObjectsParts, loaded: LoadedCheckpoint | null) {
    this.#graph = parts.graph;
    this.#drafts = parts.drafts;
    this.#peers = parts.peers;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#sinks = parts.sinks;
    this.#dataDir = parts.dataDir;
    this.#sinkLog = parts.sinkLog;
    this.#settings = parts.settings;
    this.#wake = parts.wake;
    this.#loaded = loaded;
    for (const entry of loaded?.manifest.objects ?? []) this.#saved.set(entry.id, entry);
  }

  /**
   * Makes an object ready, with the state that a checkpoint has for it unless `fresh`. What runs is not disturbed before `commit`, which
   * is one moment and may refuse.
   */
  async prepare(object: EngineObject, fresh = false): Promise<Prepared> {
    if (object.kind !== 'source') await prepareUserCode(userFunctionsIn(object.plan));
    const saved = this.#saved.get(object.id);
    // As for a changed definition: a sink that has written stays stopped.
    if (fresh && saved !== undefined) this.#saved.set(object.id, { ...saved, fingerprint: '' });
    return object.kind === 'source' ? this.#prepareSource(object) : this.#prepareQuery(object);
  }

  /** Shared parts that the object read when it was saved; undefined when it was not. */
  savedParts(id: string): readonly string[] | undefined {
    const saved = this.#saved.get(id);
    return saved && (saved.shared ?? []);
  }

  /** The object was removed from the graph. */
  forget(id: string): void {
    this.#unwatch.get(id)?.();
    this.#unwatch.delete(id);
    this.#restored.delete(id);
  }

  /** All that was there before is added; the rest of the saved state is dropped. Answers whether there was any. */
  resume(): boolean {
    this.#resumed = true;
    this.#loaded = null;
    const left = [...this.#saved.keys()].some((id) => this.#graph.node(id) === undefined);
    this.#saved.clear();
    return left;
  }

  close(): void {
    this.#closed = true;
    for (const unwatch of this.#unwatch.values()) unwatch();
  }

  async #prepareSource(spec: SourceSpec): Promise<Prepared> {
    const restoration = restorationOf(spec, this.#saved.get(spec.id), true);
    const entry = restoration.how === 'load' ? restoration.entry : null;
    const node = new SourceNode(spec, this.cursorParts(spec), entry);
    if (entry !== null && !this.#load(node, entry)) return this.prepare(spec, true);
    const unwatch = this.#log.watch(spec.topic, (state) => {
      node.update(state);
      this.#wake();
    });
    const abort = (): void => {
      unwatch();
      node.close();
      this.forget(spec.id);
    };
    try {
      node.update(await this.#log.describe(spec.topic));
    } catch (thrown) {
      abort();
      throw thrown;
    }
    node.paused = spec.paused === true;
    const commit = (): void => {
      this.#unwatch.set(spec.id, unwatch);
      this.#graph.add(node);
      node.relation.setIndexes(spec.indexes ?? []);
    };
    return { isLoaded: entry !== null, commit, abort };
  }

  async #prepareQuery(spec: ViewSpec | SinkSpec): Promise<Prepared> {
    const writer = spec.kind === 'sink' && (this.#peers?.index ?? 0) === 0 ? this.#writer(spec) : null;
    const node = this.#node(spec, writer);
    const inputsRestored = node.inputs.every(({ relation }) => this.#restored.has(relation.owner));
    const overtaken = this.#loaded?.overtaken ?? [];
    const isOvertaken = spec.kind === 'sink' && (overtaken === 'all' || overtaken.includes(spec.id));
    const restoration = restorationOf(spec, this.#saved.get(spec.id), inputsRestored, isOvertaken);
    const entry = restoration.how === 'load' ? restoration.entry : null;
    if (entry !== null && !this.#load(node, entry)) return this.prepare(spec, true);
    let failure = restoration.how === 'failed' ? restoration.error : this.#brokenInput(node);
    if (failure === undefined && writer !== null && spec.kind === 'sink') {
      failure = await this.#open(writer, entry, spec).then(
        () => undefined,
        (thrown: unknown) => asStreamError(thrown),
      );
    }
    const abort = async (): Promise<void> => {
      node.unfollow();
      node.spilled?.close();
      this.forget(spec.id);
      await writer?.close().catch(() => undefined);
    };
    const commit = (): void => {
      // Epochs went on while the target was opened.
      const broken = failure ?? this.#brokenInput(node);
      if (broken === undefined) {
        this.#graph.add(node);
        this.#begin(node, entry);
        return;
      }
      void abort();
      if (this.#resumed) throw broken;
      // One object's trouble is no reason not to start the rest.
      this.#graph.add(node);
      this.#graph.fail(node, broken);
    };
    return { isLoaded: entry !== null, commit, abort };
  }

  #node(spec: ViewSpec | SinkSpec, writer: SinkWriter | null): QueryNode {
    return new QueryNode(spec, {
      relation: (id) => this.#graph.relation(id),
      writer,
      nowMs: () => this.#clock.nowMs(),
      peers: this.#peers,
      readsStores: this.#saved.get(spec.id)?.held === undefined,
      onFailure: (failed, error) => this.#graph.fail(failed, error),
      onLetter: (from, letter) => {
        // Nobody looks for what a shared part refused but with those who read it.
        if (isShared(from.spec.id))
          for (const reader of this.#graph.readersOf(from)) reader.takeLetter(ofPart(from.spec.id, letter));
      },
      onRowRefused: (fields) => this.#logger.warn('row.refused', { name: spec.name, ...fields }),
    });
  }

  /**
   * Between epochs: a query gives a part of itself up, which becomes an object of its own that the query then reads. False, and nothing has happened, where
   * that cannot be; with `isTrial` nothing happens either way.
   */
  handOver(part: Part, query: ViewSpec | SinkSpec, isTrial: boolean): boolean {
    const graph = this.#graph;
    const owner = graph.node(query.id);
    assert(owner !== undefined && owner.kind !== 'source', `${query.id} is a query`);
    const node = this.#node(part.spec, null);
    const next = owner.wiringOf(query, (id) => (id === part.spec.id ? node.relation! : graph.relation(id)));
    const moved = handOverOf(owner, { part, node, next }, this.relations, this.#peers === null);
    if (moved === null || isTrial) return moved !== null;
    const rows = moved.rows();
    for (const [to, from] of moved.tables) to.load(Buffer.concat(from.save(true)!));
    if (rows.length > 0) node.store!.apply(rows);
    node.store!.endEpoch();
    for (const letter of owner.errors.kept())
      if (letter.operator.startsWith(`${moved.path}.`))
        node.errors.add({ ...letter, operator: `0${letter.operator.slice(moved.path.length)}` });
    graph.add(node, owner);
    node.follow();
    node.touched = false;
    owner.rewire(query, next);
    owner.touched = false;
    for (const one of [node, owner])
      for (const { relation } of one.inputs) {
        const source = graph.ownerOf(relation);
        if (source.kind === 'source') source.readersChanged();
      }
    return true;
  }

  /** As sharing.ts asks of them. */
  get relations(): Relations {
    return {
      columnsOf: (relation) => this.#graph.relation(relation).columns,
      isKept: (relation, columns) => this.#peers === null && this.#graph.relation(relation).rows?.by?.(columns) != null,
    };
  }

  #brokenInput(node: QueryNode): StreamError | undefined {
    const owners = node.inputs.map(({ relation }) => this.#graph.ownerOf(relation));
    const broken = owners.find((owner) => owner.error !== null);
    return broken && new StreamError('PIPELINE_FAILED', `${broken.spec.name}, which it reads, failed`);
  }

  /** It catches up, or goes on where it was. */
  #begin(node: QueryNode, entry: ObjectEntry | null): void {
    for (const { relation } of entry === null ? node.inputs : []) {
      const owner = this.#graph.ownerOf(relation);
      if (isShared(owner.spec.id))
        for (const letter of owner.errors.kept()) node.takeLetter(ofPart(owner.spec.id, letter));
    }
    if (node.catchingUp !== null) {
      beginCatchUp(this.#graph, node, entry?.backfill ?? {});
    } else {
      for (const { relation } of node.inputs) {
        const owner = this.#graph.ownerOf(relation);
        if (owner.kind === 'source') owner.readersChanged();
      }
    }
    if (node.spec.kind === 'view') node.relation?.setIndexes(node.spec.indexes ?? []);
    if (node.spec.paused) pauseQuery(this.#graph, node);
  }

  /** Of a view that may spill: what it keeps stays within its share of the limit while it is loaded. */
  #relieve(node: GraphNode): void {
    const limit = node.spec.kind === 'view' ? node.spec.stateLimit : undefined;
    if (node.kind === 'source' || limit?.onExceed !== 'spill') return;
    node.keepWithin(limit.bytes / (this.#peers?.count ?? 1), join(this.#dataDir, 'spill'));
  }

  /** False when the state is of a form that this build does not read: then the object is to be made anew, without it. */
  #load(node: GraphNode, entry: ObjectEntry): boolean {
    assert(this.#loaded !== null, 'state is loaded before the engine resumes');
    try {
      const relieve = (): void => this.#relieve(node);
      node.load(entry, () =>
        restoreTables(
          node,
          entry,
          this.#loaded!,
          this.#peers,
          (id) => this.#graph.ownerOf(this.#graph.relation(id)),
          relieve,
        ),
      );
      // What is derived from the rows is made now, table by table, and not all at once with the first changes.
      if (node.kind !== 'source' && node.spilled !== null) {
        for (const table of node.tables) if (table.rows > 0) relieve();
      }
      if (node.kind !== 'source') node.history?.resumed(this.#loaded.manifest.epoch, this.#graph.epoch);
    } catch (thrown) {
      const error = asStreamError(thrown);
      if (error.code !== 'STORAGE_FAILED') throw error;
      this.#logger.warn('state.unreadable', { name: node.spec.name, reason: error.message });
      if (node.kind === 'source') node.close();
      else {
        node.unfollow();
        node.spilled?.close();
      }
      return false;
    }
    if (isPlacedFor(this.#loaded.manifest, this.#peers?.count ?? 1))
      this.#drafts.loaded(node, ownPart(entry, this.#peers?.index ?? 0));
    this.#restored.add(entry.id);
    return true;
  }

  #writer(spec: SinkSpec): SinkWriter {
    const kind = this.#sinks.find((candidate) => candidate.name === spec.sinkKind);
    if (kind === undefined) throw new StreamError('NOT_FOUND', `there is no sink ${spec.sinkKind}`);
    const { id: sinkId, columns, appendOnly, options } = spec;
    const name = spec.firstName ?? spec.name;
    const log = this.#sinkLog === undefined ? {} : { log: this.#sinkLog };
    const sink = kind.create({ sinkId, name, columns, appendOnly, options, dataDir: this.#dataDir, ...log });
    return new SinkWriter(sink, columns, this.#settings.sinkBufferRows);
  }

  /** A new sink must open; one that ran before may be out of reach for now, and is tried again with each checkpoint. */
  async #open(writer: SinkWriter, entry: ObjectEntry | null, spec: SinkSpec): Promise<void> {
    if (entry?.sink !== undefined) {
      const unsent = entry.tables.find((table) => table.id === 'unsent')?.pieces[0];
      writer.restore(entry.sink, unsent === undefined ? null : this.#loaded!.piece(unsent));
    }
    try {
      await writer.ready();
    } catch (thrown) {
      const error = asStreamError(thrown);
      if (this.#resumed || !ERRORS[error.code].retry) throw error;
      writer.trouble = error;
      this.#logger.warn('sink.unreachable', { name: spec.name, code: error.code, reason: error.message });
    }
  }

  /** A table is read by the first shard alone: the last record of a key counts, in whatever partition it is. */
  cursorParts(spec: SourceSpec): CursorParts {
    const { index, count } = this.#peers ?? { index: 0, count: 1 };
    const isTable = spec.primaryKey !== null;
    return {
      isFirst: index === 0,
      owns: (partition) => (isTable ? 0 : ownerOfPartition(spec.topic, partition, count)) === index,
      log: this.#log,
      logger: this.#logger,
      settings: this.#settings,
      onReady: () => this.#wake(),
      onError: (error) => this.#onReadError(spec, error),
    };
  }

  /** The topic is gone, or storage has trouble, or the log's start moved past the offset: a new description tells, or the next one. */
  #onReadError(spec: SourceSpec, error: StreamError): void {
    const node = this.#graph.node(spec.id);
    if (this.#closed || node?.kind !== 'source' || node.error !== null) return;
    if (error.code === 'INVARIANT') {
      this.#graph.fail(node, error);
      this.#wake();
      return;
    }
    this.#logger.warn('source.read_failed', { name: spec.name, code: error.code, reason: error.message });
    this.#clock.setTimeout(() => {
      this.#log.describe(spec.topic).then(
        (state) => {
          if (this.#graph.node(spec.id) !== node) return;
          node.update(state);
          this.#wake();
        },
        (thrown: unknown) => this.#onReadError(spec, asStreamError(thrown)),
      );
    }, RETRY_MS);
  }
}

/** Named so that it is taken for no operator of a query that reads the part. */
const ofPart = (id: string, letter: DeadLetter): DeadLetter => ({ ...letter, operator: `${id}/${letter.operator}` });
