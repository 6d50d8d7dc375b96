import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ResponseInput } from '../../protocol/protocol.ts';
import type { Handler } from '../context.ts';

export const offsetDelete: Handler<'offsetDelete'> = ({ groupId, topics }, _call, { groups, storage }) => {
  const partitions = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex }) => ({
      topic: name,
      partition: partitionIndex,
      ...(storage.partition(name, partitionIndex) === undefined ? { error: E.UNKNOWN_TOPIC_OR_PARTITION } : {}),
    })),
  );
  return new Promise<ResponseInput<'offsetDelete'>>((resolve) => {
    groups.deleteOffsets(groupId, partitions, (errorCode, errors) => {
      let next = 0;
      const answers = topics.map((topic) => ({
        name: topic.name,
        partitions: topic.partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errors[next++] })),
      }));
      resolve({ errorCode, topics: errorCode === E.NONE ? answers : [] });
    });
  });
};
