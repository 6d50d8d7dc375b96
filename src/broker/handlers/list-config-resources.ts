import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { CONFIG_RESOURCE } from './describe-configs.ts';

/** The resources of each type that settings can be asked of. Loggers cannot be set one by one here. */
const NAMES: Readonly<Record<number, (broker: BrokerContext) => string[]>> = {
  [CONFIG_RESOURCE.topic]: ({ storage }) => storage.listTopics().map(({ name }) => name),
  [CONFIG_RESOURCE.broker]: () => [String(NODE_ID)],
  [CONFIG_RESOURCE.group]: ({ config }) => [...config.groups.keys()],
  [CONFIG_RESOURCE.clientMetrics]: ({ telemetry }) => [...telemetry.subscriptions.keys()],
};

/** v0 lists client metrics only; v1 the types that are asked for, or all (KIP-1142). */
export const listConfigResources: Handler<'listConfigResources'> = (request, call, broker) => {
  const types =
    call.version === 0
      ? [CONFIG_RESOURCE.clientMetrics]
      : request.resourceTypes.length === 0
        ? Object.keys(NAMES).map(Number)
        : request.resourceTypes;
  const known = (type: number): boolean => (Object.values(CONFIG_RESOURCE) as number[]).includes(type);
  if (!types.every(known)) return { errorCode: E.UNSUPPORTED_VERSION, configResources: [] };
  return {
    errorCode: E.NONE,
    configResources: types.flatMap((resourceType) =>
      (NAMES[resourceType]?.(broker) ?? []).map((resourceName) => ({ resourceName, resourceType })),
    ),
  };
};
