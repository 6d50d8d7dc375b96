import { decodeConsumerSubscription, encodeConsumerAssignment } from '../protocol/consumer-protocol.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import { holds, partitionsOf, topicPartitionsOf } from './assignment.ts';
import { type ConsumerGroup, type ConsumerMember, MEMBER_STATE } from './consumer-group.ts';
import type { ConsumerMembership } from './consumer-membership.ts';
import { groupRecord } from './consumer-records.ts';
import type { JoinResult, SyncResult } from './group.ts';
import type { GroupTargets } from './group-targets.ts';
import type { GroupJournal, GroupRecord } from './journal.ts';
import { type JoinRequest, joinError, type SyncRequest, syncError } from './membership.ts';
import { CONSUMER_PROTOCOL_TYPE } from './migration.ts';
import { Refusal } from './refusal.ts';

/**
 * Members of the classic protocol in a group of the consumer protocol (KIP-848, "Supporting online consumer group upgrade"). A JoinGroup is to them what
 * a heartbeat is to the others: it says what the member wants and still owns, and is answered at once; nobody leads. The generation is the
 * member's epoch, SyncGroup tells what it has, and a Heartbeat asks it to join again when there is something to give up or to get. Who is asked has
 * its rebalance timeout for that. Rules follow Kafka 4.3.
 */
export class ClassicMembers {
  readonly #consumers: ConsumerMembership;
  readonly #targets: GroupTargets;
  readonly #journal: GroupJournal;
  readonly #newId: () => string;

  constructor(consumers: ConsumerMembership, targets: GroupTargets, journal: GroupJournal, newId: () => string) {
    this.#consumers = consumers;
    this.#targets = targets;
    this.#journal = journal;
    this.#newId = newId;
  }

  join(group: ConsumerGroup, request: JoinRequest, reply: (result: JoinResult) => void) {
    const { groupId, memberId: asked, instanceId, clientId, rebalanceTimeoutMs, sessionTimeoutMs } = request;
    const memberId = asked === '' ? `${instanceId ?? clientId}-${this.#newId()}` : asked;
    if (!isSupported(group, request)) return reply(joinError(E.INCONSISTENT_GROUP_PROTOCOL, asked));
    const protocols = request.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
    const records: GroupRecord[] = [];
    try {
      if (asked === '' && instanceId === null && request.requiresKnownId) {
        this.#consumers.checkRoom(group, groupId);
        return reply(joinError(E.MEMBER_ID_REQUIRED, memberId));
      }
      const subscription = subscriptionOf(protocols[0]!.metadata);
      const before = this.#find(group, request, memberId, records);
      const given: ConsumerMember = {
        memberId,
        instanceId,
        rackId: subscription.rackId === '' ? null : (subscription.rackId ?? before?.rackId ?? null),
        clientId,
        clientHost: request.clientHost,
        rebalanceTimeoutMs,
        serverAssignor: before?.serverAssignor ?? null,
        topicNames: [...new Set(subscription.topics)].sort(),
        topicRegex: null,
        epoch: before?.epoch ?? 0,
        previousEpoch: before?.previousEpoch ?? 0,
        state: before?.state ?? MEMBER_STATE.stable,
        assigned: before?.assigned ?? new Map(),
        revoking: before?.revoking ?? new Map(),
        classic: { sessionTimeoutMs, protocols },
      };
      const owned = this.#targets.byIds(subscription.ownedPartitions);
      const said = { before, given, owned, isVisible: () => true };
      const member = this.#consumers.advance(groupId, group, said, records);
      this.#consumers.endDuty(group, memberId);
      this.#owes(groupId, group, member);
      const result: JoinResult = {
        error: E.NONE,
        generation: member.epoch,
        protocolType: CONSUMER_PROTOCOL_TYPE,
        protocolName: protocols[0]!.name,
        leader: '',
        memberId,
        members: [],
        skipAssignment: false,
      };
      if (records.length === 0) return reply(result);
      this.#journal.write(records, (ok) => reply(ok ? result : joinError(E.COORDINATOR_NOT_AVAILABLE, memberId)));
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      if (records.length > 0) this.#journal.write(records, () => {});
      reply(joinError(thrown.error, asked));
    }
  }

  sync(group: ConsumerGroup, request: SyncRequest, reply: (result: SyncResult) => void) {
    const { groupId, generation, protocolType, protocolName } = request;
    const member = this.#member(group, request.memberId, request.instanceId);
    if (typeof member === 'number') return reply(syncError(member));
    if (generation !== member.epoch) return reply(syncError(E.ILLEGAL_GENERATION));
    const { name } = member.classic!.protocols[0]!;
    if ((protocolType ?? CONSUMER_PROTOCOL_TYPE) !== CONSUMER_PROTOCOL_TYPE || (protocolName ?? name) !== name)
      return reply(syncError(E.INCONSISTENT_GROUP_PROTOCOL));
    // Who has to give something up learns by this answer what it keeps, whatever else has happened.
    if (group.epoch > member.epoch && member.state !== MEMBER_STATE.unrevoked) {
      this.#owes(groupId, group, member);
      return reply(syncError(E.REBALANCE_IN_PROGRESS));
    }
    this.#consumers.endDuty(group, member.memberId);
    this.#consumers.touch(groupId, group, member);
    reply({
      error: E.NONE,
      protocolType: CONSUMER_PROTOCOL_TYPE,
      protocolName: name,
      assignment: this.#assignmentOf(group, member),
    });
  }

  /** An error code. */
  heartbeat(
    groupId: string,
    group: ConsumerGroup,
    memberId: string,
    instanceId: string | null,
    generation: number,
  ): number {
    const member = this.#member(group, memberId, instanceId);
    if (typeof member === 'number') return member;
    if (generation !== member.epoch) return E.ILLEGAL_GENERATION;
    this.#consumers.touch(groupId, group, member);
    if (this.#targets.hasChanged(group)) {
      group.epoch++;
      this.#journal.write([groupRecord(groupId, group)], () => {});
    }
    const shouldJoin =
      member.epoch < group.epoch ||
      member.state === MEMBER_STATE.unrevoked ||
      (member.state === MEMBER_STATE.unreleased && isReleased(group, member));
    if (!shouldJoin) return E.NONE;
    this.#owes(groupId, group, member);
    return E.REBALANCE_IN_PROGRESS;
  }

  #find(group: ConsumerGroup, request: JoinRequest, memberId: string, records: GroupRecord[]) {
    const { groupId, instanceId } = request;
    const member = instanceId === null ? group.members.get(memberId) : group.memberOfInstance(instanceId);
    if (member === undefined) {
      if (instanceId !== null && request.memberId !== '')
        throw new Refusal(E.UNKNOWN_MEMBER_ID, `${instanceId} is no member of ${groupId}`);
      this.#consumers.checkRoom(group, groupId);
      return undefined;
    }
    if (member.memberId === memberId) return member;
    if (request.memberId !== '') throw new Refusal(E.FENCED_INSTANCE_ID, `${instanceId} is another member by now`);
    return this.#consumers.replace(groupId, group, member, memberId, records);
  }

  /** An error code when the request does not come from a classic member that it names. */
  #member(group: ConsumerGroup, memberId: string, instanceId: string | null): ConsumerMember | number {
    const member = instanceId === null ? group.members.get(memberId) : group.memberOfInstance(instanceId);
    if (member === undefined) return E.UNKNOWN_MEMBER_ID;
    if (member.memberId !== memberId) return E.FENCED_INSTANCE_ID;
    return member.classic === null ? E.UNKNOWN_MEMBER_ID : member;
  }

  /** The member is to send the next JoinGroup or SyncGroup. */
  #owes(groupId: string, group: ConsumerGroup, member: ConsumerMember): void {
    this.#consumers.awaitDuty(groupId, group, member, () => true);
  }

  #assignmentOf(group: ConsumerGroup, member: ConsumerMember): Buffer {
    const topics = this.#targets.byNames(group.wantedBy(member), topicPartitionsOf(member.assigned));
    return encodeConsumerAssignment(topics);
  }
}

/** Whether the other classic members could still agree on a protocol: they may become a classic group again. */
function isSupported(group: ConsumerGroup, { memberId, protocolType, protocols }: JoinRequest): boolean {
  if (protocolType !== CONSUMER_PROTOCOL_TYPE || protocols.length === 0) return false;
  const others = [...group.members.values()].filter(
    (member) => member.classic !== null && member.memberId !== memberId,
  );
  return protocols.some(({ name }) =>
    others.every((member) => member.classic!.protocols.some((known) => known.name === name)),
  );
}

/** Whether nobody has any more what the member waits for. */
function isReleased(group: ConsumerGroup, member: ConsumerMember): boolean {
  for (const [topicId, partition] of partitionsOf(group.targetOf(member.memberId))) {
    if (holds(member.assigned, topicId, partition)) continue;
    const owner = group.ownerOf(topicId, partition);
    if (owner !== undefined && owner !== member.memberId) return false;
  }
  return true;
}

/** INCONSISTENT_GROUP_PROTOCOL */
function subscriptionOf(metadata: Buffer) {
  try {
    return decodeConsumerSubscription(metadata);
  } catch {
    throw new Refusal(E.INCONSISTENT_GROUP_PROTOCOL, 'the subscription of the consumer cannot be read');
  }
}
