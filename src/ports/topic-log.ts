/**
 * The log as everyone but the wire sees it: the engine, HTTP, the catalogue. The embedded broker's storage is one implementation, the
 * message port to an engine worker another; a client of a foreign Kafka cluster can be a third (DESIGN D14).
 * Offsets, timestamps (ms) and ids are JS numbers: the log refuses what is beyond 2^53.
 */
export interface TopicLog {
  /** Undefined when there is no such topic. */
  describeTopic(topic: string): TopicInfo | undefined;
  listTopics(): TopicInfo[];
  /** ALREADY_EXISTS, REQUEST_INVALID (bad name or count). */
  createTopic(
    topic: string,
    options: { partitions: number; config?: Readonly<Record<string, string>> },
  ): Promise<TopicInfo>;
  /** NOT_FOUND. */
  deleteTopic(topic: string): Promise<void>;
  /**
   * First offset still there (log start) and the offset after the last readable record. Only what is committed is readable, so this end stays
   * before the first transaction that is open (Kafka's last stable offset, without transactions its high watermark). NOT_FOUND.
   */
  bounds(topic: string, partition: number): PartitionBounds;
  /**
   * Whole record batches v2, back to back, beginning with the batch that contains `offset`; at least one batch when
   * there is one, else at most `maxBytes`. Empty at the high watermark. Batches of aborted transactions come without their records: offsets have gaps. NOT_FOUND; REQUEST_INVALID when out of range.
   */
  read(topic: string, partition: number, offset: number, maxBytes: number): Promise<Uint8Array>;
  /**
   * The first offset from `offset` on where a record with this key may be, the end of the partition when there is certainly none: a
   * reader who looks for one key need not read what lies between. NOT_FOUND.
   */
  seekKey(topic: string, partition: number, offset: number, key: Uint8Array): Promise<number>;
  /** Appends one produced record set; resolves after the fsync that covers it with the first record's offset. */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number>;
  /** Called after records became readable or the topic set changed; returns the unsubscribe. Calls may be merged. */
  onChange(listener: (topic: string) => void): () => void;
}

export interface PartitionBounds {
  readonly logStart: number;
  readonly highWatermark: number;
  /** Why nothing of the partition can be read or appended: both offsets are 0 then and mean nothing. */
  readonly offline?: string;
}

export interface TopicInfo {
  readonly name: string;
  /** Stable; a re-created topic gets a new one. UUID text. */
  readonly id: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers?: readonly (readonly [name: string, value: Uint8Array | null])[];
  /** Defaults to now. */
  readonly timestampMs?: number;
}
