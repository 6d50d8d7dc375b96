/** What is written down of groups of the consumer protocol (KIP-848). */
import { type Assignment, topicPartitionsOf } from './assignment.ts';
import type { ConsumerGroup, ConsumerMember } from './consumer-group.ts';
import type { GroupRecord } from './journal.ts';

export const groupRecord = (group: string, { epoch, metadataHash }: ConsumerGroup): GroupRecord => ({
  kind: 'consumerGroup',
  group,
  value: { epoch, metadataHash },
});

export const memberRecord = (group: string, member: ConsumerMember): GroupRecord => ({
  kind: 'consumerMember',
  group,
  member: member.memberId,
  value: {
    instanceId: member.instanceId,
    rackId: member.rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.topicNames,
    subscribedTopicRegex: member.topicRegex,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    serverAssignor: member.serverAssignor,
    classicMemberMetadata: member.classic && {
      sessionTimeoutMs: member.classic.sessionTimeoutMs,
      supportedProtocols: member.classic.protocols,
    },
  },
});

export const currentRecord = (group: string, member: ConsumerMember): GroupRecord => ({
  kind: 'consumerCurrent',
  group,
  member: member.memberId,
  value: {
    memberEpoch: member.epoch,
    previousMemberEpoch: member.previousEpoch,
    state: member.state,
    assignedPartitions: topicPartitionsOf(member.assigned),
    partitionsPendingRevocation: topicPartitionsOf(member.revoking),
  },
});

export const targetRecord = (group: string, member: string, target: Assignment): GroupRecord => ({
  kind: 'consumerTargetMember',
  group,
  member,
  value: { topicPartitions: topicPartitionsOf(target) },
});

export const memberTombstones = (group: string, member: string): GroupRecord[] => [
  { kind: 'consumerCurrent', group, member, value: null },
  { kind: 'consumerTargetMember', group, member, value: null },
  { kind: 'consumerMember', group, member, value: null },
];

/** Everything that is written down of a group of this protocol is taken back. */
export const consumerTombstones = (groupId: string, group: ConsumerGroup): GroupRecord[] => [
  ...[...group.members.keys()].flatMap((memberId) => memberTombstones(groupId, memberId)),
  ...[...group.regexes.keys()].map(
    (regex): GroupRecord => ({ kind: 'consumerRegex', group: groupId, regex, value: null }),
  ),
  { kind: 'consumerTarget', group: groupId, value: null },
  { kind: 'consumerGroup', group: groupId, value: null },
];

/** A group as a whole, as it is when it was made of a classic one. */
export const groupRecords = (groupId: string, group: ConsumerGroup, nowMs: number): GroupRecord[] => [
  ...[...group.members.values()].map((member) => memberRecord(groupId, member)),
  groupRecord(groupId, group),
  ...[...group.targets].map(([memberId, target]) => targetRecord(groupId, memberId, target)),
  targetsRecord(groupId, group, nowMs),
  ...[...group.members.values()].map((member) => currentRecord(groupId, member)),
];

/** The targets of all members are of this epoch. */
export const targetsRecord = (group: string, { assignmentEpoch }: ConsumerGroup, nowMs: number): GroupRecord => ({
  kind: 'consumerTarget',
  group,
  value: { assignmentEpoch, assignmentTimestamp: nowMs },
});
