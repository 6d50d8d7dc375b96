import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';
import { type Entity, isEntityType } from '../quotas.ts';

/** How a component of the filter compares: by name, with the default, or with any. */
const EXACT = 0;
const DEFAULT = 1;
const SPECIFIED = 2;

/** The quotas of entities that have all components of the filter, and with `strict` no others (KIP-546). */
export const describeClientQuotas: Handler<'describeClientQuotas'> = ({ components, strict }, _call, { quotas }) => {
  const invalid = (errorMessage: string) => ({ errorCode: E.INVALID_REQUEST, errorMessage, entries: null });
  for (const { entityType, matchType, match } of components) {
    if (!isEntityType(entityType))
      return { ...invalid(`there is no entity type ${entityType}`), errorCode: E.UNSUPPORTED_VERSION };
    if (matchType < EXACT || matchType > SPECIFIED) return invalid(`there is no match type ${matchType}`);
    if ((matchType === EXACT) !== (match !== null))
      return invalid('a name goes with an exact match, and with no other');
  }
  const types = new Set(components.map(({ entityType }) => entityType));
  if (types.size < components.length) return invalid('an entity type is named twice');
  const fits = (entity: readonly Entity[]): boolean =>
    components.every(({ entityType, matchType, match }) => {
      const own = entity.find(({ type }) => type === entityType);
      if (own === undefined) return false;
      if (matchType === SPECIFIED) return true;
      return own.name === (matchType === DEFAULT ? null : match);
    }) &&
    (!strict || entity.every(({ type }) => types.has(type)));
  const entries = [...quotas.entries()]
    .filter(({ entity }) => fits(entity))
    .map(({ entity, values }) => ({
      entity: entity.map(({ type, name }) => ({ entityType: type, entityName: name })),
      values: [...values].map(([key, value]) => ({ key, value })),
    }));
  return { ...NO_ERROR, entries };
};
