import { CLUSTER_NAME, OPERATION as OP, RESOURCE as RES } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { CONFIG_RESOURCE } from '../handlers/describe-configs.ts';
import type { KafkaError } from '../kafka-error.ts';
import type { Rights } from '../rights.ts';
import {
  type Guards,
  maskedBits,
  mayTopic,
  onCluster,
  pass,
  REFUSED_CLUSTER,
  REFUSED_GROUP,
  REFUSED_TOPIC,
  split,
} from './guard.ts';

/** Topics, settings, ACLs and the cluster itself. */
export const ADMIN_GUARDS: Guards<
  | 'apiVersions'
  | 'createTopics'
  | 'deleteTopics'
  | 'createPartitions'
  | 'describeConfigs'
  | 'incrementalAlterConfigs'
  | 'saslHandshake'
  | 'saslAuthenticate'
  | 'describeUserScramCredentials'
  | 'alterUserScramCredentials'
  | 'alterConfigs'
  | 'listConfigResources'
  | 'describeQuorum'
  | 'updateFeatures'
  | 'describeClientQuotas'
  | 'alterClientQuotas'
  | 'getTelemetrySubscriptions'
  | 'pushTelemetry'
  | 'describeAcls'
  | 'createAcls'
  | 'deleteAcls'
  | 'describeLogDirs'
  | 'electLeaders'
  | 'alterPartitionReassignments'
  | 'listPartitionReassignments'
  | 'describeCluster'
> = {
  apiVersions: pass,

  createTopics: (request, rights) => {
    const everywhere = rights.may(OP.create, RES.cluster, CLUSTER_NAME);
    const [topics, refused] = split(
      request.topics,
      ({ name }) => everywhere || rights.must(OP.create, RES.topic, name),
    );
    return {
      request: { ...request, topics },
      complete: (answer) => ({
        ...answer,
        topics: [
          ...(answer.topics ?? []).map((topic) =>
            topic.errorCode !== E.NONE || rights.may(OP.describeConfigs, RES.topic, topic.name ?? '')
              ? topic
              : {
                  ...topic,
                  topicConfigErrorCode: E.TOPIC_AUTHORIZATION_FAILED,
                  numPartitions: -1,
                  replicationFactor: -1,
                  configs: null,
                },
          ),
          ...refused.map(({ name }) => ({ name, ...REFUSED_TOPIC, configs: null })),
        ],
      }),
    };
  },

  deleteTopics: (request, rights, call, broker) => {
    if (call.version < 6) {
      const [topicNames, refused] = split(request.topicNames, (name) => mayTopic(rights, OP.delete, broker, name));
      return {
        request: { ...request, topicNames },
        complete: (answer) => ({
          ...answer,
          responses: [...(answer.responses ?? []), ...refused.map((name) => ({ name, ...REFUSED_TOPIC }))],
        }),
      };
    }
    const [topics, refused] = split(request.topics, ({ name, topicId }) =>
      mayTopic(rights, OP.delete, broker, name, name === null ? topicId : undefined),
    );
    return {
      request: { ...request, topics },
      complete: (answer) => ({
        ...answer,
        responses: [
          ...(answer.responses ?? []),
          ...refused.map(({ name, topicId }) => ({ name, topicId, ...REFUSED_TOPIC })),
        ],
      }),
    };
  },

  createPartitions: (request, rights, _call, broker) => {
    const [topics, refused] = split(request.topics, ({ name }) => mayTopic(rights, OP.alter, broker, name));
    return {
      request: { ...request, topics },
      complete: (answer) => ({
        ...answer,
        results: [...(answer.results ?? []), ...refused.map(({ name }) => ({ name, ...REFUSED_TOPIC }))],
      }),
    };
  },

  describeConfigs: (request, rights) => {
    const [resources, refused] = split(request.resources, (resource) =>
      mayConfigure(rights, OP.describeConfigs, resource),
    );
    return {
      request: { ...request, resources },
      complete: (answer) => ({
        ...answer,
        results: [
          ...(answer.results ?? []),
          ...refused.map((resource) => ({ ...refusedConfig(resource), configs: [] })),
        ],
      }),
    };
  },

  incrementalAlterConfigs: (request, rights) => {
    const [resources, refused] = split(request.resources, (resource) =>
      mayConfigure(rights, OP.alterConfigs, resource),
    );
    return {
      request: { ...request, resources },
      complete: (answer) => ({ ...answer, responses: [...(answer.responses ?? []), ...refused.map(refusedConfig)] }),
    };
  },

  saslHandshake: pass,
  saslAuthenticate: pass,
  describeUserScramCredentials: onCluster(OP.describe, { ...REFUSED_CLUSTER, results: [] }),
  alterUserScramCredentials: (request, rights) => {
    if (rights.mustOnCluster(OP.alter)) return pass(request);
    const names = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name));
    return { answer: { results: [...names].map((user) => ({ user, ...REFUSED_CLUSTER })) } };
  },
  alterConfigs: (request, rights) => {
    const [resources, refused] = split(request.resources, (resource) =>
      mayConfigure(rights, OP.alterConfigs, resource),
    );
    return {
      request: { ...request, resources },
      complete: (answer) => ({ ...answer, responses: [...(answer.responses ?? []), ...refused.map(refusedConfig)] }),
    };
  },
  listConfigResources: onCluster(OP.describeConfigs, {
    errorCode: E.CLUSTER_AUTHORIZATION_FAILED,
    configResources: [],
  }),
  describeQuorum: onCluster(OP.describe, { ...REFUSED_CLUSTER, topics: [] }),
  updateFeatures: onCluster(OP.alter, { ...REFUSED_CLUSTER, results: [] }),
  describeClientQuotas: onCluster(OP.describeConfigs, { ...REFUSED_CLUSTER, entries: null }),
  alterClientQuotas: (request, rights) =>
    rights.mustOnCluster(OP.alterConfigs)
      ? pass(request)
      : { answer: { entries: request.entries.map(({ entity }) => ({ ...REFUSED_CLUSTER, entity })) } },
  // Clients tell only of themselves.
  getTelemetrySubscriptions: pass,
  pushTelemetry: pass,
  describeAcls: onCluster(OP.describe, { ...REFUSED_CLUSTER, resources: [] }),

  createAcls: (request, rights) =>
    rights.mustOnCluster(OP.alter)
      ? pass(request)
      : { answer: { results: request.creations.map(() => REFUSED_CLUSTER) } },

  deleteAcls: (request, rights) =>
    rights.mustOnCluster(OP.alter)
      ? pass(request)
      : { answer: { filterResults: request.filters.map(() => ({ ...REFUSED_CLUSTER, matchingAcls: [] })) } },

  describeLogDirs: onCluster(OP.describe, { errorCode: E.CLUSTER_AUTHORIZATION_FAILED, results: [] }),

  electLeaders: onCluster(OP.alter, { errorCode: E.CLUSTER_AUTHORIZATION_FAILED, replicaElectionResults: [] }),

  alterPartitionReassignments: onCluster(OP.alter, { ...REFUSED_CLUSTER, responses: [] }),

  listPartitionReassignments: onCluster(OP.describe, { ...REFUSED_CLUSTER, topics: [] }),

  describeCluster: (request, rights) => ({
    request,
    complete: (answer) => ({
      ...answer,
      clusterAuthorizedOperations: maskedBits(
        rights,
        answer.clusterAuthorizedOperations,
        RES.cluster,
        CLUSTER_NAME,
        OP.describe,
      ),
    }),
  }),
};

interface ConfigResource {
  readonly resourceType: number;
  readonly resourceName: string;
}

function mayConfigure(rights: Rights, operation: number, { resourceType, resourceName }: ConfigResource): boolean {
  if (resourceType === CONFIG_RESOURCE.topic) return rights.must(operation, RES.topic, resourceName);
  if (resourceType === CONFIG_RESOURCE.group) return rights.must(operation, RES.group, resourceName);
  return rights.mustOnCluster(operation);
}

function refusedConfig({ resourceType, resourceName }: ConfigResource) {
  const refusals: Readonly<Record<number, KafkaError>> = {
    [CONFIG_RESOURCE.topic]: REFUSED_TOPIC,
    [CONFIG_RESOURCE.group]: REFUSED_GROUP,
  };
  return { ...(refusals[resourceType] ?? REFUSED_CLUSTER), resourceType, resourceName };
}
