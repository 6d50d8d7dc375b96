import { assert } from '../lib/assert.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import {
  Group,
  type GroupProtocol,
  type GroupState,
  type JoinResult,
  type Member,
  NOTHING,
  type SyncResult,
  sameProtocols,
} from './group.ts';
import type { LiveGroupSettings } from './group-settings.ts';
import type { GroupJournal, StoredGroup } from './journal.ts';

export interface JoinRequest {
  readonly groupId: string;
  /** '' for a member that has no id yet. */
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  /** JoinGroup v4+: a new dynamic member gets its id first and joins with it (KIP-394). */
  readonly requiresKnownId: boolean;
  /** JoinGroup v9+. */
  readonly canSkipAssignment: boolean;
}

export interface SyncRequest {
  readonly groupId: string;
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly generation: number;
  /** Null before v5: not compared. */
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  /** From the leader. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[];
}

/** Names are written down and shown with a length of 16 bits, as bytes; a character takes at most three, an id some more. */
const MOST_NAME = 10_000;

export const isGroupId = (groupId: string): boolean => groupId !== '' && groupId.length <= MOST_NAME;

/** A new member may wait this long for its first generation before it is taken for gone. Kafka's value. */
const NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000;

/**
 * Who belongs to which group: the state machine of classic groups without any I/O.
 *
 *   Empty ─join─▶ PreparingRebalance ─barrier─▶ CompletingRebalance ─leader's sync─▶ Stable
 *                    ▲  everyone's JoinGroup waits            SyncGroup waits         │
 *                    └─────────── a member joins, changes, leaves or is evicted ◀─────┘
 *
 * Every JoinGroup and SyncGroup is answered exactly once, whatever becomes of the group. Rules follow Kafka 4.3.
 */
export class Membership {
  readonly #clock: Clock;
  readonly #settings: LiveGroupSettings;
  readonly #journal: GroupJournal;
  readonly #newId: () => string;
  readonly groups = new Map<string, Group>();

  constructor(clock: Clock, settings: LiveGroupSettings, journal: GroupJournal, newId: () => string) {
    this.#clock = clock;
    this.#settings = settings;
    this.#journal = journal;
    this.#newId = newId;
  }

  /** The group, begun if there is none. */
  obtain(groupId: string): Group {
    let group = this.groups.get(groupId);
    if (group === undefined) {
      group = new Group(groupId, this.#clock.nowMs());
      this.groups.set(groupId, group);
    }
    return group;
  }

  join(given: JoinRequest, reply: (result: JoinResult) => void) {
    const refuse = (error: number, memberId = given.memberId): void => reply(joinError(error, memberId));
    const { groupId, memberId, instanceId } = given;
    const error = this.checkJoin(given);
    if (error !== E.NONE) return refuse(error);
    const known = this.groups.get(groupId);
    if (known === undefined && memberId !== '') return refuse(E.UNKNOWN_MEMBER_ID);
    if (known !== undefined && !known.accepts(given.protocolType, given.protocols)) {
      return refuse(E.INCONSISTENT_GROUP_PROTOCOL);
    }
    if (known === undefined && (given.protocolType === '' || given.protocols.length === 0)) {
      return refuse(E.INCONSISTENT_GROUP_PROTOCOL);
    }
    // The metadata are views of a network frame; kept as they are, they would keep all of it.
    const protocols = given.protocols.map(({ name, metadata }) => ({ name, metadata: Buffer.from(metadata) }));
    const request = { ...given, protocols };
    const group = this.obtain(groupId);
    if (memberId === '') return this.#joinNew(group, request, reply);
    const pending = group.pending.get(memberId);
    if (pending !== undefined && instanceId === null) {
      pending.cancel();
      group.pending.delete(memberId);
      return this.#admit(group, request, memberId, reply);
    }
    const member = this.#find(group, memberId, instanceId);
    if (typeof member === 'number') return refuse(member);
    return this.#rejoin(group, member, request, reply);
  }

  /** Whether a JoinGroup may be looked at, whatever the group: an error code. */
  checkJoin({ groupId, sessionTimeoutMs }: JoinRequest): number {
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#settings.current;
    if (groupId === '') return E.INVALID_GROUP_ID;
    const isBound = sessionTimeoutMs >= minSessionTimeoutMs && sessionTimeoutMs <= maxSessionTimeoutMs;
    return isBound ? E.NONE : E.INVALID_SESSION_TIMEOUT;
  }

  sync(request: SyncRequest, reply: (result: SyncResult) => void) {
    const refuse = (error: number): void => reply(syncError(error));
    const { generation, protocolType, protocolName } = request;
    const group = this.groups.get(request.groupId);
    if (request.groupId === '') return refuse(E.INVALID_GROUP_ID);
    if (group === undefined) return refuse(E.UNKNOWN_MEMBER_ID);
    const member = this.#find(group, request.memberId, request.instanceId);
    if (typeof member === 'number') return refuse(member);
    if (generation !== group.generation) return refuse(E.ILLEGAL_GENERATION);
    if (
      (protocolType !== null && protocolType !== group.protocolType) ||
      (protocolName !== null && protocolName !== group.protocolName)
    ) {
      return refuse(E.INCONSISTENT_GROUP_PROTOCOL);
    }
    switch (group.state) {
      case 'PreparingRebalance':
        return refuse(E.REBALANCE_IN_PROGRESS);
      case 'Stable':
        this.touch(group, member);
        return reply(syncResult(group, member));
      case 'CompletingRebalance':
        member.sync?.(syncError(E.REBALANCE_IN_PROGRESS));
        member.sync = reply;
        if (member.id === group.leaderId) this.#storeAssignment(group, request.assignments);
        return;
      default:
        return refuse(E.UNKNOWN_MEMBER_ID);
    }
  }

  /** An error code. */
  heartbeat(groupId: string, memberId: string, instanceId: string | null, generation: number): number {
    if (groupId === '') return E.INVALID_GROUP_ID;
    const group = this.groups.get(groupId);
    if (group === undefined) return E.UNKNOWN_MEMBER_ID;
    const member = this.#find(group, memberId, instanceId);
    if (typeof member === 'number') return member;
    if (generation !== group.generation) return E.ILLEGAL_GENERATION;
    this.touch(group, member);
    return group.state === 'PreparingRebalance' ? E.REBALANCE_IN_PROGRESS : E.NONE;
  }

  /** An error code. A static member may be named by its instance id alone, by an administrator. */
  leave(groupId: string, memberId: string, instanceId: string | null): number {
    if (groupId === '') return E.INVALID_GROUP_ID;
    const group = this.groups.get(groupId);
    if (group === undefined) return E.UNKNOWN_MEMBER_ID;
    const pending = group.pending.get(memberId);
    if (pending !== undefined) {
      pending.cancel();
      this.#forgetPending(group, memberId);
      return E.NONE;
    }
    const byInstance = memberId === '' && instanceId !== null;
    const member = byInstance
      ? (group.memberOfInstance(instanceId) ?? E.UNKNOWN_MEMBER_ID)
      : this.#find(group, memberId, instanceId);
    if (typeof member === 'number') return member;
    this.#evict(group, member);
    return E.NONE;
  }

  /** Whether a commit may be taken: an error code. Generation −1 without a member is a commit from outside the group. */
  checkCommit(
    group: Group,
    memberId: string,
    instanceId: string | null,
    generation: number,
    transactional = false,
  ): number {
    // A producer that does not say for whom it commits is fenced by its epoch (before KIP-447).
    if (transactional && generation < 0 && memberId === '' && instanceId === null) return E.NONE;
    if (generation < 0 && memberId === '' && instanceId === null) {
      return group.state === 'Empty' ? E.NONE : E.UNKNOWN_MEMBER_ID;
    }
    if (generation < 0 && group.state === 'Empty') return E.NONE;
    const member = this.#find(group, memberId, instanceId);
    if (typeof member === 'number') return member;
    if (generation !== group.generation) return E.ILLEGAL_GENERATION;
    if (group.state === 'CompletingRebalance' && !transactional) return E.REBALANCE_IN_PROGRESS;
    this.touch(group, member);
    return E.NONE;
  }

  /** Takes a group as it was written down before a restart; its members have a session's time to be heard of. */
  restore(groupId: string, stored: StoredGroup): void {
    const group = this.obtain(groupId);
    assert(group.size === 0, 'a group is restored once');
    group.protocolType = stored.protocolType;
    group.generation = stored.generation;
    group.stateSinceMs = stored.currentStateTimestamp;
    if (stored.members.length === 0) return;
    group.protocolName = stored.protocol;
    group.state = 'Stable';
    for (const { memberId, groupInstanceId, subscription, assignment, ...rest } of stored.members) {
      const member: Member = {
        id: memberId,
        instanceId: groupInstanceId,
        clientId: rest.clientId,
        clientHost: rest.clientHost,
        sessionTimeoutMs: rest.sessionTimeout,
        rebalanceTimeoutMs: rest.rebalanceTimeout < 0 ? rest.sessionTimeout : rest.rebalanceTimeout,
        protocols: [{ name: stored.protocol ?? '', metadata: subscription }],
        assignment,
        join: null,
        sync: null,
        isNew: false,
        deadlineMs: 0,
        timer: null,
        timerAtMs: 0,
      };
      group.add(member);
      this.touch(group, member);
    }
    if (stored.leader !== null && group.members.has(stored.leader)) group.leaderId = stored.leader;
  }

  /** Everyone leaves the group, which goes on as one of the other protocol: who waits is told to join again. */
  clear(group: Group): void {
    group.timer?.cancel();
    group.timer = null;
    group.delaying = false;
    for (const timer of group.pending.values()) timer.cancel();
    group.pending.clear();
    for (const member of [...group.members.values()]) {
      member.timer?.cancel();
      this.#dismiss(group, member, E.REBALANCE_IN_PROGRESS);
      group.remove(member);
    }
    group.protocolName = null;
    this.#enter(group, 'Empty');
  }

  /** Takes members that the group had under the other protocol, as stable ones. What is to be written down of it is returned; `rebalance` is to follow. */
  adopt(group: Group, generation: number, members: readonly Member[]): StoredGroup {
    assert(group.size === 0, 'members are adopted by an empty group');
    group.generation = generation;
    group.leaderId = null;
    for (const member of members) {
      group.add(member);
      this.touch(group, member);
    }
    group.protocolName = group.elect();
    this.#enter(group, 'Stable');
    return this.#stored(group);
  }

  /** Ends a group that has no members: it is not found any more. */
  bury(group: Group): void {
    assert(group.size === 0, 'only a group without members is deleted');
    group.timer?.cancel();
    group.consumer?.cancelTimers();
    for (const timer of group.pending.values()) timer.cancel();
    group.pending.clear();
    this.#enter(group, 'Dead');
    this.groups.delete(group.id);
  }

  /** Cancels every timer and answers everyone who waits: the broker is going down. */
  close(): void {
    for (const group of this.groups.values()) {
      group.timer?.cancel();
      for (const timer of group.pending.values()) timer.cancel();
      for (const member of group.members.values()) {
        member.timer?.cancel();
        this.#dismiss(group, member, E.COORDINATOR_NOT_AVAILABLE);
      }
    }
    this.groups.clear();
  }

  // ---- joining

  #joinNew(group: Group, request: JoinRequest, reply: (result: JoinResult) => void) {
    const { instanceId } = request;
    const memberId = `${instanceId ?? request.clientId}-${this.#newId()}`;
    if (instanceId !== null) {
      const former = group.memberOfInstance(instanceId);
      if (former !== undefined) return this.#takeOver(group, former, request, memberId, reply);
    } else if (request.requiresKnownId) {
      if (group.size + group.pending.size >= this.#settings.current.maxSize) {
        return reply(joinError(E.GROUP_MAX_SIZE_REACHED, ''));
      }
      const expire = (): void => this.#forgetPending(group, memberId);
      group.pending.set(memberId, this.#clock.setTimeout(expire, request.sessionTimeoutMs));
      return reply(joinError(E.MEMBER_ID_REQUIRED, memberId));
    }
    this.#admit(group, request, memberId, reply);
  }

  #admit(group: Group, request: JoinRequest, memberId: string, reply: (result: JoinResult) => void) {
    if (group.size >= this.#settings.current.maxSize) return reply(joinError(E.GROUP_MAX_SIZE_REACHED, memberId));
    const member = memberOf(request, memberId, NOTHING, true);
    member.join = reply;
    if (group.size === 0) group.protocolType = request.protocolType;
    if (group.delaying) group.joinedDuringDelay = true;
    group.add(member);
    this.touch(group, member, NEW_MEMBER_JOIN_TIMEOUT_MS);
    this.rebalance(group);
  }

  #rejoin(group: Group, member: Member, request: JoinRequest, reply: (result: JoinResult) => void) {
    const changed = !sameProtocols(member.protocols, request.protocols);
    const leads = group.leaderId === member.id;
    // A follower that repeats itself, or whose answer was lost, learns what is; a leader asks for a new assignment.
    if (!changed && (group.state === 'CompletingRebalance' || (group.state === 'Stable' && !leads))) {
      this.touch(group, member);
      return reply(joinResult(group, member, leads));
    }
    if (group.state === 'Empty') return reply(joinError(E.UNKNOWN_MEMBER_ID, member.id));
    this.#update(group, member, request);
    member.join?.(joinError(E.REBALANCE_IN_PROGRESS, member.id));
    group.setJoin(member, reply);
    this.rebalance(group);
  }

  /** A static member came back under a new id: whoever still uses the old one is fenced. */
  #takeOver(group: Group, former: Member, request: JoinRequest, memberId: string, reply: (result: JoinResult) => void) {
    const leaderBefore = group.leaderId ?? '';
    const member = memberOf(request, memberId, former.assignment, false);
    former.timer?.cancel();
    const { join, sync } = former;
    group.replace(former, member);
    former.join = null;
    former.sync = null;
    join?.(joinError(E.FENCED_INSTANCE_ID, former.id));
    sync?.(syncError(E.FENCED_INSTANCE_ID));
    this.touch(group, member);
    if (group.state !== 'Stable' || group.elect() !== group.protocolName) {
      group.setJoin(member, reply);
      this.rebalance(group);
      return;
    }
    const { generation } = group;
    this.#journal.write([{ kind: 'group', group: group.id, value: this.#stored(group) }], (ok) => {
      if (!ok) return reply(joinError(E.COORDINATOR_NOT_AVAILABLE, memberId));
      if (group.members.get(memberId) !== member) return reply(joinError(E.UNKNOWN_MEMBER_ID, memberId));
      if (group.state !== 'Stable' || group.generation !== generation) {
        // A rebalance began meanwhile: the member takes part in it.
        group.setJoin(member, reply);
        this.rebalance(group);
        return;
      }
      const leads = group.leaderId === memberId;
      // Before v9 a leader cannot be told to keep the assignment, so it is told that another one leads (KIP-814).
      const result = joinResult(group, member, leads && request.canSkipAssignment);
      reply(request.canSkipAssignment ? { ...result, skipAssignment: leads } : { ...result, leader: leaderBefore });
    });
  }

  #update(group: Group, member: Member, request: JoinRequest): void {
    group.setProtocols(member, request.protocols);
    member.clientId = request.clientId;
    member.clientHost = request.clientHost;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    this.touch(group, member);
  }

  // ---- the barrier

  /** Begins a rebalance, or ends the one under way if this was the last to be waited for. */
  rebalance(group: Group): void {
    if (group.state === 'PreparingRebalance') {
      if (!group.delaying && group.allJoined) this.#completeJoin(group);
      return;
    }
    if (group.state === 'CompletingRebalance') {
      this.#breakOff(group, E.REBALANCE_IN_PROGRESS);
    }
    const first = group.state === 'Empty';
    this.#enter(group, 'PreparingRebalance');
    const delayMs = this.#settings.current.initialRebalanceDelayMs;
    if (first && delayMs > 0) {
      group.delaying = true;
      group.joinedDuringDelay = false;
      this.#delay(group, delayMs, Math.max(0, group.rebalanceTimeoutMs - delayMs));
    } else if (group.allJoined) this.#completeJoin(group);
    else this.#setTimer(group, group.rebalanceTimeoutMs, () => this.#completeJoin(group));
  }

  /** As long as members keep coming the first barrier waits on, up to the rebalance timeout. */
  #delay(group: Group, delayMs: number, remainingMs: number) {
    this.#setTimer(group, delayMs, () => {
      if (!group.joinedDuringDelay || remainingMs === 0) return this.#completeJoin(group);
      group.joinedDuringDelay = false;
      const next = Math.min(this.#settings.current.initialRebalanceDelayMs, remainingMs);
      this.#delay(group, next, remainingMs - next);
    });
  }

  #completeJoin(group: Group): void {
    assert(group.state === 'PreparingRebalance', 'a barrier ends once');
    group.timer?.cancel();
    group.timer = null;
    group.delaying = false;
    for (const member of [...group.members.values()]) {
      if (member.join !== null || member.instanceId !== null) continue;
      member.timer?.cancel();
      group.remove(member);
    }
    if (group.size > 0 && !group.electJoinedLeader()) {
      // Only static members are left and none came back: they keep their places until their sessions end.
      this.#setTimer(group, group.rebalanceTimeoutMs, () => this.#completeJoin(group));
      return;
    }
    group.generation++;
    if (group.size === 0) {
      group.protocolName = null;
      this.#enter(group, 'Empty');
      this.#journal.write([{ kind: 'group', group: group.id, value: this.#stored(group) }], () => {});
      return;
    }
    group.protocolName = group.elect();
    this.#enter(group, 'CompletingRebalance');
    this.#setTimer(group, group.rebalanceTimeoutMs, () => this.#dropSilent(group));
    for (const member of group.members.values()) {
      const { join } = member;
      if (join === null) continue;
      group.setJoin(member, null);
      member.isNew = false;
      this.touch(group, member);
      join(joinResult(group, member, member.id === group.leaderId));
    }
  }

  /** Members that joined but did not sync in time are out; the others begin again. */
  #dropSilent(group: Group): void {
    group.timer = null;
    if (group.state !== 'CompletingRebalance') return;
    for (const member of [...group.members.values()]) {
      if (member.sync === null && group.members.has(member.id)) this.#remove(group, member);
    }
    this.rebalance(group);
  }

  // ---- the assignment

  #storeAssignment(group: Group, assignments: SyncRequest['assignments']): void {
    const { generation } = group;
    const given = new Map(assignments.map(({ memberId, assignment }) => [memberId, Buffer.from(assignment)]));
    const assigned = (member: Member): Buffer => given.get(member.id) ?? NOTHING;
    this.#journal.write([{ kind: 'group', group: group.id, value: this.#stored(group, assigned) }], (ok) => {
      if (group.state !== 'CompletingRebalance' || group.generation !== generation) return;
      if (!ok) {
        this.#breakOff(group, E.COORDINATOR_NOT_AVAILABLE);
        this.rebalance(group);
        return;
      }
      group.timer?.cancel();
      group.timer = null;
      for (const member of group.members.values()) member.assignment = assigned(member);
      this.#enter(group, 'Stable');
      for (const member of group.members.values()) {
        if (member.sync === null) continue;
        this.touch(group, member);
        this.#answerSync(member, syncResult(group, member));
      }
    });
  }

  /** There will be no assignment in this generation: who waits for one has a session's time to come back. */
  #breakOff(group: Group, error: number): void {
    for (const member of group.members.values()) {
      if (member.sync === null) continue;
      this.touch(group, member);
      this.#answerSync(member, syncError(error));
    }
  }

  #answerSync(member: Member, result: SyncResult): void {
    const { sync } = member;
    member.sync = null;
    sync?.(result);
  }

  #stored(group: Group, assigned: (member: Member) => Buffer = (member) => member.assignment): StoredGroup {
    return {
      protocolType: group.protocolType,
      generation: group.generation,
      protocol: group.protocolName,
      leader: group.leaderId,
      currentStateTimestamp: this.#clock.nowMs(),
      members: [...group.members.values()].map((member) => ({
        memberId: member.id,
        groupInstanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeout: member.rebalanceTimeoutMs,
        sessionTimeout: member.sessionTimeoutMs,
        subscription: group.metadataOf(member),
        assignment: assigned(member),
      })),
    };
  }

  // ---- sessions and leaving

  /** The member was heard of: it has a session's time from now. */
  touch(group: Group, member: Member, forMs: number = member.sessionTimeoutMs): void {
    member.deadlineMs = this.#clock.monotonicMs() + forMs;
    if (member.timer !== null && member.timerAtMs <= member.deadlineMs) return;
    member.timer?.cancel();
    this.#arm(group, member);
  }

  #arm(group: Group, member: Member): void {
    member.timerAtMs = member.deadlineMs;
    const wait = Math.max(0, member.deadlineMs - this.#clock.monotonicMs());
    member.timer = this.#clock.setTimeout(() => {
      member.timer = null;
      if (group.members.get(member.id) !== member) return;
      if (this.#clock.monotonicMs() < member.deadlineMs) this.#arm(group, member);
      // Who waits for us is not silent; a new member is allowed to wait only so long.
      else if (!member.isNew && (member.join !== null || member.sync !== null)) this.touch(group, member);
      else this.#evict(group, member);
    }, wait);
  }

  #evict(group: Group, member: Member): void {
    this.#remove(group, member);
    this.rebalance(group);
  }

  #remove(group: Group, member: Member): void {
    member.timer?.cancel();
    member.timer = null;
    this.#dismiss(group, member, E.UNKNOWN_MEMBER_ID);
    group.remove(member);
  }

  #dismiss(group: Group, member: Member, error: number): void {
    const { join } = member;
    group.setJoin(member, null);
    join?.(joinError(error, member.id));
    this.#answerSync(member, syncError(error));
  }

  #forgetPending(group: Group, memberId: string): void {
    group.pending.delete(memberId);
    if (group.state === 'PreparingRebalance') this.rebalance(group);
  }

  /** An error code when the request does not come from the member it names. */
  #find(group: Group, memberId: string, instanceId: string | null): Member | number {
    if (instanceId !== null) {
      const member = group.memberOfInstance(instanceId);
      if (member === undefined) return E.UNKNOWN_MEMBER_ID;
      return member.id === memberId ? member : E.FENCED_INSTANCE_ID;
    }
    return group.members.get(memberId) ?? E.UNKNOWN_MEMBER_ID;
  }

  #setTimer(group: Group, delayMs: number, run: () => void): void {
    group.timer?.cancel();
    const timer: Timer = this.#clock.setTimeout(() => {
      if (group.timer === timer && this.groups.get(group.id) === group) run();
    }, delayMs);
    group.timer = timer;
  }

  #enter(group: Group, state: GroupState): void {
    if (group.state !== state) group.stateSinceMs = this.#clock.nowMs();
    group.state = state;
    if (state === 'PreparingRebalance') {
      group.timer?.cancel();
      group.timer = null;
    }
  }
}

function memberOf(request: JoinRequest, id: string, assignment: Buffer, isNew: boolean): Member {
  return {
    id,
    instanceId: request.instanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: request.protocols,
    assignment,
    join: null,
    sync: null,
    isNew,
    deadlineMs: 0,
    timer: null,
    timerAtMs: 0,
  };
}

function joinResult(group: Group, member: Member, withMembers: boolean): JoinResult {
  return {
    error: E.NONE,
    generation: group.generation,
    protocolType: group.protocolType,
    protocolName: group.protocolName,
    leader: group.leaderId ?? '',
    memberId: member.id,
    members: withMembers
      ? [...group.members.values()].map((other) => ({
          memberId: other.id,
          groupInstanceId: other.instanceId,
          metadata: group.metadataOf(other),
        }))
      : [],
    skipAssignment: false,
  };
}

export function joinError(error: number, memberId: string): JoinResult {
  return {
    error,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leader: '',
    memberId,
    members: [],
    skipAssignment: false,
  };
}

const syncResult = (group: Group, member: Member): SyncResult => ({
  error: E.NONE,
  protocolType: group.protocolType,
  protocolName: group.protocolName,
  assignment: member.assignment,
});

export const syncError = (error: number): SyncResult => ({
  error,
  protocolType: null,
  protocolName: null,
  assignment: NOTHING,
});
