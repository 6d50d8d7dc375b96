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

/** One change of what groups must not forget; a null value deletes. */
export type GroupRecord =
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
