import { StreamError } from '../../../src/lib/errors.ts';
import type {
  EngineObject,
  EngineStats,
  ReplayCounts,
  Snapshot,
  StreamEngine,
  Subscription,
  Unreadable,
  ViewChange,
} from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { Datum } from '../../../src/values/types.ts';
import { unpacked } from './engine-service.ts';
import type { Rpc, RpcHandlers } from './rpc.ts';

/** An engine in another thread. */
export class RemoteEngine implements StreamEngine {
  readonly #rpc: Rpc;
  readonly #end: () => Promise<void>;
  readonly #readWaits: () => void;
  readonly #feeds = new Map<number, (change: ViewChange) => void>();
  readonly #reads = new Map<number, (batch: Batch) => Promise<boolean>>();
  #next = 0;
  closed = false;

  /** `readWaits` tells the other thread of a read before its message gets through. */
  constructor(rpc: Rpc, end: () => Promise<void>, readWaits: () => void = () => undefined) {
    this.#rpc = rpc;
    this.#end = end;
    this.#readWaits = readWaits;
  }

  readonly handlers: RpcHandlers = {
    changed: (feed: number, change: ViewChange & { batch: unknown }, rows: number) => {
      const onChange = this.#feeds.get(feed);
      if (onChange === undefined) return;
      if (change.error !== undefined) this.#feeds.delete(feed);
      try {
        onChange({ ...change, batch: unpacked(change.batch) });
      } catch {
        // As in the engine's own thread: a listener that throws has ended its subscription.
        if (this.#feeds.delete(feed)) this.#rpc.note('unsubscribe', [feed]);
      }
      this.#rpc.note('taken', [feed, rows]);
    },
    rows: (read: number, batch: unknown) => this.#reads.get(read)?.(unpacked(batch)) ?? false,
  };

  add(object: EngineObject): Promise<void> {
    return this.#rpc.call('add', [object]);
  }

  resume(): Promise<void> {
    return this.#rpc.call('resume', []);
  }

  remove(id: string): Promise<void> {
    return this.#rpc.call('remove', [id]);
  }

  alter(id: string, change: Parameters<StreamEngine['alter']>[1]): Promise<void> {
    return this.#rpc.call('alter', [id, change]);
  }

  caughtUp(ids: readonly string[], timeoutMs: number): Promise<void> {
    return this.#rpc.call('caughtUp', [ids, timeoutMs]);
  }

  handOver(views: Parameters<StreamEngine['handOver']>[0]): Promise<void> {
    return this.#rpc.call('handOver', [views]);
  }

  flush(): Promise<number> {
    return this.#rpc.call('flush', []);
  }

  async lookup(
    id: string,
    key: readonly Datum[],
    limit: number,
    columns?: readonly number[],
    waitMs?: number,
  ): Promise<{ epoch: number; batch: Batch }> {
    this.#readWaits();
    const { epoch, batch } = await this.#rpc.callTogether<{ epoch: number; batch: unknown }>('lookup', [
      id,
      key,
      limit,
      columns,
      waitMs,
    ]);
    return { epoch, batch: unpacked(batch) };
  }

  async snapshot(...args: Parameters<StreamEngine['snapshot']>): Promise<Snapshot> {
    this.#readWaits();
    const { batches, ...rest } = await this.#rpc.call<Omit<Snapshot, 'batches'> & { batches: unknown[] }>(
      'snapshot',
      args,
    );
    return { ...rest, batches: batches.map(unpacked) };
  }

  async readSource(
    id: string,
    columns: readonly number[],
    onBatch: (batch: Batch) => Promise<boolean>,
    upTo?: readonly number[],
  ): Promise<Unreadable | null> {
    const read = this.#next++;
    this.#reads.set(read, onBatch);
    try {
      return await this.#rpc.call<Unreadable | null>('readSource', [read, id, columns, upTo]);
    } finally {
      this.#reads.delete(read);
    }
  }

  async subscribe(
    id: string,
    options: { snapshot: boolean },
    onChange: (change: ViewChange) => void,
  ): Promise<Subscription> {
    const feed = this.#next++;
    // Before the call: the first change may come before its answer.
    this.#feeds.set(feed, onChange);
    try {
      await this.#rpc.call('subscribe', [feed, id, options]);
    } catch (thrown) {
      this.#feeds.delete(feed);
      throw thrown;
    }
    return {
      id: feed,
      close: () => {
        if (this.#feeds.delete(feed)) this.#rpc.note('unsubscribe', [feed]);
      },
    };
  }

  replay(id: string): Promise<ReplayCounts> {
    return this.#rpc.call('replay', [id]);
  }

  stats(): Promise<EngineStats> {
    return this.#rpc.call('stats', []);
  }

  checkpoint(): Promise<number> {
    return this.#rpc.call('checkpoint', []);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.#rpc.call('close', []);
    } finally {
      this.#rpc.fail(new StreamError('CANCELLED', 'the engine is closed'));
      await this.#end();
    }
  }

  /** Ends the thread without asking. */
  async abandon(): Promise<void> {
    this.closed = true;
    await this.#end();
  }

  /** The thread is gone: whoever waits or listens is told. */
  lost(error: StreamError): void {
    this.#rpc.fail(error);
    const { code, detail } = error.toJSON();
    const change = {
      epoch: 0,
      snapshot: false,
      batch: { length: 0, columns: [], weights: null },
      error: { code, detail },
    };
    const feeds = [...this.#feeds.values()];
    this.#feeds.clear();
    for (const onChange of feeds) onChange(change);
  }
}
