import type { Clock } from '../../src/lib/clock.ts';
import { waitsForResume } from './runtime/catch-up.ts';
import type { Checkpointer } from './runtime/checkpointer.ts';
import type { Graph } from './runtime/graph.ts';
import type { LogReader } from './runtime/log-reader.ts';
import type { SourceNode } from './runtime/source-node.ts';
import type { Waiters } from './runtime/waiters.ts';
import type { OtherShard, Shard } from './shards/shard.ts';

/** How often FLUSH asks sinks that cannot be reached again. */
const RETRY_MS = 250;

interface FlushParts {
  readonly graph: Graph;
  readonly shard: Shard;
  readonly others: readonly OtherShard[];
  readonly log: LogReader;
  readonly clock: Clock;
  readonly waiters: Waiters;
  readonly checkpointer: Checkpointer;
  readonly wake: () => void;
  readonly dueAtMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** Waits until everything reflects what was in the log at the call, and sinks have written it. */
export class Flush {
  readonly #graph: Graph;
  readonly #shard: Shard;
  readonly #others: readonly OtherShard[];
  readonly #log: LogReader;
  readonly #clock: Clock;
  readonly #waiters: Waiters;
  readonly #checkpointer: Checkpointer;
  readonly #wake: () => void;
  readonly #dueAtMs: () => number;
  readonly #pause: (ms: number) => Promise<void>;

  constructor(parts: FlushParts) {
    this.#graph = parts.graph;
    this.#shard = parts.shard;
    this.#others = parts.others;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#waiters = parts.waiters;
    this.#checkpointer = parts.checkpointer;
    this.#wake = parts.wake;
    this.#dueAtMs = parts.dueAtMs;
    this.#pause = parts.pause;
  }

  /** What sinks write into topics that are read here is to be reflected too: as many rounds as sinks can follow each other. */
  async run(): Promise<number> {
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
    this.#wake();
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

  get #isDue(): boolean {
    const isDueElsewhere = this.#others.length > 0 && this.#dueAtMs() <= this.#clock.monotonicMs();
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
}
