import type { CommittedOffset } from '../../consumer/offsets.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import type { BrokerContext, Handler } from '../context.ts';
import { findTopic } from '../topics.ts';

interface WantedTopic {
  readonly name: string;
  readonly topicId: string;
  readonly partitionIndexes: readonly number[];
}

/** What a group committed; −1 for what it did not. Null topics: everything. One group before v8, any number since. */
export const offsetFetch: Handler<'offsetFetch'> = (request, call, broker) => {
  if (call.version < 8) {
    const topics = request.topics?.map((topic) => ({ ...topic, topicId: ZERO_UUID as string })) ?? null;
    if (request.groupId === '') return { errorCode: E.INVALID_GROUP_ID, topics: [] };
    return { topics: committedOf(broker, request.groupId, topics, false, request.requireStable) };
  }
  return {
    groups: request.groups.map(({ groupId, topics, memberId, memberEpoch }) => {
      if (groupId === '') return { groupId, errorCode: E.INVALID_GROUP_ID, topics: [] };
      const errorCode = broker.groups.checkFetch(groupId, memberId, memberEpoch);
      if (errorCode !== E.NONE) return { groupId, errorCode, topics: [] };
      return { groupId, topics: committedOf(broker, groupId, topics, call.version >= 10, request.requireStable) };
    }),
  };
};

function committedOf(
  { groups, storage }: BrokerContext,
  groupId: string,
  wanted: readonly WantedTopic[] | null,
  byId: boolean,
  stable: boolean,
) {
  if (wanted === null) {
    const topics = new Map<string, { name: string; topicId: string; partitions: ReturnType<typeof answer>[] }>();
    for (const { topic, partition, committed } of groups.allCommitted(groupId)) {
      const known = topics.get(topic) ?? { name: topic, topicId: committed.topicId, partitions: [] };
      const unstable = stable && groups.isUnstable(groupId, topic, partition);
      known.partitions.push(
        unstable ? answer(partition, undefined, E.UNSTABLE_OFFSET_COMMIT) : answer(partition, committed),
      );
      topics.set(topic, known);
    }
    return [...topics.values()];
  }
  return wanted.map(({ name, topicId, partitionIndexes }) => {
    const topic = byId ? findTopic(storage, true, name, topicId) : name;
    const partitions = partitionIndexes.map((partition) => {
      if (typeof topic === 'number') return answer(partition, undefined, topic);
      const of = typeof topic === 'string' ? topic : topic.name;
      if (stable && groups.isUnstable(groupId, of, partition)) {
        return answer(partition, undefined, E.UNSTABLE_OFFSET_COMMIT);
      }
      return answer(partition, groups.committed(groupId, of, partition));
    });
    return { name, topicId, partitions };
  });
}

const answer = (partitionIndex: number, committed: CommittedOffset | undefined, errorCode: number = E.NONE) => ({
  partitionIndex,
  committedOffset: committed?.offset ?? -1,
  committedLeaderEpoch: committed?.leaderEpoch ?? -1,
  metadata: committed?.metadata ?? '',
  errorCode,
});
