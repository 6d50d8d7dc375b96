import type { OffsetCommit } from '../../consumer/group-coordinator.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { findTopic } from '../topics.ts';

export const offsetCommit: Handler<'offsetCommit'> = async (request, call, { groups, storage }) => {
  const byId = call.version >= 10;
  const generation = request.generationIdOrMemberEpoch;
  // Since v9 a missing group has an error of its own.
  const noGroup =
    call.version >= 9 && generation >= 0 && !groups.has(request.groupId) ? E.GROUP_ID_NOT_FOUND : undefined;
  const offsets: OffsetCommit[] = [];
  for (const { name, topicId, partitions } of request.topics) {
    const topic = findTopic(storage, byId, name, topicId);
    for (const partition of partitions) {
      const missing = typeof topic === 'number' ? topic : E.UNKNOWN_TOPIC_OR_PARTITION;
      const exists = typeof topic !== 'number' && storage.partition(topic.name, partition.partitionIndex) !== undefined;
      const error = noGroup ?? (exists ? undefined : missing);
      offsets.push({
        topic: typeof topic === 'number' ? name : topic.name,
        topicId: typeof topic === 'number' ? '' : topic.id,
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
        ...(error === undefined ? {} : { error }),
      });
    }
  }
  const { groupId, memberId, groupInstanceId } = request;
  const errors = await new Promise<readonly number[]>((resolve) => {
    groups.commit({ groupId, memberId, instanceId: groupInstanceId, generation, offsets }, resolve);
  });
  let next = 0;
  return {
    topics: request.topics.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errors[next++] })),
    })),
  };
};
