import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { EffectiveSetting } from '../../storage/storage.ts';
import { BROKER_CONFIG, BROKER_DEFAULTS } from '../broker-settings.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';
import { SUBSCRIPTION_CONFIG } from '../telemetry.ts';

/** Kafka's ConfigResource types. */
export const CONFIG_RESOURCE = { topic: 2, broker: 4, logger: 8, clientMetrics: 16, group: 32 } as const;
/** Kafka's ConfigSource for where a value is set. */
export const CONFIG_SOURCE = { topic: 1, server: 4, default: 5, clientMetrics: 7 } as const;
const CONFIG_TYPE = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const;

interface Row {
  readonly name: string;
  readonly value: string;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: false;
  readonly synonyms: readonly { name: string; value: string; source: number }[];
  readonly configType: number;
  readonly documentation: string;
}

/** Every setting there is, set or not: clients read all, change some and write all. */
export const describeConfigs: Handler<'describeConfigs'> = (request, _call, broker) => ({
  results: request.resources.map((resource) => {
    const { resourceType, resourceName, configurationKeys } = resource;
    const rows = rowsOf(broker, resource);
    if (typeof rows === 'string') {
      const unknown = resourceType === CONFIG_RESOURCE.topic;
      const errorCode = unknown ? E.UNKNOWN_TOPIC_OR_PARTITION : E.INVALID_REQUEST;
      return { errorCode, errorMessage: rows, resourceType, resourceName, configs: [] };
    }
    const keys = configurationKeys === null || configurationKeys.length === 0 ? null : new Set(configurationKeys);
    const configs = rows
      .filter(({ name }) => keys === null || keys.has(name))
      .map((row) => ({
        ...row,
        synonyms: request.includeSynonyms ? row.synonyms : [],
        documentation: request.includeDocumentation ? row.documentation : null,
      }));
    return { ...NO_ERROR, resourceType, resourceName, configs };
  }),
});

/** The settings of a resource, or why there are none. */
function rowsOf(
  { storage, settings, telemetry }: BrokerContext,
  { resourceType, resourceName }: RequestBody<'describeConfigs'>['resources'][number],
): readonly Row[] | string {
  if (resourceType === CONFIG_RESOURCE.topic) {
    if (storage.describeTopic(resourceName) === undefined) return `there is no topic ${resourceName}`;
    return storage.topicConfig(resourceName).map(topicRow);
  }
  if (resourceType === CONFIG_RESOURCE.clientMetrics) {
    const own = telemetry.settings(resourceName);
    return SUBSCRIPTION_CONFIG.map(({ name, default: fallback, type, doc }) => ({
      name,
      value: own[name] ?? fallback,
      readOnly: false,
      configSource: own[name] === undefined ? CONFIG_SOURCE.default : CONFIG_SOURCE.clientMetrics,
      isSensitive: false as const,
      synonyms: [],
      configType: CONFIG_TYPE[type],
      documentation: doc,
    }));
  }
  if (resourceType !== CONFIG_RESOURCE.broker) return `settings of resource type ${resourceType} are not kept here`;
  if (resourceName !== '' && resourceName !== String(NODE_ID))
    return `there is no broker ${resourceName}, only ${NODE_ID}`;
  return BROKER_CONFIG.map(({ name, setting, unit = 1, type, doc }): Row => {
    const shown = (given: number | boolean | string): string =>
      String(typeof given === 'number' ? given / unit : given);
    const value = shown(settings[setting]);
    const fallback = shown(BROKER_DEFAULTS[setting]);
    const configSource = value === fallback ? CONFIG_SOURCE.default : CONFIG_SOURCE.server;
    const synonyms = [{ name, value, source: configSource }];
    if (value !== fallback) synonyms.push({ name, value: fallback, source: CONFIG_SOURCE.default });
    return {
      name,
      value,
      readOnly: true,
      configSource,
      isSensitive: false,
      synonyms,
      configType: CONFIG_TYPE[type],
      documentation: doc,
    };
  });
}

function topicRow({ row, value, source }: EffectiveSetting): Row {
  const synonyms: { name: string; value: string; source: number }[] = [
    { name: row.name, value, source: CONFIG_SOURCE[source] },
  ];
  if (source !== 'default') synonyms.push({ name: row.name, value: row.default, source: CONFIG_SOURCE.default });
  return {
    name: row.name,
    value,
    readOnly: false,
    configSource: CONFIG_SOURCE[source],
    isSensitive: false,
    synonyms,
    configType: CONFIG_TYPE[row.type],
    documentation: row.doc,
  };
}
