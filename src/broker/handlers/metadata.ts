import { isInternalTopic } from '../../ports/internal-topics.ts';
import type { TopicInfo } from '../../ports/topic-log.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { CLUSTER_OPERATIONS, TOPIC_OPERATIONS, UNKNOWN_OPERATIONS } from '../authorized-operations.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';
import { describePartition, findTopic, logsOf } from '../topics.ts';

export const metadata: Handler<'metadata'> = async (request, call, broker) => {
  const { storage } = broker;
  const { advertised } = call;
  const operations = request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : UNKNOWN_OPERATIONS;
  const describe = (topic: TopicInfo) => ({
    errorCode: E.NONE,
    name: topic.name,
    topicId: topic.id,
    isInternal: isInternalTopic(topic.name),
    partitions: logsOf(storage, topic).map(describePartition),
    topicAuthorizedOperations: operations,
  });
  const missing = (name: string | null, topicId: string, errorCode: number) => ({
    errorCode,
    name,
    topicId,
    isInternal: false,
    partitions: [],
    topicAuthorizedOperations: UNKNOWN_OPERATIONS,
  });
  const wanted = request.topics;
  // Version 0 has no null: there the empty list means all.
  const all = wanted === null || (call.version === 0 && wanted.length === 0);
  const topics = [];
  if (all) topics.push(...storage.listTopics().map(describe));
  else {
    for (const { name, topicId } of wanted) {
      const byId = name === null || (name === '' && topicId !== ZERO_UUID);
      let found = findTopic(storage, byId, name ?? '', topicId);
      if (found === E.UNKNOWN_TOPIC_OR_PARTITION && request.allowAutoTopicCreation) {
        found = await autoCreate(broker, name ?? '');
      }
      topics.push(typeof found === 'number' ? missing(byId ? null : name, topicId, found) : describe(found));
    }
  }
  return {
    brokers: [{ nodeId: NODE_ID, host: advertised.host, port: advertised.port, rack: null }],
    clusterId: storage.clusterId,
    controllerId: NODE_ID,
    topics,
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : UNKNOWN_OPERATIONS,
  };
};

/** The new topic, or an error code. */
async function autoCreate({ storage, settings, log }: BrokerContext, name: string): Promise<TopicInfo | number> {
  if (!settings.autoCreateTopics || isInternalTopic(name)) return E.UNKNOWN_TOPIC_OR_PARTITION;
  try {
    const topic = await storage.createTopic(name, { partitions: settings.numPartitions });
    log.info('topic.auto_created', { topic: name, partitions: topic.partitions });
    return topic;
  } catch (thrown) {
    // Somebody else may have been faster.
    const existing = storage.describeTopic(name);
    if (existing !== undefined) return existing;
    const { errorCode } = kafkaError(thrown, { REQUEST_INVALID: E.INVALID_TOPIC_EXCEPTION });
    return errorCode === E.TOPIC_ALREADY_EXISTS ? E.LEADER_NOT_AVAILABLE : errorCode;
  }
}
