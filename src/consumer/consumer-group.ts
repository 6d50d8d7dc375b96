import type { Timer } from '../lib/clock.ts';
import { type Assignment, NO_PARTITIONS, partitionsOf } from './assignment.ts';
import { DEFAULT_ASSIGNOR } from './assignors.ts';
import type { GroupProtocol } from './group.ts';

/** Kafka's codes, as they are written down. */
export const MEMBER_STATE = { stable: 1, unrevoked: 2, unreleased: 3 } as const;
/** The epoch of a static member that is away (KIP-848). */
export const AWAY_EPOCH = -2;

/** One consumer. Immutable but for its timers: a change is a new one. */
export interface ConsumerMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly serverAssignor: string | null;
  readonly topicNames: readonly string[];
  /** Null or '': none. */
  readonly topicRegex: string | null;
  readonly epoch: number;
  readonly previousEpoch: number;
  readonly state: number;
  /** What it may use now. */
  readonly assigned: Assignment;
  /** What it must give up before anything else happens. */
  readonly revoking: Assignment;
  /** Set while it speaks the classic protocol: the group was a classic one, or may become one. */
  readonly classic: ClassicMember | null;
}

export interface ClassicMember {
  readonly sessionTimeoutMs: number;
  readonly protocols: readonly GroupProtocol[];
}

export type ConsumerGroupState = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable';

/** One group of the consumer protocol (KIP-848): data and counting; time, answers and records are the coordinator's. */
export class ConsumerGroup {
  /** Grows with every change of who takes part, what they want or what there is of it. */
  epoch = 0;
  /** The group's epoch that the targets were made for. */
  assignmentEpoch = 0;
  /** Of the topics that are subscribed to; tells whether they changed. */
  metadataHash = 0;
  /** Since when nobody is in it, wall clock. */
  emptySinceMs: number;
  readonly targets = new Map<string, Assignment>();
  /** The topics that each regular expression stands for, as of a version of all topics; −1: of an earlier life. */
  readonly regexes = new Map<string, { readonly topics: ReadonlySet<string>; readonly version: number }>();
  /** Of all topics, when the hash was made; −1: never. */
  topicsVersion = -1;
  readonly sessions = new Map<string, Timer>();
  /** Of members that others wait for. */
  readonly duties = new Map<string, Timer>();
  readonly #members = new Map<string, ConsumerMember>();
  readonly #instances = new Map<string, string>();
  /** Who has each partition, or still has to give it up, by topic id. */
  readonly #owners = new Map<string, Map<number, string>>();

  constructor(nowMs: number) {
    this.emptySinceMs = nowMs;
  }

  get members(): ReadonlyMap<string, ConsumerMember> {
    return this.#members;
  }

  get state(): ConsumerGroupState {
    if (this.#members.size === 0) return 'Empty';
    if (this.epoch > this.assignmentEpoch) return 'Assigning';
    for (const { state, epoch } of this.#members.values()) {
      if (state !== MEMBER_STATE.stable || epoch !== this.assignmentEpoch) return 'Reconciling';
    }
    return 'Stable';
  }

  memberOfInstance(instanceId: string): ConsumerMember | undefined {
    const memberId = this.#instances.get(instanceId);
    return memberId === undefined ? undefined : this.#members.get(memberId);
  }

  ownerOf(topicId: string, partition: number): string | undefined {
    return this.#owners.get(topicId)?.get(partition);
  }

  put(member: ConsumerMember): void {
    const before = this.#members.get(member.memberId);
    if (before !== undefined) this.#release(before);
    this.#members.set(member.memberId, member);
    if (member.instanceId !== null) this.#instances.set(member.instanceId, member.memberId);
    for (const assignment of [member.assigned, member.revoking]) {
      for (const [topicId, partition] of partitionsOf(assignment)) {
        const owners = this.#owners.get(topicId) ?? new Map<number, string>();
        owners.set(partition, member.memberId);
        this.#owners.set(topicId, owners);
      }
    }
  }

  remove(member: ConsumerMember): void {
    this.#release(member);
    this.#members.delete(member.memberId);
    if (member.instanceId !== null && this.#instances.get(member.instanceId) === member.memberId)
      this.#instances.delete(member.instanceId);
    this.targets.delete(member.memberId);
    for (const timers of [this.sessions, this.duties]) {
      timers.get(member.memberId)?.cancel();
      timers.delete(member.memberId);
    }
  }

  targetOf(memberId: string): Assignment {
    return this.targets.get(memberId) ?? NO_PARTITIONS;
  }

  /** Everything a member wants, by name or by expression. */
  wantedBy(member: ConsumerMember): Set<string> {
    const names = new Set(member.topicNames);
    for (const name of this.regexes.get(member.topicRegex ?? '')?.topics ?? []) names.add(name);
    return names;
  }

  wanted(): Set<string> {
    const names = new Set<string>();
    for (const member of this.#members.values()) for (const name of this.wantedBy(member)) names.add(name);
    return names;
  }

  /** The assignor that most members ask for. */
  get assignor(): string {
    const votes = new Map<string, number>();
    for (const { serverAssignor, classic } of this.#members.values()) {
      if (classic !== null) continue;
      const name = serverAssignor ?? DEFAULT_ASSIGNOR;
      votes.set(name, (votes.get(name) ?? 0) + 1);
    }
    let winner = DEFAULT_ASSIGNOR;
    for (const [name, count] of votes) if (count > (votes.get(winner) ?? 0)) winner = name;
    return winner;
  }

  cancelTimers(): void {
    for (const timers of [this.sessions, this.duties]) {
      for (const timer of timers.values()) timer.cancel();
      timers.clear();
    }
  }

  #release(member: ConsumerMember): void {
    for (const assignment of [member.assigned, member.revoking]) {
      for (const [topicId, partition] of partitionsOf(assignment)) {
        const owners = this.#owners.get(topicId);
        if (owners?.get(partition) === member.memberId) owners.delete(partition);
        if (owners?.size === 0) this.#owners.delete(topicId);
      }
    }
  }
}
