import { isIP } from 'node:net';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { Handler } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import { type Entity, isEntityType, QUOTA_KEYS } from '../quotas.ts';

type Entry = RequestBody<'alterClientQuotas'>['entries'][number];

/** Each entry stands on its own. */
export const alterClientQuotas: Handler<'alterClientQuotas'> = async ({ entries, validateOnly }, _call, { quotas }) => {
  const answers = [];
  for (const entry of entries) {
    const { entity, ops } = entry;
    const fault = faultOf(entry);
    let error: KafkaError = fault === undefined ? NO_ERROR : { errorCode: E.INVALID_REQUEST, errorMessage: fault };
    if (fault === undefined && !validateOnly) {
      const whom = entity.map(({ entityType, entityName }) => ({ type: entityType, name: entityName }) as Entity);
      const changes = new Map(ops.map(({ key, value, remove }) => [key, remove ? null : value]));
      error = await quotas.change(whom, changes).then(() => NO_ERROR, kafkaError);
    }
    answers.push({ ...error, entity });
  }
  return { entries: answers };
};

function faultOf({ entity, ops }: Entry): string | undefined {
  if (entity.length === 0) return 'no entity is named';
  const types = new Set(entity.map(({ entityType }) => entityType));
  if (types.size < entity.length) return 'an entity type is named twice';
  for (const { entityType, entityName } of entity) {
    if (!isEntityType(entityType)) return `there is no entity type ${entityType}`;
    if (entityName === '') return `the name of the ${entityType} is empty`;
    if (entityType === 'ip' && entityName !== null && isIP(entityName) === 0) return `${entityName} is no address`;
  }
  const of = types.has('ip') ? 'ip' : 'client';
  if (of === 'ip' && types.size > 1) return 'an address goes with no other entity';
  for (const { key, value, remove } of ops) {
    if (QUOTA_KEYS[key] === undefined)
      return `there is no quota ${key}; there are ${Object.keys(QUOTA_KEYS).join(', ')}`;
    if (QUOTA_KEYS[key].of !== of) return `${key} is not a quota of ${[...types].join(' and ')}`;
    if (!remove && !(value > 0 && Number.isFinite(value))) return `${key} is ${value}; a quota is above 0`;
  }
  return undefined;
}
