import { CLUSTER_NAME, OPERATION as OP, RESOURCE as RES } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ResponseInput } from '../../protocol/protocol.ts';
import { ProtocolError } from '../../protocol/protocol-error.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { type Guards, maskedBits, mayTopic, pass, REFUSED_TOPIC, split } from './guard.ts';

/** What is in topics, and where. */
export const DATA_GUARDS: Guards<
  | 'produce'
  | 'fetch'
  | 'listOffsets'
  | 'offsetForLeaderEpoch'
  | 'metadata'
  | 'describeTopicPartitions'
  | 'deleteRecords'
  | 'describeProducers'
> = {
  produce: (request, rights, _call, broker) => {
    const { acks, transactionalId } = request;
    const own = transactionalId === null || rights.must(OP.write, RES.transactionalId, transactionalId);
    const [topicData, refused] = split(
      request.topicData,
      ({ name, topicId }) => own && mayTopic(rights, OP.write, broker, name, topicId),
    );
    if (refused.length > 0 && acks === 0)
      throw new ProtocolError('acks=0 and not authorized to write to one of the topics');
    const errorCode = own ? E.TOPIC_AUTHORIZATION_FAILED : E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    const refusals = refused.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode, baseOffset: -1 })),
    }));
    return {
      request: { ...request, topicData },
      complete: (answer) => ({ ...answer, responses: [...(answer.responses ?? []), ...refusals] }),
    };
  },

  // Its handler asks for READ on each topic at every request, as a session does not name them again.
  fetch: pass,

  listOffsets: (request, rights, _call, broker) => {
    const [topics, refused] = split(request.topics, ({ name }) => mayTopic(rights, OP.describe, broker, name));
    const refusals = refused.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        errorCode: E.TOPIC_AUTHORIZATION_FAILED,
      })),
    }));
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  offsetForLeaderEpoch: (request, rights, _call, broker) => {
    const [topics, refused] = split(request.topics, ({ topic }) => mayTopic(rights, OP.describe, broker, topic));
    const refusals = refused.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition }) => ({ partition, errorCode: E.TOPIC_AUTHORIZATION_FAILED })),
    }));
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  metadata: (request, rights, call, broker) => {
    const shown = (answer: ResponseInput<'metadata'>, refusals: ResponseInput<'metadata'>['topics'] = []) => ({
      ...answer,
      topics: [
        ...(answer.topics ?? []).map((topic) => ({
          ...topic,
          topicAuthorizedOperations: maskedBits(rights, topic.topicAuthorizedOperations, RES.topic, topic.name ?? ''),
        })),
        ...refusals,
      ],
      clusterAuthorizedOperations: maskedBits(
        rights,
        answer.clusterAuthorizedOperations,
        RES.cluster,
        CLUSTER_NAME,
        OP.describe,
      ),
    });
    if (request.topics === null || (call.version === 0 && request.topics.length === 0)) {
      return {
        request,
        complete: (answer) =>
          shown({
            ...answer,
            topics: (answer.topics ?? []).filter(({ name }) => rights.may(OP.describe, RES.topic, name ?? '')),
          }),
      };
    }
    const creates = request.allowAutoTopicCreation && broker.settings.autoCreateTopics;
    const [topics, refused] = split(request.topics, ({ name, topicId }) => {
      const byId = name === null || name === '';
      if (!mayTopic(rights, OP.describe, broker, name, byId ? topicId : undefined)) return false;
      if (byId || !creates || broker.storage.describeTopic(name) !== undefined) return true;
      return rights.may(OP.create, RES.cluster, CLUSTER_NAME) || rights.must(OP.create, RES.topic, name);
    });
    const refusals = refused.map(({ name, topicId }) => ({
      errorCode: E.TOPIC_AUTHORIZATION_FAILED,
      name: name === '' ? null : name,
      topicId: name === null || name === '' ? topicId : ZERO_UUID,
    }));
    return {
      request: { ...request, topics },
      // Version 0 takes no topics for all of them.
      complete: (answer) => shown(topics.length === 0 ? { ...answer, topics: [] } : answer, refusals),
    };
  },

  describeTopicPartitions: (request, rights, _call, broker) => {
    const all = request.topics.length === 0;
    const wanted = all ? broker.storage.listTopics().map(({ name }) => ({ name })) : request.topics;
    const [topics, refused] = split(wanted, ({ name }) =>
      all ? rights.may(OP.describe, RES.topic, name) : rights.must(OP.describe, RES.topic, name),
    );
    const refusals = all
      ? []
      : refused.map(({ name }) => ({ errorCode: E.TOPIC_AUTHORIZATION_FAILED, name, topicId: ZERO_UUID }));
    // The handler would take no topics for all.
    if (topics.length === 0) return { answer: { topics: refusals, nextCursor: null } };
    return {
      request: { ...request, topics },
      complete: (answer) => ({
        ...answer,
        topics: [
          ...(answer.topics ?? []).map((topic) => ({
            ...topic,
            topicAuthorizedOperations: maskedBits(rights, topic.topicAuthorizedOperations, RES.topic, topic.name ?? ''),
          })),
          ...refusals,
        ],
      }),
    };
  },

  deleteRecords: (request, rights, _call, broker) => {
    const [topics, refused] = split(request.topics, ({ name }) => mayTopic(rights, OP.delete, broker, name));
    const refusals = refused.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({
        partitionIndex,
        lowWatermark: -1,
        errorCode: E.TOPIC_AUTHORIZATION_FAILED,
      })),
    }));
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  describeProducers: (request, rights, _call, broker) => {
    const [topics, refused] = split(request.topics, ({ name }) => mayTopic(rights, OP.read, broker, name));
    const refusals = refused.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...REFUSED_TOPIC })),
    }));
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },
};
