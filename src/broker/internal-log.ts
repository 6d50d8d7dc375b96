import { assert } from '../lib/assert.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import { encodeBatch, RecordCursor } from '../protocol/records.ts';
import type { PartitionLog } from '../storage/partition-log.ts';
import type { Storage } from '../storage/storage.ts';

const READ_BYTES = 1 << 20;
/** Kept whole and never by age: what is no longer needed is cut off at the front by its owner. */
const CONFIG = { 'retention.ms': '-1', 'segment.bytes': '16777216', 'max.message.bytes': '16777216' };

interface Waiting {
  readonly records: readonly NewRecord[];
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A log of one partition in which a coordinator keeps its state. The topic is created when something is first written. */
export class InternalLog {
  readonly #storage: Storage;
  readonly #topic: string;
  /** Appends that wait for the topic to be created. */
  #waiting: Waiting[] | undefined;

  constructor(storage: Storage, topic: string) {
    this.#storage = storage;
    this.#topic = topic;
  }

  get #log(): PartitionLog | undefined {
    return this.#storage.partition(this.#topic, 0);
  }

  /** Offset that the next record gets. */
  get end(): number {
    return this.#log?.logEnd ?? 0;
  }

  /** Calls `visit` for every record that has a key, oldest first. */
  async scan(visit: (key: Buffer, value: Buffer | null) => void): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    for (let offset = log.logStart; offset < log.highWatermark; ) {
      const cursor = new RecordCursor(await log.read(offset, READ_BYTES));
      while (cursor.next()) {
        const key = cursor.key();
        if (key !== null) visit(key, cursor.value());
      }
      assert(cursor.endOffset > offset, 'a read below the high watermark holds a whole batch');
      offset = cursor.endOffset;
    }
  }

  /** Appends in the order of the calls; resolves, in that order too, once durable. STORAGE_FAILED. */
  append(records: readonly NewRecord[]): Promise<void> {
    const log = this.#log;
    if (log !== undefined && this.#waiting === undefined) return this.#write(log, records);
    if (this.#waiting === undefined) {
      this.#waiting = [];
      void this.#create();
    }
    const { promise, resolve, reject } = withResolvers();
    this.#waiting.push({ records, resolve, reject });
    return promise;
  }

  /** Lets go of what lies before `offset`. */
  async dropBefore(offset: number): Promise<void> {
    await this.#log?.deleteRecordsBefore(offset);
  }

  async #create(): Promise<void> {
    let failure: unknown;
    try {
      if (this.#log === undefined) await this.#storage.createTopic(this.#topic, { partitions: 1, config: CONFIG });
    } catch (thrown) {
      failure = thrown;
    }
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const log = this.#log;
    for (const { records, resolve, reject } of waiting) {
      if (log === undefined) reject(failure);
      else this.#write(log, records).then(resolve, reject);
    }
  }

  #write(log: PartitionLog, records: readonly NewRecord[]): Promise<void> {
    const { lastOffset, error } = log.append(encodeBatch(records, { defaultTimestampMs: this.#storage.clock.nowMs() }));
    if (error !== undefined) return Promise.reject(new Error(`${this.#topic} refused an append with error ${error}`));
    return log.durable(lastOffset);
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (reason: unknown) => void } {
  let resolve: () => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
