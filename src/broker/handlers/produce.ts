import { isInternalTopic } from '../../ports/internal-topics.ts';
import type { TopicInfo } from '../../ports/topic-log.ts';
import { ERROR_CODES as E, errorName } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import { ProtocolError } from '../../protocol/protocol-error.ts';
import { ATTRIBUTE_TRANSACTIONAL, RecordCursor, readBatchHeader, validateBatch } from '../../protocol/records.ts';
import type { AppendOrigin, PartitionLog } from '../../storage/partition-log.ts';
import type { BrokerContext, Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';
import { findTopic } from '../topics.ts';

const NO_ACK = 0;
const ALL_REPLICAS = -1;

interface PartitionAnswer {
  index: number;
  errorCode: number;
  baseOffset: number;
  logAppendTimeMs: number;
  logStartOffset: number;
  errorMessage: string | null;
  recordErrors?: { batchIndex: number; batchIndexErrorMessage: string }[];
}

/**
 * Appends all partitions before the first wait, so that requests of one connection are appended in the order they came. acks=-1
 * answers when the records are as safe as the topic promises, acks=1 when the system has them. Batches are checked by
 * header and checksum and stored as they are; compressed ones are not opened.
 */
export const produce: Handler<'produce'> = (request, call, broker) => {
  const { acks } = request;
  const waits: Promise<void>[] = [];
  const byId = call.version >= 13;
  const responses = request.topicData.map(({ name, topicId, partitionData }) => {
    const topic = findTopic(broker.storage, byId, name, topicId);
    const partitionResponses = partitionData.map(({ index, records }) => {
      let refused = refusal(acks, topic);
      if (typeof topic === 'number') refused = topic;
      if (refused !== E.NONE || typeof topic === 'number') return failed(index, refused);
      const log = broker.storage.partition(topic.name, index);
      if (log === undefined) return failed(index, E.UNKNOWN_TOPIC_OR_PARTITION);
      if (records === null) return failed(index, E.INVALID_RECORD);
      const invalid = validateBatch(records);
      if (invalid !== E.NONE) return failed(index, invalid);
      return isTransactional(records)
        ? appendInTransaction(broker, request, call.version, log, records, waits)
        : append(log, records, acks, waits, 'client');
    });
    return { name, topicId, partitionResponses };
  });
  if (acks === NO_ACK) {
    // There is no answer that could carry an error; a closed connection tells the client to look again.
    const bad = responses.flatMap((topic) => topic.partitionResponses).find(({ errorCode }) => errorCode !== E.NONE);
    if (bad !== undefined) throw new ProtocolError(`acks=0 and partition ${bad.index}: ${errorName(bad.errorCode)}`);
    return null;
  }
  if (waits.length === 0) return { responses };
  return Promise.all(waits).then(() => ({ responses }));
};

function refusal(acks: number, topic: TopicInfo | number): number {
  if (acks < -1 || acks > 1) return E.INVALID_REQUIRED_ACKS;
  return typeof topic !== 'number' && isInternalTopic(topic.name) ? E.INVALID_TOPIC_EXCEPTION : E.NONE;
}

/** From this version on the first batch to a partition adds it to the transaction (KIP-890); before, AddPartitionsToTxn must have done it. */
const ADDS_PARTITION_SINCE = 12;
const ABORTABLE_SINCE = 11;

const isTransactional = (batch: Buffer): boolean => (batch.readInt16BE(21) & ATTRIBUTE_TRANSACTIONAL) !== 0;

/**
 * Appends when the coordinator knows that the partition takes part in the producer's transaction, so that none is left open that nobody would
 * end. If it must first be written down that it does, batches wait for that in their order.
 */
function appendInTransaction(
  { transactions }: BrokerContext,
  { transactionalId, acks }: Pick<RequestBody<'produce'>, 'transactionalId' | 'acks'>,
  version: number,
  log: PartitionLog,
  records: Buffer,
  waits: Promise<void>[],
): PartitionAnswer {
  const index = log.partition;
  if (transactionalId === null) return failed(index, E.INVALID_TXN_STATE);
  if (acks === NO_ACK) return failed(index, E.INVALID_REQUIRED_ACKS);
  const { producerId, producerEpoch } = readBatchHeader(records);
  const who = { transactionalId, producerId, producerEpoch };
  const told = (error: number): number =>
    error === E.TRANSACTION_ABORTABLE && version < ABORTABLE_SINCE ? E.INVALID_TXN_STATE : error;
  const verdict = transactions.admit(who, log.topic, index, version >= ADDS_PARTITION_SINCE);
  if (verdict === E.NONE) return append(log, records, ALL_REPLICAS, waits, 'transaction');
  if (typeof verdict === 'number') return failed(index, told(verdict));
  const answer = failed(index, E.NONE);
  waits.push(
    verdict.then(async (added) => {
      const now = added === E.NONE ? transactions.admit(who, log.topic, index, false) : added;
      if (now !== E.NONE) {
        Object.assign(answer, failed(index, typeof now === 'number' ? told(now) : E.CONCURRENT_TRANSACTIONS));
        return;
      }
      const more: Promise<void>[] = [];
      const appended = append(log, records, ALL_REPLICAS, more, 'transaction');
      await Promise.all(more);
      Object.assign(answer, appended);
    }),
  );
  return answer;
}

function append(
  log: PartitionLog,
  records: Buffer,
  acks: number,
  waits: Promise<void>[],
  origin: AppendOrigin,
): PartitionAnswer {
  const index = log.partition;
  if (log.settings.compacts) {
    const keyless = keylessRecords(records);
    if (keyless === undefined) return failed(index, E.CORRUPT_MESSAGE);
    if (keyless.length > 0) return withoutKeys(index, keyless);
  }
  const { baseOffset, lastOffset, logAppendTimeMs, error } = log.append(records, { origin });
  if (error !== undefined) return failed(index, error);
  const answer: PartitionAnswer = {
    index,
    errorCode: E.NONE,
    baseOffset,
    logAppendTimeMs,
    logStartOffset: log.logStart,
    errorMessage: null,
  };
  const done = acks === ALL_REPLICAS ? log.durable(lastOffset) : log.written(lastOffset);
  const settled = done.catch((thrown: unknown) => {
    Object.assign(answer, failed(index, E.NONE), kafkaError(thrown));
  });
  if (acks !== NO_ACK) waits.push(settled);
  return answer;
}

/** Positions in the batch; undefined when its records cannot be read. */
function keylessRecords(records: Buffer): number[] | undefined {
  const found: number[] = [];
  try {
    const cursor = new RecordCursor(records);
    for (let position = 0; cursor.next(); position++) if (cursor.keyEnd < 0) found.push(position);
  } catch {
    return undefined;
  }
  return found;
}

/** KIP-467: which records of the batch are why it is refused. Without a key compaction could not tell what a record replaces. */
function withoutKeys(index: number, positions: readonly number[]): PartitionAnswer {
  const reason = 'a record of a compacted topic needs a key';
  return {
    ...failed(index, E.INVALID_RECORD),
    errorMessage: `${positions.length} records have no key: ${reason}`,
    recordErrors: positions.map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: reason })),
  };
}

const failed = (index: number, errorCode: number): PartitionAnswer => ({
  index,
  errorCode,
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
  errorMessage: errorCode === E.NONE ? null : errorName(errorCode),
});
