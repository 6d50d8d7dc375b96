import type { Topics } from '../consumer/group-targets.ts';
import { isInternalTopic } from '../ports/internal-topics.ts';
import type { Storage } from '../storage/storage.ts';

/** The topics as consumer groups see them, with a version that changes when one comes, goes or grows, and not with every append. */
export class TopicsView implements Topics {
  readonly #storage: Storage;
  readonly #known = new Map<string, string>();
  #version = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
    for (const { name } of storage.listTopics()) this.changed(name);
  }

  get version(): number {
    return this.#version;
  }

  /** Something happened to the topic. */
  changed(name: string): void {
    const topic = this.#storage.describeTopic(name);
    const now = topic && `${topic.id} ${topic.partitions}`;
    if (this.#known.get(name) === now) return;
    if (now === undefined) this.#known.delete(name);
    else this.#known.set(name, now);
    this.#version++;
  }

  byName(name: string): { id: string; partitions: number } | undefined {
    return this.#storage.describeTopic(name);
  }

  *names(): Iterable<string> {
    for (const { name } of this.#storage.listTopics()) if (!isInternalTopic(name)) yield name;
  }
}
