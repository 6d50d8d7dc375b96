import {
  decodeConsumerAssignment,
  encodeConsumerAssignment,
  encodeConsumerSubscription,
} from '../../../src/protocol/consumer-protocol.ts';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import type { Seen } from '../history.ts';
import { SimClient } from './client.ts';
import { type Lab, type Place, placeName } from './lab.ts';
import { lost } from './producers.ts';
import { readRecords } from './read-records.ts';

export const READ_COMMITTED = 1;
const FETCH_VERSIONS = [4, 11, 12] as const;

/** Positions of a consumer and one Fetch after another from there. */
export class Reader {
  readonly positions = new Map<string, number>();
  readonly #lab: Lab;
  readonly #client: SimClient;
  readonly #isolationLevel: number;
  readonly #version: number;

  constructor(lab: Lab, client: SimClient, isolationLevel: number) {
    this.#lab = lab;
    this.#client = client;
    this.#isolationLevel = isolationLevel;
    this.#version = lab.world.pick(FETCH_VERSIONS);
  }

  get uncommitted(): boolean {
    return this.#isolationLevel !== READ_COMMITTED;
  }

  /** The records of one Fetch; undefined when it was lost. */
  async poll(places: readonly Place[], maxWaitMs: number): Promise<Seen[] | undefined> {
    const { recorder } = this.#lab;
    const topics = [...new Set(places.map(({ topic }) => topic))].map((topic) => ({
      topic,
      partitions: places
        .filter((place) => place.topic === topic)
        .map((place) => ({
          partition: place.partition,
          fetchOffset: this.positions.get(placeName(place)) ?? 0,
          partitionMaxBytes: this.#lab.world.pick([1, 600, 1 << 20]),
        })),
    }));
    try {
      const answer = await this.#client.call(
        'fetch',
        this.#version,
        { maxWaitMs, minBytes: 1, maxBytes: 1 << 20, isolationLevel: this.#isolationLevel, topics },
        maxWaitMs,
      );
      const seen: Seen[] = [];
      for (const { topic, partitions } of answer.responses) {
        for (const part of partitions) {
          const key = placeName({ topic, partition: part.partitionIndex });
          const from = this.positions.get(key) ?? 0;
          if (part.errorCode === E.OFFSET_OUT_OF_RANGE) {
            // What was read cannot vanish: whoever is sent back says so in the history.
            recorder.error(`fetch ${key}@${from} out of range`);
            this.positions.set(key, 0);
          } else if (part.errorCode !== E.NONE) recorder.error(`fetch ${part.errorCode}`);
          else {
            const { records, next } = readRecords(key, part.records as Buffer, from, part.abortedTransactions);
            seen.push(...records);
            this.positions.set(key, next);
          }
        }
      }
      return seen;
    } catch (thrown) {
      lost(thrown);
      return undefined;
    }
  }
}

/** Reads all partitions from the beginning and goes on from where it is, whatever happens. */
export class DirectConsumer {
  readonly name: string;
  readonly seen = new Set<string>();
  readonly #lab: Lab;
  readonly #reader: Reader;

  constructor(lab: Lab, name: string, isolationLevel: number) {
    this.#lab = lab;
    this.name = name;
    this.#reader = new Reader(lab, new SimClient(lab.network, name), isolationLevel);
  }

  async run(): Promise<void> {
    const { world, recorder, places } = this.#lab;
    while (!this.#lab.over) {
      const open = recorder.begin(this.name);
      const records = await this.#reader.poll(places, world.between(0, 300));
      if (records === undefined) await world.sleep(world.between(5, 100));
      else {
        for (const { value } of records) this.seen.add(value);
        recorder.end(open, 'ok', [{ kind: 'poll', records, uncommitted: this.#reader.uncommitted }]);
        await world.sleep(world.between(0, 40));
      }
    }
  }
}

/** What the members of a group know together: what was committed, so that a forgotten commit is noticed. */
export class Group {
  readonly id: string;
  readonly seen = new Set<string>();
  /** The lowest offset that may be committed, by partition: the last acknowledged one, or one whose fate is not known. */
  readonly #acknowledged = new Map<string, number>();
  readonly #perhaps = new Map<string, Set<number>>();
  readonly #lab: Lab;

  constructor(lab: Lab, id: string) {
    this.#lab = lab;
    this.id = id;
  }

  committing(key: string, offset: number): void {
    const perhaps = this.#perhaps.get(key) ?? new Set();
    perhaps.add(offset);
    this.#perhaps.set(key, perhaps);
  }

  committed(key: string, offset: number): void {
    this.#acknowledged.set(key, offset);
    this.#perhaps.get(key)?.delete(offset);
  }

  /** To be asked before offsets are fetched. */
  floor(key: string): number {
    return Math.min(this.#acknowledged.get(key) ?? -1, ...(this.#perhaps.get(key) ?? []));
  }

  fetched(key: string, offset: number, floor: number): void {
    if (offset >= floor) return;
    this.#lab.recorder.complaints.push(`${this.id}: the committed offset of ${key} fell to ${offset}, below ${floor}`);
  }
}

/** Ends what a member does with its present generation. */
class Rejoin extends Error {}

/** A member of a consumer group, now and then a static one: joins, reads what it is assigned, commits, and now and then leaves or dies. */
export class GroupMember {
  readonly #lab: Lab;
  readonly #group: Group;
  readonly #name: string;
  #client: SimClient;
  #process: string;
  #lives = 0;
  readonly #instance: { readonly groupInstanceId: string | null };
  #memberId = '';
  #generation = -1;

  constructor(lab: Lab, group: Group, name: string) {
    this.#lab = lab;
    this.#group = group;
    this.#name = name;
    this.#client = new SimClient(lab.network, name);
    this.#process = name;
    this.#instance = { groupInstanceId: lab.world.chance(0.4) ? `static-${name}` : null };
  }

  async run(): Promise<void> {
    const { world } = this.#lab;
    while (!this.#lab.over) {
      try {
        const places = await this.#join();
        if (places) await this.#consume(places);
      } catch (thrown) {
        if (!(thrown instanceof Rejoin)) lost(thrown);
      }
      await world.sleep(world.between(5, 50));
    }
  }

  /** What is assigned; undefined when it did not work out. */
  async #join(): Promise<Place[] | undefined> {
    const { id } = this.#group;
    const topics = [...new Set(this.#lab.places.map(({ topic }) => topic))];
    const joined = await this.#client.call(
      'joinGroup',
      5,
      {
        groupId: id,
        sessionTimeoutMs: this.#lab.sessionMs,
        rebalanceTimeoutMs: 600,
        memberId: this.#memberId,
        ...this.#instance,
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: encodeConsumerSubscription(topics) }],
      },
      1500,
    );
    if (joined.errorCode === E.MEMBER_ID_REQUIRED) {
      this.#memberId = joined.memberId;
      return undefined;
    }
    if (joined.errorCode !== E.NONE) return this.#refused('join', joined.errorCode);
    this.#memberId = joined.memberId;
    this.#generation = joined.generationId;
    const members = joined.members.map(({ memberId }) => memberId).sort();
    const assignments =
      joined.leader === joined.memberId
        ? members.map((memberId, at) => ({ memberId, assignment: this.#assignment(at, members.length) }))
        : [];
    const body = {
      groupId: id,
      generationId: this.#generation,
      memberId: this.#memberId,
      ...this.#instance,
      assignments,
    };
    const synced = await this.#client.call('syncGroup', 3, body, 1500);
    if (synced.errorCode !== E.NONE) return this.#refused('sync', synced.errorCode);
    if (synced.assignment.length === 0) throw new Error(`${this.#name} was assigned nothing, not even an empty list`);
    const { assignedPartitions } = decodeConsumerAssignment(synced.assignment);
    return assignedPartitions.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
  }

  #assignment(at: number, count: number): Buffer {
    const mine = this.#lab.places.filter((_, place) => place % count === at);
    const topics = [...new Set(mine.map(({ topic }) => topic))];
    return encodeConsumerAssignment(
      topics.map((topic) => ({
        topic,
        partitions: mine.filter((place) => place.topic === topic).map(({ partition }) => partition),
      })),
    );
  }

  async #consume(places: readonly Place[]): Promise<void> {
    const { world, recorder } = this.#lab;
    const reader = new Reader(this.#lab, this.#client, READ_COMMITTED);
    recorder.end(recorder.begin(this.#process), 'ok', [{ kind: 'moved' }]);
    while (!(await this.#positions(places, reader.positions))) {
      if (this.#lab.over) return;
      await world.sleep(world.between(5, 50));
    }
    for (;;) {
      if (this.#lab.over) return;
      await this.#heartbeat();
      if (places.length > 0) {
        const open = recorder.begin(this.#process);
        const records = await reader.poll(places, world.between(0, 100));
        if (records === undefined) continue;
        for (const { value } of records) this.#group.seen.add(value);
        recorder.end(open, 'ok', [{ kind: 'poll', records }]);
        if (records.length > 0 && world.chance(0.6)) await this.#commit(places, reader.positions);
      }
      await world.sleep(world.between(0, 60));
      if (recorder.healedAt === undefined && world.chance(0.02)) return this.#end();
    }
  }

  /** Committed offsets; false when they could not be had. */
  async #positions(places: readonly Place[], into: Map<string, number>): Promise<boolean> {
    await this.#heartbeat();
    const floors = new Map(places.map((place) => [placeName(place), this.#group.floor(placeName(place))]));
    try {
      const topics = places.map(({ topic, partition }) => ({ name: topic, partitionIndexes: [partition] }));
      const answer = await this.#client.call('offsetFetch', 5, { groupId: this.#group.id, topics });
      if (answer.errorCode !== E.NONE) {
        this.#lab.recorder.error(`offsets ${answer.errorCode}`);
        return false;
      }
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, committedOffset, errorCode } of partitions) {
          if (errorCode !== E.NONE) return false;
          const key = placeName({ topic: name, partition: partitionIndex });
          this.#group.fetched(key, committedOffset, floors.get(key)!);
          into.set(key, Math.max(0, committedOffset));
        }
      }
      return true;
    } catch (thrown) {
      return lost(thrown);
    }
  }

  async #commit(places: readonly Place[], positions: ReadonlyMap<string, number>): Promise<void> {
    const offsets = places.map((place) => ({ place, key: placeName(place), offset: positions.get(placeName(place))! }));
    for (const { key, offset } of offsets) this.#group.committing(key, offset);
    try {
      const answer = await this.#client.call('offsetCommit', 7, {
        groupId: this.#group.id,
        generationIdOrMemberEpoch: this.#generation,
        memberId: this.#memberId,
        ...this.#instance,
        topics: offsets.map(({ place, offset }) => ({
          name: place.topic,
          partitions: [{ partitionIndex: place.partition, committedOffset: offset, committedMetadata: '' }],
        })),
      });
      for (const { name, partitions } of answer.topics) {
        for (const { partitionIndex, errorCode } of partitions) {
          const key = placeName({ topic: name, partition: partitionIndex });
          if (errorCode === E.NONE) this.#group.committed(key, offsets.find((one) => one.key === key)!.offset);
          else this.#lab.recorder.error(`commit ${errorCode}`);
        }
      }
    } catch (thrown) {
      lost(thrown);
    }
  }

  /** Rejoin when the group goes on without this member's generation. A lost answer is none. */
  async #heartbeat(): Promise<void> {
    try {
      const { errorCode } = await this.#client.call('heartbeat', 3, {
        groupId: this.#group.id,
        generationId: this.#generation,
        memberId: this.#memberId,
        ...this.#instance,
      });
      if (errorCode === E.NONE) return;
      this.#refused('heartbeat', errorCode);
    } catch (thrown) {
      lost(thrown);
      await this.#lab.world.sleep(20);
      return;
    }
    throw new Rejoin();
  }

  #refused(what: string, errorCode: number): undefined {
    this.#lab.recorder.error(`${what} ${errorCode}`);
    if (errorCode === E.UNKNOWN_MEMBER_ID || errorCode === E.FENCED_INSTANCE_ID) this.#memberId = '';
    return undefined;
  }

  /** Leaves politely, or just vanishes; comes back as somebody else. */
  async #end(): Promise<void> {
    const { world } = this.#lab;
    try {
      // A static member does not say that it goes.
      if (this.#instance.groupInstanceId === null && world.chance(0.5)) {
        const members = [{ memberId: this.#memberId }];
        await this.#client.call('leaveGroup', 3, { groupId: this.#group.id, members });
      }
    } catch (thrown) {
      lost(thrown);
    }
    this.#client.leave();
    this.#client = new SimClient(this.#lab.network, this.#name);
    this.#process = `${this.#name}/${++this.#lives}`;
    this.#memberId = '';
    await world.sleep(world.between(0, 500));
  }
}
