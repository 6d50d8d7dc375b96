import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ProducerIdentity } from '../../transaction/transaction-coordinator.ts';
import type { BrokerContext, Handler } from '../context.ts';

interface Topic {
  readonly name: string;
  readonly partitions: readonly number[];
}

/** From this version on the API is for brokers, many transactions at once. Some clients send it, and are served. */
const BATCHED_SINCE = 4;
const FENCED_SINCE = 2;

export const addPartitionsToTxn: Handler<'addPartitionsToTxn'> = async (request, call, broker) => {
  if (call.version >= BATCHED_SINCE) {
    const resultsByTransaction = await Promise.all(
      request.transactions.map(async ({ verifyOnly, topics, ...who }) => {
        const topicResults = verifyOnly ? verify(broker, who, topics, call.version) : await add(broker, who, topics);
        return { transactionalId: who.transactionalId, topicResults };
      }),
    );
    return { resultsByTransaction };
  }
  const who = {
    transactionalId: request.v3AndBelowTransactionalId,
    producerId: request.v3AndBelowProducerId,
    producerEpoch: request.v3AndBelowProducerEpoch,
  };
  const resultsByTopicV3AndBelow = await add(broker, who, request.v3AndBelowTopics, (error) =>
    error === E.PRODUCER_FENCED && call.version < FENCED_SINCE ? E.INVALID_PRODUCER_EPOCH : error,
  );
  return { resultsByTopicV3AndBelow };
};

/** All of a request's partitions or none. */
async function add(
  { storage, transactions }: BrokerContext,
  who: ProducerIdentity,
  topics: readonly Topic[],
  told: (error: number) => number = (error) => error,
) {
  const missing = (topic: string, partition: number): boolean =>
    isInternalTopic(topic) || storage.partition(topic, partition) === undefined;
  if (topics.some(({ name, partitions }) => partitions.some((partition) => missing(name, partition)))) {
    return answer(topics, (topic, partition) =>
      missing(topic, partition) ? E.UNKNOWN_TOPIC_OR_PARTITION : E.OPERATION_NOT_ATTEMPTED,
    );
  }
  const wanted = topics.flatMap(({ name: topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
  const error = await new Promise<number>((resolve) => transactions.add(who, wanted, 0, resolve));
  return answer(topics, () => told(error));
}

function verify({ transactions }: BrokerContext, who: ProducerIdentity, topics: readonly Topic[], version: number) {
  return answer(topics, (topic, partition) => {
    const error = transactions.verify(who, { topic, partition });
    return error === E.TRANSACTION_ABORTABLE && version === BATCHED_SINCE ? E.INVALID_TXN_STATE : error;
  });
}

const answer = (topics: readonly Topic[], errorOf: (topic: string, partition: number) => number) =>
  topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map((partitionIndex) => ({
      partitionIndex,
      partitionErrorCode: errorOf(name, partitionIndex),
    })),
  }));
