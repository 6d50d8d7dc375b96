import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import { CONFIG_SOURCE } from './describe-configs.ts';

type NewTopic = RequestBody<'createTopics'>['topics'][number];

const fault = (errorCode: number, errorMessage: string): KafkaError => ({ errorCode, errorMessage });

/** Every topic of the request is in the answer, with what came of it and, from v5 on, its settings. */
export const createTopics: Handler<'createTopics'> = async (request, _call, broker) => {
  const topics = [];
  const twice = repeated(request.topics.map(({ name }) => name));
  for (const wanted of request.topics) {
    const { name } = wanted;
    const error = twice.has(name) ? fault(E.INVALID_REQUEST, 'the topic is named twice') : check(broker, wanted);
    topics.push(
      error === NO_ERROR ? await create(broker, wanted, request.validateOnly) : { name, ...error, configs: null },
    );
  }
  return { topics };
};

function check({ settings }: BrokerContext, wanted: NewTopic): KafkaError {
  const { name, numPartitions, replicationFactor, assignments } = wanted;
  if (isInternalTopic(name)) return fault(E.INVALID_TOPIC_EXCEPTION, `${name} is kept for the broker`);
  if (assignments.length > 0) {
    if (numPartitions !== -1 || replicationFactor !== -1) {
      return fault(E.INVALID_REQUEST, 'with assignments, partitions and replication factor are -1');
    }
    const indexes = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
    const good = assignments.every(
      ({ partitionIndex, brokerIds }) =>
        partitionIndex >= 0 &&
        partitionIndex < assignments.length &&
        brokerIds.length === 1 &&
        brokerIds[0] === NODE_ID,
    );
    return good && indexes.size === assignments.length
      ? NO_ERROR
      : fault(E.INVALID_REPLICA_ASSIGNMENT, `partitions count from 0, and each has the one replica ${NODE_ID}`);
  }
  if (numPartitions < 1 && numPartitions !== -1) return fault(E.INVALID_PARTITIONS, 'a topic has at least 1 partition');
  if (
    replicationFactor !== 1 &&
    replicationFactor !== -1 &&
    !(settings.anyReplicationFactor && replicationFactor > 1)
  ) {
    return fault(E.INVALID_REPLICATION_FACTOR, `there is 1 broker, so no replication factor of ${replicationFactor}`);
  }
  return NO_ERROR;
}

async function create({ storage, settings, log }: BrokerContext, wanted: NewTopic, validateOnly: boolean) {
  const { name, assignments, numPartitions } = wanted;
  const partitions = assignments.length || (numPartitions === -1 ? settings.numPartitions : numPartitions);
  try {
    const config: Record<string, string> = {};
    for (const { name: key, value } of wanted.configs) if (value !== null) config[key] = value;
    const topic = await storage.createTopic(name, { partitions, config, dryRun: validateOnly });
    if (!validateOnly) log.info('topic.created', { topic: name, partitions });
    const configs = validateOnly
      ? Object.entries(config).map(([key, value]) => ({ name: key, value, configSource: CONFIG_SOURCE.topic }))
      : storage
          .topicConfig(name)
          .map(({ row, value, source }) => ({ name: row.name, value, configSource: CONFIG_SOURCE[source] }));
    return {
      name,
      topicId: validateOnly ? ZERO_UUID : topic.id,
      ...NO_ERROR,
      numPartitions: partitions,
      replicationFactor: 1,
      configs,
    };
  } catch (thrown) {
    const countFits = partitions <= 10_000;
    const invalid = countFits ? E.INVALID_TOPIC_EXCEPTION : E.INVALID_PARTITIONS;
    return { name, ...kafkaError(thrown, { REQUEST_INVALID: invalid }), configs: null };
  }
}

function repeated(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) twice.add(name);
    seen.add(name);
  }
  return twice;
}
