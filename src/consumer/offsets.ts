/** What a group committed for one partition. */
export interface CommittedOffset {
  readonly offset: number;
  /** Of the last consumed record; −1 when the client did not say. */
  readonly leaderEpoch: number;
  /** The client's own note, returned as it came. */
  readonly metadata: string;
  /** Wall clock, ms. */
  readonly commitTimestampMs: number;
  /** The topic it belongs to, so that a re-created topic does not inherit it. UUID text. */
  readonly topicId: string;
}

/** The offsets of one group. */
export class GroupOffsets {
  readonly #topics = new Map<string, Map<number, CommittedOffset>>();

  get isEmpty(): boolean {
    return this.#topics.size === 0;
  }

  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  set(topic: string, partition: number, committed: CommittedOffset): void {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      partitions = new Map();
      this.#topics.set(topic, partitions);
    }
    partitions.set(partition, committed);
  }

  delete(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic);
    partitions?.delete(partition);
    if (partitions?.size === 0) this.#topics.delete(topic);
  }

  topics(): IterableIterator<string> {
    return this.#topics.keys();
  }

  partitions(topic: string): IterableIterator<[number, CommittedOffset]> {
    return (this.#topics.get(topic) ?? NO_PARTITIONS).entries();
  }

  *entries(): IterableIterator<{ topic: string; partition: number; committed: CommittedOffset }> {
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, committed] of partitions) yield { topic, partition, committed };
    }
  }
}

const NO_PARTITIONS: ReadonlyMap<number, CommittedOffset> = new Map();
