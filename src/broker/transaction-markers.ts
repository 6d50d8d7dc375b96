import type { GroupCoordinator } from '../consumer/group-coordinator.ts';
import type { Log } from '../lib/log.ts';
import { OFFSETS_TOPIC } from '../ports/internal-topics.ts';
import { ERROR_CODES as E, errorName } from '../protocol/error-codes.ts';
import type { Storage } from '../storage/storage.ts';
import type { TransactionMarkers, TransactionOutcome } from '../transaction/journal.ts';
import type { TopicPartition } from '../transaction/transaction.ts';
import { kafkaError } from './kafka-error.ts';

/** Writes the ends of transactions where their records are: into partitions, and among the offsets of groups. */
export class PartitionMarkers implements TransactionMarkers {
  readonly #storage: Storage;
  readonly #groups: GroupCoordinator | null;
  readonly #log: Log;

  /** `groups` null where no offsets are committed. */
  constructor(storage: Storage, groups: GroupCoordinator | null, log: Log) {
    this.#storage = storage;
    this.#groups = groups;
    this.#log = log;
  }

  write(outcome: TransactionOutcome, partitions: readonly TopicPartition[], done: (ok: boolean) => void): void {
    void Promise.all(partitions.map((partition) => this.end(outcome, partition))).then((errors) => {
      // A deleted topic has nothing to end; a newer epoch has ended it before.
      const failed = errors.filter(
        (error) => error !== E.NONE && error !== E.UNKNOWN_TOPIC_OR_PARTITION && error !== E.INVALID_PRODUCER_EPOCH,
      );
      if (failed.length > 0) this.#log.error('transactions.marker_failed', { errors: failed.map(errorName) });
      done(failed.length === 0);
    });
  }

  /** Ends what the producer wrote in one partition; resolves with an error code once the marker is durable. */
  async end(
    { producerId, producerEpoch, committed }: TransactionOutcome,
    { topic, partition }: TopicPartition,
    coordinatorEpoch?: number,
  ): Promise<number> {
    const log = this.#storage.partition(topic, partition);
    const groups = this.#groups;
    if (topic === OFFSETS_TOPIC && partition === 0 && groups !== null) {
      return new Promise((resolve) => {
        groups.endTransaction({ producerId, producerEpoch }, committed, (ok) => {
          resolve(ok ? E.NONE : E.COORDINATOR_NOT_AVAILABLE);
        });
      });
    }
    if (log === undefined) return E.UNKNOWN_TOPIC_OR_PARTITION;
    const epoch = coordinatorEpoch ?? log.leaderEpoch;
    const result = log.endTransaction({ producerId, producerEpoch, committed, coordinatorEpoch: epoch });
    if (result.error !== undefined) return result.error;
    try {
      await log.durable(result.lastOffset);
      return E.NONE;
    } catch (thrown) {
      // Deleted meanwhile, or not to be written now.
      return kafkaError(thrown).errorCode;
    }
  }
}
