import type { TopicPartition, TransactionState } from './transaction.ts';

/** A transactional id as it is written down; null deletes it. */
export interface TransactionRecord {
  readonly transactionalId: string;
  readonly value: { readonly state: TransactionState; readonly partitions: readonly TopicPartition[] } | null;
}

/** Where the coordinator writes down what it must not forget. */
export interface TransactionJournal {
  /**
   * Appends one record; `done` is called once, later, in the order of the calls: with true when it is durable, with false when it could
   * not be written, in which case it may or may not come back after a restart.
   */
  write(record: TransactionRecord, done: (ok: boolean) => void): void;
}

/** How a producer's transaction ended. */
export interface TransactionOutcome {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly committed: boolean;
}

/** The partitions' side of a transaction's end. */
export interface TransactionMarkers {
  /**
   * Writes the marker to each partition that still exists; `done` is called once, later: with true when all are durable, with false when one
   * could not be written. May be repeated for the same outcome.
   */
  write(outcome: TransactionOutcome, partitions: readonly TopicPartition[], done: (ok: boolean) => void): void;
}
