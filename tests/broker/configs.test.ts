import { afterEach, beforeEach, expect, test } from 'vitest';
import { BROKER_CONFIG, isFixed } from '../../src/broker/broker-config-rows.ts';
import type { BrokerSettings } from '../../src/broker/broker-settings.ts';
import { USERS_TOPIC } from '../../src/ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { encodeBatch } from '../../src/protocol/records.ts';
import { MemoryDisk } from '../../src/storage/disk/memory-disk.ts';
import { type BrokerRig, startBroker, WireClient } from './rig.ts';

const TOPIC = 2;
const BROKER = 4;
const GROUP = 32;
const [SET, DELETE] = [0, 1];

let disk: MemoryDisk;
let rig: BrokerRig;
let client: WireClient;

async function start(more: Partial<BrokerSettings> = {}): Promise<void> {
  const settings = { groupInitialRebalanceDelayMs: 0, numPartitions: 3, authorizer: true, allowIfNoAcl: true };
  rig = await startBroker({ ...settings, ...more }, { disk });
  client = await WireClient.connect(rig.address);
}

async function stop(): Promise<void> {
  client.close();
  await rig.close();
}

beforeEach(async () => {
  disk = new MemoryDisk();
  await start();
});
afterEach(stop);

async function alter(
  resourceType: number,
  resourceName: string,
  name: string,
  value: string | null,
  options: { validateOnly?: boolean } = {},
): Promise<number> {
  const configs = [{ name, configOperation: value === null ? DELETE : SET, value }];
  const { responses } = await client.call('incrementalAlterConfigs', 1, {
    resources: [{ resourceType, resourceName, configs }],
    validateOnly: options.validateOnly ?? false,
  });
  return responses[0]!.errorCode;
}

async function describe(resourceType: number, resourceName: string) {
  const { results } = await client.call('describeConfigs', 4, {
    resources: [{ resourceType, resourceName, configurationKeys: null }],
    includeSynonyms: true,
    includeDocumentation: true,
  });
  const { configs, errorCode } = results[0]!;
  expect(errorCode).toBe(E.NONE);
  return new Map(configs.map((row) => [row.name, row]));
}

const createTopic = (name: string, configs: { name: string; value: string }[] = []) =>
  client.call('createTopics', 7, {
    topics: [{ name, numPartitions: -1, replicationFactor: -1, assignments: [], configs }],
    timeoutMs: 5000,
  });

test('every setting of the broker is described whole, and says whether it can be changed', async () => {
  const rows = await describe(BROKER, '1');
  expect([...rows.keys()]).toEqual(BROKER_CONFIG.map(({ name }) => name));
  for (const row of BROKER_CONFIG) {
    const { value, readOnly, synonyms, documentation, configType } = rows.get(row.name)!;
    expect(row.valid(row.default), row.name).toBe(true);
    expect(row.valid(value!), row.name).toBe(true);
    expect(readOnly, row.name).toBe(isFixed(row));
    expect(synonyms.at(-1)).toMatchObject({ value: row.default, source: 5 });
    expect(documentation!.length).toBeGreaterThan(10);
    expect(configType).toBeGreaterThan(0);
    expect(await alter(BROKER, '1', row.name, row.default, { validateOnly: true }), row.name).toBe(
      isFixed(row) ? E.INVALID_CONFIG : E.NONE,
    );
    expect(await alter(BROKER, '1', row.name, 'nonsense'), row.name).toBe(E.INVALID_CONFIG);
  }
  expect(rows.get('num.partitions')).toMatchObject({ value: '3', configSource: 4 });
});

test('settings of the broker change while it runs, for it or for all, and are there after a restart', async () => {
  expect(await alter(BROKER, '', 'num.partitions', '5')).toBe(E.NONE);
  await createTopic('five');
  expect(rig.storage.describeTopic('five')!.partitions).toBe(5);
  expect(await alter(BROKER, '1', 'num.partitions', '2')).toBe(E.NONE);
  await stop();
  await start();
  await createTopic('two');
  expect(rig.storage.describeTopic('two')!.partitions).toBe(2);
  const { synonyms } = (await describe(BROKER, '1')).get('num.partitions')!;
  expect(synonyms.map(({ value, source }) => [value, source])).toEqual([
    ['2', 2],
    ['5', 3],
    ['3', 4],
    ['1', 5],
  ]);
  expect([...(await describe(BROKER, '')).values()]).toMatchObject([{ name: 'num.partitions', value: '5' }]);
  expect(await alter(BROKER, '1', 'num.partitions', null)).toBe(E.NONE);
  expect(await alter(BROKER, '', 'num.partitions', null)).toBe(E.NONE);
  await createTopic('three');
  expect(rig.storage.describeTopic('three')!.partitions).toBe(3);
});

test('what is no setting, has no effect, or is of another broker is refused', async () => {
  expect(await alter(BROKER, '1', 'num.io.threads', '8')).toBe(E.INVALID_CONFIG);
  expect(await alter(BROKER, '1', 'num.partitions', '0')).toBe(E.INVALID_CONFIG);
  expect(await alter(BROKER, '7', 'num.partitions', '2')).toBe(E.INVALID_REQUEST);
  await stop();
  await start({ authorizer: false });
  expect(await alter(BROKER, '1', 'super.users', 'User:admin')).toBe(E.INVALID_CONFIG);
  expect(await alter(BROKER, '1', 'num.partitions', '9', { validateOnly: true })).toBe(E.NONE);
  expect((await describe(BROKER, '1')).get('num.partitions')!.value).toBe('3');
});

test('limits hold from the moment they are set', async () => {
  expect(await alter(BROKER, '1', 'max.connections', '1')).toBe(E.NONE);
  const second = await WireClient.connect(rig.address);
  await second.closed;
  expect(await alter(BROKER, '1', 'transaction.max.timeout.ms', '1000')).toBe(E.NONE);
  const init = { transactionalId: 't', transactionTimeoutMs: 5000, producerId: -1, producerEpoch: -1 };
  expect((await client.call('initProducerId', 4, init)).errorCode).toBe(E.INVALID_TRANSACTION_TIMEOUT);
});

test('the defaults of topics are settings of the broker', async () => {
  await createTopic('plain');
  await createTopic('own', [{ name: 'retention.ms', value: '7' }]);
  expect(await alter(BROKER, '', 'log.retention.ms', '60000')).toBe(E.NONE);
  expect((await describe(TOPIC, 'plain')).get('retention.ms')).toMatchObject({
    value: '60000',
    configSource: 3,
    synonyms: [
      { name: 'log.retention.ms', value: '60000', source: 3 },
      { name: 'log.retention.ms', value: '604800000', source: 5 },
    ],
  });
  expect((await describe(TOPIC, 'own')).get('retention.ms')).toMatchObject({ value: '7', configSource: 1 });
  expect(rig.storage.partition('plain', 0)!.settings.retentionMs).toBe(60_000);
  expect(rig.storage.partition('own', 0)!.settings.retentionMs).toBe(7);
});

test('every topic setting of Kafka is described; one without a subject here cannot be changed', async () => {
  await createTopic('t');
  const rows = await describe(TOPIC, 't');
  for (const name of ['preallocate', 'remote.storage.enable', 'unclean.leader.election.enable', 'segment.jitter.ms']) {
    expect(rows.get(name), name).toMatchObject({ readOnly: true });
    expect(await alter(TOPIC, 't', name, '77')).toBe(E.INVALID_CONFIG);
    expect(await alter(TOPIC, 't', name, rows.get(name)!.value)).toBe(E.NONE);
  }
});

test('message.timestamp.before.max.ms looks at every record', async () => {
  await createTopic('t', [{ name: 'message.timestamp.before.max.ms', value: '60000' }]);
  const produce = async (...ages: number[]) => {
    const records = encodeBatch(
      ages.map((age) => ({ key: null, value: Buffer.from('v'), timestampMs: Date.now() - age })),
    );
    const { responses } = await client.call('produce', 9, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ name: 't', partitionData: [{ index: 0, records }] }],
    });
    return responses[0]!.partitionResponses[0]!.errorCode;
  };
  expect(await produce(0, 1000)).toBe(E.NONE);
  expect(await produce(0, 120_000)).toBe(E.INVALID_TIMESTAMP);
});

test('a group has settings of its own within the bounds of the broker, durable, and its members are told', async () => {
  const beat = async () => {
    const { heartbeatIntervalMs } = await client.call('consumerGroupHeartbeat', 1, {
      groupId: 'g',
      memberId: 'm',
      memberEpoch: 0,
      rebalanceTimeoutMs: 1000,
      subscribedTopicNames: ['t'],
      topicPartitions: [],
    });
    return heartbeatIntervalMs;
  };
  expect(await beat()).toBe(5000);
  expect(await alter(GROUP, 'g', 'consumer.heartbeat.interval.ms', '6000')).toBe(E.NONE);
  expect(await alter(GROUP, 'g', 'consumer.session.timeout.ms', '50000')).toBe(E.NONE);
  expect(await alter(GROUP, 'g', 'consumer.session.timeout.ms', '1')).toBe(E.INVALID_CONFIG);
  expect(await alter(GROUP, 'g', 'share.session.timeout.ms', '50000')).toBe(E.INVALID_CONFIG);
  expect(await alter(GROUP, '', 'consumer.session.timeout.ms', '50000')).toBe(E.INVALID_CONFIG);
  expect(await beat()).toBe(6000);
  await stop();
  await start();
  expect(await beat()).toBe(6000);
  expect((await describe(GROUP, 'g')).get('consumer.session.timeout.ms')).toMatchObject({
    value: '50000',
    configSource: 8,
    synonyms: [
      { name: 'consumer.session.timeout.ms', value: '50000', source: 8 },
      { name: 'group.consumer.session.timeout.ms', value: '45000', source: 5 },
    ],
  });
  const listed = await client.call('listConfigResources', 1, { resourceTypes: [GROUP] });
  expect(listed.configResources).toMatchObject([{ resourceName: 'g', resourceType: GROUP }]);
  // The bounds may change after it was set.
  expect(await alter(BROKER, '1', 'group.consumer.max.heartbeat.interval.ms', '5500')).toBe(E.NONE);
  expect(await beat()).toBe(5500);
  for (const name of ['consumer.heartbeat.interval.ms', 'consumer.session.timeout.ms'])
    expect(await alter(GROUP, 'g', name, null)).toBe(E.NONE);
  expect(await beat()).toBe(5000);
  expect((await client.call('listConfigResources', 1, { resourceTypes: [GROUP] })).configResources).toEqual([]);
});

test('no client writes users, or reads them', async () => {
  await client.call('alterUserScramCredentials', 0, {
    deletions: [],
    upsertions: [
      { name: 'eve', mechanism: 1, iterations: 4096, salt: Buffer.from('salt'), saltedPassword: Buffer.alloc(32) },
    ],
  });
  const records = encodeBatch([{ key: Buffer.from('eve'), value: Buffer.from('{}'), timestampMs: Date.now() }]);
  const { responses } = await client.call('produce', 9, {
    acks: -1,
    timeoutMs: 5000,
    topicData: [{ name: USERS_TOPIC, partitionData: [{ index: 0, records }] }],
  });
  expect(responses[0]!.partitionResponses[0]!.errorCode).toBe(E.INVALID_TOPIC_EXCEPTION);
  const fetched = await client.call('fetch', 12, {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 1 << 20,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topic: USERS_TOPIC, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
    forgottenTopicsData: [],
  });
  expect(fetched.responses[0]!.partitions[0]).toMatchObject({ errorCode: E.TOPIC_AUTHORIZATION_FAILED });
});
