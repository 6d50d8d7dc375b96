import type { Producer } from '../consumer/journal.ts';
import { assert } from '../lib/assert.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import { ERROR_CODES } from '../protocol/error-codes.ts';
import { batchSizeAt, encodeBatch, RecordCursor, readBatchHeader } from '../protocol/records.ts';
import type { AppendResult, PartitionLog } from '../storage/partition-log.ts';
import type { Storage } from '../storage/storage.ts';
import { COMMIT_MARKER } from '../storage/transaction-index.ts';

const READ_BYTES = 1 << 20;
/** Kept whole and never by age: what is no longer needed is cut off at the front by its owner. */
const KEPT = { 'retention.ms': '-1', 'segment.bytes': '16777216', 'max.message.bytes': '16777216' };

type Append = (log: PartitionLog) => AppendResult;

interface Waiting {
  readonly append: Append;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** A log of one partition in which a coordinator keeps its state. The topic is created when something is first written. */
export class InternalLog {
  readonly #storage: Storage;
  readonly #topic: string;
  readonly #config: Readonly<Record<string, string>>;
  /** Appends that wait for the topic to be created. */
  #waiting: Waiting[] | undefined;

  constructor(storage: Storage, topic: string, config: Readonly<Record<string, string>> = KEPT) {
    this.#storage = storage;
    this.#topic = topic;
    this.#config = config;
  }

  get #log(): PartitionLog | undefined {
    return this.#storage.partition(this.#topic, 0);
  }

  /** Offset that the next record gets. */
  get end(): number {
    return this.#log?.logEnd ?? 0;
  }

  /**
   * Calls `visit` for every record that has a key, oldest first, with the producer in whose transaction it was written, if it was. `ended` is
   * told where such a transaction ends.
   */
  async scan(
    visit: (key: Buffer, value: Buffer | null, transaction: Producer | undefined) => void,
    ended: (producerId: number, committed: boolean) => void = () => {},
  ): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    for (let offset = log.logStart; offset < log.highWatermark; ) {
      const data = await log.read(offset, READ_BYTES);
      assert(data.length > 0, 'a read below the high watermark holds a whole batch');
      for (let at = 0; at < data.length; at += batchSizeAt(data, at)) {
        const batch = readBatchHeader(data, at);
        offset = batch.lastOffset + 1;
        if (batch.isControl) ended(batch.producerId, batch.controlType === COMMIT_MARKER);
        const cursor = new RecordCursor(data.subarray(at, at + batch.sizeBytes));
        while (cursor.next()) {
          const key = cursor.key();
          if (key !== null) visit(key, cursor.value(), batch.isTransactional ? batch : undefined);
        }
      }
    }
  }

  /** Appends in the order of the calls, as part of `transaction` if given; resolves, in that order too, once durable. STORAGE_FAILED. */
  append(records: readonly NewRecord[], transaction?: Producer): Promise<void> {
    const batch = encodeBatch(records, {
      defaultTimestampMs: this.#storage.clock.nowMs(),
      ...(transaction === undefined ? {} : { ...identityOf(transaction), isTransactional: true }),
    });
    return this.#enqueue((log) => log.append(batch, { origin: 'coordinator' }));
  }

  /** Appends the marker that ends a transaction. As `append`. */
  endTransaction(producer: Producer, committed: boolean): Promise<void> {
    return this.#enqueue((log) => {
      return log.endTransaction({ ...identityOf(producer), committed, coordinatorEpoch: log.leaderEpoch });
    });
  }

  #enqueue(append: Append): Promise<void> {
    const log = this.#log;
    if (log !== undefined && this.#waiting === undefined) return this.#write(log, append);
    if (this.#waiting === undefined) {
      this.#waiting = [];
      void this.#create();
    }
    const { promise, resolve, reject } = withResolvers();
    this.#waiting.push({ append, resolve, reject });
    return promise;
  }

  /** Lets go of what lies before `offset`. */
  async dropBefore(offset: number): Promise<void> {
    await this.#log?.deleteRecordsBefore(offset);
  }

  async #create(): Promise<void> {
    let failure: unknown;
    try {
      if (this.#log === undefined)
        await this.#storage.createTopic(this.#topic, { partitions: 1, config: this.#config });
    } catch (thrown) {
      failure = thrown;
    }
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    const log = this.#log;
    for (const { append, resolve, reject } of waiting) {
      if (log === undefined) reject(failure);
      else this.#write(log, append).then(resolve, reject);
    }
  }

  #write(log: PartitionLog, append: Append): Promise<void> {
    const { lastOffset, error } = append(log);
    // The marker of a newer epoch has ended it before.
    if (error === ERROR_CODES.INVALID_PRODUCER_EPOCH) return Promise.resolve();
    if (error !== undefined) return Promise.reject(new Error(`${this.#topic} refused an append with error ${error}`));
    return log.durable(lastOffset);
  }
}

const identityOf = ({ producerId, producerEpoch }: Producer): Producer => ({ producerId, producerEpoch });

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (reason: unknown) => void } {
  let resolve: () => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
