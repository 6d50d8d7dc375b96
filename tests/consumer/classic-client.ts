import type { JoinResult } from '../../src/consumer/group.ts';
import { codecOf } from '../../src/protocol/codec.ts';
import {
  consumerProtocolSubscription,
  decodeConsumerAssignment,
  decodeConsumerSubscription,
  encodeConsumerAssignment,
} from '../../src/protocol/consumer-protocol.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { WireWriter } from '../../src/protocol/wire-writer.ts';
import type { World } from './consumer-world.ts';
import { joinRequest } from './rig.ts';

/**
 * A consumer of the classic protocol that wants the topic `t`. Eager: it gives up everything before it joins. Cooperative: it says what it owns, gives up
 * what it is not given any more, and then joins once more (KIP-429). Each step is one request.
 */
export class ClassicClient {
  readonly world: World;
  readonly name: string;
  readonly instanceId: string | null;
  readonly cooperative: boolean;
  memberId = '';
  generation = -1;
  owned = new Set<string>();
  /** A JoinGroup or SyncGroup is under way. */
  #waits = 0;
  #next: 'join' | 'sync' | 'beat' = 'join';
  #joined: JoinResult | undefined;

  constructor(world: World, name: string, cooperative: boolean, instanceId: string | null = null) {
    this.world = world;
    this.name = name;
    this.cooperative = cooperative;
    this.instanceId = instanceId;
  }

  step(): void {
    if (this.#waits > 0) return;
    // A leader watches the topics and begins anew when they change.
    const { partitions } = this.world;
    if (this.#assigned !== undefined && this.#assigned !== partitions.get('t')) this.#next = 'join';
    if (this.#next === 'join') this.#join();
    else if (this.#next === 'sync') this.#sync();
    else {
      const { memberId, instanceId, generation } = this;
      this.#failed(this.world.coordinator.heartbeat('g', memberId, instanceId, generation));
    }
  }

  leave(): void {
    this.world.coordinator.leave('g', this.memberId, this.instanceId);
    this.crash();
  }

  /** Its process is gone; answers that are still to come go nowhere. */
  crash(): void {
    this.owned.clear();
    this.memberId = '';
    this.generation = -1;
    this.#waits = 0;
    this.#life++;
    this.#next = 'join';
  }

  #life = 0;
  /** The partitions that a leader has assigned. */
  #assigned: number | undefined;

  #join(): void {
    if (!this.cooperative) this.owned.clear();
    const life = this.#life;
    this.#assigned = undefined;
    this.#waits++;
    const metadata = subscription(this.cooperative ? [...this.owned].map((name) => Number(name.split(' ')[1])) : null);
    const request = joinRequest({
      memberId: this.memberId,
      instanceId: this.instanceId,
      clientId: this.name,
      rebalanceTimeoutMs: 20_000,
      protocols: [{ name: this.cooperative ? 'cooperative-sticky' : 'range', metadata }],
      requiresKnownId: this.memberId === '' && this.instanceId === null,
    });
    this.world.coordinator.join(request, (result) => {
      if (life !== this.#life) return;
      this.#waits--;
      if (result.error === E.MEMBER_ID_REQUIRED) {
        this.memberId = result.memberId;
        return;
      }
      if (this.#failed(result.error)) return;
      this.memberId = result.memberId;
      this.generation = result.generation;
      this.#joined = result;
      this.#next = 'sync';
    });
  }

  #sync(): void {
    const life = this.#life;
    this.#waits++;
    const { memberId, instanceId, generation } = this;
    const { leader, members, protocolName, protocolType } = this.#joined!;
    const assignments = leader === memberId ? this.#assign(members) : [];
    const request = { groupId: 'g', memberId, instanceId, generation, protocolType, protocolName, assignments };
    this.world.coordinator.sync(request, ({ error, assignment }) => {
      if (life !== this.#life) return;
      this.#waits--;
      if (this.#failed(error)) return;
      const given = decodeConsumerAssignment(assignment).assignedPartitions.flatMap(({ partitions }) => partitions);
      const now = new Set(given.map((partition) => `id-t ${partition}`));
      const revokes = [...this.owned].some((name) => !now.has(name));
      this.owned = now;
      this.#next = revokes && this.cooperative ? 'join' : 'beat';
    });
  }

  /** As the leader of a classic group: evenly; a partition that another one still owns waits for the next generation. */
  #assign(members: JoinResult['members']) {
    const count = this.world.partitions.get('t') ?? 0;
    this.#assigned = count;
    const owners = new Map<number, string>();
    for (const { memberId, metadata } of members) {
      for (const { partitions } of decodeConsumerSubscription(metadata).ownedPartitions)
        for (const partition of partitions) owners.set(partition, memberId);
    }
    return members.map(({ memberId }, at) => {
      const partitions = Array.from({ length: count }, (_, i) => i).filter((partition) => {
        const owner = owners.get(partition);
        return partition % members.length === at && (owner === undefined || owner === memberId);
      });
      return { memberId, assignment: encodeConsumerAssignment([{ topic: 't', partitions }]) };
    });
  }

  /** What Java's client makes of an error; true when it is one. */
  #failed(error: number): boolean {
    if (error === E.NONE) return false;
    this.#next = 'join';
    if (error === E.REBALANCE_IN_PROGRESS || error === E.COORDINATOR_NOT_AVAILABLE) return true;
    this.owned.clear();
    this.generation = -1;
    if (error !== E.ILLEGAL_GENERATION) this.memberId = '';
    return true;
  }
}

function subscription(owned: readonly number[] | null): Buffer {
  const version = owned === null ? 0 : 1;
  const writer = new WireWriter();
  writer.int16(version);
  const ownedPartitions = owned === null || owned.length === 0 ? [] : [{ topic: 't', partitions: owned }];
  codecOf(consumerProtocolSubscription, version).write(writer, { topics: ['t'], ownedPartitions });
  return Buffer.concat(writer.finish());
}
