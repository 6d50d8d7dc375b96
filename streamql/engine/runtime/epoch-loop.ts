import type { Clock, Timer } from '../../../src/lib/clock.ts';
import { asStreamError } from '../../../src/lib/errors.ts';
import { canProceed, recordsBehind, stepCatchUp, tryFollow, wantsHold } from './catch-up.ts';
import type { Graph } from './graph.ts';
import type { Relation } from './relation.ts';
import type { EngineSettings } from './settings.ts';
import type { SourceNode } from './source-node.ts';

/** Timers of the platform take no more than 2^31 − 1 ms. */
const MOST_WAIT_MS = 86_400_000;

/**
 * Advances everything in epochs (DESIGN D11). One epoch is one synchronous slice: take in what the log has for about `sliceMs`, let every
 * touched query finish in topological order, tell subscribers. Whatever runs between two epochs (reads, DDL, checkpoints) therefore sees
 * one consistent moment. While there is no input an epoch begins only when the clock
 * alone changes something: a partition has become idle, or a query asked to be woken.
 */
export class EpochLoop {
  readonly #graph: Graph;
  readonly #clock: Clock;
  readonly #settings: EngineSettings;
  readonly #afterEpoch: () => void;
  #started = false;
  #stopped = false;
  #soon: NodeJS.Immediate | null = null;
  #timer: Timer | null = null;
  /** For what happens by the clock. */
  #alarm: Timer | null = null;
  /** Sources that wait for a query that has nearly caught up. */
  readonly #held = new Set<SourceNode>();
  #lastBeganMs = Number.NEGATIVE_INFINITY;
  /** What else the next epoch takes in. */
  #extra: (() => void)[] = [];
  /** The source that comes first in the next slice: the one after the last that had a turn, so that none waits for another's backlog. */
  #turn = 0;

  constructor(graph: Graph, clock: Clock, settings: EngineSettings, afterEpoch: () => void) {
    this.#graph = graph;
    this.#clock = clock;
    this.#settings = settings;
    this.#afterEpoch = afterEpoch;
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#soon !== null) clearImmediate(this.#soon);
    this.#timer?.cancel();
    this.#alarm?.cancel();
  }

  /** There may be something to do. While the log is far ahead, at once; else when the last epoch is long enough ago. */
  wake(): void {
    if (!this.#started || this.#stopped || this.#soon !== null) return;
    const waitMs = this.#lastBeganMs + this.#settings.epochIntervalMs - this.#clock.monotonicMs();
    if (waitMs <= 0 || this.#backlog()) {
      this.#timer?.cancel();
      this.#timer = null;
      this.#soon = setImmediate(() => {
        this.#soon = null;
        this.#run();
      });
    } else if (this.#timer === null) {
      this.#timer = this.#clock.setTimeout(() => {
        this.#timer = null;
        this.#run();
      }, waitMs);
    }
  }

  #run(): void {
    if (this.#stopped) return;
    this.#lastBeganMs = this.#clock.monotonicMs();
    const graph = this.#graph;
    let worked = this.#follow();
    const before = graph.epoch;
    graph.epoch = before + 1;
    if (this.#takeExtra()) worked = true;
    if (this.#takeInput()) worked = true;
    for (const source of graph.sources) source.publishLetters();
    const nowMicros = this.#clock.nowMs() * 1000;
    for (const query of graph.queries) {
      if (query.error !== null || !(query.advance(this.#watermarkOf, nowMicros) || query.touched)) continue;
      worked = true;
      try {
        query.endEpoch();
      } catch (thrown) {
        graph.fail(query, asStreamError(thrown));
      }
    }
    this.#setAlarm();
    if (!worked) {
      graph.epoch = before;
      return;
    }
    this.#notify();
    this.#afterEpoch();
    if (this.#more()) this.wake();
  }

  readonly #watermarkOf = (relation: Relation): number | null => this.#graph.watermarkOf(relation);

  /** Whether the clock alone has made something of the present epoch old. */
  get isDue(): boolean {
    const { sources, queries } = this.#graph;
    const [nowMs, nowMicros] = [this.#clock.monotonicMs(), this.#clock.nowMs() * 1000];
    return (
      sources.some((source) => source.error === null && source.watermark.nextIdleMs <= nowMs) ||
      queries.some((query) => query.isDue(nowMicros))
    );
  }

  #setAlarm(): void {
    this.#alarm?.cancel();
    this.#alarm = null;
    const { sources, queries } = this.#graph;
    const [nowMs, clockMs] = [this.#clock.monotonicMs(), this.#clock.nowMs()];
    let waitMs = Number.POSITIVE_INFINITY;
    for (const source of sources) {
      if (source.error === null) waitMs = Math.min(waitMs, source.watermark.nextIdleMs - nowMs);
    }
    for (const query of queries) {
      if (query.error !== null || query.catchingUp !== null) continue;
      const at = query.pipeline.wakeAtMicros;
      if (at !== null) waitMs = Math.min(waitMs, Math.ceil(at / 1000) - clockMs);
    }
    if (waitMs === Number.POSITIVE_INFINITY) return;
    // What is due now waits for the next epoch all the same, so that epochs stay apart; and a timer holds no more than that.
    const wait = Math.min(Math.max(waitMs, this.#settings.epochIntervalMs), MOST_WAIT_MS);
    this.#alarm = this.#clock.setTimeout(() => {
      this.#alarm = null;
      this.wake();
    }, wait);
  }

  /** Runs at the beginning of the next epoch, as part of it. */
  inEpoch(run: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#extra.push(() => {
        try {
          run();
          resolve();
        } catch (thrown) {
          reject(asStreamError(thrown));
        }
      });
      this.wake();
    });
  }

  #takeExtra(): boolean {
    const extra = this.#extra;
    this.#extra = [];
    for (const run of extra) run();
    return extra.length > 0;
  }

  #follow(): boolean {
    let any = false;
    for (const query of this.#graph.queries) if (tryFollow(this.#graph, query)) any = true;
    return any;
  }

  /** Sources and queries that catch up take turns until the slice is over or nothing is left. */
  #takeInput(): boolean {
    const { batchRecords, sliceMs } = this.#settings;
    const graph = this.#graph;
    const held = this.#held;
    held.clear();
    const catchingUp = graph.queries.filter((query) => query.catchingUp !== null && query.error === null);
    for (const query of catchingUp) {
      if (wantsHold(graph, query)) for (const source of query.catchingUp!.keys()) held.add(source);
    }
    const active = graph.sources.filter((source) => source.error === null && !held.has(source));
    let lastMs = this.#clock.monotonicMs();
    const until = lastMs + sliceMs;
    let worked = false;
    let pushed = pushedMs(graph);
    for (let progress = true; progress; ) {
      progress = false;
      for (let i = 0, first = this.#turn; i < active.length; i++) {
        const source = active[(first + i) % active.length];
        if (source.error !== null) continue;
        let stepped = false;
        try {
          stepped = source.cursor.step(batchRecords);
        } catch (thrown) {
          graph.fail(source, asStreamError(thrown));
        }
        if (!stepped) continue;
        progress = true;
        this.#turn = (first + i + 1) % active.length;
        const nowMs = this.#clock.monotonicMs();
        source.busyMs += nowMs - lastMs - (pushedMs(graph) - pushed);
        pushed = pushedMs(graph);
        lastMs = nowMs;
        if (nowMs >= until) break;
      }
      for (const query of catchingUp) {
        if (query.error !== null) continue;
        try {
          if (stepCatchUp(graph, query, batchRecords)) progress = true;
        } catch (thrown) {
          graph.fail(query, asStreamError(thrown));
        }
      }
      if (progress) worked = true;
      lastMs = this.#clock.monotonicMs();
      if (lastMs >= until) break;
    }
    const nowMs = this.#clock.monotonicMs();
    for (const source of graph.sources) {
      if (worked || source.watermark.nextIdleMs <= nowMs) source.watermark.update(source.cursor.positions, nowMs);
    }
    return worked;
  }

  #notify(): void {
    const { epoch } = this.#graph;
    for (const node of this.#graph.nodes) {
      if (node.error !== null) continue;
      const live = node.kind === 'source' || node.catchingUp === null;
      for (const relation of node.relations) relation.notify(epoch, live);
    }
  }

  /** Whether the next epoch has input already. */
  #more(): boolean {
    const { sources, queries } = this.#graph;
    return (
      sources.some((source) => source.error === null && source.cursor.ready && !this.#held.has(source)) ||
      queries.some((query) => query.error === null && (query.touched || canProceed(this.#graph, query)))
    );
  }

  /** Whether the log is ahead of a source or of a query that catches up: then an epoch need not wait for company. */
  #backlog(): boolean {
    const { sources, queries } = this.#graph;
    return (
      sources.some((source) => source.error === null && source.cursor.behind) ||
      queries.some((query) => query.error === null && recordsBehind(query) > 0)
    );
  }
}

/** Time that queries took for what was published to them, which is no time of the publisher. */
const pushedMs = (graph: Graph): number => graph.queries.reduce((sum, query) => sum + query.pushMs, 0);
