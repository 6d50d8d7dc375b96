import { type AclBinding, type AclFilter, filterFault } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { Handler } from '../context.ts';
import { type KafkaError, NO_ERROR } from '../kafka-error.ts';

/** What all ACL calls say when no authorizer is configured. */
export const NO_AUTHORIZER: KafkaError = {
  errorCode: E.SECURITY_DISABLED,
  errorMessage: 'no authorizer is configured: start with kafka.authorizer',
};

type FilterFields = RequestBody<'deleteAcls'>['filters'][number];

export const filterOf = (fields: FilterFields): AclFilter => ({
  resourceType: fields.resourceTypeFilter,
  resourceName: fields.resourceNameFilter,
  patternType: fields.patternTypeFilter,
  principal: fields.principalFilter,
  host: fields.hostFilter,
  operation: fields.operation,
  permission: fields.permissionType,
});

export const describeAcls: Handler<'describeAcls'> = (request, _call, { acls }) => {
  if (acls === undefined) return { ...NO_AUTHORIZER, resources: [] };
  const filter = filterOf(request);
  const fault = filterFault(filter);
  if (fault !== undefined) return { errorCode: E.INVALID_REQUEST, errorMessage: fault, resources: [] };
  const resources = new Map<string, AclBinding[]>();
  for (const acl of acls.matching(filter)) {
    const place = `${acl.resourceType} ${acl.patternType} ${acl.resourceName}`;
    const known = resources.get(place);
    if (known === undefined) resources.set(place, [acl]);
    else known.push(acl);
  }
  return {
    ...NO_ERROR,
    resources: [...resources.values()].map((bindings) => ({
      resourceType: bindings[0]!.resourceType,
      resourceName: bindings[0]!.resourceName,
      patternType: bindings[0]!.patternType,
      acls: bindings.map(({ principal, host, operation, permission }) => ({
        principal,
        host,
        operation,
        permissionType: permission,
      })),
    })),
  };
};
