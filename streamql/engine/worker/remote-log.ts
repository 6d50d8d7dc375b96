import type { LogReader, TopicState } from '../runtime/log-reader.ts';
import type { Rpc, RpcHandlers } from './rpc.ts';

/** The log of the host's thread, seen from the worker. */
export class RemoteLog implements LogReader {
  readonly #rpc: Rpc;
  readonly #listeners = new Map<number, (state: TopicState | undefined) => void>();
  #next = 0;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  readonly handlers: RpcHandlers = {
    topic: (watch: number, state: TopicState | undefined) => this.#listeners.get(watch)?.(state),
  };

  describe(topic: string): Promise<TopicState | undefined> {
    return this.#rpc.call('describe', [topic]);
  }

  read(topic: string, partition: number, offset: number, maxBytes: number): Promise<Uint8Array> {
    return this.#rpc.call('read', [topic, partition, offset, maxBytes]);
  }

  watch(topic: string, listener: (state: TopicState | undefined) => void): () => void {
    const watch = this.#next++;
    this.#listeners.set(watch, listener);
    this.#rpc.note('watch', [watch, topic]);
    return () => {
      this.#listeners.delete(watch);
      this.#rpc.note('unwatch', [watch]);
    };
  }

  close(): void {
    for (const watch of this.#listeners.keys()) this.#rpc.note('unwatch', [watch]);
    this.#listeners.clear();
  }
}
