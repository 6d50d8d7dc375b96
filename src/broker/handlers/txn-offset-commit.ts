import type { OffsetCommit } from '../../consumer/group-coordinator.ts';
import { OFFSETS_TOPIC } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

/** Adds the offsets to the transaction itself (KIP-890); before, AddOffsetsToTxn must have done it. */
const ADDS_SINCE = 5;
const ABORTABLE_SINCE = 4;

/** Offsets that count when the transaction is committed. */
export const txnOffsetCommit: Handler<'txnOffsetCommit'> = async (request, call, { groups, storage, transactions }) => {
  const { transactionalId, producerId, producerEpoch } = request;
  const who = { transactionalId, producerId, producerEpoch };
  const admit = (adds: boolean) => transactions.admit(who, OFFSETS_TOPIC, 0, adds);
  let refused = admit(call.version >= ADDS_SINCE);
  // It is asked once more what holds when that is durable.
  if (typeof refused !== 'number') refused = (await refused) || (await admit(false));
  if (refused === E.TRANSACTION_ABORTABLE && call.version < ABORTABLE_SINCE) refused = E.INVALID_TXN_STATE;
  const offsets = request.topics.flatMap(({ name, partitions }) => {
    return partitions.map((partition): OffsetCommit => {
      const exists = storage.partition(name, partition.partitionIndex) !== undefined;
      const error = refused !== E.NONE ? (refused as number) : exists ? undefined : E.UNKNOWN_TOPIC_OR_PARTITION;
      return {
        topic: name,
        topicId: storage.describeTopic(name)?.id ?? '',
        partition: partition.partitionIndex,
        offset: partition.committedOffset,
        leaderEpoch: partition.committedLeaderEpoch,
        metadata: partition.committedMetadata,
        ...(error === undefined ? {} : { error }),
      };
    });
  });
  const commit = {
    groupId: request.groupId,
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generation: request.generationIdOrMemberEpoch,
    offsets,
    producer: { producerId, producerEpoch },
  };
  const errors = await new Promise<readonly number[]>((resolve) => groups.commit(commit, resolve));
  let next = 0;
  return {
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: errors[next++] })),
    })),
  };
};
