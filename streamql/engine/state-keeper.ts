import type { Clock } from '../../src/lib/clock.ts';
import { asStreamError, type StreamError } from '../../src/lib/errors.ts';
import type { Log } from '../../src/lib/log.ts';
import type { ObjectStats, StateLimit, ViewSpec } from '../../src/ports/engine.ts';
import type { Graph } from './runtime/graph.ts';
import type { QueryNode } from './runtime/query-node.ts';
import { exceeded, LIMIT_CHECK_MS, shareToExpire, usedBytesOf } from './runtime/state-limits.ts';
import type { OtherShard, Shard, ShardChange } from './shards/shard.ts';

interface StateKeeperParts {
  readonly graph: Graph;
  readonly shard: Shard;
  readonly others: readonly OtherShard[];
  readonly clock: Clock;
  readonly logger: Log;
  readonly serial: (run: () => Promise<void>) => Promise<void>;
  readonly stats: () => Promise<ObjectStats[]>;
  readonly changed: () => void;
}

/** Holds views to their limits, from time to time. */
export class StateKeeper {
  readonly #graph: Graph;
  readonly #shard: Shard;
  readonly #others: readonly OtherShard[];
  readonly #clock: Clock;
  readonly #logger: Log;
  readonly #serial: (run: () => Promise<void>) => Promise<void>;
  readonly #stats: () => Promise<ObjectStats[]>;
  readonly #changed: () => void;
  #checkedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StateKeeperParts) {
    this.#graph = parts.graph;
    this.#shard = parts.shard;
    this.#others = parts.others;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#serial = parts.serial;
    this.#stats = parts.stats;
    this.#changed = parts.changed;
  }

  /** Holds views to their limits, from time to time. */
  check(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#checkedMs < LIMIT_CHECK_MS) return;
    const isLimited = (node: QueryNode): boolean =>
      node.spec.kind === 'view' && node.spec.stateLimit !== undefined && !node.paused && node.error === null;
    if (!this.#graph.queries.some(isLimited)) return;
    this.#checkedMs = nowMs;
    void this.#serial(async () => {
      for (const stats of await this.#stats()) {
        const node = this.#graph.node(stats.id);
        if (node !== undefined && node.kind !== 'source' && isLimited(node)) await this.#limit(node, stats);
      }
    }).catch(() => undefined);
  }

  async #limit(node: QueryNode, stats: ObjectStats): Promise<void> {
    const limit = (node.spec as ViewSpec).stateLimit!;
    const used = usedBytesOf(stats);
    if (limit.onExceed === 'spill' && (used > limit.bytes || node.spilled !== null)) {
      const error = await this.#spill(node, limit, used);
      if (error !== null) this.#pause(node, error);
    } else if (used > limit.bytes) {
      if (limit.onExceed === 'fail') this.#graph.fail(node, exceeded(used, limit));
      else if (limit.onExceed === 'expire') this.#alter(node, { evict: shareToExpire(used, limit) });
      else this.#pause(node, exceeded(used, limit));
      this.#changed();
    }
  }

  /** Every shard has its share of the limit. Answers why the view cannot go on. */
  async #spill({ spec }: QueryNode, limit: StateLimit, used: number): Promise<StreamError | null> {
    const shards = [this.#shard, ...this.#others];
    try {
      const moved = await Promise.all(shards.map((shard) => shard.spill(spec.id, limit.bytes / shards.length)));
      return used <= limit.bytes || moved.some((bytes) => bytes > 0) ? null : exceeded(used, limit);
    } catch (thrown) {
      return asStreamError(thrown);
    }
  }

  #pause(node: QueryNode, error: StreamError): void {
    this.#alter(node, { paused: true });
    node.halted = error;
    this.#logger.warn('view.paused', { name: node.spec.name, reason: error.message });
    this.#changed();
  }

  #alter({ spec }: QueryNode, change: ShardChange): void {
    for (const shard of [this.#shard, ...this.#others]) shard.alter(spec.id, change);
  }
}
