/** Access control lists as Kafka has them (KIP-11, KIP-290): data and how bindings, filters and names compare. Codes are those of the wire. */
export const OPERATION = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
  twoPhaseCommit: 15,
} as const;
export const RESOURCE = {
  any: 1,
  topic: 2,
  group: 3,
  cluster: 4,
  transactionalId: 5,
  delegationToken: 6,
  user: 7,
} as const;
export const PATTERN = { any: 1, match: 2, literal: 3, prefixed: 4 } as const;
export const PERMISSION = { any: 1, deny: 2, allow: 3 } as const;

/** The only name that a resource of type cluster has. */
export const CLUSTER_NAME = 'kafka-cluster';
/** As a resource name, a principal's name or a host: every one. */
export const WILDCARD = '*';
export const EVERYBODY = 'User:*';

/** What may be asked of a resource of each type, beside `all`; which is also what the bit fields of authorized operations show. */
const OPERATIONS_OF: Readonly<Record<number, readonly number[]>> = {
  [RESOURCE.topic]: [
    OPERATION.read,
    OPERATION.write,
    OPERATION.create,
    OPERATION.delete,
    OPERATION.alter,
    OPERATION.describe,
    OPERATION.describeConfigs,
    OPERATION.alterConfigs,
  ],
  [RESOURCE.group]: [
    OPERATION.read,
    OPERATION.delete,
    OPERATION.describe,
    OPERATION.describeConfigs,
    OPERATION.alterConfigs,
  ],
  [RESOURCE.cluster]: [
    OPERATION.create,
    OPERATION.alter,
    OPERATION.describe,
    OPERATION.clusterAction,
    OPERATION.describeConfigs,
    OPERATION.alterConfigs,
    OPERATION.idempotentWrite,
  ],
  [RESOURCE.transactionalId]: [OPERATION.write, OPERATION.describe, OPERATION.twoPhaseCommit],
  [RESOURCE.delegationToken]: [OPERATION.describe],
  [RESOURCE.user]: [OPERATION.createTokens, OPERATION.describeTokens],
};

/** Whoever is allowed one of these is allowed the operation too. */
export const IMPLIED_BY: Readonly<Record<number, readonly number[]>> = {
  [OPERATION.describe]: [OPERATION.read, OPERATION.write, OPERATION.delete, OPERATION.alter],
  [OPERATION.describeConfigs]: [OPERATION.alterConfigs],
};

export interface AclBinding {
  readonly resourceType: number;
  readonly resourceName: string;
  /** PATTERN.literal or PATTERN.prefixed. */
  readonly patternType: number;
  /** `User:name`. */
  readonly principal: string;
  /** An address, or `*`. */
  readonly host: string;
  readonly operation: number;
  readonly permission: number;
}

/** Null and the codes named `any` match everything. PATTERN.match: every binding that concerns the name. */
export interface AclFilter {
  readonly resourceType: number;
  readonly resourceName: string | null;
  readonly patternType: number;
  readonly principal: string | null;
  readonly host: string | null;
  readonly operation: number;
  readonly permission: number;
}

/** Two bindings with the same text are the same. */
export const aclKey = (acl: AclBinding): string =>
  JSON.stringify([
    acl.resourceType,
    acl.patternType,
    acl.resourceName,
    acl.principal,
    acl.host,
    acl.operation,
    acl.permission,
  ]);

/** Whether a binding's pattern covers a resource's name. */
export function covers({ patternType, resourceName }: AclBinding, name: string): boolean {
  if (patternType === PATTERN.prefixed) return name.startsWith(resourceName);
  return resourceName === name || resourceName === WILDCARD;
}

export function matches(filter: AclFilter, acl: AclBinding): boolean {
  const anyOr = (wanted: number, any: number, is: number): boolean => wanted === any || wanted === is;
  if (!anyOr(filter.resourceType, RESOURCE.any, acl.resourceType)) return false;
  if (!anyOr(filter.operation, OPERATION.any, acl.operation)) return false;
  if (!anyOr(filter.permission, PERMISSION.any, acl.permission)) return false;
  if (filter.principal !== null && filter.principal !== acl.principal) return false;
  if (filter.host !== null && filter.host !== acl.host) return false;
  if (filter.patternType === PATTERN.match) return filter.resourceName === null || covers(acl, filter.resourceName);
  if (!anyOr(filter.patternType, PATTERN.any, acl.patternType)) return false;
  return filter.resourceName === null || filter.resourceName === acl.resourceName;
}

/** Why a binding cannot be; undefined when it can. */
export function faultOf(acl: AclBinding): string | undefined {
  const allowed = OPERATIONS_OF[acl.resourceType];
  if (allowed === undefined) return `there is no resource type ${acl.resourceType}`;
  if (acl.resourceName === '') return 'the resource name is empty';
  if (acl.patternType !== PATTERN.literal && acl.patternType !== PATTERN.prefixed)
    return `a binding is literal or prefixed, not of pattern type ${acl.patternType}`;
  if (acl.permission !== PERMISSION.allow && acl.permission !== PERMISSION.deny)
    return `a binding allows or denies; there is no permission type ${acl.permission}`;
  if (acl.resourceType === RESOURCE.cluster && acl.resourceName !== CLUSTER_NAME)
    return `the only cluster resource is named ${CLUSTER_NAME}`;
  if (acl.operation !== OPERATION.all && !allowed.includes(acl.operation))
    return `operation ${acl.operation} does not exist on resource type ${acl.resourceType}`;
  if (!/^User:./su.test(acl.principal)) return `"${acl.principal}" is not a principal: they are written User:name`;
  if (acl.host === '') return 'the host is empty';
  return undefined;
}

/** Why a filter cannot be; undefined when it can. */
export function filterFault(filter: AclFilter): string | undefined {
  if (filter.resourceType < RESOURCE.any || filter.resourceType > RESOURCE.user)
    return `there is no resource type ${filter.resourceType}`;
  if (filter.patternType < PATTERN.any || filter.patternType > PATTERN.prefixed)
    return `there is no pattern type ${filter.patternType}`;
  if (filter.operation < OPERATION.any || filter.operation > OPERATION.twoPhaseCommit)
    return `there is no operation ${filter.operation}`;
  if (filter.permission < PERMISSION.any || filter.permission > PERMISSION.allow)
    return `there is no permission type ${filter.permission}`;
  return undefined;
}

const upper = (names: Readonly<Record<string, number>>): Readonly<Record<number, string>> =>
  Object.fromEntries(
    Object.entries(names).map(([name, code]) => [
      code,
      name.replace(/[A-Z]/gu, (letter) => `_${letter}`).toUpperCase(),
    ]),
  );

/** As Kafka's tools write them: `DESCRIBE_CONFIGS`, `TRANSACTIONAL_ID`. */
export const OPERATION_NAMES = upper(OPERATION);
export const RESOURCE_NAMES = upper(RESOURCE);
