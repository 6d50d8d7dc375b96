import { type AclBinding, faultOf } from '../../auth/acl.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import { NO_AUTHORIZER } from './describe-acls.ts';

/** Each binding stands on its own: one that cannot be does not keep the others from being created. */
export const createAcls: Handler<'createAcls'> = async ({ creations }, _call, { acls }) => {
  if (acls === undefined) return { results: creations.map(() => NO_AUTHORIZER) };
  const good: AclBinding[] = [];
  const results = creations.map((fields): KafkaError => {
    const acl: AclBinding = {
      resourceType: fields.resourceType,
      resourceName: fields.resourceName,
      patternType: fields.resourcePatternType,
      principal: fields.principal,
      host: fields.host,
      operation: fields.operation,
      permission: fields.permissionType,
    };
    const fault = faultOf(acl);
    if (fault !== undefined) return { errorCode: E.INVALID_REQUEST, errorMessage: fault };
    good.push(acl);
    return NO_ERROR;
  });
  try {
    await acls.add(good);
    return { results };
  } catch (thrown) {
    return { results: results.map((result) => (result === NO_ERROR ? kafkaError(thrown) : result)) };
  }
};
