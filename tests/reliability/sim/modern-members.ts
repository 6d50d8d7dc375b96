import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { SimClient } from './client.ts';
import { type Group, READ_COMMITTED, Reader } from './consumers.ts';
import { type Lab, type Place, placeName } from './lab.ts';
import { lost } from './producers.ts';

/** Ends what a member does as the member that it was. */
class Fenced extends Error {}

/**
 * A member of a group of the consumer protocol (KIP-848): it says what it owns, reads what it is told to, commits by its epoch, and now and then
 * leaves or dies. That no two members go on from one partition shows in the committed offsets, which never fall, as the group sees to.
 */
export class ModernMember {
  readonly #lab: Lab;
  readonly #group: Group;
  readonly #name: string;
  #client: SimClient;
  #process: string;
  #lives = 0;
  readonly #instance: { readonly instanceId: string | null };
  #epoch = 0;
  /** The last answer was lost, or there was none yet: everything has to be said. */
  #saysAll = true;
  #places: Place[] = [];
  readonly #topics = new Map<string, string>();

  constructor(lab: Lab, group: Group, name: string) {
    this.#lab = lab;
    this.#group = group;
    this.#name = name;
    this.#client = new SimClient(lab.network, name);
    this.#process = name;
    this.#instance = { instanceId: lab.world.chance(0.4) ? `static-${name}` : null };
  }

  async run(): Promise<void> {
    const { world } = this.#lab;
    while (!this.#lab.over) {
      try {
        await this.#consume();
      } catch (thrown) {
        if (!(thrown instanceof Fenced)) lost(thrown);
      }
      await world.sleep(world.between(5, 50));
    }
  }

  /** Heartbeats, reads and commits until it is fenced or ends. */
  async #consume(): Promise<void> {
    const { world, recorder } = this.#lab;
    const reader = new Reader(this.#lab, this.#client, READ_COMMITTED);
    while (!this.#lab.over) {
      if (await this.#beat()) {
        recorder.end(recorder.begin(this.#process), 'ok', [{ kind: 'moved' }]);
        for (const key of [...reader.positions.keys()])
          if (!this.#places.some((place) => placeName(place) === key)) reader.positions.delete(key);
      }
      const places = await this.#positioned(reader.positions);
      if (places.length > 0) {
        const open = recorder.begin(this.#process);
        const records = await reader.poll(places, world.between(0, 60));
        if (records === undefined) continue;
        for (const { value } of records) this.#group.seen.add(value);
        recorder.end(open, 'ok', [{ kind: 'poll', records }]);
        if (records.length > 0 && world.chance(0.6)) await this.#commit(places, reader.positions);
      }
      await world.sleep(world.between(0, 60));
      if (recorder.healedAt === undefined && world.chance(0.02)) return this.#end();
    }
  }

  /** One heartbeat. Whether it brought another assignment. */
  async #beat(): Promise<boolean> {
    const { sessionMs, places, recorder, world } = this.#lab;
    const joins = this.#epoch === 0;
    const all = joins || this.#saysAll;
    const owned = new Map<string, number[]>();
    if (!joins)
      for (const { topic, partition } of this.#places) owned.set(topic, [...(owned.get(topic) ?? []), partition]);
    const idOf = (topic: string): string => [...this.#topics].find(([, name]) => name === topic)![0];
    this.#saysAll = true;
    try {
      const answer = await this.#client.call('consumerGroupHeartbeat', 1, {
        groupId: this.#group.id,
        memberId: this.#process,
        memberEpoch: this.#epoch,
        ...this.#instance,
        ...(all
          ? { rebalanceTimeoutMs: sessionMs, subscribedTopicNames: [...new Set(places.map(({ topic }) => topic))] }
          : {}),
        topicPartitions: [...owned].map(([topic, partitions]) => ({ topicId: idOf(topic), partitions })),
      });
      if (answer.errorCode !== E.NONE) {
        recorder.error(`modern heartbeat ${answer.errorCode}`);
        if (
          answer.errorCode === E.FENCED_MEMBER_EPOCH ||
          answer.errorCode === E.UNKNOWN_MEMBER_ID ||
          answer.errorCode === E.FENCED_INSTANCE_ID ||
          answer.errorCode === E.GROUP_ID_NOT_FOUND
        ) {
          this.#epoch = 0;
          this.#places = [];
          throw new Fenced();
        }
        return false;
      }
      this.#saysAll = false;
      this.#epoch = answer.memberEpoch;
      if (answer.assignment === null) return false;
      const told: Place[] = [];
      for (const { topicId, partitions } of answer.assignment.topicPartitions) {
        const topic = this.#topics.get(topicId) ?? (await this.#learn(topicId));
        if (topic === undefined) return false;
        told.push(...partitions.map((partition) => ({ topic, partition })));
      }
      const names = (some: readonly Place[]): string => some.map(placeName).sort().join(' ');
      const moved = names(told) !== names(this.#places);
      this.#places = told;
      return moved;
    } catch (thrown) {
      if (thrown instanceof Fenced) throw thrown;
      lost(thrown);
      await world.sleep(20);
      return false;
    }
  }

  /** The name of a topic by its id. */
  async #learn(topicId: string): Promise<string | undefined> {
    const answer = await this.#client.call('metadata', 12, { topics: [{ topicId, name: null }] });
    const name = answer.topics[0]?.name ?? undefined;
    if (name !== undefined && name !== null) this.#topics.set(topicId, name);
    return name ?? undefined;
  }

  /** What is assigned and where it stands; what has no position yet gets the committed one. */
  async #positioned(positions: Map<string, number>): Promise<Place[]> {
    const missing = this.#places.filter((place) => !positions.has(placeName(place)));
    const known = (): Place[] => this.#places.filter((place) => positions.has(placeName(place)));
    if (missing.length === 0) return known();
    const floors = new Map(missing.map((place) => [placeName(place), this.#group.floor(placeName(place))]));
    try {
      const topics = missing.map(({ topic, partition }) => ({ name: topic, partitionIndexes: [partition] }));
      const { groups } = await this.#client.call('offsetFetch', 9, {
        groups: [{ groupId: this.#group.id, memberId: this.#process, memberEpoch: this.#epoch, topics }],
      });
      if (groups[0]!.errorCode !== E.NONE) {
        this.#lab.recorder.error(`modern offsets ${groups[0]!.errorCode}`);
        return known();
      }
      for (const { name, partitions } of groups[0]!.topics) {
        for (const { partitionIndex, committedOffset, errorCode } of partitions) {
          if (errorCode !== E.NONE) continue;
          const key = placeName({ topic: name, partition: partitionIndex });
          this.#group.fetched(key, committedOffset, floors.get(key)!);
          positions.set(key, Math.max(0, committedOffset));
        }
      }
    } catch (thrown) {
      lost(thrown);
    }
    return known();
  }

  async #commit(places: readonly Place[], positions: ReadonlyMap<string, number>): Promise<void> {
    const offsets = places.map((place) => ({ place, key: placeName(place), offset: positions.get(placeName(place))! }));
    for (const { key, offset } of offsets) this.#group.committing(key, offset);
    try {
      const answer = await this.#client.call('offsetCommit', 9, {
        groupId: this.#group.id,
        generationIdOrMemberEpoch: this.#epoch,
        memberId: this.#process,
        topics: offsets.map(({ place, offset }) => ({
          name: place.topic,
          partitions: [{ partitionIndex: place.partition, committedOffset: offset, committedMetadata: '' }],
        })),
      });
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode } of partitions) {
          const key = placeName({ topic: name, partition: partitionIndex });
          if (errorCode === E.NONE) this.#group.committed(key, offsets.find((one) => one.key === key)!.offset);
          else this.#lab.recorder.error(`modern commit ${errorCode}`);
        }
      }
    } catch (thrown) {
      lost(thrown);
    }
  }

  /** Leaves politely, or just vanishes; comes back as somebody else. */
  async #end(): Promise<void> {
    const { world } = this.#lab;
    try {
      if (world.chance(0.5)) {
        const { id: groupId } = this.#group;
        // A static member goes for a while, others for good.
        const memberEpoch = this.#instance.instanceId === null ? -1 : -2;
        const body = { groupId, memberId: this.#process, memberEpoch, ...this.#instance };
        await this.#client.call('consumerGroupHeartbeat', 1, body);
      }
    } catch (thrown) {
      lost(thrown);
    }
    this.#client.leave();
    this.#client = new SimClient(this.#lab.network, this.#name);
    this.#process = `${this.#name}/${++this.#lives}`;
    this.#epoch = 0;
    this.#places = [];
    await world.sleep(world.between(0, 500));
  }
}
