import type { Clock, Timer } from '../../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import type { Log } from '../../../src/lib/log.ts';
import type { CheckpointStore, DraftEntry, Manifest } from './checkpoint-store.ts';
import type { Graph } from './graph.ts';
import type { EngineSettings } from './settings.ts';
import type { PreparedSink } from './sink-writer.ts';
import { failure } from './state-drafts.ts';

export interface CheckpointStats {
  readonly epoch: number;
  readonly durationMs: number;
  readonly bytes: number;
}

/** What all shards have to store. */
export interface Drafts {
  readonly shards: number;
  /** The state of this moment, though it may take a while to come. */
  take(): Promise<DraftEntry[]>;
  /** The last one taken is durable. */
  stored(manifest: Manifest, crowded: ReadonlySet<string>): void;
  /** It is not, and will not be. */
  lost(): void;
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
  readonly #drafts: Drafts;
  /** A sink that was full is not any more. */
  readonly #drained: () => void;
  #running: Promise<number> | null = null;
  #dirty = false;
  #timer: Timer | null = null;
  #lastBeganMs = Number.NEGATIVE_INFINITY;
  #stopped = true;
  #closed = false;
  /** The last one, or the one that is under way. */
  #failed = false;
  stats: CheckpointStats = { epoch: 0, durationMs: 0, bytes: 0 };

  constructor(
    graph: Graph,
    store: CheckpointStore | null,
    drafts: Drafts,
    parts: { clock: Clock; logger: Log; settings: EngineSettings; drained: () => void },
  ) {
    this.#graph = graph;
    this.#store = store;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#settings = parts.settings;
    this.#drafts = drafts;
    this.#drained = parts.drained;
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
    this.#failed = true;
    try {
      const epoch = await this.#running;
      this.#failed = false;
      return epoch;
    } finally {
      this.#running = null;
      if (this.#dirty || this.#unsettled()) this.#schedule();
    }
  }

  #unsettled(): boolean {
    return this.#writers().some(({ writer }) => !writer.settled);
  }

  /** A full sink does not wait for the interval to be over, unless trying at once would be in vain. */
  get #isUrgent(): boolean {
    return !this.#failed && this.#writers().some(({ writer }) => writer.isFull && writer.trouble === null);
  }

  #schedule(): void {
    if (this.#stopped || this.#running !== null) return;
    const isUrgent = this.#isUrgent;
    if (this.#timer !== null) {
      if (!isUrgent) return;
      this.#timer.cancel();
    }
    const waitMs = isUrgent ? 0 : this.#lastBeganMs + this.#settings.checkpointIntervalMs - this.#clock.monotonicMs();
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
    const drafting = this.#drafts.take();
    const sinks = this.#writers();
    for (const { writer } of sinks) writer.cut();
    const drafts = await drafting.catch((thrown: unknown) => {
      this.#drafts.lost();
      this.#dirty = true;
      throw thrown;
    });
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
          this.#drafts.shards,
        );
        this.#drafts.stored(manifest, this.#store.crowdedFiles(manifest));
        this.stats = { ...this.stats, bytes };
      } catch (thrown) {
        this.#drafts.lost();
        this.#dirty = true;
        throw thrown;
      }
    }
    const full = sinks.filter(({ writer }) => writer.isFull);
    for (const one of prepared.values()) one.durable();
    if (full.some(({ writer }) => !writer.isFull)) this.#drained();
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

  #writers() {
    const writers = [];
    for (const node of this.#graph.queries) {
      if (node.writer !== null && node.error === null) writers.push({ node, writer: node.writer });
    }
    return writers;
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
