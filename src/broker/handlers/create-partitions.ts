import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';

export const createPartitions: Handler<'createPartitions'> = async (request, _call, broker) => {
  const results = [];
  const seen = new Set<string>();
  for (const wanted of request.topics) {
    const again = seen.has(wanted.name);
    seen.add(wanted.name);
    const error = again
      ? { errorCode: E.INVALID_REQUEST, errorMessage: 'the topic is named twice' }
      : await grow(broker, wanted, request.validateOnly);
    results.push({ name: wanted.name, ...error });
  }
  return { results };
};

async function grow(
  { storage }: BrokerContext,
  { name, count, assignments }: RequestBody<'createPartitions'>['topics'][number],
  dryRun: boolean,
): Promise<KafkaError> {
  const topic = storage.describeTopic(name);
  if (topic === undefined) return { errorCode: E.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'there is no such topic' };
  if (isInternalTopic(name)) return { errorCode: E.INVALID_REQUEST, errorMessage: `${name} is kept for the broker` };
  const good =
    assignments === null ||
    (assignments.length === count - topic.partitions &&
      assignments.every(({ brokerIds }) => brokerIds.length === 1 && brokerIds[0] === NODE_ID));
  if (!good && count > topic.partitions) {
    const errorMessage = `one assignment for each new partition, to the one broker ${NODE_ID}`;
    return { errorCode: E.INVALID_REPLICA_ASSIGNMENT, errorMessage };
  }
  return storage.createPartitions(name, count, { dryRun }).then(
    () => NO_ERROR,
    (thrown: unknown) => kafkaError(thrown, { REQUEST_INVALID: E.INVALID_PARTITIONS }),
  );
}
