import type { Clock } from '../lib/clock.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import {
  type Assignment,
  assignmentOf,
  isWithin,
  NO_PARTITIONS,
  sameAssignment,
  type TopicPartitions,
  topicPartitionsOf,
} from './assignment.ts';
import { ASSIGNORS } from './assignors.ts';
import { AWAY_EPOCH, type ConsumerGroup, type ConsumerMember, MEMBER_STATE } from './consumer-group.ts';
import { currentRecord, groupRecord, memberRecord, memberTombstones, targetRecord } from './consumer-records.ts';
import { sameProtocols } from './group.ts';
import type { LiveGroupSettings } from './group-settings.ts';
import { compiled, type GroupTargets } from './group-targets.ts';
import type { GroupJournal, GroupRecord } from './journal.ts';
import { reconciled } from './reconcile.ts';
import { Refusal } from './refusal.ts';

/** As ConsumerGroupHeartbeat has it: null, −1 mean that nothing changed. */
export interface ConsumerHeartbeat {
  readonly groupId: string;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly rebalanceTimeoutMs: number;
  readonly topicNames: readonly string[] | null;
  readonly topicRegex: string | null;
  readonly serverAssignor: string | null;
  readonly owned: readonly TopicPartitions[] | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** v1: the client brings its member id. */
  readonly bringsId: boolean;
  /** Topics that the client may know of. */
  readonly isVisible: (topic: string) => boolean;
}

export interface ConsumerHeartbeatResult {
  readonly error: number;
  readonly message: string | null;
  readonly memberId: string | null;
  readonly memberEpoch: number;
  /** Null: as it was told before. */
  readonly assignment: readonly TopicPartitions[] | null;
}

type Reply = (result: ConsumerHeartbeatResult) => void;

/** What a member's request says of it, and what it was before. */
export interface Said {
  /** Undefined for a new member. */
  readonly before: ConsumerMember | undefined;
  readonly given: ConsumerMember;
  /** Null: as it was told. */
  readonly owned: Assignment | null;
  readonly isVisible: (topic: string) => boolean;
}

/** Makes the group a classic one if only classic members are left and that is wanted; then returns what is to be written down of it. */
export type Downgrade = (groupId: string, group: ConsumerGroup) => GroupRecord[] | undefined;

const LEAVE_EPOCH = -1;
const refused = (error: number, message: string): ConsumerHeartbeatResult => ({
  error,
  message,
  memberId: null,
  memberEpoch: 0,
  assignment: null,
});

/**
 * Groups of the consumer protocol (KIP-848): the coordinator assigns, members only say by heartbeats what they want and own. A synchronous core
 * as membership.ts: every change is applied at once and written down, and answered when that is durable. Rules follow Kafka 4.3.
 */
export class ConsumerMembership {
  readonly #clock: Clock;
  readonly #settings: LiveGroupSettings;
  readonly #journal: GroupJournal;
  readonly #targets: GroupTargets;
  readonly #newId: () => string;
  readonly #downgrade: Downgrade;

  constructor(
    clock: Clock,
    settings: LiveGroupSettings,
    journal: GroupJournal,
    targets: GroupTargets,
    newId: () => string,
    downgrade: Downgrade,
  ) {
    this.#clock = clock;
    this.#settings = settings;
    this.#journal = journal;
    this.#targets = targets;
    this.#newId = newId;
    this.#downgrade = downgrade;
  }

  /** `obtain` gives the group, which is begun for who joins; undefined when it is none of this protocol. */
  heartbeat(request: ConsumerHeartbeat, obtain: (joins: boolean) => ConsumerGroup | undefined, reply: Reply): void {
    try {
      checkRequest(request);
      const group = obtain(request.memberEpoch === 0);
      if (group === undefined) throw new Refusal(E.GROUP_ID_NOT_FOUND, `there is no consumer group ${request.groupId}`);
      if (request.memberEpoch < 0) this.#leave(group, request, reply);
      else this.#beat(group, request, reply);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      reply(refused(thrown.error, thrown.message));
    }
  }

  /** Begins the sessions of members that were loaded, or came with a classic group. */
  resume(groupId: string, group: ConsumerGroup): void {
    for (const member of group.members.values()) {
      this.touch(groupId, group, member);
      this.#awaitRevocation(groupId, group, member);
    }
  }

  /** Puts a member out of its group: it left, was silent, or an administrator says so. */
  remove(groupId: string, group: ConsumerGroup, member: ConsumerMember, done: (ok: boolean) => void = () => {}): void {
    group.remove(member);
    const records = memberTombstones(groupId, member.memberId);
    const downgraded = this.#downgrade(groupId, group);
    if (downgraded !== undefined) records.push(...downgraded);
    else {
      group.epoch++;
      if (group.members.size === 0) group.emptySinceMs = this.#clock.nowMs();
      records.push(groupRecord(groupId, group));
    }
    this.#journal.write(records, done);
  }

  /**
   * What every request of a member ends in: the member is taken as it says it is, the group's epoch and targets follow, and it goes a step
   * towards its own. Returns what it is then; what is to be written down is added to the records.
   */
  advance(
    groupId: string,
    group: ConsumerGroup,
    { before, given, owned, isVisible }: Said,
    records: GroupRecord[],
  ): ConsumerMember {
    const wantsOther = before === undefined || subscriptionChanged(before, given);
    this.#targets.resolve(group, given, groupId, isVisible, records);
    group.put(given);
    if (wantsOther) this.#targets.forgetRegexes(groupId, group, records);
    const looksAgain = wantsOther || group.topicsVersion !== this.#targets.version;
    const hash = looksAgain ? this.#targets.metadataHash(group) : group.metadataHash;
    if (wantsOther || hash !== group.metadataHash) {
      group.epoch++;
      group.metadataHash = hash;
      records.push(groupRecord(groupId, group));
    }
    if (group.assignmentEpoch < group.epoch) this.#targets.assign(groupId, group, records);
    const target = { epoch: group.assignmentEpoch, assignment: group.targetOf(given.memberId) };
    const isFree = (topicId: string, partition: number): boolean => {
      const owner = group.ownerOf(topicId, partition);
      return owner === undefined || owner === given.memberId;
    };
    const member = reconciled(given, target, owned, isFree);
    group.put(member);
    if (wantsOther || classicChanged(before, member)) records.push(memberRecord(groupId, member));
    if (before === undefined || hasProgressed(before, member)) records.push(currentRecord(groupId, member));
    this.touch(groupId, group, member);
    this.#awaitRevocation(groupId, group, member);
    return member;
  }

  // ---- heartbeats

  #beat(group: ConsumerGroup, request: ConsumerHeartbeat, reply: Reply) {
    const { groupId, isVisible } = request;
    const records: GroupRecord[] = [];
    const before = this.#find(group, request, records);
    const owned = request.owned === null ? null : assignmentOf(request.owned);
    if (before !== undefined) this.#checkEpoch(before, request, owned);
    const assignedBefore = before?.assigned ?? NO_PARTITIONS;
    const said = { before, given: this.#updated(before, request), owned, isVisible };
    const member = this.advance(groupId, group, said, records);
    const complete = request.memberEpoch === 0 || isComplete(request);
    // Who owns something else than what it was told may have missed an answer.
    const differs = owned !== null && !sameAssignment(owned, member.assigned);
    const tells = complete || differs || !sameAssignment(assignedBefore, member.assigned);
    const result: ConsumerHeartbeatResult = {
      error: E.NONE,
      message: null,
      memberId: member.memberId,
      memberEpoch: member.epoch,
      assignment: tells ? topicPartitionsOf(member.assigned) : null,
    };
    if (records.length === 0) return reply(result);
    this.#journal.write(records, (ok) => {
      reply(ok ? result : refused(E.COORDINATOR_NOT_AVAILABLE, 'the change could not be written down'));
    });
  }

  /** The member that the request is from; undefined for a new one. A static member that comes back under another id takes its place. */
  #find(group: ConsumerGroup, request: ConsumerHeartbeat, records: GroupRecord[]): ConsumerMember | undefined {
    const { memberId, memberEpoch, instanceId, groupId } = request;
    if (instanceId === null) {
      const member = group.members.get(memberId);
      if (member !== undefined) return member;
      if (memberEpoch !== 0) throw new Refusal(E.UNKNOWN_MEMBER_ID, `${memberId} is no member of ${groupId}`);
      this.checkRoom(group, groupId);
      return undefined;
    }
    const member = group.memberOfInstance(instanceId);
    if (memberEpoch !== 0) {
      if (member === undefined) throw new Refusal(E.UNKNOWN_MEMBER_ID, `${instanceId} is no member of ${groupId}`);
      if (member.memberId !== memberId)
        throw new Refusal(E.FENCED_INSTANCE_ID, `${instanceId} is another member by now`);
      return member;
    }
    if (member === undefined) {
      this.checkRoom(group, groupId);
      return undefined;
    }
    if (member.memberId === memberId) return member;
    // A classic member that is static does not say that it leaves.
    if (member.epoch !== AWAY_EPOCH && member.classic === null)
      throw new Refusal(E.UNRELEASED_INSTANCE_ID, `${instanceId} is a member of ${groupId} that has not left`);
    return this.replace(groupId, group, member, memberId, records);
  }

  /** A static member that comes back under another id takes its place. */
  replace(
    groupId: string,
    group: ConsumerGroup,
    member: ConsumerMember,
    memberId: string,
    records: GroupRecord[],
  ): ConsumerMember {
    const successor: ConsumerMember = { ...member, memberId, epoch: 0, previousEpoch: 0, state: MEMBER_STATE.stable };
    const target = group.targetOf(member.memberId);
    group.remove(member);
    group.put(successor);
    group.targets.set(memberId, target);
    records.push(
      ...memberTombstones(groupId, member.memberId),
      memberRecord(groupId, successor),
      targetRecord(groupId, memberId, target),
    );
    return successor;
  }

  /** GROUP_MAX_SIZE_REACHED */
  checkRoom(group: ConsumerGroup, groupId: string): void {
    if (group.members.size >= this.#settings.current.consumerMaxSize)
      throw new Refusal(E.GROUP_MAX_SIZE_REACHED, `${groupId} has ${group.members.size} members`);
  }

  /** A member that lost our last answer says the epoch before; it may go on if it owns nothing but what it is to have. */
  #checkEpoch(member: ConsumerMember, { memberEpoch }: ConsumerHeartbeat, owned: Assignment | null): void {
    if (memberEpoch === 0 || memberEpoch === member.epoch) return;
    const repeats =
      memberEpoch < member.epoch &&
      memberEpoch === member.previousEpoch &&
      owned !== null &&
      isWithin(owned, member.assigned);
    if (repeats) return;
    throw new Refusal(
      E.FENCED_MEMBER_EPOCH,
      `${member.memberId} says epoch ${memberEpoch} and has ${member.epoch}: it must join again`,
    );
  }

  #updated(before: ConsumerMember | undefined, request: ConsumerHeartbeat): ConsumerMember {
    const { memberId, rebalanceTimeoutMs, topicNames, topicRegex, clientId, clientHost } = request;
    return {
      memberId: before?.memberId ?? (memberId === '' ? this.#newId() : memberId),
      instanceId: request.instanceId ?? before?.instanceId ?? null,
      rackId: request.rackId ?? before?.rackId ?? null,
      clientId,
      clientHost,
      rebalanceTimeoutMs: rebalanceTimeoutMs >= 0 ? rebalanceTimeoutMs : (before?.rebalanceTimeoutMs ?? -1),
      serverAssignor: request.serverAssignor ?? before?.serverAssignor ?? null,
      topicNames: topicNames === null ? (before?.topicNames ?? []) : [...new Set(topicNames)].sort(),
      topicRegex: topicRegex ?? before?.topicRegex ?? null,
      epoch: before?.epoch ?? 0,
      previousEpoch: before?.previousEpoch ?? 0,
      state: before?.state ?? MEMBER_STATE.stable,
      assigned: before?.assigned ?? NO_PARTITIONS,
      revoking: before?.revoking ?? NO_PARTITIONS,
      classic: null,
    };
  }

  // ---- leaving

  #leave(group: ConsumerGroup, request: ConsumerHeartbeat, reply: Reply) {
    const { memberId, memberEpoch, instanceId, groupId } = request;
    const member = instanceId === null ? group.members.get(memberId) : group.memberOfInstance(instanceId);
    if (member === undefined)
      throw new Refusal(E.UNKNOWN_MEMBER_ID, `${instanceId ?? memberId} is no member of ${groupId}`);
    if (member.memberId !== memberId) throw new Refusal(E.FENCED_INSTANCE_ID, `${instanceId} is another member by now`);
    const done = (ok: boolean) => {
      if (!ok) return reply(refused(E.COORDINATOR_NOT_AVAILABLE, 'the change could not be written down'));
      reply({ error: E.NONE, message: null, memberId, memberEpoch, assignment: null });
    };
    if (memberEpoch === LEAVE_EPOCH) return this.remove(groupId, group, member, done);
    // It keeps its place until its session ends.
    const away: ConsumerMember = { ...member, epoch: AWAY_EPOCH, revoking: NO_PARTITIONS, state: MEMBER_STATE.stable };
    group.put(away);
    this.endDuty(group, memberId);
    this.#journal.write([currentRecord(groupId, away)], done);
  }

  // ---- timers

  /** The member was heard of: it has a session's time from now. */
  touch(groupId: string, group: ConsumerGroup, { memberId, classic }: ConsumerMember): void {
    group.sessions.get(memberId)?.cancel();
    const end = (): void => {
      const member = group.members.get(memberId);
      if (member !== undefined) this.remove(groupId, group, member);
    };
    const forMs = classic?.sessionTimeoutMs ?? this.#settings.of(groupId).sessionTimeoutMs;
    group.sessions.set(memberId, this.#clock.setTimeout(end, forMs));
  }

  /**
   * Others wait for the member to do something: if it still owes that after its rebalance timeout it is out. One duty at a time; a further one
   * does not prolong the first.
   */
  awaitDuty(groupId: string, group: ConsumerGroup, member: ConsumerMember, owes: (member: ConsumerMember) => boolean) {
    const { memberId, rebalanceTimeoutMs } = member;
    if (group.duties.has(memberId)) return;
    const end = (): void => {
      group.duties.delete(memberId);
      const now = group.members.get(memberId);
      if (now !== undefined && owes(now)) this.remove(groupId, group, now);
    };
    group.duties.set(memberId, this.#clock.setTimeout(end, Math.max(0, rebalanceTimeoutMs)));
  }

  endDuty(group: ConsumerGroup, memberId: string): void {
    group.duties.get(memberId)?.cancel();
    group.duties.delete(memberId);
  }

  #awaitRevocation(groupId: string, group: ConsumerGroup, { memberId, state, epoch, classic }: ConsumerMember) {
    // Those of the classic protocol owe a JoinGroup instead.
    if (classic !== null) return;
    if (state !== MEMBER_STATE.unrevoked) return this.endDuty(group, memberId);
    const member = group.members.get(memberId)!;
    this.awaitDuty(groupId, group, member, (now) => now.state === MEMBER_STATE.unrevoked && now.epoch === epoch);
  }
}

function checkRequest(request: ConsumerHeartbeat): void {
  const invalid = (message: string): Refusal => new Refusal(E.INVALID_REQUEST, message);
  const { memberId, memberEpoch, instanceId, rackId, topicRegex, topicNames, owned, serverAssignor } = request;
  if (request.groupId === '') throw invalid('the group id is empty');
  if (instanceId === '') throw invalid('the instance id is empty');
  if (rackId === '') throw invalid('the rack id is empty');
  if (memberEpoch < AWAY_EPOCH) throw invalid(`there is no epoch ${memberEpoch}`);
  if (memberId === '' && (request.bringsId || memberEpoch !== 0)) throw invalid('the member id is empty');
  if (memberEpoch === AWAY_EPOCH && instanceId === null) throw invalid('only a static member can be away');
  if (memberEpoch === 0) {
    if (request.rebalanceTimeoutMs < 0) throw invalid('who joins says its rebalance timeout');
    if (owned === null || owned.length > 0) throw invalid('who joins owns nothing');
    if (topicNames === null && (topicRegex === null || topicRegex === ''))
      throw invalid('who joins says what it wants');
  }
  if (serverAssignor !== null && !(serverAssignor in ASSIGNORS)) {
    const known = Object.keys(ASSIGNORS).join(', ');
    throw new Refusal(E.UNSUPPORTED_ASSIGNOR, `there is no assignor ${serverAssignor}; there are ${known}`);
  }
  if (topicRegex !== null && topicRegex !== '') compiled(topicRegex);
}

const isComplete = ({ rebalanceTimeoutMs, topicNames, topicRegex, owned }: ConsumerHeartbeat): boolean =>
  rebalanceTimeoutMs >= 0 && (topicNames !== null || topicRegex !== null) && owned !== null;

const subscriptionChanged = (a: ConsumerMember, b: ConsumerMember): boolean =>
  a.topicRegex !== b.topicRegex ||
  a.serverAssignor !== b.serverAssignor ||
  a.rackId !== b.rackId ||
  a.rebalanceTimeoutMs !== b.rebalanceTimeoutMs ||
  a.topicNames.length !== b.topicNames.length ||
  a.topicNames.some((name, at) => name !== b.topicNames[at]);

const classicChanged = (a: ConsumerMember | undefined, b: ConsumerMember): boolean =>
  a?.classic !== b.classic &&
  (a?.classic == null ||
    b.classic === null ||
    a.classic.sessionTimeoutMs !== b.classic.sessionTimeoutMs ||
    !sameProtocols(a.classic.protocols, b.classic.protocols));

const hasProgressed = (a: ConsumerMember, b: ConsumerMember): boolean =>
  a.epoch !== b.epoch ||
  a.state !== b.state ||
  !sameAssignment(a.assigned, b.assigned) ||
  !sameAssignment(a.revoking, b.revoking);
