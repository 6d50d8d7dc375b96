import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { RequestBody } from '../../protocol/protocol.ts';
import type { EffectiveSetting } from '../../storage/storage.ts';
import { type BrokerConfig, shown } from '../broker-config.ts';
import { BROKER_CONFIG, GROUP_CONFIG, isFixed } from '../broker-config-rows.ts';
import { type BrokerContext, type Handler, NODE_ID } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';
import { SUBSCRIPTION_CONFIG } from '../telemetry.ts';

/** Kafka's ConfigResource types. */
export const CONFIG_RESOURCE = { topic: 2, broker: 4, logger: 8, clientMetrics: 16, group: 32 } as const;
/** Kafka's ConfigSource for where a value is set. */
export const CONFIG_SOURCE = {
  topic: 1,
  broker: 2,
  cluster: 3,
  server: 4,
  default: 5,
  clientMetrics: 7,
  group: 8,
} as const;
const CONFIG_TYPE = { boolean: 1, string: 2, int: 3, long: 5, double: 6, list: 7 } as const;

interface Synonym {
  readonly name: string;
  readonly value: string;
  readonly source: number;
}

interface Row {
  readonly name: string;
  readonly value: string;
  readonly readOnly: boolean;
  readonly configSource: number;
  readonly isSensitive: false;
  readonly synonyms: readonly Synonym[];
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
  { storage, telemetry, config }: BrokerContext,
  { resourceType, resourceName }: RequestBody<'describeConfigs'>['resources'][number],
): readonly Row[] | string {
  switch (resourceType) {
    case CONFIG_RESOURCE.topic:
      if (storage.describeTopic(resourceName) === undefined) return `there is no topic ${resourceName}`;
      return storage.topicConfig(resourceName).map((setting) => topicRow(setting, config));
    case CONFIG_RESOURCE.clientMetrics: {
      const own = telemetry.settings(resourceName);
      return SUBSCRIPTION_CONFIG.map((row) => {
        const given = own[row.name];
        return rowOf(row, [
          ...(given === undefined ? [] : [{ name: row.name, value: given, source: CONFIG_SOURCE.clientMetrics }]),
          { name: row.name, value: row.default, source: CONFIG_SOURCE.default },
        ]);
      });
    }
    case CONFIG_RESOURCE.group:
      if (resourceName === '') return 'settings of a group need the name of one';
      return groupRows(config, resourceName);
    case CONFIG_RESOURCE.broker:
      if (resourceName !== '' && resourceName !== String(NODE_ID))
        return `there is no broker ${resourceName}, only ${NODE_ID}`;
      // Without a name: what is set for all brokers.
      if (resourceName === '')
        return BROKER_CONFIG.filter(({ name }) => config.ofBroker('cluster')[name] !== undefined).map((row) =>
          rowOf(
            row,
            brokerValues(config, row).filter(({ source }) => source !== CONFIG_SOURCE.broker),
          ),
        );
      return BROKER_CONFIG.map((row) => rowOf(row, brokerValues(config, row), isFixed(row)));
    default:
      return `settings of resource type ${resourceType} are not kept here`;
  }
}

function rowOf(
  { name, type, doc }: { name: string; type: keyof typeof CONFIG_TYPE; doc: string },
  synonyms: readonly Synonym[],
  readOnly = false,
): Row {
  const { value, source } = synonyms[0]!;
  return {
    name,
    value,
    readOnly,
    configSource: source,
    isSensitive: false,
    synonyms,
    configType: CONFIG_TYPE[type],
    documentation: doc,
  };
}

/** Where the setting of the broker is set, what counts first; the last is the default. */
function brokerValues(config: BrokerConfig, row: (typeof BROKER_CONFIG)[number]): Synonym[] {
  const { name } = row;
  const values: Synonym[] = [];
  for (const scope of ['broker', 'cluster'] as const) {
    const value = config.ofBroker(scope)[name];
    if (value !== undefined) values.push({ name, value, source: CONFIG_SOURCE[scope] });
  }
  const started = config.startedWith(row);
  if (started !== undefined) values.push({ name, value: started, source: CONFIG_SOURCE.server });
  values.push({ name, value: row.default, source: CONFIG_SOURCE.default });
  return values;
}

function groupRows(config: BrokerConfig, groupId: string): Row[] {
  const own = config.groups.get(groupId) ?? {};
  return GROUP_CONFIG.map(({ name, server, setting, doc }) => {
    const given = own[name];
    const source = CONFIG_SOURCE.default;
    return rowOf({ name, type: 'int', doc }, [
      ...(given === undefined ? [] : [{ name, value: given, source: CONFIG_SOURCE.group }]),
      { name: server, value: shown(config.settings[setting], 1), source },
    ]);
  });
}

function topicRow({ row, value, source }: EffectiveSetting, config: BrokerConfig): Row {
  const { name, server } = row;
  const synonyms: Synonym[] = [];
  if (source === 'topic') synonyms.push({ name, value, source: CONFIG_SOURCE.topic });
  const broker = server === undefined ? undefined : BROKER_CONFIG.find((known) => known.name === server);
  if (broker !== undefined) synonyms.push(...brokerValues(config, broker).slice(0, -1));
  if (source === 'server' && synonyms.length === 0) synonyms.push({ name, value, source: CONFIG_SOURCE.server });
  synonyms.push({ name: server ?? name, value: row.default, source: CONFIG_SOURCE.default });
  return rowOf(row, synonyms, row.allowed === row.default || row.allowed === 'left empty');
}
