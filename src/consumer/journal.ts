import type { TopicPartitions } from './assignment.ts';
import type { CommittedOffset } from './offsets.ts';

/** A member as it is written down (GroupMetadataValue): what a restart needs to go on without a rebalance. */
export interface StoredMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeout: number;
  readonly sessionTimeout: number;
  /** The metadata of the protocol that was chosen. */
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** A group as it is written down when it gets stable or empty. */
export interface StoredGroup {
  readonly protocolType: string;
  readonly generation: number;
  readonly protocol: string | null;
  readonly leader: string | null;
  /** Wall clock, ms. */
  readonly currentStateTimestamp: number;
  readonly members: readonly StoredMember[];
}

/** What is written down of a group of the consumer protocol, a record each (KIP-848). */
interface ConsumerRecords {
  readonly consumerGroup: { readonly epoch: number; readonly metadataHash: number };
  readonly consumerTarget: { readonly assignmentEpoch: number; readonly assignmentTimestamp: number };
}

interface ConsumerMemberRecords {
  readonly consumerMember: {
    readonly instanceId: string | null;
    readonly rackId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly subscribedTopicNames: readonly string[];
    readonly subscribedTopicRegex: string | null;
    readonly rebalanceTimeoutMs: number;
    readonly serverAssignor: string | null;
    readonly classicMemberMetadata: {
      readonly sessionTimeoutMs: number;
      readonly supportedProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
    } | null;
  };
  readonly consumerTargetMember: { readonly topicPartitions: readonly TopicPartitions[] };
  readonly consumerCurrent: {
    readonly memberEpoch: number;
    readonly previousMemberEpoch: number;
    readonly state: number;
    readonly assignedPartitions: readonly TopicPartitions[];
    readonly partitionsPendingRevocation: readonly TopicPartitions[];
  };
}

export type ConsumerRecord =
  | {
      [K in keyof ConsumerRecords]: {
        readonly kind: K;
        readonly group: string;
        readonly value: ConsumerRecords[K] | null;
      };
    }[keyof ConsumerRecords]
  | {
      [K in keyof ConsumerMemberRecords]: {
        readonly kind: K;
        readonly group: string;
        readonly member: string;
        readonly value: ConsumerMemberRecords[K] | null;
      };
    }[keyof ConsumerMemberRecords]
  | {
      readonly kind: 'consumerRegex';
      readonly group: string;
      readonly regex: string;
      /** The topics it stood for when there was this version of all topics. */
      readonly value: {
        readonly topics: readonly string[];
        readonly version: number;
        readonly timestamp: number;
      } | null;
    };

/** One change of what groups must not forget; a null value deletes. */
export type GroupRecord =
  | ConsumerRecord
  | { readonly kind: 'group'; readonly group: string; readonly value: StoredGroup | null }
  | {
      readonly kind: 'offset';
      readonly group: string;
      readonly topic: string;
      readonly partition: number;
      /** Without the topic's id, which the record does not hold. */
      readonly value: Omit<CommittedOffset, 'topicId'> | null;
      /** Set while the record waits for the end of this producer's transaction. */
      readonly producerId?: number;
    };

export interface Producer {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Where the coordinator writes down what it must not forget. */
export interface GroupJournal {
  /**
   * Appends the records as one unit; `done` is called once, later, in the order of the calls: with true when they are durable,
   * with false when they could not be written, in which case they may or may not come back after a restart. With `producer` they count
   * once its transaction is committed.
   */
  write(records: readonly GroupRecord[], done: (ok: boolean) => void, producer?: Producer): void;
  /** Appends the end of the producer's transaction; `done` as above. Nothing is lost by a repetition. */
  endTransaction(producer: Producer, committed: boolean, done: (ok: boolean) => void): void;
}
