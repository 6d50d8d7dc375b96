import { CLUSTER_NAME, OPERATION as OP, RESOURCE as RES } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import { type Guards, mayGroup, mayTopic, pass, split } from './guard.ts';

/** Producer ids and transactions. */
export const TRANSACTION_GUARDS: Guards<
  | 'initProducerId'
  | 'addPartitionsToTxn'
  | 'addOffsetsToTxn'
  | 'endTxn'
  | 'txnOffsetCommit'
  | 'writeTxnMarkers'
  | 'describeTransactions'
  | 'listTransactions'
> = {
  initProducerId: (request, rights) => {
    const { transactionalId } = request;
    if (transactionalId === null) {
      return rights.mustWriteIdempotently()
        ? pass(request)
        : { answer: { errorCode: E.CLUSTER_AUTHORIZATION_FAILED, producerEpoch: -1 } };
    }
    return rights.must(OP.write, RES.transactionalId, transactionalId)
      ? pass(request)
      : { answer: { errorCode: E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producerEpoch: -1 } };
  },

  addPartitionsToTxn: (request, rights, call) => {
    type Topics = RequestBody<'addPartitionsToTxn'>['v3AndBelowTopics'];
    /** The results when something is refused, which then is all of it. */
    const refusal = (transactionalId: string, topics: Topics) => {
      const own = rights.must(OP.write, RES.transactionalId, transactionalId);
      const errorOf = new Map(
        topics.map(({ name }) => [
          name,
          own && rights.must(OP.write, RES.topic, name) ? E.NONE : E.TOPIC_AUTHORIZATION_FAILED,
        ]),
      );
      if (own && [...errorOf.values()].every((error) => error === E.NONE)) return undefined;
      return topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({
          partitionIndex,
          partitionErrorCode: own
            ? errorOf.get(name) || E.OPERATION_NOT_ATTEMPTED
            : E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        })),
      }));
    };
    if (call.version < 4) {
      const refused = refusal(request.v3AndBelowTransactionalId, request.v3AndBelowTopics);
      return refused === undefined ? pass(request) : { answer: { resultsByTopicV3AndBelow: refused } };
    }
    const refusals: { transactionalId: string; topicResults: NonNullable<ReturnType<typeof refusal>> }[] = [];
    const [transactions] = split(request.transactions, ({ transactionalId, topics }) => {
      const topicResults = refusal(transactionalId, topics);
      if (topicResults !== undefined) refusals.push({ transactionalId, topicResults });
      return topicResults === undefined;
    });
    return {
      request: { ...request, transactions },
      complete: (answer) => ({
        ...answer,
        resultsByTransaction: [...(answer.resultsByTransaction ?? []), ...refusals],
      }),
    };
  },

  addOffsetsToTxn: (request, rights) => {
    if (!rights.must(OP.write, RES.transactionalId, request.transactionalId)) {
      return { answer: { errorCode: E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED } };
    }
    return mayGroup(rights, OP.read, request.groupId)
      ? pass(request)
      : { answer: { errorCode: E.GROUP_AUTHORIZATION_FAILED } };
  },

  endTxn: (request, rights) =>
    rights.must(OP.write, RES.transactionalId, request.transactionalId)
      ? pass(request)
      : { answer: { errorCode: E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED } },

  txnOffsetCommit: (request, rights, _call, broker) => {
    const whole = !rights.must(OP.write, RES.transactionalId, request.transactionalId)
      ? E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
      : !mayGroup(rights, OP.read, request.groupId)
        ? E.GROUP_AUTHORIZATION_FAILED
        : E.NONE;
    const [topics, refused] = split(
      request.topics,
      ({ name }) => whole === E.NONE && mayTopic(rights, OP.read, broker, name),
    );
    const errorCode = whole === E.NONE ? E.TOPIC_AUTHORIZATION_FAILED : whole;
    const refusals = refused.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    if (topics.length === 0) return { answer: { topics: refusals } };
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  writeTxnMarkers: (request, rights) => {
    if (rights.may(OP.alter, RES.cluster, CLUSTER_NAME) || rights.mustOnCluster(OP.clusterAction)) return pass(request);
    const errorCode = E.CLUSTER_AUTHORIZATION_FAILED;
    return {
      answer: {
        markers: request.markers.map(({ producerId, topics }) => ({
          producerId,
          topics: topics.map(({ name, partitionIndexes }) => ({
            name,
            partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })),
          })),
        })),
      },
    };
  },

  describeTransactions: (request, rights) => {
    const [transactionalIds, refused] = split(request.transactionalIds, (id) =>
      rights.must(OP.describe, RES.transactionalId, id),
    );
    return {
      request: { ...request, transactionalIds },
      complete: (answer) => ({
        ...answer,
        transactionStates: [
          ...(answer.transactionStates ?? []).map((state) => ({
            ...state,
            topics: (state.topics ?? []).filter(({ topic }) => rights.may(OP.describe, RES.topic, topic ?? '')),
          })),
          ...refused.map((transactionalId) => ({
            errorCode: E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            transactionalId,
          })),
        ],
      }),
    };
  },

  listTransactions: (request, rights) => ({
    request,
    complete: (answer) => ({
      ...answer,
      transactionStates: (answer.transactionStates ?? []).filter(({ transactionalId }) =>
        rights.may(OP.describe, RES.transactionalId, transactionalId ?? ''),
      ),
    }),
  }),
};
