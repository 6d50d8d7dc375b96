import type { TopicInfo } from '../ports/topic-log.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import type { PartitionLog } from '../storage/partition-log.ts';
import type { Storage } from '../storage/storage.ts';
import { NODE_ID } from './context.ts';

/** A topic as a request names it: by id in the versions that have ids, by name before. An error code when there is none. */
export function findTopic(storage: Storage, byId: boolean, name: string, id: string): TopicInfo | number {
  if (byId) return storage.topicById(id) ?? E.UNKNOWN_TOPIC_ID;
  return storage.describeTopic(name) ?? E.UNKNOWN_TOPIC_OR_PARTITION;
}

/** Checks that the partition can be used, and the leader epoch that a client believes in (KIP-320); −1: it does not say. An error code. */
export function checkLeaderEpoch(log: PartitionLog, epoch: number): number {
  if (log.offline !== undefined) return E.KAFKA_STORAGE_ERROR;
  if (epoch < 0 || epoch === log.leaderEpoch) return E.NONE;
  return epoch < log.leaderEpoch ? E.FENCED_LEADER_EPOCH : E.UNKNOWN_LEADER_EPOCH;
}

/** A partition as Metadata and DescribeTopicPartitions show it: one replica, here, or nowhere when its files are damaged. */
export function describePartition(log: PartitionLog): {
  errorCode: number;
  partitionIndex: number;
  leaderId: number;
  leaderEpoch: number;
  replicaNodes: number[];
  isrNodes: number[];
  offlineReplicas: number[];
} {
  const offline = log.offline !== undefined;
  return {
    errorCode: offline ? E.LEADER_NOT_AVAILABLE : E.NONE,
    partitionIndex: log.partition,
    leaderId: offline ? -1 : NODE_ID,
    leaderEpoch: log.leaderEpoch,
    replicaNodes: [NODE_ID],
    isrNodes: offline ? [] : [NODE_ID],
    offlineReplicas: offline ? [NODE_ID] : [],
  };
}

export function logsOf(storage: Storage, topic: TopicInfo): PartitionLog[] {
  const logs: PartitionLog[] = [];
  for (let partition = 0; partition < topic.partitions; partition++) {
    const log = storage.partition(topic.name, partition);
    if (log !== undefined) logs.push(log);
  }
  return logs;
}
