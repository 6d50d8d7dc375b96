import type { EngineObject, SinkSpec, ViewSpec } from '../../src/ports/engine.ts';
import type { QuerySharing } from './query-sharing.ts';
import type { Graph } from './runtime/graph.ts';
import type { OtherShard, Shard } from './shards/shard.ts';
import { isShared } from './sharing.ts';

interface StarterParts {
  readonly graph: Graph;
  readonly shard: Shard;
  readonly others: readonly OtherShard[];
  readonly sharing: QuerySharing;
  readonly isResumed: () => boolean;
  readonly changed: () => void;
}

/** Starts objects in all shards at once, with the parts that they share. */
export class Starter {
  readonly #graph: Graph;
  readonly #shard: Shard;
  readonly #others: readonly OtherShard[];
  readonly #sharing: QuerySharing;
  readonly #isResumed: () => boolean;
  readonly #changed: () => void;

  constructor(parts: StarterParts) {
    this.#graph = parts.graph;
    this.#shard = parts.shard;
    this.#others = parts.others;
    this.#sharing = parts.sharing;
    this.#isResumed = parts.isResumed;
    this.#changed = parts.changed;
  }

  async start(object: EngineObject): Promise<void> {
    await this.#prepare(object);
    // From here on without waiting, so that it begins in all shards with the same epoch.
    try {
      this.#shard.commit(object.id);
    } catch (thrown) {
      for (const other of this.#others) other.abort(object.id);
      throw thrown;
    }
    for (const other of this.#others) other.commit(object.id);
  }

  /** The query as it runs; what it shares is there then. */
  async withParts(object: ViewSpec | SinkSpec): Promise<ViewSpec | SinkSpec> {
    const { object: query, parts } = this.#sharing.share(object, this.#shard.objects.savedParts(object.id));
    for (const part of parts) {
      if (this.#graph.node(part.spec.id) !== undefined) continue;
      const giver = this.#isResumed()
        ? this.#sharing.giverOf(part, (giver) => this.#shard.canHandOver(part, giver))
        : null;
      if (giver === null) {
        await this.start(part.spec);
        continue;
      }
      for (const shard of [this.#shard, ...this.#others]) shard.handOver(part, giver);
      this.#changed();
    }
    return query;
  }

  /** Shared parts that nobody reads, and what only they read. */
  removeUnread(): void {
    for (;;) {
      const unread = this.#graph.queries.find(
        (node) => isShared(node.spec.id) && this.#graph.readersOf(node).length === 0,
      );
      if (unread === undefined) return;
      for (const shard of [this.#shard, ...this.#others]) shard.remove(unread.spec.id);
    }
  }

  /** In all shards, with the state of the checkpoint in all or in none. */
  async #prepare(object: EngineObject): Promise<void> {
    const shards = [this.#shard, ...this.#others];
    for (const fresh of [false, true]) {
      const prepared = await Promise.allSettled(shards.map((shard) => shard.prepare(object, fresh)));
      const refused = prepared.find((one) => one.status === 'rejected');
      const loaded = prepared.map((one) => one.status === 'fulfilled' && one.value);
      if (refused === undefined && (fresh || loaded.every((one) => one === loaded[0]))) return;
      for (const shard of shards) shard.abort(object.id);
      if (refused !== undefined) throw refused.reason;
    }
  }
}
