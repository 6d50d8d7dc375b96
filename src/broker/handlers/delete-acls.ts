import { filterFault } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { kafkaError, NO_ERROR } from '../kafka-error.ts';
import { filterOf, NO_AUTHORIZER } from './describe-acls.ts';

export const deleteAcls: Handler<'deleteAcls'> = async ({ filters }, _call, { acls }) => {
  if (acls === undefined) return { filterResults: filters.map(() => ({ ...NO_AUTHORIZER, matchingAcls: [] })) };
  const filterResults = [];
  for (const fields of filters) {
    const filter = filterOf(fields);
    const fault = filterFault(filter);
    if (fault !== undefined) {
      filterResults.push({ errorCode: E.INVALID_REQUEST, errorMessage: fault, matchingAcls: [] });
      continue;
    }
    const found = acls.matching(filter);
    try {
      await acls.remove(found);
      const matchingAcls = found.map(({ permission, ...acl }) => ({ ...NO_ERROR, ...acl, permissionType: permission }));
      filterResults.push({ ...NO_ERROR, matchingAcls });
    } catch (thrown) {
      filterResults.push({ ...kafkaError(thrown), matchingAcls: [] });
    }
  }
  return { filterResults };
};
