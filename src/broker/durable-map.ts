import type { Storage } from '../storage/storage.ts';
import { InternalLog } from './internal-log.ts';

/** Records that are replaced or deleted before the topic is written anew, beyond as many as are alive. */
const MOST_DEAD = 1000;

/**
 * A small map of texts whose changes are the records of an internal topic: what was set is there after a crash once `set` resolved. When most
 * records are outdated, an opening writes what is alive anew and lets go of the rest.
 */
export class DurableMap {
  readonly #log: InternalLog;
  readonly #entries = new Map<string, string>();

  private constructor(log: InternalLog) {
    this.#log = log;
  }

  static async open(storage: Storage, topic: string): Promise<DurableMap> {
    const log = new InternalLog(storage, topic);
    const map = new DurableMap(log);
    let records = 0;
    await log.scan((key, value) => {
      records++;
      map.#apply(String(key), value === null ? null : String(value));
    });
    if (records > 2 * map.#entries.size + MOST_DEAD) {
      const from = log.end;
      await map.#write([...map.#entries]);
      await log.dropBefore(from);
    }
    return map;
  }

  entries(): IterableIterator<[string, string]> {
    return this.#entries.entries();
  }

  get(key: string): string | undefined {
    return this.#entries.get(key);
  }

  /** All of the changes or, after a crash, none; null deletes. They can be read when this resolves. STORAGE_FAILED. */
  async set(changes: readonly (readonly [key: string, value: string | null])[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#write(changes);
    for (const [key, value] of changes) this.#apply(key, value);
  }

  #write(changes: readonly (readonly [key: string, value: string | null])[]): Promise<void> {
    return this.#log.append(
      changes.map(([key, value]) => ({ key: Buffer.from(key), value: value === null ? null : Buffer.from(value) })),
    );
  }

  #apply(key: string, value: string | null): void {
    if (value === null) this.#entries.delete(key);
    else this.#entries.set(key, value);
  }
}
