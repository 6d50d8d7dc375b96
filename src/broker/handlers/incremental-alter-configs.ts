import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import { BROKER_CONFIG } from '../broker-config-rows.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import { SUBSCRIPTION_CONFIG } from '../telemetry.ts';
import { CONFIG_RESOURCE } from './describe-configs.ts';

export const SET = 0;
const DELETE = 1;
const APPEND = 2;
const SUBTRACT = 3;

type Resource = RequestBody<'incrementalAlterConfigs'>['resources'][number];
type Changes = Record<string, string | null>;

/** What can be set of a resource, as it is. */
interface Target {
  readonly settings: readonly { readonly name: string; readonly type: string; readonly value: string }[];
  /** Names of those that are not at their default. */
  readonly own: readonly string[];
  readonly alter: (changes: Changes, dryRun: boolean) => Promise<void>;
}

/** Changes topics, the broker, groups and subscriptions to client metrics. */
export const incrementalAlterConfigs: Handler<'incrementalAlterConfigs'> = async (request, _call, broker) => {
  const responses = [];
  for (const resource of request.resources) {
    const { resourceType, resourceName } = resource;
    responses.push({ ...(await alterResource(broker, resource, request.validateOnly)), resourceType, resourceName });
  }
  return { responses };
};

/** With `replaces` whatever is not named goes back to its default. */
export async function alterResource(
  broker: BrokerContext,
  resource: Resource,
  dryRun: boolean,
  replaces = false,
): Promise<KafkaError> {
  const invalid = (errorMessage: string): KafkaError => ({ errorCode: E.INVALID_REQUEST, errorMessage });
  const { resourceName, configs } = resource;
  try {
    const target = targetOf(broker, resource);
    if (typeof target === 'string') return invalid(target);
    const present = new Map(target.settings.map((setting) => [setting.name, setting]));
    const changes: Changes = {};
    for (const { name, configOperation, value } of configs) {
      if (name in changes) return invalid(`${name} is changed twice`);
      const setting = present.get(name);
      if (configOperation === DELETE) changes[name] = null;
      else if (value === null) return invalid(`${name} has no value`);
      else if (configOperation === SET) changes[name] = value;
      else if (configOperation !== APPEND && configOperation !== SUBTRACT) {
        return invalid(`there is no operation ${configOperation}`);
      } else if (setting?.type !== 'list') {
        return { errorCode: E.INVALID_CONFIG, errorMessage: `${name} is not a list` };
      } else changes[name] = edit(setting.value, value, configOperation);
    }
    if (replaces) for (const name of target.own) changes[name] ??= null;
    await target.alter(changes, dryRun);
    if (!dryRun) broker.log.info('config.altered', { resource: resourceName, changes });
    return NO_ERROR;
  } catch (thrown) {
    return kafkaError(thrown);
  }
}

/** A string says why there is none. NOT_FOUND for a topic that does not exist. */
function targetOf(
  { storage, telemetry, config }: BrokerContext,
  { resourceType, resourceName }: Resource,
): Target | string {
  if (resourceType === CONFIG_RESOURCE.clientMetrics) {
    const own = telemetry.settings(resourceName);
    return {
      settings: SUBSCRIPTION_CONFIG.map((row) => ({ ...row, value: own[row.name] ?? row.default })),
      own: Object.keys(own),
      alter: (changes, dryRun) => telemetry.alter(resourceName, changes, dryRun),
    };
  }
  if (resourceType === CONFIG_RESOURCE.broker) {
    if (resourceName !== '' && resourceName !== String(NODE_ID))
      return `there is no broker ${resourceName}, only ${NODE_ID}`;
    const scope = resourceName === '' ? 'cluster' : 'broker';
    const own = config.ofBroker(scope);
    return {
      settings: BROKER_CONFIG.map((row) => ({ ...row, value: own[row.name] ?? row.default })),
      own: Object.keys(own),
      alter: (changes, dryRun) => config.alterBroker(scope, changes, dryRun),
    };
  }
  if (resourceType === CONFIG_RESOURCE.group) {
    const own = config.groups.get(resourceName) ?? {};
    return {
      settings: [],
      own: Object.keys(own),
      alter: (changes, dryRun) => config.alterGroup(resourceName, changes, dryRun),
    };
  }
  if (resourceType !== CONFIG_RESOURCE.topic) return `settings of resource type ${resourceType} are not kept here`;
  if (isInternalTopic(resourceName)) return `${resourceName} is kept for the broker`;
  return {
    settings: storage.topicConfig(resourceName).map(({ row, value }) => ({ name: row.name, type: row.type, value })),
    own: Object.keys(storage.describeTopic(resourceName)?.config ?? {}),
    alter: (changes, dryRun) => storage.alterTopic(resourceName, changes, { dryRun }),
  };
}

function edit(list: string, given: string, operation: number): string {
  const had = list.split(',').filter((item) => item !== '');
  const named = given.split(',').map((item) => item.trim());
  if (operation === APPEND) return [...had, ...named.filter((item) => !had.includes(item))].join(',');
  return had.filter((item) => !named.includes(item)).join(',');
}
