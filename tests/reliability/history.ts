/** A value is written at most once in a whole history, so that seeing it says which write was seen. */
export type Value = string;

export interface Send {
  readonly kind: 'send';
  /** A log: topic and partition. */
  readonly key: string;
  readonly value: Value;
  /** As the broker's answer says; undefined when it says none. */
  readonly offset?: number;
}

export interface Seen {
  readonly key: string;
  readonly offset: number;
  readonly value: Value;
}

/** Records that one poll gave, in the order they came. */
export interface Poll {
  readonly kind: 'poll';
  readonly records: readonly Seen[];
  /** It also gives what is not committed, or was aborted (isolation level read_uncommitted). */
  readonly uncommitted?: boolean;
}

/** The process may from here on read from elsewhere: it got other partitions, or sought on purpose. Without keys: anywhere. */
export interface Moved {
  readonly kind: 'moved';
  readonly keys?: readonly string[];
}

export type Step = Send | Poll | Moved;

/**
 * What a client did as one: a transaction, a produced batch, a poll. `ok`: it was told that it happened (a transaction: that it
 * committed). `failed`: it was refused, nobody may see anything of it. `aborted`: only uncommitted polls may. `unknown`: it was told nothing.
 */
export interface Op {
  /** One client whose reads and writes follow each other; operations of one process do not overlap, except produced batches in flight. */
  readonly process: string;
  /** Any clock that all processes share. */
  readonly start: number;
  readonly end: number;
  readonly outcome: 'ok' | 'failed' | 'aborted' | 'unknown';
  /** All sends of one key are one record batch, which nothing may interleave. */
  readonly batch?: boolean;
  readonly transaction?: boolean;
  readonly steps: readonly Step[];
}

export interface History {
  /** In the order in which they ended. */
  readonly ops: readonly Op[];
  /** Whether at the end readers read everything, so that what nobody saw is lost. */
  readonly caughtUp: boolean;
  /** When the last fault was over; each of `alive` must have an `ok` operation that ended after it. */
  readonly healedAt?: number;
  readonly alive?: readonly string[];
}
