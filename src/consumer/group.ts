import type { Timer } from '../lib/clock.ts';
import type { ConsumerGroup } from './consumer-group.ts';
import { GroupOffsets } from './offsets.ts';

/** The states of a classic group, in Kafka's words as clients see them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

/** A way to assign partitions that a member knows, and what it tells the leader for it. The bytes are opaque to us. */
export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface JoinResult {
  readonly error: number;
  readonly generation: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly leader: string;
  readonly memberId: string;
  /** For the leader only; empty for everyone else. */
  readonly members: readonly { memberId: string; groupInstanceId: string | null; metadata: Buffer }[];
  /** The leader keeps the assignment that stands (KIP-814). */
  readonly skipAssignment: boolean;
}

export interface SyncResult {
  readonly error: number;
  readonly protocolType: string | null;
  readonly protocolName: string | null;
  readonly assignment: Buffer;
}

export interface Member {
  readonly id: string;
  /** Set for a static member (KIP-345): it keeps its place while its process restarts. */
  readonly instanceId: string | null;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  /** By preference. Changed through the group only, which counts them. */
  protocols: readonly GroupProtocol[];
  assignment: Buffer;
  /** Answers the JoinGroup that waits at the barrier. Changed through the group only. */
  join: ((result: JoinResult) => void) | null;
  /** Answers the SyncGroup that waits for the leader's assignment. */
  sync: ((result: SyncResult) => void) | null;
  /** Has not yet been in a generation. */
  isNew: boolean;
  /** Monotonic time at which the member is evicted unless it is heard of. */
  deadlineMs: number;
  timer: Timer | null;
  timerAtMs: number;
}

/** One classic group: its members, what they agree on, and its offsets. Data and counting only; time and answers are the coordinator's. */
export class Group {
  readonly id: string;
  readonly offsets = new GroupOffsets();
  state: GroupState = 'Empty';
  /** Set while the group is one of the consumer protocol: then all its members are there. */
  consumer: ConsumerGroup | null = null;
  /** Wall clock of the last change of state; offsets of an empty group expire counting from here. */
  stateSinceMs: number;
  generation = 0;
  /** '' while nobody ever joined: a group that only stores offsets. */
  protocolType = '';
  protocolName: string | null = null;
  leaderId: string | null = null;
  /** The barrier's timer in PreparingRebalance, the one for missing SyncGroups in CompletingRebalance. */
  timer: Timer | null = null;
  /** A member came while the first barrier waits, which then waits once more. */
  joinedDuringDelay = false;
  /** The first barrier is waiting for company and does not end by everyone having joined. */
  delaying = false;
  /** Member ids handed out with MEMBER_ID_REQUIRED that have not come back yet. */
  readonly pending = new Map<string, Timer>();
  readonly #members = new Map<string, Member>();
  readonly #instances = new Map<string, string>();
  /** How many members know each protocol. */
  readonly #known = new Map<string, number>();
  #joining = 0;

  constructor(id: string, nowMs: number) {
    this.id = id;
    this.stateSinceMs = nowMs;
  }

  get members(): ReadonlyMap<string, Member> {
    return this.#members;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Nobody is in it, or about to be, in either protocol. */
  get isEmpty(): boolean {
    return this.state === 'Empty' && this.pending.size === 0 && (this.consumer?.members.size ?? 0) === 0;
  }

  /** Members whose JoinGroup waits at the barrier. */
  get joining(): number {
    return this.#joining;
  }

  get allJoined(): boolean {
    return this.#joining === this.#members.size && this.pending.size === 0;
  }

  /** The longest time a member may take to rejoin. */
  get rebalanceTimeoutMs(): number {
    let longest = 0;
    for (const member of this.#members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs);
    return longest;
  }

  memberOfInstance(instanceId: string): Member | undefined {
    const id = this.#instances.get(instanceId);
    return id === undefined ? undefined : this.#members.get(id);
  }

  add(member: Member): void {
    this.leaderId ??= member.id;
    this.#members.set(member.id, member);
    if (member.instanceId !== null) this.#instances.set(member.instanceId, member.id);
    this.#count(member.protocols, 1);
    if (member.join !== null) this.#joining++;
  }

  remove(member: Member): void {
    this.setJoin(member, null);
    this.#count(member.protocols, -1);
    this.#members.delete(member.id);
    if (member.instanceId !== null && this.#instances.get(member.instanceId) === member.id) {
      this.#instances.delete(member.instanceId);
    }
    if (this.leaderId === member.id) this.leaderId = this.#members.keys().next().value ?? null;
  }

  /** `to` takes the place of `from`, in the order of members too, and leads if that one led. */
  replace(from: Member, to: Member): void {
    const leader = this.leaderId === from.id ? to.id : this.leaderId;
    const rest = [...this.#members.values()];
    this.remove(from);
    this.#members.clear();
    for (const member of rest) {
      if (member !== from) this.#members.set(member.id, member);
      else this.add(to);
    }
    this.leaderId = leader;
  }

  setJoin(member: Member, join: Member['join']): void {
    if (member.join !== null) this.#joining--;
    if (join !== null) this.#joining++;
    member.join = join;
  }

  setProtocols(member: Member, protocols: readonly GroupProtocol[]): void {
    this.#count(member.protocols, -1);
    member.protocols = protocols;
    this.#count(protocols, 1);
  }

  /** Whether someone with these protocols could be in the group with everyone who is. */
  accepts(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (protocolType === '' || protocols.length === 0) return false;
    if (this.#members.size === 0) return true;
    return protocolType === this.protocolType && protocols.some(({ name }) => this.#known.get(name) === this.size);
  }

  /** Every member votes for the first of its protocols that all know; among equals the one voted for first wins. */
  elect(): string {
    const votes = new Map<string, number>();
    for (const member of this.#members.values()) {
      const choice = member.protocols.find(({ name }) => this.#known.get(name) === this.size);
      if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
    }
    let winner = '';
    let most = 0;
    for (const [name, count] of votes) {
      if (count > most) [winner, most] = [name, count];
    }
    return winner;
  }

  /** Makes sure that the leader is among those who rejoined. False when nobody did. */
  electJoinedLeader(): boolean {
    const leader = this.leaderId === null ? undefined : this.#members.get(this.leaderId);
    if (leader !== undefined && leader.join !== null) return true;
    for (const member of this.#members.values()) {
      if (member.join === null) continue;
      this.leaderId = member.id;
      return true;
    }
    return false;
  }

  metadataOf(member: Member): Buffer {
    return member.protocols.find(({ name }) => name === this.protocolName)?.metadata ?? NOTHING;
  }

  #count(protocols: readonly GroupProtocol[], by: number): void {
    for (const name of new Set(protocols.map((protocol) => protocol.name))) {
      const count = (this.#known.get(name) ?? 0) + by;
      if (count === 0) this.#known.delete(name);
      else this.#known.set(name, count);
    }
  }
}

export const NOTHING: Buffer = Buffer.alloc(0);

export function sameProtocols(a: readonly GroupProtocol[], b: readonly GroupProtocol[]): boolean {
  return (
    a.length === b.length && a.every(({ name, metadata }, i) => name === b[i]!.name && metadata.equals(b[i]!.metadata))
  );
}
