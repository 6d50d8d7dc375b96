import { assignmentOf, NO_PARTITIONS } from './assignment.ts';
import { ConsumerGroup, type ConsumerMember, MEMBER_STATE } from './consumer-group.ts';
import type { ConsumerRecord } from './journal.ts';

type Written = { -readonly [K in keyof ConsumerMember]?: ConsumerMember[K] };

/** Puts groups of the consumer protocol together from what was written down of them, in whatever order the last records of the keys come. */
export class ConsumerGroupLoader {
  readonly #nowMs: number;
  readonly #groups = new Map<string, ConsumerGroup>();
  readonly #members = new Map<string, Map<string, Written>>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  take(record: ConsumerRecord) {
    if (record.value === null) return this.#forget(record);
    const group = this.#group(record.group);
    switch (record.kind) {
      case 'consumerGroup':
        group.epoch = record.value.epoch;
        group.metadataHash = record.value.metadataHash;
        break;
      case 'consumerTarget':
        group.assignmentEpoch = record.value.assignmentEpoch;
        break;
      case 'consumerRegex':
        group.regexes.set(record.regex, { topics: new Set(record.value.topics), version: -1 });
        break;
      case 'consumerTargetMember':
        group.targets.set(record.member, assignmentOf(record.value.topicPartitions));
        break;
      case 'consumerMember': {
        const { subscribedTopicNames: topicNames, subscribedTopicRegex: topicRegex, ...rest } = record.value;
        const { classicMemberMetadata, ...own } = rest;
        const classic = classicMemberMetadata && {
          sessionTimeoutMs: classicMemberMetadata.sessionTimeoutMs,
          protocols: classicMemberMetadata.supportedProtocols,
        };
        Object.assign(this.#member(record.group, record.member), { ...own, topicNames, topicRegex, classic });
        break;
      }
      case 'consumerCurrent': {
        const { memberEpoch: epoch, previousMemberEpoch: previousEpoch, state, ...partitions } = record.value;
        const assigned = assignmentOf(partitions.assignedPartitions);
        const revoking = assignmentOf(partitions.partitionsPendingRevocation);
        Object.assign(this.#member(record.group, record.member), { epoch, previousEpoch, state, assigned, revoking });
      }
    }
  }

  /** The groups, each with the members that are known to want something. */
  get groups(): ReadonlyMap<string, ConsumerGroup> {
    for (const [groupId, members] of this.#members) {
      const group = this.#group(groupId);
      for (const [memberId, written] of members) {
        const { clientId, clientHost, topicNames } = written;
        if (clientId === undefined || clientHost === undefined || topicNames === undefined) continue;
        group.put({
          instanceId: null,
          rackId: null,
          rebalanceTimeoutMs: -1,
          serverAssignor: null,
          topicRegex: null,
          epoch: 0,
          previousEpoch: 0,
          state: MEMBER_STATE.stable,
          assigned: NO_PARTITIONS,
          revoking: NO_PARTITIONS,
          classic: null,
          ...written,
          memberId,
          clientId,
          clientHost,
          topicNames,
        });
      }
    }
    return this.#groups;
  }

  #forget(record: ConsumerRecord): void {
    const group = this.#groups.get(record.group);
    if (record.kind === 'consumerGroup') this.#groups.delete(record.group);
    else if (record.kind === 'consumerRegex') group?.regexes.delete(record.regex);
    else if (record.kind === 'consumerTargetMember') group?.targets.delete(record.member);
    else if (record.kind === 'consumerMember') this.#members.get(record.group)?.delete(record.member);
  }

  #group(groupId: string): ConsumerGroup {
    const known = this.#groups.get(groupId) ?? new ConsumerGroup(this.#nowMs);
    this.#groups.set(groupId, known);
    return known;
  }

  #member(groupId: string, memberId: string): Written {
    const members = this.#members.get(groupId) ?? new Map<string, Written>();
    this.#members.set(groupId, members);
    const known = members.get(memberId) ?? {};
    members.set(memberId, known);
    return known;
  }
}
