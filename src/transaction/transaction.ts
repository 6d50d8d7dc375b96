/** The states of a transaction, in the order of the numbers that Kafka's records give them. */
export const STATUSES = [
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
] as const;
export type Status = (typeof STATUSES)[number];

/** No producer may be given an epoch beyond this one: the next is for the marker that ends its last transaction. */
const LAST_EPOCH = 32_766;
const LARGEST_EPOCH = 32_767;
/** Clients of this version raise their epoch with every transaction (KIP-890). */
export const EPOCH_PER_TRANSACTION = 2;

/** A transaction with this timeout stays open until it is ended. Clients may not ask for it. */
export const NEVER_MS = 2_147_483_647;

/** What is known of a transactional id beside its partitions. Never changed in place, so that a failed write can be taken back. */
export interface TransactionState {
  readonly status: Status;
  readonly producerId: number;
  /** The id before, when the epochs of that one were used up; −1. */
  readonly previousProducerId: number;
  /** The id that the producer goes on with when the transaction is complete; −1: this one. */
  readonly nextProducerId: number;
  /** −1 before the first producer. */
  readonly epoch: number;
  /** The epoch that a producer may still name when it missed the answer that raised it (KIP-360); −1. */
  readonly lastEpoch: number;
  readonly timeoutMs: number;
  /** Wall clock, ms; −1 while there is no transaction. */
  readonly startMs: number;
  /** Wall clock, ms. */
  readonly updatedMs: number;
  /** Of the transaction protocol, as the last request showed: 0 or 1, or 2 for KIP-890's. */
  readonly clientVersion: number;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A transactional id. `partitions` holds for each partition of the transaction null, or what resolves once it is durable that it takes part. */
export class Transaction {
  readonly id: string;
  state: TransactionState;
  readonly partitions = new Map<string, Map<number, Promise<number> | null>>();
  /** A change is being written or its markers are: no other may begin. */
  busy = false;
  /** Additions of partitions that are being written. */
  adding = 0;

  constructor(id: string, state: TransactionState) {
    this.id = id;
    this.state = state;
  }

  get changing(): boolean {
    return this.busy || this.adding > 0;
  }

  get isPreparing(): boolean {
    return this.state.status === 'PrepareCommit' || this.state.status === 'PrepareAbort';
  }

  /** Undefined when the partition does not take part. */
  partition(topic: string, partition: number): Promise<number> | null | undefined {
    return this.partitions.get(topic)?.get(partition);
  }

  setPartition({ topic, partition }: TopicPartition, added: Promise<number> | null): void {
    let of = this.partitions.get(topic);
    if (of === undefined) {
      of = new Map();
      this.partitions.set(topic, of);
    }
    of.set(partition, added);
  }

  removePartition({ topic, partition }: TopicPartition): void {
    const of = this.partitions.get(topic);
    of?.delete(partition);
    if (of?.size === 0) this.partitions.delete(topic);
  }

  listPartitions(): TopicPartition[] {
    return [...this.partitions].flatMap(([topic, of]) => [...of.keys()].map((partition) => ({ topic, partition })));
  }
}

export const newState = (timeoutMs: number, nowMs: number): TransactionState => ({
  status: 'Empty',
  producerId: -1,
  previousProducerId: -1,
  nextProducerId: -1,
  epoch: -1,
  lastEpoch: -1,
  timeoutMs,
  startMs: -1,
  updatedMs: nowMs,
  clientVersion: 0,
});

export const isExhausted = (epoch: number): boolean => epoch >= LAST_EPOCH;
export const raised = (epoch: number): number => Math.min(epoch + 1, LARGEST_EPOCH);

/** The state after the markers: the producer goes on with its new id, if its epochs were used up. */
export function completed(state: TransactionState, nowMs: number): TransactionState {
  const status = state.status === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort';
  const done = { ...state, status, startMs: -1, updatedMs: nowMs } as const;
  if (state.nextProducerId < 0) return done;
  const { producerId, nextProducerId } = state;
  return { ...done, previousProducerId: producerId, producerId: nextProducerId, nextProducerId: -1, epoch: 0 };
}

/**
 * Whether an EndTxn of the newer protocol names the epoch of before: its first answer, which raised the epoch, did not arrive.
 */
export function isRepeatedEnd(state: TransactionState, producerId: number, epoch: number): boolean {
  if (state.clientVersion < EPOCH_PER_TRANSACTION) return false;
  if (state.status === 'Empty' || state.status === 'Ongoing') return false;
  if (state.producerId === producerId) return state.epoch === epoch + 1;
  return state.previousProducerId === producerId && state.epoch === 0 && isExhausted(epoch);
}
