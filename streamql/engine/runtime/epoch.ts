import type { Clock } from '../../../src/lib/clock.ts';
import { asStreamError, StreamError } from '../../../src/lib/errors.ts';
import { gather, type Peers, plainError, receive, type Waiting } from '../shards/peers.ts';
import { waitsFor } from './alignment.ts';
import {
  canProceed,
  fallBehind,
  follow,
  followLookups,
  lookupsReady,
  mustWait,
  recordsBehind,
  type Standing,
  standingOf,
  stepCatchUp,
} from './catch-up.ts';
import type { Graph, GraphNode } from './graph.ts';
import { Pace } from './pace.ts';
import type { QueryNode } from './query-node.ts';
import type { Relation } from './relation.ts';
import type { EngineSettings } from './settings.ts';
import type { SourceNode } from './source-node.ts';

/** Of a shard's partitions, by source id: see Watermark. */
interface Times {
  readonly least: Readonly<Record<string, number>>;
  readonly greatest: Readonly<Record<string, number>>;
}

/** How an epoch went, in all shards together. */
export interface EpochReport {
  /** Something happened; else the epoch did not count. */
  readonly worked: boolean;
  /** There is input for the next one already. */
  readonly more: boolean;
  /** The log is ahead of a source or of a query that catches up. */
  readonly behind: boolean;
  /** Time until the clock alone makes something of the epoch old; infinite when it will not. */
  readonly dueInMs: number;
}

/** The log is far ahead when it has this many batches more. */
const FAR_BATCHES = 16;
/** While it is, and nobody follows what comes out, an epoch takes this much longer: a group that changes often in it changes once. */
const BACKLOG_SLICES = 5;

/** An object that one shard found broken: it is then broken in all. */
type Failure = readonly [id: string, error: ReturnType<typeof plainError>];

/**
 * One epoch in one shard (DESIGN D11): take in what the log has for about `sliceMs`, let every touched query finish in topological order, tell
 * subscribers. With other shards it is a round: all take part, agree on what to do, and meet at each exchange; failures become common. Without, nothing waits.
 */
export class Epoch {
  readonly #graph: Graph;
  readonly #clock: Clock;
  readonly #settings: EngineSettings;
  readonly #peers: Peers | null;
  readonly #readsWait: () => boolean;
  readonly #paces = new WeakMap<GraphNode, Pace>();
  /** Sources that wait for a query that has nearly caught up. */
  readonly #held = new Set<SourceNode>();
  /** The source that comes first in the next slice: the one after the last that had a turn, so that none waits for another's backlog. */
  #turn = 0;
  /** What else the next epoch takes in. */
  #extra: (() => void)[] = [];
  /** Queries that got what they look up in only now: with other shards it is on its way until the end of the epoch. */
  readonly #lookedUp = new Set<QueryNode>();
  /** Failed objects that all shards know of. */
  readonly #knownFailures = new Set<GraphNode>();
  /** Where the other shards are in their partitions, by source id. */
  readonly #elsewhere = new Map<string, Map<number, number>>();
  readonly #told = new Map<string, number>();

  constructor(
    graph: Graph,
    clock: Clock,
    settings: EngineSettings,
    peers: Peers | null,
    readsWait: () => boolean = () => false,
  ) {
    this.#graph = graph;
    this.#clock = clock;
    this.#settings = settings;
    this.#peers = peers;
    this.#readsWait = readsWait;
  }

  *run(): Waiting<EpochReport> {
    const graph = this.#graph;
    const peers = this.#peers;
    let worked = yield* this.#follow();
    const before = graph.epoch;
    graph.epoch = before + 1;
    if (this.#takeExtra()) worked = true;
    if (this.#takeInput()) worked = true;
    for (const source of graph.sources) source.publishLetters();
    let nowMicros = this.#clock.nowMs() * 1000;
    if (peers === null) this.#settleWatermarks(worked, null);
    else [worked, nowMicros] = yield* this.#shareIntake(peers, worked, nowMicros);
    const running = peers === null ? null : yield* this.#shareTouched(peers, nowMicros);
    for (const query of graph.queries) {
      if (running === null) {
        if (query.error !== null || !(query.advance(this.#watermarkOf, nowMicros) || query.touched)) continue;
      } else if (!running.has(query)) continue;
      worked = true;
      try {
        if (query.error === null) yield* query.endEpoch(nowMicros, graph.epoch);
      } catch (thrown) {
        graph.fail(query, asStreamError(thrown));
      }
      if (query.error !== null) query.pipeline.giveUp(query.error);
    }
    if (!worked) graph.epoch = before;
    else yield* this.#notify();
    const report = { worked, more: this.#more(), behind: this.behind, dueInMs: this.dueInMs };
    if (peers === null) return report;
    const all = yield* this.#agree(peers, 'end', report);
    peers.endRound();
    const any = (what: 'more' | 'behind'): boolean => all.some((other) => other[what]);
    return {
      worked,
      more: any('more'),
      behind: any('behind'),
      dueInMs: Math.min(...all.map((other) => other.dueInMs)),
    };
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
    });
  }

  #takeExtra(): boolean {
    const extra = this.#extra;
    this.#extra = [];
    for (const run of extra) run();
    return extra.length > 0;
  }

  /** Where any shard is in a partition. */
  position(source: SourceNode, partition: number): number {
    return source.cursor.position(partition) ?? this.#elsewhere.get(source.spec.id)?.get(partition) ?? 0;
  }

  forget(id: string): void {
    this.#elsewhere.delete(id);
    for (const key of this.#told.keys()) if (key.startsWith(`${id} `)) this.#told.delete(key);
    for (const node of this.#knownFailures) if (node.spec.id === id) this.#knownFailures.delete(node);
  }

  /** Whether the clock alone has made something of the present epoch old. */
  get isDue(): boolean {
    const { sources, queries } = this.#graph;
    const [nowMs, nowMicros] = [this.#clock.monotonicMs(), this.#clock.nowMs() * 1000];
    return (
      sources.some((source) => source.isReading && source.watermark.nextIdleMs <= nowMs) ||
      queries.some((query) => query.isDue(nowMicros))
    );
  }

  /** Time until the clock alone makes something of the epoch old; infinite when it will not. */
  get dueInMs(): number {
    const { sources, queries } = this.#graph;
    const [nowMs, clockMs] = [this.#clock.monotonicMs(), this.#clock.nowMs()];
    let waitMs = Number.POSITIVE_INFINITY;
    for (const source of sources) {
      if (source.isReading) waitMs = Math.min(waitMs, source.watermark.nextIdleMs - nowMs);
    }
    for (const query of queries) {
      if (query.error !== null) continue;
      if (!query.paused && mustWait(query)) waitMs = Math.min(waitMs, query.allowance!.fullInMs);
      if (query.catchingUp !== null) continue;
      const at = query.pipeline.wakeAtMicros;
      if (at !== null) waitMs = Math.min(waitMs, Math.ceil(at / 1000) - clockMs);
    }
    return waitMs;
  }

  /** Whether the log is ahead of a source or of a query that catches up: then an epoch need not wait for company. */
  get behind(): boolean {
    const { sources, queries } = this.#graph;
    return (
      sources.some((source) => source.isReading && source.cursor.behind) ||
      queries.some((query) => query.error === null && isCatchingUp(query) && recordsBehind(query) > 0)
    );
  }

  readonly #watermarkOf = (relation: Relation): number | null => this.#graph.watermarkOf(relation);

  /** Lets queries follow along that are level in all shards; for those that nearly are, their sources are held. */
  *#follow(): Waiting<boolean> {
    const graph = this.#graph;
    this.#held.clear();
    this.#lookedUp.clear();
    let any = false;
    const settle = (query: QueryNode, standing: Standing): void => {
      query.heldUp = standing === 'full';
      if (query.heldUp) fallBehind(graph, query);
      else if (standing === 'lookups' && followLookups(graph, query)) {
        this.#lookedUp.add(query);
        query.touched = true;
      } else if (standing === 'level' && follow(graph, query)) any = true;
      else if (standing === 'near' || standing === 'level')
        for (const source of query.catchingUp?.keys() ?? []) this.#held.add(source);
    };
    if (this.#peers === null) {
      for (const query of graph.queries) {
        if (query.error !== null) continue;
        if (query.catchingUp !== null) settle(query, standingOf(graph, query));
        else if (query.writer?.isFull) settle(query, 'full');
      }
      return any;
    }
    const mine: Record<string, Standing> = {};
    for (const query of graph.queries) {
      if (query.error !== null) continue;
      if (query.catchingUp === null) {
        if (query.writer?.isFull) mine[query.spec.id] = 'full';
        continue;
      }
      mine[query.spec.id] = query.followsLookups
        ? standingOf(graph, query)
        : !query.paused && lookupsReady(graph, query)
          ? 'lookups'
          : 'far';
    }
    const all = yield* this.#agree(this.#peers, 'begin', mine);
    for (const id of new Set(all.flatMap((standing) => Object.keys(standing)))) {
      const query = graph.node(id) as QueryNode;
      const standings = all.map((standing) => standing[id]);
      const common = STANDINGS.find((standing) => standings.includes(standing)) ?? 'far';
      if (query.error === null) settle(query, common);
    }
    return any;
  }

  #mayStep(query: QueryNode): boolean {
    return this.#peers === null || (query.followsLookups && !this.#lookedUp.has(query));
  }

  /** Sources and queries that catch up take turns until the slice is over, somebody waits to read, or nothing is left. */
  #takeInput(): boolean {
    const { sliceMs } = this.#settings;
    const graph = this.#graph;
    const catchingUp = graph.queries.filter(
      (query) => query.catchingUp !== null && query.error === null && this.#mayStep(query),
    );
    const active = graph.sources.filter((source) => source.isReading && !this.#held.has(source));
    let lastMs = this.#clock.monotonicMs();
    const until = lastMs + this.#sliceMs();
    let worked = false;
    let pushed = pushedMs(graph);
    for (let progress = true; progress; ) {
      progress = false;
      for (let i = 0, first = this.#turn; i < active.length; i++) {
        const source = active[(first + i) % active.length];
        if (source.error !== null || waitsFor(graph, source) !== undefined) continue;
        let stepped = false;
        const pace = this.#paceOf(source);
        try {
          stepped = source.cursor.step(pace.records);
        } catch (thrown) {
          graph.fail(source, asStreamError(thrown));
        }
        if (!stepped) continue;
        progress = true;
        this.#turn = (first + i + 1) % active.length;
        const nowMs = this.#clock.monotonicMs();
        pace.took(nowMs - lastMs, sliceMs);
        source.busyMs += nowMs - lastMs - (pushedMs(graph) - pushed);
        pushed = pushedMs(graph);
        lastMs = nowMs;
        if (nowMs >= until) break;
      }
      for (const query of catchingUp) {
        if (query.error !== null) continue;
        const pace = this.#paceOf(query);
        const beganMs = this.#clock.monotonicMs();
        try {
          if (stepCatchUp(graph, query, pace.records, lastMs)) {
            progress = true;
            pace.took(this.#clock.monotonicMs() - beganMs, sliceMs);
          }
        } catch (thrown) {
          graph.fail(query, asStreamError(thrown));
        }
      }
      if (progress) worked = true;
      lastMs = this.#clock.monotonicMs();
      if (lastMs >= until || this.#readsWait()) break;
    }
    return worked;
  }

  #paceOf(node: GraphNode): Pace {
    let pace = this.#paces.get(node);
    if (pace === undefined) {
      pace = new Pace(this.#settings.batchRecords);
      this.#paces.set(node, pace);
    }
    return pace;
  }

  #sliceMs(): number {
    const { sliceMs, batchRecords } = this.#settings;
    const { sources, queries, relations } = this.#graph;
    const much = FAR_BATCHES * batchRecords;
    const isFar =
      sources.some((source) => source.isReading && source.cursor.backlog > much) ||
      queries.some((query) => query.error === null && !query.paused && recordsBehind(query) > much);
    return isFar && !relations.some((relation) => relation.isFollowed) ? sliceMs * BACKLOG_SLICES : sliceMs;
  }

  /** `others`: by source id, how far event time has come in other shards' partitions; null without other shards. */
  #settleWatermarks(worked: boolean, others: readonly Times[] | null): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { spec, watermark, cursor, paused } of this.#graph.sources) {
      if (paused) continue;
      if (others !== null) {
        const least = Math.min(...others.map((other) => other.least[spec.id] ?? Number.POSITIVE_INFINITY));
        const greatest = Math.max(...others.map((other) => other.greatest[spec.id] ?? Number.NEGATIVE_INFINITY));
        watermark.settle(cursor.positions, least === Number.POSITIVE_INFINITY ? greatest : least);
      } else if (worked || watermark.nextIdleMs <= nowMs) {
        const { positions } = cursor;
        const least = watermark.least(positions, nowMs, positions.length);
        watermark.settle(positions, least === Number.POSITIVE_INFINITY ? watermark.greatest(positions) : least);
      }
    }
  }

  /** Tells what this shard took in and hears what others did; the time of the first shard is everybody's. */
  *#shareIntake(peers: Peers, worked: boolean, nowMicros: number): Waiting<[worked: boolean, nowMicros: number]> {
    const nowMs = this.#clock.monotonicMs();
    const least: Record<string, number> = {};
    const greatest: Record<string, number> = {};
    const positions: [source: string, partition: number, next: number][] = [];
    for (const { spec, watermark, cursor } of this.#graph.sources) {
      least[spec.id] = watermark.least(cursor.positions, nowMs, cursor.partitions);
      greatest[spec.id] = watermark.greatest(cursor.positions);
      for (const { partition, next } of cursor.positions) {
        const key = `${spec.id} ${partition}`;
        if (this.#told.get(key) === next) continue;
        this.#told.set(key, next);
        positions.push([spec.id, partition, next]);
      }
    }
    const isWanted = this.#graph.relations.some((relation) => relation.isStarting);
    const all = yield* this.#agree(peers, 'intake', {
      worked: worked || isWanted,
      nowMicros,
      least,
      greatest,
      positions,
    });
    all.forEach((other, shard) => {
      if (shard === peers.index) return;
      for (const [id, partition, next] of other.positions) {
        let known = this.#elsewhere.get(id);
        if (known === undefined) {
          known = new Map();
          this.#elsewhere.set(id, known);
        }
        known.set(partition, next);
      }
    });
    this.#settleWatermarks(worked, all);
    return [all.some((other) => other.worked), all[0].nowMicros];
  }

  /** The queries that any shard has something for, and all that read them: these finish the epoch together. */
  *#shareTouched(peers: Peers, nowMicros: number): Waiting<ReadonlySet<QueryNode>> {
    const graph = this.#graph;
    const mine = graph.queries.filter((query) => {
      if (query.error !== null) return false;
      return query.advance(this.#watermarkOf, nowMicros) || query.touched;
    });
    const all = yield* gather(
      peers,
      'touched',
      mine.map((query) => query.spec.id),
    );
    const touched = new Set(all.flat());
    const running = new Set<QueryNode>();
    for (const query of graph.queries) {
      if (query.error !== null) continue;
      const reads = query.catchingUp === null && query.inputs.some(({ relation }) => touched.has(relation.owner));
      if (!reads && !touched.has(query.spec.id)) continue;
      touched.add(query.spec.id);
      running.add(query);
    }
    return running;
  }

  /** Everybody's value; and what failed in one shard fails in all. */
  *#agree<T>(peers: Peers, channel: string, value: T): Waiting<T[]> {
    const graph = this.#graph;
    const failures: Failure[] = [];
    for (const node of graph.nodes) {
      if (node.error !== null && !this.#knownFailures.has(node)) failures.push([node.spec.id, plainError(node.error)]);
    }
    const all = yield* gather(peers, channel, { failures, value });
    for (const [id, error] of all.flatMap((other) => other.failures)) {
      const node = graph.node(id);
      if (node !== undefined) graph.fail(node, StreamError.from(error as Parameters<typeof StreamError.from>[0]));
    }
    for (const node of graph.nodes) if (node.error !== null) this.#knownFailures.add(node);
    return all.map((other) => other.value);
  }

  *#notify(): Waiting<void> {
    const { epoch, nodes } = this.#graph;
    for (const node of nodes) {
      const live = node.error === null && (node.kind === 'source' || node.wasLive);
      for (const relation of node.relations) {
        if (this.#peers !== null && relation.isWatched) yield* this.#collect(this.#peers, relation, live);
        if (node.error === null) relation.notify(epoch, live);
      }
    }
  }

  /** The first shard, where the subscribers are, gets what the others have for them. */
  *#collect(peers: Peers, relation: Relation, live: boolean): Waiting<void> {
    const channel = `changes ${relation.id}`;
    if (peers.index > 0) {
      const { batches, withRows } = live ? relation.forward() : { batches: [], withRows: false };
      peers.send(0, channel, { batches, value: withRows });
      return;
    }
    for (let from = 1; from < peers.count; from++) {
      const { batches, value } = yield* receive(peers, from, channel);
      relation.merge(batches ?? [], value === true);
    }
  }

  /** Whether the next epoch has input already. */
  #more(): boolean {
    const { sources, queries } = this.#graph;
    return (
      sources.some((source) => source.isReading && source.cursor.ready && !this.#held.has(source)) ||
      queries.some((query) => query.error === null && (query.touched || canProceed(this.#graph, query)))
    );
  }
}

/** What is true of all shards is the first of these that is true of one. */
const STANDINGS: readonly Standing[] = ['full', 'far', 'lookups', 'near', 'level'];

/** Time that queries took for what was published to them, which is no time of the publisher. */
const pushedMs = (graph: Graph): number => graph.queries.reduce((sum, query) => sum + query.pushMs, 0);

const isCatchingUp = (query: QueryNode): boolean => !query.paused && !query.heldUp && !mustWait(query);
