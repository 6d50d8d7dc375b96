import type { Clock, Timer } from '../../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { StateTable } from '../operator.ts';
import type { CheckpointStore, DraftEntry, Manifest, ObjectEntry, PieceRef } from './checkpoint-store.ts';
import type { Graph, GraphNode } from './graph.ts';
import type { QueryNode } from './query-node.ts';
import type { EngineSettings } from './settings.ts';
import type { PreparedSink } from './sink-writer.ts';

/** Changes are saved on top of a full piece until they are as large as it, or this many. */
const MOST_CHANGES = 64;
/** Below this, change pieces are never worth merging by size. */
const SMALL_PIECE_BYTES = 64 << 10;

export interface CheckpointStats {
  readonly epoch: number;
  readonly durationMs: number;
  readonly bytes: number;
}

/**
 * Takes checkpoints: at an epoch boundary, collects the changed state of everything and cuts the sinks (synchronous, so one consistent
 * moment); then, while epochs go on, stages the sinks' batches, makes state, offsets and sink tokens durable in one step, and only
 * then lets the sinks publish (DESIGN D10, D15). Without a store nothing is written, sinks go the same way.
 */
export class Checkpointer {
  readonly #graph: Graph;
  readonly #store: CheckpointStore | null;
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #settings: EngineSettings;
  readonly #fingerprint: (node: GraphNode) => string;
  /** Durable pieces by object and table; a table without is saved whole. */
  readonly #chains = new Map<string, Map<string, readonly PieceRef[]>>();
  #crowded: ReadonlySet<string> = new Set();
  #running: Promise<number> | null = null;
  #dirty = false;
  #timer: Timer | null = null;
  #lastBeganMs = Number.NEGATIVE_INFINITY;
  #stopped = true;
  #closed = false;
  stats: CheckpointStats = { epoch: 0, durationMs: 0, bytes: 0 };

  constructor(
    graph: Graph,
    store: CheckpointStore | null,
    parts: { clock: Clock; logger: Log; settings: EngineSettings; fingerprint: (node: GraphNode) => string },
  ) {
    this.#graph = graph;
    this.#store = store;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#settings = parts.settings;
    this.#fingerprint = parts.fingerprint;
  }

  /** The node's state was loaded from this entry: its pieces can be built upon. */
  adopt(entry: ObjectEntry): void {
    this.#chains.set(entry.id, new Map(entry.tables.map(({ id, pieces }) => [id, pieces])));
  }

  forget(id: string): void {
    this.#chains.delete(id);
    this.changed();
  }

  start(): void {
    this.#stopped = false;
    if (this.#dirty || this.#unsettled()) this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** No checkpoint begins from now on. */
  close(): void {
    this.stop();
    this.#closed = true;
  }

  /** Something is to be stored: a checkpoint follows within the interval. */
  changed(): void {
    this.#dirty = true;
    this.#schedule();
  }

  /** Waits for one that is under way, if any, however it ends. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running.catch(() => undefined);
  }

  /** The present epoch is durable, and sinks were told, when this resolves; its number. */
  async now(): Promise<number> {
    // Checked anew after each wait: of several who waited, the first to wake begins one.
    while (this.#running !== null) await this.#running.catch(() => undefined);
    if (this.#closed) throw new StreamError('CANCELLED', 'the engine is closing');
    this.#timer?.cancel();
    this.#timer = null;
    this.#running = this.#take();
    try {
      return await this.#running;
    } finally {
      this.#running = null;
      if (this.#dirty || this.#unsettled()) this.#schedule();
    }
  }

  #unsettled(): boolean {
    return this.#writers().some(({ writer }) => !writer.settled);
  }

  #schedule(): void {
    if (this.#stopped || this.#timer !== null || this.#running !== null) return;
    const waitMs = this.#lastBeganMs + this.#settings.checkpointIntervalMs - this.#clock.monotonicMs();
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = null;
        this.now().catch((thrown: unknown) => {
          this.#logger.error('checkpoint.failed', { reason: asStreamError(thrown).message });
        });
      },
      Math.max(0, waitMs),
    );
  }

  async #take(): Promise<number> {
    this.#lastBeganMs = this.#clock.monotonicMs();
    this.#dirty = false;
    const { epoch } = this.#graph;
    const stored = [...this.#graph.nodes].filter(isStored);
    const drafts = stored.map((node) => this.#draft(node));
    const sinks = this.#writers();
    for (const { writer } of sinks) writer.cut();
    const prepared = new Map<string, PreparedSink>();
    await Promise.all(
      sinks.map(async ({ node, writer }) => {
        try {
          prepared.set(node.spec.id, await writer.prepare(epoch));
        } catch (thrown) {
          this.#graph.fail(node, asStreamError(thrown));
        }
      }),
    );
    if (this.#store !== null) {
      try {
        const { manifest, bytes } = await this.#store.write(
          epoch,
          drafts.map((draft) => this.#withSink(draft, prepared)),
        );
        this.#written(stored, manifest, bytes);
      } catch (thrown) {
        // Pieces of this attempt are lost and changes do not come twice: everything is saved whole next time.
        this.#chains.clear();
        this.#dirty = true;
        throw thrown;
      }
    }
    for (const one of prepared.values()) one.durable();
    await Promise.all(
      sinks.map(async ({ node, writer }) => {
        if (node.error !== null) return;
        try {
          await writer.commit();
        } catch (thrown) {
          this.#graph.fail(node, asStreamError(thrown));
          this.#dirty = true;
        }
      }),
    );
    this.stats = { ...this.stats, epoch, durationMs: this.#clock.monotonicMs() - this.#lastBeganMs };
    return epoch;
  }

  #written(stored: readonly GraphNode[], manifest: Manifest, bytes: number): void {
    manifest.objects.forEach((entry, i) => {
      // Dropped meanwhile, and perhaps there again: the pieces are not of what is there now.
      if (this.#graph.node(entry.id) === stored[i]) this.adopt(entry);
    });
    this.#crowded = this.#store!.crowdedFiles(manifest);
    this.stats = { ...this.stats, bytes };
  }

  #writers() {
    const writers = [];
    for (const node of this.#graph.queries) {
      if (node.writer !== null && node.error === null) writers.push({ node, writer: node.writer });
    }
    return writers;
  }

  #draft(node: GraphNode): DraftEntry {
    const common = { id: node.spec.id, fingerprint: this.#fingerprint(node) };
    if (node.error !== null) return { ...common, failed: failure(node.error), tables: [] };
    const tables = this.#saveAll(node.spec.id, node.tables);
    if (node.kind === 'source') {
      const counts = { rows: node.rows, late: node.lateRows, watermark: node.watermark.micros };
      return { ...common, cursor: node.cursor.state(), counts, tables };
    }
    const backfill = node.catchingUp === null ? {} : { backfill: cursorStates(node) };
    return { ...common, ...backfill, tables };
  }

  #saveAll(objectId: string, tables: readonly StateTable[]): DraftEntry['tables'] {
    const chains = this.#chains.get(objectId);
    if (this.#store === null) return [];
    return tables.map((table) => {
      const chain = chains?.get(table.id) ?? [];
      const full =
        chain.length === 0 ||
        chain.length > MOST_CHANGES ||
        table.changeBytes > Math.max(table.fullBytes, SMALL_PIECE_BYTES) ||
        chain.some((ref) => this.#crowded.has(ref.file));
      const piece = table.save(full);
      return { id: table.id, pieces: piece === null ? chain : full ? [piece] : [...chain, piece] };
    });
  }

  #withSink(draft: DraftEntry, prepared: ReadonlyMap<string, PreparedSink>): DraftEntry {
    const node = this.#graph.node(draft.id);
    if (node?.kind !== 'sink') return draft;
    if (node.error !== null) {
      return { id: draft.id, fingerprint: draft.fingerprint, failed: failure(node.error), tables: [] };
    }
    const sink = prepared.get(draft.id);
    if (sink === undefined) return draft;
    const unsent = sink.unsent === null ? [] : [{ id: 'unsent', pieces: [sink.unsent] }];
    return { ...draft, sink: sink.state, tables: [...draft.tables, ...unsent] };
  }
}

/** A source or view that failed starts again from the beginning after a restart. A sink must not: it would write its rows twice. */
function isStored(node: GraphNode): boolean {
  if (node.kind === 'sink') return true;
  return node.error === null && (node.kind === 'source' || !node.ephemeral);
}

function failure(error: StreamError): { code: string; detail: string } {
  const { code, detail } = error.toJSON();
  return { code, detail };
}

function cursorStates(node: QueryNode): NonNullable<ObjectEntry['backfill']> {
  // Nothing was read before what it looks up in was there.
  if (!node.followsLookups) return {};
  return Object.fromEntries([...node.catchingUp!].map(([source, cursor]) => [source.spec.id, cursor.state()]));
}
