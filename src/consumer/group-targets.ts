import type { Clock } from '../lib/clock.ts';
import { regexOf } from '../lib/regex.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';
import { type Assignment, assignmentOf, sameAssignment, type TopicPartitions } from './assignment.ts';
import { ASSIGNORS } from './assignors.ts';
import type { ConsumerGroup, ConsumerMember } from './consumer-group.ts';
import { targetRecord, targetsRecord } from './consumer-records.ts';
import type { GroupRecord } from './journal.ts';
import { Refusal } from './refusal.ts';

/** The topics there are. */
export interface Topics {
  /** Changes whenever a topic comes, goes or grows. */
  readonly version: number;
  byName(name: string): { readonly id: string; readonly partitions: number } | undefined;
  /** Those that consumers may subscribe to by pattern. */
  names(): Iterable<string>;
}

export interface NamedPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** What the members of a group of the consumer protocol are to have: the topics that they mean, and who gets which partitions. */
export class GroupTargets {
  readonly #clock: Clock;
  readonly #topics: Topics;

  constructor(clock: Clock, topics: Topics) {
    this.#clock = clock;
    this.#topics = topics;
  }

  /** Of all topics; see Topics. */
  get version(): number {
    return this.#topics.version;
  }

  /** Finds the topics that the member's expression stands for, when it is new or topics changed. */
  resolve(
    group: ConsumerGroup,
    member: ConsumerMember,
    groupId: string,
    isVisible: (topic: string) => boolean,
    records: GroupRecord[],
  ): void {
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

  forgetRegexes(groupId: string, group: ConsumerGroup, records: GroupRecord[]): void {
    const used = new Set([...group.members.values()].map(({ topicRegex }) => topicRegex));
    for (const regex of group.regexes.keys()) {
      if (used.has(regex)) continue;
      group.regexes.delete(regex);
      records.push({ kind: 'consumerRegex', group: groupId, regex, value: null });
    }
  }

  /** Changes when a topic that is wanted comes, goes, grows or is another one by the same name. */
  metadataHash(group: ConsumerGroup): number {
    group.topicsVersion = this.#topics.version;
    let hash = 0;
    for (const name of group.wanted()) {
      const topic = this.#topics.byName(name);
      if (topic !== undefined) hash = (hash + textHash(`${name} ${topic.id} ${topic.partitions}`)) % 2 ** 48;
    }
    return hash;
  }

  /** Whether topics that are wanted have changed since the last look, which this is. */
  hasChanged(group: ConsumerGroup): boolean {
    if (group.topicsVersion === this.#topics.version) return false;
    const before = group.metadataHash;
    group.metadataHash = this.metadataHash(group);
    return group.metadataHash !== before;
  }

  /** Partitions as classic members name them, without topics that do not exist. */
  byIds(named: readonly NamedPartitions[]): Assignment {
    return assignmentOf(
      named.flatMap(({ topic, partitions }) => {
        const topicId = this.#topics.byName(topic)?.id;
        return topicId === undefined ? [] : [{ topicId, partitions }];
      }),
    );
  }

  /** The way back; `names` are those that come into question. */
  byNames(names: Iterable<string>, partitions: readonly TopicPartitions[]): NamedPartitions[] {
    const nameOf = new Map<string, string>();
    for (const name of names) {
      const topic = this.#topics.byName(name);
      if (topic !== undefined) nameOf.set(topic.id, name);
    }
    return partitions.flatMap((of) => {
      const topic = nameOf.get(of.topicId);
      return topic === undefined ? [] : [{ topic, partitions: of.partitions }];
    });
  }

  assign(groupId: string, group: ConsumerGroup, records: GroupRecord[]): void {
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
    records.push(targetsRecord(groupId, group, this.#clock.nowMs()));
  }
}

/** INVALID_REGULAR_EXPRESSION */
export function compiled(pattern: string) {
  try {
    return regexOf(pattern);
  } catch (thrown) {
    throw new Refusal(E.INVALID_REGULAR_EXPRESSION, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** FNV-1a, 32 bits. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
