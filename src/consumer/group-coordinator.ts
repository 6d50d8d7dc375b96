/**
 * Consumer groups, of the classic protocol and of the consumer protocol (KIP-848), and the offsets they commit. A synchronous core: time comes from a Clock, what must
 * survive goes to a GroupJournal, answers leave through callbacks. `membership.ts` and `consumer-membership.ts` are the state machines of joining and
 * leaving; this file adds offsets, administration and expiry. Everything is answered with Kafka's error codes.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '../lib/clock.ts';
import { decodeConsumerSubscription } from '../protocol/consumer-protocol.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import { holds } from './assignment.ts';
import { ClassicMembers } from './classic-members.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { ConsumerGroupLoader } from './consumer-group-loader.ts';
import { type ConsumerHeartbeat, type ConsumerHeartbeatResult, ConsumerMembership } from './consumer-membership.ts';
import { consumerTombstones, groupRecords } from './consumer-records.ts';
import { type Group, type JoinResult, NOTHING, type SyncResult } from './group.ts';
import { type ConsumerTimes, GROUP_DEFAULTS, type GroupSettings, LiveGroupSettings } from './group-settings.ts';
import { GroupTargets, type Topics } from './group-targets.ts';
import type { GroupJournal, GroupRecord, Producer } from './journal.ts';
import { isGroupId, type JoinRequest, joinError, Membership, type SyncRequest } from './membership.ts';
import { CONSUMER_PROTOCOL_TYPE, downgraded, upgraded } from './migration.ts';
import type { CommittedOffset } from './offsets.ts';
import { type PendingOffset, PendingOffsets } from './pending-offsets.ts';

export interface OffsetCommit {
  readonly topic: string;
  /** UUID text; '' when there is no such topic. */
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string | null;
  /** Set by the caller when the partition cannot take a commit, for example because it does not exist. */
  readonly error?: number;
}

export interface CommitRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  readonly offsets: readonly OffsetCommit[];
  /** Set when the offsets count with the end of this producer's transaction. */
  readonly producer?: Producer;
}

export interface GroupDescription {
  readonly groupId: string;
  /** 'Dead' when there is no such group, or it is one of the consumer protocol. */
  readonly state: Group['state'];
  readonly protocolType: string;
  /** '' unless stable. */
  readonly protocolName: string;
  readonly members: readonly {
    memberId: string;
    groupInstanceId: string | null;
    clientId: string;
    clientHost: string;
    memberMetadata: Buffer;
    memberAssignment: Buffer;
  }[];
}

export type GroupType = 'classic' | 'consumer';

const NO_TOPICS: Topics = { version: 0, byName: () => undefined, names: () => [] };

export class GroupCoordinator {
  readonly #clock: Clock;
  readonly #settings: LiveGroupSettings;
  readonly #journal: GroupJournal;
  readonly #membership: Membership;
  readonly #consumers: ConsumerMembership;
  readonly #classic: ClassicMembers;
  readonly #targets: GroupTargets;
  readonly #pending = new PendingOffsets();
  #expiry: Timer | null = null;

  constructor(options: {
    clock: Clock;
    journal: GroupJournal;
    settings?: Partial<GroupSettings>;
    /** What is set for a single group. */
    groupConfig?: (groupId: string) => Partial<ConsumerTimes>;
    /** What members of the consumer protocol can be assigned. */
    topics?: Topics;
    /** Unique text for member ids; random unless a test brings its own. */
    newId?: () => string;
  }) {
    this.#clock = options.clock;
    this.#settings = new LiveGroupSettings({ ...GROUP_DEFAULTS, ...options.settings }, options.groupConfig);
    this.#journal = options.journal;
    const newId = options.newId ?? randomUUID;
    this.#membership = new Membership(this.#clock, this.#settings, this.#journal, newId);
    const targets = new GroupTargets(this.#clock, options.topics ?? NO_TOPICS);
    this.#targets = targets;
    const downgrade = (groupId: string, group: ConsumerGroup) => this.#downgrade(groupId, group);
    this.#consumers = new ConsumerMembership(this.#clock, this.#settings, this.#journal, targets, newId, downgrade);
    this.#classic = new ClassicMembers(this.#consumers, targets, this.#journal, newId);
  }

  /**
   * Takes what the journal kept, oldest first, each key once or more often; the last counts. `topicIdOf` knows the topics that
   * exist; offsets of others are let go. Then begins to expire offsets.
   */
  load(records: Iterable<GroupRecord>, topicIdOf: (topic: string) => string | undefined): void {
    const groups = new Map<string, Extract<GroupRecord, { kind: 'group' }>['value']>();
    const consumers = new ConsumerGroupLoader(this.#clock.nowMs());
    for (const record of records) {
      if (record.kind === 'group') {
        groups.set(record.group, record.value);
        continue;
      }
      if (record.kind !== 'offset') {
        consumers.take(record);
        continue;
      }
      const topicId = topicIdOf(record.topic);
      if (record.producerId !== undefined) {
        if (record.value === null || topicId === undefined) continue;
        const committed = { ...record.value, topicId };
        const { group, topic, partition } = record;
        this.#pending.add(record.producerId, [{ group, topic, partition, committed }]);
        continue;
      }
      const { offsets } = this.#membership.obtain(record.group);
      if (record.value === null || topicId === undefined) offsets.delete(record.topic, record.partition);
      else offsets.set(record.topic, record.partition, { ...record.value, topicId });
    }
    for (const [groupId, stored] of groups) if (stored !== null) this.#membership.restore(groupId, stored);
    for (const [groupId, loaded] of consumers.groups) {
      const group = this.#membership.obtain(groupId);
      // What an upgrade has left of the classic group counts no more.
      if (group.size > 0) continue;
      group.consumer = loaded;
      group.protocolType = 'consumer';
      this.#consumers.resume(groupId, loaded);
    }
    for (const group of this.#all()) {
      if (group.offsets.isEmpty && groups.get(group.id) == null && group.consumer === null)
        this.#membership.bury(group);
    }
    this.#armExpiry();
  }

  join(request: JoinRequest, reply: (result: JoinResult) => void): void {
    const group = this.#membership.groups.get(request.groupId);
    if (group?.consumer != null) {
      const error = this.#membership.checkJoin(request);
      if (error !== E.NONE) {
        reply(joinError(error, request.memberId));
        return;
      }
      this.#makeWay(group, group.consumer, request);
    }
    // A group that nobody is in changes its protocol without further ado.
    if (group?.consumer != null && group.consumer.members.size === 0) {
      this.#journal.write(consumerTombstones(group.id, group.consumer), () => {});
      group.consumer = null;
      group.protocolType = '';
    }
    if (group?.consumer != null) this.#classic.join(group.consumer, request, reply);
    else this.#membership.join(request, reply);
  }

  /** A static member that comes back with the classic protocol may have been the last one of the other: then its place is not kept. */
  #makeWay(group: Group, consumers: ConsumerGroup, { memberId, instanceId }: JoinRequest): void {
    if (instanceId === null || memberId !== '') return;
    const former = consumers.memberOfInstance(instanceId);
    if (former === undefined || former.classic !== null) return;
    const others = [...consumers.members.values()].filter((member) => member !== former);
    if (others.every(({ classic }) => classic !== null)) this.#consumers.remove(group.id, consumers, former);
  }

  /** A member of the consumer protocol joins, says that it lives, or leaves (KIP-848). */
  consumerHeartbeat(request: ConsumerHeartbeat, reply: (result: ConsumerHeartbeatResult) => void): void {
    this.#consumers.heartbeat(request, (joins) => this.#consumerGroup(request.groupId, joins), reply);
  }

  /** As members of the consumer protocol are told. */
  consumerHeartbeatIntervalMs(groupId: string): number {
    return this.#settings.of(groupId).heartbeatIntervalMs;
  }

  /** Takes other settings while groups run; see LiveGroupSettings. */
  configure(settings: Partial<GroupSettings>): void {
    this.#settings.current = { ...this.#settings.current, ...settings };
  }

  /** Undefined when there is none of this protocol. */
  consumerGroup(groupId: string): ConsumerGroup | undefined {
    return this.#membership.groups.get(groupId)?.consumer ?? undefined;
  }

  #consumerGroup(groupId: string, joins: boolean): ConsumerGroup | undefined {
    const known = this.#membership.groups.get(groupId);
    if (known?.consumer != null || !joins || !isGroupId(groupId)) return known?.consumer ?? undefined;
    if (known !== undefined && !known.isEmpty) return this.#upgrade(known);
    const group = this.#membership.obtain(groupId);
    if (group.protocolType !== '') this.#journal.write([{ kind: 'group', group: groupId, value: null }], () => {});
    group.consumer = new ConsumerGroup(this.#clock.nowMs());
    group.protocolType = CONSUMER_PROTOCOL_TYPE;
    return group.consumer;
  }

  /** A first member of the consumer protocol joins a classic group. Undefined when it must not. */
  #upgrade(group: Group): ConsumerGroup | undefined {
    const consumers = upgraded(group, this.#targets, this.#settings.current, this.#clock.nowMs());
    if (consumers === undefined) return undefined;
    this.#journal.write(
      [{ kind: 'group', group: group.id, value: null }, ...groupRecords(group.id, consumers, this.#clock.nowMs())],
      () => {},
    );
    this.#membership.clear(group);
    group.consumer = consumers;
    this.#consumers.resume(group.id, consumers);
    return consumers;
  }

  /** The last member of the consumer protocol has gone: those who are left go on as a classic group, with a rebalance. */
  #downgrade(groupId: string, consumers: ConsumerGroup): GroupRecord[] | undefined {
    const group = this.#membership.groups.get(groupId);
    const members = downgraded(consumers, this.#targets, this.#settings.current);
    if (group?.consumer !== consumers || members === undefined) return undefined;
    consumers.cancelTimers();
    group.consumer = null;
    const value = this.#membership.adopt(group, consumers.epoch, members);
    this.#membership.rebalance(group);
    return [...consumerTombstones(groupId, consumers), { kind: 'group', group: groupId, value }];
  }

  sync(request: SyncRequest, reply: (result: SyncResult) => void): void {
    const consumers = this.consumerGroup(request.groupId);
    if (consumers !== undefined) this.#classic.sync(consumers, request, reply);
    else this.#membership.sync(request, reply);
  }

  /** An error code. */
  heartbeat(groupId: string, memberId: string, instanceId: string | null, generation: number): number {
    const consumers = this.consumerGroup(groupId);
    if (consumers !== undefined) return this.#classic.heartbeat(groupId, consumers, memberId, instanceId, generation);
    return this.#membership.heartbeat(groupId, memberId, instanceId, generation);
  }

  /** An error code. */
  leave(groupId: string, memberId: string, instanceId: string | null): number {
    const consumers = this.consumerGroup(groupId);
    if (consumers !== undefined) {
      // Of the classic protocol, or by an administrator: others leave with a heartbeat.
      const member = instanceId === null ? consumers.members.get(memberId) : consumers.memberOfInstance(instanceId);
      if (member === undefined || (memberId !== '' && memberId !== member.memberId)) return E.UNKNOWN_MEMBER_ID;
      this.#consumers.remove(groupId, consumers, member);
      return E.NONE;
    }
    return this.#membership.leave(groupId, memberId, instanceId);
  }

  has(groupId: string): boolean {
    return this.#membership.groups.has(groupId);
  }

  /** Replies with an error code per offset, in order, once what was taken is durable and to be seen by `committed`. */
  commit(request: CommitRequest, reply: (errors: readonly number[]) => void) {
    const { groupId, generation, offsets, producer } = request;
    const refuse = (error: number): void => reply(offsets.map((offset) => offset.error ?? error));
    const known = this.#membership.groups.get(groupId);
    if (!isGroupId(groupId)) return refuse(E.INVALID_GROUP_ID);
    if (known === undefined && generation >= 0) return refuse(E.ILLEGAL_GENERATION);
    const group = known ?? this.#membership.obtain(groupId);
    const error =
      group.consumer === null
        ? this.#membership.checkCommit(group, request.memberId, request.instanceId, generation, producer !== undefined)
        : checkConsumerCommit(group.consumer, request, producer !== undefined);
    if (error !== E.NONE) return refuse(error);
    const commitTimestampMs = this.#clock.nowMs();
    const errors: number[] = [];
    const records: GroupRecord[] = [];
    const taken: PendingOffset[] = [];
    for (const { topic, topicId, partition, offset, leaderEpoch, metadata: note, error } of offsets) {
      const metadata = note ?? '';
      if (error !== undefined) errors.push(error);
      else if (metadata.length > this.#settings.current.offsetMetadataMaxBytes)
        errors.push(E.OFFSET_METADATA_TOO_LARGE);
      else if (offset < 0) errors.push(E.INVALID_COMMIT_OFFSET_SIZE);
      else {
        errors.push(E.NONE);
        const value = { offset, leaderEpoch, metadata, commitTimestampMs };
        taken.push({ group: groupId, topic, partition, committed: { ...value, topicId } });
        records.push({ kind: 'offset', group: groupId, topic, partition, value });
      }
    }
    if (records.length === 0) return reply(errors);
    const failed = (): void => {
      reply(errors.map((error) => (error === E.NONE ? E.COORDINATOR_NOT_AVAILABLE : error)));
    };
    if (producer !== undefined) {
      // At once: the transaction may end before this is durable, and its end comes after it in the journal.
      this.#pending.add(producer.producerId, taken);
      const done = (ok: boolean) => {
        if (ok) return reply(errors);
        this.#pending.remove(producer.producerId, taken);
        failed();
      };
      return this.#journal.write(records, done, producer);
    }
    this.#journal.write(records, (ok) => {
      if (!ok) return failed();
      this.#apply(taken);
      reply(errors);
    });
  }

  /** The producer's transaction is over: its offsets count, or are forgotten. `done` when that is durable and to be seen by `committed`. */
  endTransaction(producer: Producer, committed: boolean, done: (ok: boolean) => void): void {
    const ended = [...this.#pending.of(producer.producerId)];
    this.#journal.endTransaction(producer, committed, (ok) => {
      if (ok) {
        this.#pending.remove(producer.producerId, ended);
        if (committed) this.#apply(ended);
      }
      done(ok);
    });
  }

  /** Whether an open transaction has committed an offset for the partition (OffsetFetch with require_stable). */
  isUnstable(groupId: string, topic: string, partition: number): boolean {
    return this.#pending.has(groupId, topic, partition);
  }

  /** A group that was deleted meanwhile comes back with what was committed after it. */
  #apply(offsets: readonly PendingOffset[]): void {
    for (const { group, topic, partition, committed } of offsets) {
      this.#membership.obtain(group).offsets.set(topic, partition, committed);
    }
  }

  committed(groupId: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#membership.groups.get(groupId)?.offsets.get(topic, partition);
  }

  /** Everything a group committed. */
  *allCommitted(groupId: string): IterableIterator<{ topic: string; partition: number; committed: CommittedOffset }> {
    const group = this.#membership.groups.get(groupId);
    if (group !== undefined) yield* group.offsets.entries();
  }

  /** OffsetDelete: replies with one error for all, or with one per partition. */
  deleteOffsets(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number; readonly error?: number }[],
    reply: (error: number, errors: readonly number[]) => void,
  ) {
    const refuse = (error: number): void => reply(error, []);
    const group = this.#membership.groups.get(groupId);
    if (groupId === '') return refuse(E.INVALID_GROUP_ID);
    if (group === undefined) return refuse(E.GROUP_ID_NOT_FOUND);
    if (group.size > 0 && group.protocolType !== 'consumer') return refuse(E.NON_EMPTY_GROUP);
    const subscribed = group.consumer?.wanted() ?? subscribedTopics(group);
    const errors = partitions.map(({ topic, error }) => {
      if (error !== undefined) return error;
      return subscribed === 'unknown' || subscribed.has(topic) ? E.GROUP_SUBSCRIBED_TO_TOPIC : E.NONE;
    });
    const gone = partitions.filter((_, i) => errors[i] === E.NONE);
    this.#drop(group, gone, (ok) => (ok ? reply(E.NONE, errors) : refuse(E.COORDINATOR_NOT_AVAILABLE)));
  }

  /** DeleteGroups for one group: replies with an error code. */
  deleteGroup(groupId: string, reply: (error: number) => void) {
    const group = this.#membership.groups.get(groupId);
    if (groupId === '') return reply(E.INVALID_GROUP_ID);
    if (group === undefined) return reply(E.GROUP_ID_NOT_FOUND);
    if (!group.isEmpty) return reply(E.NON_EMPTY_GROUP);
    const records = tombstones(group, [...group.offsets.entries()]);
    this.#membership.bury(group);
    this.#journal.write(records, (ok) => reply(ok ? E.NONE : E.COORDINATOR_NOT_AVAILABLE));
  }

  describe(groupId: string): GroupDescription {
    const group = this.#membership.groups.get(groupId);
    if (group === undefined || group.consumer !== null)
      return { groupId, state: 'Dead', protocolType: '', protocolName: '', members: [] };
    const stable = group.state === 'Stable';
    return {
      groupId,
      state: group.state,
      protocolType: group.protocolType,
      protocolName: stable ? (group.protocolName ?? '') : '',
      members: [...group.members.values()].map((member) => ({
        memberId: member.id,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberMetadata: stable ? group.metadataOf(member) : NOTHING,
        memberAssignment: stable ? member.assignment : NOTHING,
      })),
    };
  }

  list(): { groupId: string; protocolType: string; state: string; type: GroupType }[] {
    return this.#all().map(({ id, protocolType, state, consumer }) => ({
      groupId: id,
      protocolType,
      state: consumer?.state ?? state,
      type: consumer === null ? 'classic' : 'consumer',
    }));
  }

  /** Whether a member that says its epoch may read the group's offsets: an error code. */
  checkFetch(groupId: string, memberId: string | null, memberEpoch: number): number {
    const group = this.consumerGroup(groupId);
    if (group === undefined || memberId === null || memberEpoch < 0) return E.NONE;
    return checkEpoch(group, memberId, memberEpoch);
  }

  /** A topic was deleted or re-created: what was committed for the topic of another id is gone. */
  topicChanged(topic: string, topicId: string | undefined): void {
    this.#pending.topicChanged(topic, topicId);
    for (const group of this.#all()) {
      const gone: { topic: string; partition: number }[] = [];
      for (const [partition, committed] of group.offsets.partitions(topic)) {
        if (committed.topicId !== topicId) gone.push({ topic, partition });
      }
      if (gone.length > 0) this.#drop(group, gone, () => {});
    }
  }

  /** Answers everyone who waits with COORDINATOR_NOT_AVAILABLE. */
  close(): void {
    this.#expiry?.cancel();
    for (const { consumer } of this.#all()) consumer?.cancelTimers();
    this.#membership.close();
  }

  #drop(group: Group, gone: readonly { topic: string; partition: number }[], done: (ok: boolean) => void) {
    if (gone.length === 0) return done(true);
    const records = gone.map(
      ({ topic, partition }): GroupRecord => ({ kind: 'offset', group: group.id, topic, partition, value: null }),
    );
    this.#journal.write(records, (ok) => {
      if (ok) for (const { topic, partition } of gone) group.offsets.delete(topic, partition);
      done(ok);
    });
  }

  /** Lets go of the offsets that groups without members committed too long ago, and of groups that hold nothing. */
  #expire() {
    const now = this.#clock.nowMs();
    const before = now - this.#settings.current.offsetsRetentionMs;
    for (const group of this.#all()) {
      if (!group.isEmpty) continue;
      const emptySinceMs = group.consumer?.emptySinceMs ?? group.stateSinceMs;
      // A group that once had members counts from when the last one went (KIP-211).
      const hadMembers = group.protocolType !== '';
      const all = [...group.offsets.entries()];
      const old = all.filter(({ committed }) => {
        return committed.commitTimestampMs <= before && (!hadMembers || emptySinceMs <= before);
      });
      if (old.length < all.length) this.#drop(group, old, () => {});
      else if (all.length > 0 || now - emptySinceMs >= this.#settings.current.offsetsRetentionCheckMs) {
        const records = tombstones(group, old);
        this.#membership.bury(group);
        this.#journal.write(records, () => {});
      }
    }
  }

  #armExpiry(): void {
    this.#expiry = this.#clock.setTimeout(() => {
      this.#expire();
      this.#armExpiry();
    }, this.#settings.current.offsetsRetentionCheckMs);
  }

  #all(): Group[] {
    return [...this.#membership.groups.values()];
  }
}

function tombstones(group: Group, offsets: readonly { topic: string; partition: number }[]): GroupRecord[] {
  return [
    ...offsets.map(
      ({ topic, partition }): GroupRecord => ({ kind: 'offset', group: group.id, topic, partition, value: null }),
    ),
    ...(group.consumer === null ? [] : consumerTombstones(group.id, group.consumer)),
    { kind: 'group', group: group.id, value: null },
  ];
}

/** The topics that the members of a consumer group want, as far as their metadata can be read. */
function subscribedTopics(group: Group): ReadonlySet<string> | 'unknown' {
  const topics = new Set<string>();
  for (const member of group.members.values()) {
    for (const { metadata } of member.protocols) {
      try {
        for (const topic of decodeConsumerSubscription(metadata).topics) topics.add(topic);
      } catch {
        return 'unknown';
      }
    }
  }
  return topics;
}

/** An error code. An epoch before the present one is good for partitions that the member still has: its commit was on the way when it got a new one. */
function checkConsumerCommit(group: ConsumerGroup, request: CommitRequest, transactional: boolean): number {
  const { memberId, instanceId, generation } = request;
  if (generation < 0 && memberId === '' && instanceId === null && transactional) return E.NONE;
  if (generation < 0) return group.members.size === 0 ? E.NONE : E.UNKNOWN_MEMBER_ID;
  const error = checkEpoch(group, memberId, generation);
  if (error !== E.STALE_MEMBER_EPOCH) return error;
  const member = group.members.get(memberId);
  if (member === undefined || generation !== member.previousEpoch) return error;
  const has = ({ topicId, partition }: OffsetCommit): boolean =>
    holds(member.assigned, topicId, partition) || holds(member.revoking, topicId, partition);
  return request.offsets.every(has) ? E.NONE : error;
}

function checkEpoch(group: ConsumerGroup, memberId: string, memberEpoch: number): number {
  const member = group.members.get(memberId);
  if (member === undefined) return E.UNKNOWN_MEMBER_ID;
  if (member.epoch === memberEpoch) return E.NONE;
  return member.classic === null ? E.STALE_MEMBER_EPOCH : E.ILLEGAL_GENERATION;
}
