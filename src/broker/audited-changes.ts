import { type AclBinding, aclKey } from '../auth/acl.ts';
import type { ApiName, RequestBody } from '../protocol/protocol.ts';

type Named = { readonly name: string | null };
const namesOf = (items: readonly Named[]): string[] => items.map(({ name }) => name ?? '');

/** The requests that change what there is or who may do what, and what of it the audit log names. */
export const CHANGES: { readonly [A in ApiName]?: (request: RequestBody<A>) => readonly string[] } = {
  createTopics: ({ topics, validateOnly }) => (validateOnly ? [] : namesOf(topics)),
  deleteTopics: ({ topics, topicNames }) => [...topicNames, ...topics.map(({ name, topicId }) => name ?? topicId)],
  createPartitions: ({ topics, validateOnly }) => (validateOnly ? [] : namesOf(topics)),
  deleteRecords: ({ topics }) => namesOf(topics),
  deleteGroups: ({ groupsNames }) => groupsNames,
  offsetDelete: ({ groupId, topics }) => topics.map(({ name }) => `${groupId} ${name}`),
  incrementalAlterConfigs: ({ resources, validateOnly }) =>
    validateOnly
      ? []
      : resources.flatMap(({ resourceName, configs }) =>
          configs.map(({ name, value }) => `${resourceName} ${name}=${value}`),
        ),
  alterConfigs: ({ resources, validateOnly }) =>
    validateOnly
      ? []
      : resources.flatMap(({ resourceName, configs }) =>
          configs.map(({ name, value }) => `${resourceName} ${name}=${value}`),
        ),
  alterClientQuotas: ({ entries, validateOnly }) => (validateOnly ? [] : entries.map((entry) => JSON.stringify(entry))),
  writeTxnMarkers: ({ markers }) => markers.flatMap(({ topics }) => namesOf(topics)),
  alterUserScramCredentials: ({ deletions, upsertions }) => namesOf([...deletions, ...upsertions]),
  createAcls: ({ creations }) =>
    creations.map(({ resourcePatternType, permissionType, ...acl }) =>
      aclKey({ ...acl, patternType: resourcePatternType, permission: permissionType } as AclBinding),
    ),
  deleteAcls: ({ filters }) => filters.map((filter) => JSON.stringify(filter)),
};
