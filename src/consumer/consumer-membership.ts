import type { Clock } from '../lib/clock.ts';
import { regexOf } from '../lib/regex.ts';
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
import type { GroupSettings } from './group-settings.ts';
import type { GroupJournal, GroupRecord } from './journal.ts';
import { reconciled } from './reconcile.ts';

/** The topics there are. */
export interface Topics {
  /** Changes whenever a topic comes, goes or grows. */
  readonly version: number;
  byName(name: string): { readonly id: string; readonly partitions: number } | undefined;
  /** Those that consumers may subscribe to by pattern. */
  names(): Iterable<string>;
}

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

const LEAVE_EPOCH = -1;
const refused = (error: number, message: string): ConsumerHeartbeatResult => ({
  error,
  message,
  memberId: null,
  memberEpoch: 0,
  assignment: null,
});

class Refusal extends Error {
  readonly error: number;

  constructor(error: number, message: string) {
    super(message);
    this.error = error;
  }
}

/**
 * Groups of the consumer protocol (KIP-848): the coordinator assigns, members only say by heartbeats what they want and own. A synchronous core
 * as membership.ts: every change is applied at once and written down, and answered when that is durable. Rules follow Kafka 4.3.
 */
export class ConsumerMembership {
  readonly #clock: Clock;
  readonly #settings: GroupSettings;
  readonly #journal: GroupJournal;
  readonly #topics: Topics;
  readonly #newId: () => string;

  constructor(clock: Clock, settings: GroupSettings, journal: GroupJournal, topics: Topics, newId: () => string) {
    this.#clock = clock;
    this.#settings = settings;
    this.#journal = journal;
    this.#topics = topics;
    this.#newId = newId;
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

  /** Begins the sessions of members that were loaded. */
  resume(groupId: string, group: ConsumerGroup): void {
    for (const member of group.members.values()) {
      this.#touch(groupId, group, member.memberId);
      if (member.state === MEMBER_STATE.unrevoked) this.#awaitRevocation(groupId, group, member);
    }
  }

  /** Puts a member out of its group: it left, was silent, or an administrator says so. */
  remove(groupId: string, group: ConsumerGroup, member: ConsumerMember, done: (ok: boolean) => void = () => {}): void {
    group.remove(member);
    group.epoch++;
    if (group.members.size === 0) group.emptySinceMs = this.#clock.nowMs();
    this.#journal.write([...memberTombstones(groupId, member.memberId), groupRecord(groupId, group)], done);
  }

  // ---- heartbeats

  #beat(group: ConsumerGroup, request: ConsumerHeartbeat, reply: Reply) {
    const { groupId } = request;
    const records: GroupRecord[] = [];
    const before = this.#find(group, request, records);
    const owned = request.owned === null ? null : assignmentOf(request.owned);
    if (before !== undefined) this.#checkEpoch(before, request, owned);
    let member = this.#updated(before, request);
    const isNew = before === undefined;
    const changed = before === undefined || subscriptionChanged(before, member);
    this.#resolve(group, member, request, records);
    group.put(member);
    if (changed) this.#forgetRegexes(groupId, group, records);
    const looksAgain = changed || group.topicsVersion !== this.#topics.version;
    const hash = looksAgain ? this.#metadataHash(group) : group.metadataHash;
    if (changed || hash !== group.metadataHash) {
      group.epoch++;
      group.metadataHash = hash;
      records.push(groupRecord(groupId, group));
    }
    if (group.assignmentEpoch < group.epoch) this.#assign(groupId, group, records);
    const target = { epoch: group.assignmentEpoch, assignment: group.targetOf(member.memberId) };
    const isFree = (topicId: string, partition: number): boolean => {
      const owner = group.ownerOf(topicId, partition);
      return owner === undefined || owner === member.memberId;
    };
    const assignedBefore = before?.assigned ?? NO_PARTITIONS;
    member = reconciled(member, target, owned, isFree);
    group.put(member);
    if (changed) records.push(memberRecord(groupId, member));
    if (isNew || before === undefined || hasProgressed(before, member)) records.push(currentRecord(groupId, member));
    this.#touch(groupId, group, member.memberId);
    if (member.state === MEMBER_STATE.unrevoked) this.#awaitRevocation(groupId, group, member);
    else this.#endRevocation(group, member.memberId);
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
      this.#checkRoom(group, groupId);
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
      this.#checkRoom(group, groupId);
      return undefined;
    }
    if (member.memberId === memberId) return member;
    if (member.epoch !== AWAY_EPOCH)
      throw new Refusal(E.UNRELEASED_INSTANCE_ID, `${instanceId} is a member of ${groupId} that has not left`);
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

  #checkRoom(group: ConsumerGroup, groupId: string): void {
    if (group.members.size >= this.#settings.maxSize)
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
    };
  }

  // ---- topics

  /** Finds the topics that the member's expression stands for, when it is new or topics changed. */
  #resolve(
    group: ConsumerGroup,
    member: ConsumerMember,
    { groupId, isVisible }: ConsumerHeartbeat,
    records: GroupRecord[],
  ) {
    const pattern = member.topicRegex;
    if (pattern === null || pattern === '') return;
    const { version } = this.#topics;
    const known = group.regexes.get(pattern);
    if (known?.version === version) return;
    const regex = compiled(pattern);
    const topics = new Set<string>();
    for (const name of this.#topics.names()) if (regex.matches(name) && isVisible(name)) topics.add(name);
    group.regexes.set(pattern, { topics, version });
    if (known !== undefined && known.topics.size === topics.size && [...topics].every((name) => known.topics.has(name)))
      return;
    const value = { topics: [...topics], version, timestamp: this.#clock.nowMs() };
    records.push({ kind: 'consumerRegex', group: groupId, regex: pattern, value });
  }

  #forgetRegexes(groupId: string, group: ConsumerGroup, records: GroupRecord[]): void {
    const used = new Set([...group.members.values()].map(({ topicRegex }) => topicRegex));
    for (const regex of group.regexes.keys()) {
      if (used.has(regex)) continue;
      group.regexes.delete(regex);
      records.push({ kind: 'consumerRegex', group: groupId, regex, value: null });
    }
  }

  /** Changes when a topic that is wanted comes, goes, grows or is another one by the same name. */
  #metadataHash(group: ConsumerGroup): number {
    group.topicsVersion = this.#topics.version;
    let hash = 0;
    for (const name of group.wanted()) {
      const topic = this.#topics.byName(name);
      if (topic !== undefined) hash = (hash + textHash(`${name} ${topic.id} ${topic.partitions}`)) % 2 ** 48;
    }
    return hash;
  }

  #assign(groupId: string, group: ConsumerGroup, records: GroupRecord[]): void {
    const partitions = new Map<string, number>();
    const idOf = new Map<string, string>();
    for (const name of [...group.wanted()].sort()) {
      const topic = this.#topics.byName(name);
      if (topic === undefined) continue;
      partitions.set(topic.id, topic.partitions);
      idOf.set(name, topic.id);
    }
    const subscribers = [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      topicIds: new Set([...group.wantedBy(member)].flatMap((name) => idOf.get(name) ?? [])),
      current: group.targetOf(member.memberId),
    }));
    for (const [memberId, assignment] of ASSIGNORS[group.assignor]!(subscribers, partitions)) {
      if (group.targets.has(memberId) && sameAssignment(group.targetOf(memberId), assignment)) continue;
      group.targets.set(memberId, assignment);
      records.push(targetRecord(groupId, memberId, assignment));
    }
    group.assignmentEpoch = group.epoch;
    records.push({
      kind: 'consumerTarget',
      group: groupId,
      value: { assignmentEpoch: group.assignmentEpoch, assignmentTimestamp: this.#clock.nowMs() },
    });
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
    this.#endRevocation(group, memberId);
    this.#journal.write([currentRecord(groupId, away)], done);
  }

  // ---- timers

  #touch(groupId: string, group: ConsumerGroup, memberId: string): void {
    group.sessions.get(memberId)?.cancel();
    const end = (): void => {
      const member = group.members.get(memberId);
      if (member !== undefined) this.remove(groupId, group, member);
    };
    group.sessions.set(memberId, this.#clock.setTimeout(end, this.#settings.consumerSessionTimeoutMs));
  }

  /** Whoever does not give up in time what others wait for is out. */
  #awaitRevocation(groupId: string, group: ConsumerGroup, { memberId, epoch, rebalanceTimeoutMs }: ConsumerMember) {
    if (group.revocations.has(memberId)) return;
    const end = (): void => {
      group.revocations.delete(memberId);
      const member = group.members.get(memberId);
      if (member?.state === MEMBER_STATE.unrevoked && member.epoch === epoch) this.remove(groupId, group, member);
    };
    group.revocations.set(memberId, this.#clock.setTimeout(end, Math.max(0, rebalanceTimeoutMs)));
  }

  #endRevocation(group: ConsumerGroup, memberId: string): void {
    group.revocations.get(memberId)?.cancel();
    group.revocations.delete(memberId);
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

function compiled(pattern: string) {
  try {
    return regexOf(pattern);
  } catch (thrown) {
    throw new Refusal(E.INVALID_REGULAR_EXPRESSION, thrown instanceof Error ? thrown.message : String(thrown));
  }
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

const hasProgressed = (a: ConsumerMember, b: ConsumerMember): boolean =>
  a.epoch !== b.epoch ||
  a.state !== b.state ||
  !sameAssignment(a.assigned, b.assigned) ||
  !sameAssignment(a.revoking, b.revoking);

/** FNV-1a, 32 bits. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

const groupRecord = (group: string, { epoch, metadataHash }: ConsumerGroup): GroupRecord => ({
  kind: 'consumerGroup',
  group,
  value: { epoch, metadataHash },
});

const memberRecord = (group: string, member: ConsumerMember): GroupRecord => ({
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
  },
});

const currentRecord = (group: string, member: ConsumerMember): GroupRecord => ({
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

const targetRecord = (group: string, member: string, target: Assignment): GroupRecord => ({
  kind: 'consumerTargetMember',
  group,
  member,
  value: { topicPartitions: topicPartitionsOf(target) },
});

const memberTombstones = (group: string, member: string): GroupRecord[] => [
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
