import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { BrokerContext, Handler } from '../context.ts';
import { type KafkaError, kafkaError, NO_ERROR } from '../kafka-error.ts';
import { CONFIG_RESOURCE } from './describe-configs.ts';

const SET = 0;
const DELETE = 1;
const APPEND = 2;
const SUBTRACT = 3;

type Resource = RequestBody<'incrementalAlterConfigs'>['resources'][number];

/** Changes topics; the broker's own settings are those it was started with. */
export const incrementalAlterConfigs: Handler<'incrementalAlterConfigs'> = async (request, _call, broker) => {
  const responses = [];
  for (const resource of request.resources) {
    const { resourceType, resourceName } = resource;
    responses.push({ ...(await alter(broker, resource, request.validateOnly)), resourceType, resourceName });
  }
  return { responses };
};

async function alter(
  { storage, log }: BrokerContext,
  { resourceType, resourceName, configs }: Resource,
  dryRun: boolean,
): Promise<KafkaError> {
  const invalid = (errorMessage: string): KafkaError => ({ errorCode: E.INVALID_REQUEST, errorMessage });
  if (resourceType !== CONFIG_RESOURCE.topic)
    return invalid('only settings of topics can be changed while the broker runs');
  if (isInternalTopic(resourceName)) return invalid(`${resourceName} is kept for the broker`);
  try {
    const present = new Map(storage.topicConfig(resourceName).map((setting) => [setting.row.name, setting]));
    const changes: Record<string, string | null> = {};
    for (const { name, configOperation, value } of configs) {
      if (name in changes) return invalid(`${name} is changed twice`);
      const setting = present.get(name);
      if (configOperation === DELETE) changes[name] = null;
      else if (value === null) return invalid(`${name} has no value`);
      else if (configOperation === SET) changes[name] = value;
      else if (configOperation !== APPEND && configOperation !== SUBTRACT) {
        return invalid(`there is no operation ${configOperation}`);
      } else if (setting?.row.type !== 'list') {
        return { errorCode: E.INVALID_CONFIG, errorMessage: `${name} is not a list` };
      } else changes[name] = edit(setting.value, value, configOperation);
    }
    await storage.alterTopic(resourceName, changes, { dryRun });
    if (!dryRun) log.info('topic.altered', { topic: resourceName, changes });
    return NO_ERROR;
  } catch (thrown) {
    return kafkaError(thrown);
  }
}

function edit(list: string, given: string, operation: number): string {
  const had = list.split(',').filter((item) => item !== '');
  const named = given.split(',').map((item) => item.trim());
  if (operation === APPEND) return [...had, ...named.filter((item) => !had.includes(item))].join(',');
  return had.filter((item) => !named.includes(item)).join(',');
}
