import type { CommittedOffset } from './offsets.ts';

/** An offset that a transaction commits when it is committed itself. */
export interface PendingOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly committed: CommittedOffset;
}

/** The offsets that transactions have committed and whose transactions are open, by producer id. */
export class PendingOffsets {
  readonly #byProducer = new Map<number, PendingOffset[]>();
  /** How many there are for a group's partition. */
  readonly #counts = new Map<string, number>();

  add(producerId: number, offsets: readonly PendingOffset[]): void {
    const known = this.#byProducer.get(producerId);
    if (known === undefined) this.#byProducer.set(producerId, [...offsets]);
    else known.push(...offsets);
    for (const offset of offsets) this.#count(offset, 1);
  }

  /** Takes back what could not be written. */
  remove(producerId: number, offsets: readonly PendingOffset[]): void {
    const gone = new Set(offsets);
    const known = this.#byProducer.get(producerId);
    if (known === undefined) return;
    const kept = known.filter((offset) => !gone.has(offset));
    for (const offset of known) if (gone.has(offset)) this.#count(offset, -1);
    if (kept.length === 0) this.#byProducer.delete(producerId);
    else this.#byProducer.set(producerId, kept);
  }

  /** What the producer's transaction holds, in the order it came. */
  of(producerId: number): readonly PendingOffset[] {
    return this.#byProducer.get(producerId) ?? [];
  }

  /** Lets go of what was committed for a topic that is gone or was made anew under another id. */
  topicChanged(topic: string, topicId: string | undefined): void {
    for (const [producerId, offsets] of this.#byProducer) {
      this.remove(
        producerId,
        offsets.filter((offset) => offset.topic === topic && offset.committed.topicId !== topicId),
      );
    }
  }

  has(group: string, topic: string, partition: number): boolean {
    return this.#counts.has(keyOf({ group, topic, partition }));
  }

  #count(offset: Pick<PendingOffset, 'group' | 'topic' | 'partition'>, by: number): void {
    const key = keyOf(offset);
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

const keyOf = ({ group, topic, partition }: Pick<PendingOffset, 'group' | 'topic' | 'partition'>): string =>
  `${partition} ${topic} ${group}`;
