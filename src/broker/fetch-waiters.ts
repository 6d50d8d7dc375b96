/** Fetches that wait for more to read, by topic. */
export class FetchWaiters {
  readonly #byTopic = new Map<string, Set<() => void>>();

  /** Calls `wake` at each change of one of the topics until the result is called. */
  add(topics: readonly string[], wake: () => void): () => void {
    for (const topic of topics) {
      let waiters = this.#byTopic.get(topic);
      if (waiters === undefined) {
        waiters = new Set();
        this.#byTopic.set(topic, waiters);
      }
      waiters.add(wake);
    }
    return () => {
      for (const topic of topics) {
        const waiters = this.#byTopic.get(topic);
        waiters?.delete(wake);
        if (waiters?.size === 0) this.#byTopic.delete(topic);
      }
    };
  }

  changed(topic: string): void {
    const waiters = this.#byTopic.get(topic);
    if (waiters !== undefined) for (const wake of [...waiters]) wake();
  }

  wakeAll(): void {
    for (const waiters of [...this.#byTopic.values()]) for (const wake of [...waiters]) wake();
  }
}
