import { ERROR_CODES as E, errorName } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

export const describeProducers: Handler<'describeProducers'> = (request, _call, { storage }) => ({
  topics: request.topics.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => {
      const log = storage.partition(name, partitionIndex);
      if (log === undefined) {
        const errorCode = E.UNKNOWN_TOPIC_OR_PARTITION;
        return { partitionIndex, errorCode, errorMessage: errorName(errorCode), activeProducers: [] };
      }
      const activeProducers = [...log.producers()].map(([producerId, { epoch, batches, seenMs }]) => {
        const last = batches.at(-1);
        return {
          producerId,
          producerEpoch: epoch,
          lastSequence: last?.lastSequence ?? -1,
          lastTimestamp: last?.timestampMs ?? seenMs,
          coordinatorEpoch: log.leaderEpoch,
          currentTxnStartOffset: log.transactionStart(producerId) ?? -1,
        };
      });
      return { partitionIndex, errorCode: E.NONE, activeProducers };
    }),
  })),
});
