import type { Clock } from '../../src/lib/clock.ts';
import type { Log } from '../../src/lib/log.ts';
import type { ObjectStats, ViewSpec } from '../../src/ports/engine.ts';
import type { Graph } from './runtime/graph.ts';
import type { QueryNode } from './runtime/query-node.ts';
import { bytesToSpill, exceeded, LIMIT_CHECK_MS, shareToExpire, usedBytesOf } from './runtime/state-limits.ts';
import type { OtherShard, Shard } from './shards/shard.ts';

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
    this.#changed();
  }
}
