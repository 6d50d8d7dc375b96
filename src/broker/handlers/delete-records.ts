import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';

export const deleteRecords: Handler<'deleteRecords'> = async (request, _call, { storage }) => {
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(async ({ partitionIndex, offset }) => {
        const log = storage.partition(name, partitionIndex);
        if (log === undefined || isInternalTopic(name)) {
          const errorCode = log === undefined ? E.UNKNOWN_TOPIC_OR_PARTITION : E.INVALID_TOPIC_EXCEPTION;
          return { partitionIndex, lowWatermark: -1, errorCode };
        }
        try {
          return { partitionIndex, lowWatermark: await log.deleteRecordsBefore(offset), errorCode: E.NONE };
        } catch (thrown) {
          const { errorCode } = kafkaError(thrown, { REQUEST_INVALID: E.OFFSET_OUT_OF_RANGE });
          return { partitionIndex, lowWatermark: -1, errorCode };
        }
      }),
    ),
  }));
  return { topics: await Promise.all(topics) };
};
