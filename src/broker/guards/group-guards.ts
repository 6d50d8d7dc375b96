import { CLUSTER_NAME, OPERATION as OP, RESOURCE as RES } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { ResponseInput } from '../../protocol/protocol.ts';
import type { BrokerContext } from '../context.ts';
import type { Rights } from '../rights.ts';
import {
  type Guard,
  type Guards,
  maskedBits,
  mayGroup,
  mayTopic,
  pass,
  REFUSED_GROUP,
  REFUSED_TOPIC,
  split,
} from './guard.ts';

/** The rule of all calls of a group's members. */
const memberOf =
  <A extends 'joinGroup' | 'syncGroup' | 'heartbeat' | 'leaveGroup'>(): Guard<A> =>
  (request, rights) =>
    mayGroup(rights, OP.read, (request as { groupId: string }).groupId)
      ? pass<A>(request)
      : { answer: { errorCode: E.GROUP_AUTHORIZATION_FAILED } as ResponseInput<A> };

/** Groups and the offsets they commit. */
export const GROUP_GUARDS: Guards<
  | 'findCoordinator'
  | 'joinGroup'
  | 'syncGroup'
  | 'heartbeat'
  | 'leaveGroup'
  | 'offsetCommit'
  | 'offsetFetch'
  | 'offsetDelete'
  | 'describeGroups'
  | 'listGroups'
  | 'deleteGroups'
  | 'consumerGroupHeartbeat'
  | 'consumerGroupDescribe'
> = {
  findCoordinator: (request, rights, call) => {
    const type = request.keyType === 1 ? RES.transactionalId : RES.group;
    const errorCode = request.keyType === 1 ? E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED : E.GROUP_AUTHORIZATION_FAILED;
    const refusal = { errorCode, errorMessage: 'not authorized', nodeId: -1, host: '', port: -1 };
    if (call.version < 4) return rights.must(OP.describe, type, request.key) ? pass(request) : { answer: refusal };
    const [coordinatorKeys, refused] = split(request.coordinatorKeys, (key) => rights.must(OP.describe, type, key));
    return {
      request: { ...request, coordinatorKeys },
      complete: (answer) => ({
        ...answer,
        coordinators: [...(answer.coordinators ?? []), ...refused.map((key) => ({ key, ...refusal }))],
      }),
    };
  },

  joinGroup: memberOf(),

  syncGroup: memberOf(),

  heartbeat: memberOf(),

  leaveGroup: memberOf(),

  offsetCommit: (request, rights, _call, broker) => {
    const own = mayGroup(rights, OP.read, request.groupId);
    const errorCode = own ? E.TOPIC_AUTHORIZATION_FAILED : E.GROUP_AUTHORIZATION_FAILED;
    const [topics, refused] = split(
      request.topics,
      ({ name, topicId }) => own && mayTopic(rights, OP.read, broker, name, topicId),
    );
    const refusals = refused.map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode })),
    }));
    if (topics.length === 0) return { answer: { topics: refusals } };
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  offsetFetch: (request, rights, call, broker) => {
    const see = (name: string, id?: string): boolean => mayTopic(rights, OP.describe, broker, name, id);
    const refusal = { committedOffset: -1, metadata: '' };
    if (call.version < 8) {
      if (!mayGroup(rights, OP.describe, request.groupId)) {
        const errorCode = E.GROUP_AUTHORIZATION_FAILED;
        const topics = (request.topics ?? []).map(({ name, partitionIndexes }) => ({
          name,
          partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...refusal, errorCode })),
        }));
        return { answer: { errorCode, topics: call.version < 2 ? topics : [] } };
      }
      if (request.topics === null) {
        return { request, complete: (answer) => ({ ...answer, topics: visible(answer.topics, rights) }) };
      }
      const [topics, refused] = split(request.topics, ({ name }) => see(name));
      const refusals = refused.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          ...refusal,
          errorCode: E.TOPIC_AUTHORIZATION_FAILED,
        })),
      }));
      return {
        request: { ...request, topics },
        complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
      };
    }
    const [groups, refusedGroups] = split(request.groups, ({ groupId }) => mayGroup(rights, OP.describe, groupId));
    const refusedTopics = new Map<string, NonNullable<(typeof groups)[number]['topics']>>();
    const allowed = groups.map((group) => {
      if (group.topics === null) return group;
      const [topics, refused] = split(group.topics, ({ name, topicId }) => see(name, topicId));
      refusedTopics.set(group.groupId, refused);
      return { ...group, topics };
    });
    return {
      request: { ...request, groups: allowed },
      complete: (answer) => ({
        ...answer,
        groups: [
          ...(answer.groups ?? []).map((group) => ({
            ...group,
            topics: [
              ...visible(group.topics, rights, broker),
              ...(refusedTopics.get(group.groupId ?? '') ?? []).map(({ name, topicId, partitionIndexes }) => ({
                name,
                topicId,
                partitions: partitionIndexes.map((partitionIndex) => ({
                  partitionIndex,
                  ...refusal,
                  errorCode: E.TOPIC_AUTHORIZATION_FAILED,
                })),
              })),
            ],
          })),
          ...refusedGroups.map(({ groupId }) => ({ groupId, errorCode: E.GROUP_AUTHORIZATION_FAILED, topics: [] })),
        ],
      }),
    };
  },

  offsetDelete: (request, rights, _call, broker) => {
    if (!mayGroup(rights, OP.delete, request.groupId)) {
      return { answer: { errorCode: E.GROUP_AUTHORIZATION_FAILED, topics: [] } };
    }
    const [topics, refused] = split(request.topics, ({ name }) => mayTopic(rights, OP.read, broker, name));
    const refusals = refused.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: E.TOPIC_AUTHORIZATION_FAILED })),
    }));
    return {
      request: { ...request, topics },
      complete: (answer) => ({ ...answer, topics: [...(answer.topics ?? []), ...refusals] }),
    };
  },

  describeGroups: (request, rights) => {
    const [groups, refused] = split(request.groups, (groupId) => mayGroup(rights, OP.describe, groupId));
    return {
      request: { ...request, groups },
      complete: (answer) => ({
        ...answer,
        groups: [
          ...(answer.groups ?? []).map((group) => ({
            ...group,
            authorizedOperations: maskedBits(rights, group.authorizedOperations, RES.group, group.groupId ?? ''),
          })),
          ...refused.map((groupId) => ({
            ...REFUSED_GROUP,
            groupId,
            groupState: '',
            protocolType: '',
            protocolData: '',
            members: [],
          })),
        ],
      }),
    };
  },

  consumerGroupHeartbeat: (request, rights) => {
    const refused = (errorCode: number, errorMessage: string) => ({
      answer: { errorCode, errorMessage, memberEpoch: 0 },
    });
    if (!mayGroup(rights, OP.read, request.groupId))
      return refused(REFUSED_GROUP.errorCode, REFUSED_GROUP.errorMessage);
    // What an expression stands for is only what its member may know of.
    const seesAll = (request.subscribedTopicNames ?? []).every((name) => rights.must(OP.describe, RES.topic, name));
    return seesAll ? pass(request) : refused(REFUSED_TOPIC.errorCode, REFUSED_TOPIC.errorMessage);
  },

  consumerGroupDescribe: (request, rights) => {
    const [groupIds, refused] = split(request.groupIds, (groupId) => mayGroup(rights, OP.describe, groupId));
    return {
      request: { ...request, groupIds },
      complete: (answer) => ({
        ...answer,
        groups: [
          ...(answer.groups ?? []).map((group) => ({
            ...group,
            authorizedOperations: maskedBits(rights, group.authorizedOperations, RES.group, group.groupId ?? ''),
          })),
          ...refused.map((groupId) => ({ ...REFUSED_GROUP, groupId, groupState: '', assignorName: '', members: [] })),
        ],
      }),
    };
  },

  listGroups: (request, rights) => {
    if (rights.may(OP.describe, RES.cluster, CLUSTER_NAME)) return pass(request);
    return {
      request,
      complete: (answer) => ({
        ...answer,
        groups: (answer.groups ?? []).filter(({ groupId }) => rights.may(OP.describe, RES.group, groupId ?? '')),
      }),
    };
  },

  deleteGroups: (request, rights) => {
    const [groupsNames, refused] = split(request.groupsNames, (groupId) => mayGroup(rights, OP.delete, groupId));
    return {
      request: { ...request, groupsNames },
      complete: (answer) => ({
        ...answer,
        results: [
          ...(answer.results ?? []),
          ...refused.map((groupId) => ({ groupId, errorCode: E.GROUP_AUTHORIZATION_FAILED })),
        ],
      }),
    };
  },
};

/** Committed offsets of topics that the caller may know of. */
function visible<T extends { readonly name?: string; readonly topicId?: string }>(
  topics: readonly T[] | null | undefined,
  rights: Rights,
  broker?: BrokerContext,
): readonly T[] {
  return (topics ?? []).filter(({ name, topicId }) => {
    const known = name || (topicId === undefined ? undefined : broker?.storage.topicById(topicId)?.name);
    return known === undefined || known === '' || rights.may(OP.describe, RES.topic, known);
  });
}
