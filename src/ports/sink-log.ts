/**
 * Topics as a sink writes them: in transactions of a transactional id of its own, which are written before and decided after the checkpoint
 * that they belong to. The embedded broker is one implementation, the message port of an engine worker another; a producer
 * of a foreign Kafka cluster can be a third (DESIGN D14). Nobody else uses the ids, and their transactions never time out.
 */
export interface SinkLog {
  /** The topic, made with these settings when it is missing. REQUEST_INVALID for a topic of our own or a bad name. */
  ensureTopic(
    topic: string,
    options: { readonly partitions: number; readonly config: Readonly<Record<string, string>> },
  ): Promise<{ readonly partitions: number; readonly maxMessageBytes: number; readonly compacted: boolean }>;
  /** Aborts what the id left open and begins a transaction; its batches carry the grant and sequences from 0 per partition, and the log's time. */
  begin(transactionalId: string): Promise<TransactionGrant & { readonly nowMs: number }>;
  /** Whole record batches of the transaction, back to back; durable when it resolves. STORAGE_FAILED, NOT_FOUND, REQUEST_INVALID. */
  append(
    transactionalId: string,
    grant: TransactionGrant,
    topic: string,
    partition: number,
    batches: Uint8Array,
  ): Promise<void>;
  /** Makes the transaction's records readable. Does nothing when another was begun since, or it was committed before. */
  commit(transactionalId: string, grant: TransactionGrant): Promise<void>;
  /** Aborts what the id has open, if anything. */
  abort(transactionalId: string): Promise<void>;
}

/** Who may write in a transaction. No two transactions of an id have the same. */
export interface TransactionGrant {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Of the transactional ids of sinks, closed to clients. */
export const SINK_TRANSACTIONS = '__streamline_sink_';
