import type { Log } from '../lib/log.ts';
import { TRANSACTIONS_TOPIC } from '../ports/internal-topics.ts';
import {
  decodeTransactionLogKey,
  decodeTransactionLogValue,
  encodeTransactionLogKey,
  encodeTransactionLogValue,
} from '../protocol/transaction-records.ts';
import type { Storage } from '../storage/storage.ts';
import type { TransactionJournal, TransactionRecord } from '../transaction/journal.ts';
import { EPOCH_PER_TRANSACTION, STATUSES, type TopicPartition } from '../transaction/transaction.ts';
import { InternalLog } from './internal-log.ts';

/** The log is rewritten when it holds at least so many records and so many times those that still count. */
const REWRITE_RECORDS = 20_000;
const REWRITE_RATIO = 4;
/** Records per batch of a rewrite. */
const BATCH_RECORDS = 500;

/**
 * `__transaction_state`: transactional ids as records of Kafka's own schema, the last one of an id counts. The live records are kept in
 * memory as bytes too; when the log has grown well beyond them they are appended once more and all before is cut off.
 */
export class TransactionsTopic implements TransactionJournal {
  readonly #log: InternalLog;
  readonly #logger: Log;
  /** By transactional id. */
  readonly #live = new Map<string, Buffer>();
  /** Records in the log. */
  #count = 0;
  #rewriting = false;

  static async open(storage: Storage, logger: Log): Promise<TransactionsTopic> {
    const topic = new TransactionsTopic(new InternalLog(storage, TRANSACTIONS_TOPIC), logger);
    await topic.#log.scan((key, value) => {
      topic.#count++;
      const id = topic.#idOf(key);
      if (id !== undefined) topic.#keep(id, value === null ? null : Buffer.from(value));
    });
    return topic;
  }

  private constructor(log: InternalLog, logger: Log) {
    this.#log = log;
    this.#logger = logger;
  }

  #idOf(key: Buffer): string | undefined {
    try {
      return decodeTransactionLogKey(key);
    } catch (thrown) {
      this.#logger.error('transactions.record_unreadable', { reason: String(thrown) });
      return undefined;
    }
  }

  /** What counts now. Records that cannot be read are logged and left out. */
  *records(): IterableIterator<TransactionRecord> {
    for (const [id, value] of this.#live) {
      let record: TransactionRecord | undefined;
      try {
        record = decode(id, value);
      } catch (thrown) {
        this.#logger.error('transactions.record_unreadable', { id, reason: String(thrown) });
      }
      if (record !== undefined) yield record;
    }
  }

  write(record: TransactionRecord, done: (ok: boolean) => void): void {
    const key = encodeTransactionLogKey(record.transactionalId);
    const value = encode(record);
    this.#keep(record.transactionalId, value);
    this.#count++;
    this.#log.append([{ key, value }]).then(
      () => done(true),
      (thrown: unknown) => {
        this.#logger.error('transactions.write_failed', { reason: String(thrown) });
        done(false);
      },
    );
    if (this.#count >= REWRITE_RECORDS && this.#count >= REWRITE_RATIO * this.#live.size) void this.#rewrite();
  }

  #keep(id: string, value: Buffer | null): void {
    if (value === null) this.#live.delete(id);
    else this.#live.set(id, value);
  }

  async #rewrite(): Promise<void> {
    if (this.#rewriting) return;
    this.#rewriting = true;
    try {
      // Appended in one turn, so that what is written meanwhile comes after it and counts.
      const from = this.#log.end;
      const live = [...this.#live].map(([id, value]) => ({ key: encodeTransactionLogKey(id), value }));
      const writes: Promise<void>[] = [];
      for (let at = 0; at < live.length; at += BATCH_RECORDS) {
        writes.push(this.#log.append(live.slice(at, at + BATCH_RECORDS)));
      }
      this.#count = live.length;
      await Promise.all(writes);
      await this.#log.dropBefore(from);
    } catch (thrown) {
      this.#logger.warn('transactions.rewrite_failed', { reason: String(thrown) });
    } finally {
      this.#rewriting = false;
    }
  }
}

/** Kafka writes no partitions in the states that have none. */
const WITHOUT_PARTITIONS: ReadonlySet<string> = new Set(['Empty', 'CompleteCommit', 'CompleteAbort']);

function encode({ value }: TransactionRecord): Buffer | null {
  if (value === null) return null;
  const { state, partitions } = value;
  const byTopic = new Map<string, number[]>();
  for (const { topic, partition } of partitions) {
    const of = byTopic.get(topic);
    if (of === undefined) byTopic.set(topic, [partition]);
    else of.push(partition);
  }
  const topics = [...byTopic].map(([topic, partitionIds]) => ({ topic, partitionIds }));
  return encodeTransactionLogValue({
    producerId: state.producerId,
    previousProducerId: state.previousProducerId,
    nextProducerId: state.nextProducerId,
    producerEpoch: state.epoch,
    transactionTimeoutMs: state.timeoutMs,
    transactionStatus: STATUSES.indexOf(state.status),
    transactionPartitions: WITHOUT_PARTITIONS.has(state.status) ? null : topics,
    transactionLastUpdateTimestampMs: state.updatedMs,
    transactionStartTimestampMs: state.startMs,
    clientTransactionVersion: state.clientVersion,
  });
}

/** ProtocolError when malformed. */
function decode(transactionalId: string, bytes: Buffer): TransactionRecord | undefined {
  const value = decodeTransactionLogValue(bytes);
  const status = STATUSES[value.transactionStatus];
  if (status === undefined || status === 'Dead' || status === 'PrepareEpochFence') return undefined;
  const partitions: TopicPartition[] = (value.transactionPartitions ?? []).flatMap(({ topic, partitionIds }) => {
    return partitionIds.map((partition) => ({ topic, partition }));
  });
  // The record does not hold the epoch before, which a producer that raises it with every transaction may still name.
  const raises =
    value.clientTransactionVersion >= EPOCH_PER_TRANSACTION && status !== 'Ongoing' && value.producerEpoch > 0;
  const state = {
    status,
    producerId: value.producerId,
    previousProducerId: value.previousProducerId,
    nextProducerId: value.nextProducerId,
    epoch: value.producerEpoch,
    lastEpoch: raises ? value.producerEpoch - 1 : -1,
    timeoutMs: value.transactionTimeoutMs,
    startMs: value.transactionStartTimestampMs,
    updatedMs: value.transactionLastUpdateTimestampMs,
    clientVersion: value.clientTransactionVersion,
  };
  return { transactionalId, value: { state, partitions } };
}
