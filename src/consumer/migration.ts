/**
 * Groups that change their protocol while members are in them (KIP-848): a classic group becomes one of the consumer protocol when a first member
 * of that joins, and a classic one again when the last of them goes. Data only; who is to be told, and when, is the coordinator's.
 */
import {
  type ConsumerAssignment,
  decodeConsumerAssignment,
  decodeConsumerSubscription,
  encodeConsumerAssignment,
} from '../protocol/consumer-protocol.ts';
import { topicPartitionsOf } from './assignment.ts';
import { ConsumerGroup, type ConsumerMember, MEMBER_STATE } from './consumer-group.ts';
import type { Group, Member } from './group.ts';
import type { GroupSettings, MigrationPolicy } from './group-settings.ts';
import type { GroupTargets } from './group-targets.ts';

/** What consumers say is their protocol type; Kafka Connect, for one, says another. */
export const CONSUMER_PROTOCOL_TYPE = 'consumer';

const allows = (policy: MigrationPolicy, way: 'upgrade' | 'downgrade'): boolean =>
  policy === 'bidirectional' || policy === way;

/**
 * A group with members as one of the consumer protocol: everyone has what the last assignment gave it, at the epoch of the generation. Undefined when it must
 * not become one: the settings forbid it, it is not of consumers, or what they say of themselves cannot be read.
 */
export function upgraded(
  group: Group,
  targets: GroupTargets,
  { migrationPolicy, consumerMaxSize }: GroupSettings,
  nowMs: number,
): ConsumerGroup | undefined {
  if (!allows(migrationPolicy, 'upgrade') || group.protocolType !== CONSUMER_PROTOCOL_TYPE) return undefined;
  if (group.size >= consumerMaxSize) return undefined;
  const made = new ConsumerGroup(nowMs);
  made.epoch = group.generation;
  made.assignmentEpoch = group.generation;
  const protocolName = group.protocolName ?? group.elect();
  for (const member of group.members.values()) {
    const read = readMember(member, protocolName);
    if (read === undefined) return undefined;
    const assigned = targets.byIds(read.assignedPartitions);
    made.put({
      memberId: member.id,
      instanceId: member.instanceId,
      rackId: read.rackId === '' ? null : read.rackId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      serverAssignor: null,
      topicNames: [...new Set(read.topics)].sort(),
      topicRegex: null,
      epoch: group.generation,
      previousEpoch: group.generation,
      state: MEMBER_STATE.stable,
      assigned,
      revoking: new Map(),
      classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: member.protocols },
    });
    made.targets.set(member.id, assigned);
  }
  return made;
}

function readMember({ protocols, assignment }: Member, protocolName: string) {
  const metadata = protocols.find(({ name }) => name === protocolName)?.metadata ?? protocols[0]?.metadata;
  if (metadata === undefined) return undefined;
  try {
    const { topics, rackId } = decodeConsumerSubscription(metadata);
    // Who has not been through a generation has nothing.
    const none: Pick<ConsumerAssignment, 'assignedPartitions'> = { assignedPartitions: [] };
    const { assignedPartitions } = assignment.length === 0 ? none : decodeConsumerAssignment(assignment);
    return { topics, rackId, assignedPartitions };
  } catch {
    return undefined;
  }
}

/** The members of a classic group, when all that are left are of that protocol and the settings allow it. */
export function downgraded(
  group: ConsumerGroup,
  targets: GroupTargets,
  { migrationPolicy, maxSize }: GroupSettings,
): Member[] | undefined {
  const { size } = group.members;
  if (!allows(migrationPolicy, 'downgrade') || size === 0 || size > maxSize) return undefined;
  const members: Member[] = [];
  for (const member of group.members.values()) {
    if (member.classic === null) return undefined;
    members.push(classicMember(group, member, targets));
  }
  return members;
}

function classicMember(group: ConsumerGroup, member: ConsumerMember, targets: GroupTargets): Member {
  const topics = targets.byNames(group.wantedBy(member), topicPartitionsOf(member.assigned));
  const { sessionTimeoutMs, protocols } = member.classic!;
  return {
    id: member.memberId,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    protocols,
    assignment: encodeConsumerAssignment(topics),
    join: null,
    sync: null,
    isNew: false,
    deadlineMs: 0,
    timer: null,
    timerAtMs: 0,
  };
}
