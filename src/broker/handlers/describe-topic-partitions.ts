import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ResponseInput } from '../../protocol/protocol.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { TOPIC_OPERATIONS } from '../authorized-operations.ts';
import { type Handler, NODE_ID } from '../context.ts';
import { describePartition, logsOf } from '../topics.ts';

/** Kafka's max.request.partition.size.limit. */
const MOST_PARTITIONS = 2000;

/** Topics by name, at most so many partitions an answer; the cursor says where to go on (KIP-966). No topics: all. */
export const describeTopicPartitions: Handler<'describeTopicPartitions'> = (request, _call, { storage }) => {
  const { cursor } = request;
  const wanted = request.topics.length > 0 ? request.topics : storage.listTopics();
  const names = [...new Set(wanted.map(({ name }) => name))].sort();
  let room = Math.min(Math.max(request.responsePartitionLimit, 1), MOST_PARTITIONS);
  const topics: NonNullable<ResponseInput<'describeTopicPartitions'>['topics']>[number][] = [];
  for (const name of names) {
    if (cursor !== null && name < cursor.topicName) continue;
    if (room === 0) return { topics, nextCursor: { topicName: name, partitionIndex: 0 } };
    const topic = storage.describeTopic(name);
    if (topic === undefined) {
      topics.push({ errorCode: E.UNKNOWN_TOPIC_OR_PARTITION, name, topicId: ZERO_UUID, partitions: [] });
      continue;
    }
    const from = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
    const partitions = logsOf(storage, topic)
      .slice(from, from + room)
      .map((log) => ({ ...describePartition(log), eligibleLeaderReplicas: [NODE_ID], lastKnownElr: [] }));
    room -= partitions.length;
    topics.push({
      errorCode: E.NONE,
      name,
      topicId: topic.id,
      isInternal: isInternalTopic(name),
      partitions,
      topicAuthorizedOperations: TOPIC_OPERATIONS,
    });
    const next = from + partitions.length;
    if (next < topic.partitions) return { topics, nextCursor: { topicName: name, partitionIndex: next } };
  }
  return { topics, nextCursor: null };
};
