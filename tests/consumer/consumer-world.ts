import type { ConsumerHeartbeat, ConsumerHeartbeatResult } from '../../src/consumer/consumer-membership.ts';
import { GroupCoordinator } from '../../src/consumer/group-coordinator.ts';
import type { GroupSettings } from '../../src/consumer/group-settings.ts';
import type { Topics } from '../../src/consumer/group-targets.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeJournal } from './rig.ts';

export const SESSION_MS = 45_000;

/** A coordinator, its journal, its clock, and the topics there are. */
export class World implements Topics {
  readonly clock = new FakeClock();
  readonly journal = new FakeJournal();
  readonly partitions = new Map<string, number>([['t', 4]]);
  version = 0;
  coordinator: GroupCoordinator;
  readonly settings: Partial<GroupSettings>;

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = settings;
    this.coordinator = this.#begin();
  }

  byName(name: string) {
    const partitions = this.partitions.get(name);
    return partitions === undefined ? undefined : { id: `id-${name}`, partitions };
  }

  names(): Iterable<string> {
    return this.partitions.keys();
  }

  setTopic(name: string, partitions: number): void {
    if (partitions === 0) this.partitions.delete(name);
    else this.partitions.set(name, partitions);
    this.version++;
  }

  /** As after a crash: what the journal holds is all there is. */
  restart(): void {
    this.coordinator.close();
    this.version++;
    this.coordinator = this.#begin();
  }

  #begin(): GroupCoordinator {
    const { clock, journal } = this;
    const coordinator = new GroupCoordinator({ clock, journal, topics: this, settings: this.settings });
    coordinator.load(this.#lastOfEach(), (topic) => this.byName(topic)?.id);
    return coordinator;
  }

  /** The offsets topic gives the last record of a key, and none that is deleted. */
  *#lastOfEach() {
    const last = new Map<string, (typeof this.journal.records)[number]>();
    for (const record of this.journal.records) {
      const { value: _, ...key } = record;
      const name = JSON.stringify(key);
      last.delete(name);
      if (record.value !== null) last.set(name, record);
    }
    yield* last.values();
  }

  beat(fields: Partial<ConsumerHeartbeat>): ConsumerHeartbeatResult {
    let answer: ConsumerHeartbeatResult | undefined;
    const request: ConsumerHeartbeat = {
      groupId: 'g',
      memberId: 'm',
      memberEpoch: 0,
      instanceId: null,
      rackId: null,
      rebalanceTimeoutMs: -1,
      topicNames: null,
      topicRegex: null,
      serverAssignor: null,
      owned: null,
      clientId: 'c',
      clientHost: '/h',
      bringsId: true,
      isVisible: () => true,
      ...fields,
    };
    this.coordinator.consumerHeartbeat(request, (result) => {
      if (answer !== undefined) throw new Error('answered twice');
      answer = result;
    });
    if (answer === undefined) throw new Error('not answered');
    return answer;
  }
}

/** A consumer that does as KIP-848 says: it owns what it was told, and says so. */
export class Client {
  readonly world: World;
  memberId: string;
  readonly instanceId: string | null;
  epoch = 0;
  owned = new Set<string>();
  joined = false;
  wants: Partial<ConsumerHeartbeat> = { topicNames: ['t'] };
  isVisible = (_topic: string): boolean => true;

  constructor(world: World, memberId: string, instanceId: string | null = null) {
    this.world = world;
    this.memberId = memberId;
    this.instanceId = instanceId;
  }

  get topicPartitions() {
    const topics = new Map<string, number[]>();
    for (const name of this.owned) {
      const [topicId, partition] = name.split(' ') as [string, string];
      topics.set(topicId, [...(topics.get(topicId) ?? []), Number(partition)]);
    }
    return [...topics].map(([topicId, partitions]) => ({ topicId, partitions }));
  }

  /** `lost`: the answer does not come back. */
  beat(lost = false): ConsumerHeartbeatResult {
    const { memberId, instanceId } = this;
    const answer = this.world.beat(
      this.joined
        ? { memberId, instanceId, memberEpoch: this.epoch, owned: this.topicPartitions, isVisible: this.isVisible }
        : {
            memberId,
            instanceId,
            memberEpoch: 0,
            owned: [],
            rebalanceTimeoutMs: 20_000,
            isVisible: this.isVisible,
            ...this.wants,
          },
    );
    if (lost) return answer;
    if (answer.error === E.FENCED_MEMBER_EPOCH || answer.error === E.UNKNOWN_MEMBER_ID) {
      this.owned.clear();
      this.epoch = 0;
      this.joined = false;
      return answer;
    }
    if (answer.error !== E.NONE) return answer;
    this.joined = true;
    this.epoch = answer.memberEpoch;
    if (answer.assignment !== null)
      this.owned = new Set(
        answer.assignment.flatMap(({ topicId, partitions }) => partitions.map((one) => `${topicId} ${one}`)),
      );
    return answer;
  }

  leave(): ConsumerHeartbeatResult {
    const { memberId, instanceId } = this;
    // Kafka's client: a static member goes for a while, others for good.
    const memberEpoch = instanceId === null ? -1 : -2;
    this.owned.clear();
    this.epoch = 0;
    this.joined = false;
    return this.world.beat({ memberId, instanceId, memberEpoch });
  }
}

export function settle(clients: readonly Client[], rounds = 12): void {
  for (let round = 0; round < rounds; round++) for (const client of clients) client.beat();
}

export const counts = (clients: readonly Client[]): number[] => clients.map(({ owned }) => owned.size);
