import { isInternalTopic } from '../../ports/internal-topics.ts';
import type { TopicInfo } from '../../ports/topic-log.ts';
import { ERROR_CODES as E, errorName } from '../../protocol/error-codes.ts';
import { ProtocolError } from '../../protocol/protocol-error.ts';
import { validateBatch } from '../../protocol/records.ts';
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
      let refused = refusal(request.transactionalId, acks, topic);
      if (typeof topic === 'number') refused = topic;
      const answer: PartitionAnswer =
        refused !== E.NONE || typeof topic === 'number'
          ? failed(index, refused)
          : append(broker, topic.name, index, records, acks, waits);
      return answer;
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

function refusal(transactionalId: string | null, acks: number, topic: TopicInfo | number): number {
  if (acks < -1 || acks > 1) return E.INVALID_REQUIRED_ACKS;
  // There is no transaction coordinator that could have begun one.
  if (transactionalId !== null) return E.INVALID_TXN_STATE;
  return typeof topic !== 'number' && isInternalTopic(topic.name) ? E.INVALID_TOPIC_EXCEPTION : E.NONE;
}

function append(
  broker: BrokerContext,
  topic: string,
  index: number,
  records: Buffer | null,
  acks: number,
  waits: Promise<void>[],
): PartitionAnswer {
  const log = broker.storage.partition(topic, index);
  if (log === undefined) return failed(index, E.UNKNOWN_TOPIC_OR_PARTITION);
  if (records === null) return failed(index, E.INVALID_RECORD);
  const invalid = validateBatch(records);
  if (invalid !== E.NONE) return failed(index, invalid);
  const { baseOffset, lastOffset, logAppendTimeMs, error } = log.append(records);
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

const failed = (index: number, errorCode: number): PartitionAnswer => ({
  index,
  errorCode,
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: -1,
  errorMessage: errorCode === E.NONE ? null : errorName(errorCode),
});
