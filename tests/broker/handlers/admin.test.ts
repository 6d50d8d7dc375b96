import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { APIS, type RequestInput, type ResponseBody } from '../../../src/protocol/protocol.ts';
import { ZERO_UUID } from '../../../src/protocol/schema.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from '../rig.ts';

let rig: BrokerRig;
let client: WireClient;

beforeAll(async () => {
  rig = await startBroker({ ...QUICK, numPartitions: 3 });
  client = await WireClient.connect(rig.address);
});

afterAll(async () => {
  client.close();
  await rig.close();
});

const versions = (api: keyof typeof APIS): number[] => {
  const { from, to } = APIS[api].versions;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
};

type NewTopic = NonNullable<RequestInput<'createTopics'>['topics']>[number];
const newTopic = (name: string, more: NewTopic = {}): NewTopic => ({
  name,
  numPartitions: 1,
  replicationFactor: 1,
  ...more,
});
const create = async (topics: NewTopic[], validateOnly = false, version = 7) =>
  (await client.call('createTopics', version, { topics, validateOnly })).topics;

describe('topics', () => {
  test('are created and deleted in every version', async () => {
    for (const version of versions('createTopics')) {
      const [made] = await create([newTopic(`v${version}`, { numPartitions: version >= 4 ? -1 : 2 })], false, version);
      expect(made).toMatchObject({ name: `v${version}`, errorCode: 0 });
      expect(rig.storage.describeTopic(`v${version}`)!.partitions).toBe(version >= 4 ? 3 : 2);
    }
    for (const version of versions('deleteTopics')) {
      await create([newTopic('gone')]);
      const { responses } = await client.call('deleteTopics', version, {
        topicNames: ['gone'],
        topics: [{ name: 'gone' }],
      });
      expect(responses).toMatchObject([{ name: 'gone', errorCode: 0 }]);
      expect(rig.storage.describeTopic('gone')).toBeUndefined();
    }
  });

  test('each gets its own answer, in order, with settings', async () => {
    await create([newTopic('there')]);
    const answers = await create([
      newTopic('fine', { configs: [{ name: 'retention.ms', value: '60000' }] }),
      newTopic('there'),
      newTopic('bad name'),
      newTopic('none', { numPartitions: 0 }),
      newTopic('three', { replicationFactor: 3 }),
      newTopic('config', { configs: [{ name: 'no.such', value: '1' }] }),
      newTopic('twice'),
      newTopic('twice'),
      newTopic('__consumer_offsets'),
      newTopic('assigned', {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [
          { partitionIndex: 1, brokerIds: [1] },
          { partitionIndex: 0, brokerIds: [1] },
        ],
      }),
      newTopic('wrong', {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 0, brokerIds: [7] }],
      }),
      newTopic('many', { numPartitions: 1_000_000 }),
    ]);
    expect(answers.map(({ errorCode }) => errorCode)).toEqual([
      0,
      E.TOPIC_ALREADY_EXISTS,
      E.INVALID_TOPIC_EXCEPTION,
      E.INVALID_PARTITIONS,
      E.INVALID_REPLICATION_FACTOR,
      E.INVALID_CONFIG,
      E.INVALID_REQUEST,
      E.INVALID_REQUEST,
      E.INVALID_TOPIC_EXCEPTION,
      0,
      E.INVALID_REPLICA_ASSIGNMENT,
      E.INVALID_PARTITIONS,
    ]);
    expect(answers[0]!.topicId).toBe(rig.storage.describeTopic('fine')!.id);
    expect(answers[0]!.configs!.find(({ name }) => name === 'retention.ms')).toMatchObject({
      value: '60000',
      configSource: 1,
    });
    expect(answers[0]!.configs!.length).toBeGreaterThan(5);
    expect(answers[9]!.numPartitions).toBe(2);
  });

  test('validate only creates nothing', async () => {
    expect((await create([newTopic('maybe')], true))[0]!.errorCode).toBe(0);
    expect(rig.storage.describeTopic('maybe')).toBeUndefined();
  });

  test('are deleted by id; missing and internal ones are refused', async () => {
    const [made] = await create([newTopic('byid')]);
    await client.call('initProducerId', 0, { transactionalId: null, transactionTimeoutMs: 0 });
    const { responses } = await client.call('deleteTopics', 6, {
      topics: [
        { name: null, topicId: made!.topicId },
        { name: null, topicId: made!.topicId },
        { name: 'nothing', topicId: ZERO_UUID },
        { name: '__producer_ids' },
        { name: null },
      ],
    });
    expect(responses.map(({ errorCode }) => errorCode)).toEqual([
      0,
      E.UNKNOWN_TOPIC_ID,
      E.UNKNOWN_TOPIC_OR_PARTITION,
      E.INVALID_REQUEST,
      E.INVALID_REQUEST,
    ]);
  });

  test('get more partitions, in every version', async () => {
    await create([newTopic('grow')]);
    let count = 1;
    const grow = async (version: number, name: string, to: number, validateOnly = false) =>
      (
        await client.call('createPartitions', version, {
          topics: [{ name, count: to, assignments: null }],
          validateOnly,
        })
      ).results[0]!.errorCode;
    for (const version of versions('createPartitions')) expect(await grow(version, 'grow', ++count)).toBe(0);
    expect(rig.storage.describeTopic('grow')!.partitions).toBe(count);
    expect(await grow(3, 'grow', count + 1, true)).toBe(0);
    expect(await grow(3, 'grow', count)).toBe(E.INVALID_PARTITIONS);
    expect(await grow(3, 'nothing', 2)).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('lose their first records', async () => {
    await create([newTopic('trim')]);
    await client.produce('trim', ['a', 'b', 'c']);
    const trim = async (offset: number) => {
      const { topics } = await client.call('deleteRecords', 2, {
        topics: [{ name: 'trim', partitions: [{ partitionIndex: 0, offset }] }],
        timeoutMs: 100,
      });
      const { errorCode, lowWatermark } = topics[0]!.partitions[0]!;
      return [errorCode, lowWatermark];
    };
    expect(await trim(2)).toEqual([0, 2]);
    expect(await trim(9)).toEqual([E.OFFSET_OUT_OF_RANGE, -1]);
    expect(await trim(-1)).toEqual([0, 3]);
  });

  test('are described page by page', async () => {
    await create([newTopic('page', { numPartitions: 5 })]);
    const seen: number[] = [];
    let cursor: RequestInput<'describeTopicPartitions'>['cursor'] = null;
    do {
      const page: ResponseBody<'describeTopicPartitions'> = await client.call('describeTopicPartitions', 0, {
        topics: [{ name: 'page' }],
        responsePartitionLimit: 2,
        cursor,
      });
      seen.push(...page.topics.flatMap(({ partitions }) => partitions.map(({ partitionIndex }) => partitionIndex)));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('settings', () => {
  const describeTopic = async (name: string, version = 4) => {
    const { results } = await client.call('describeConfigs', version, {
      resources: [{ resourceType: 2, resourceName: name, configurationKeys: null }],
      includeSynonyms: true,
      includeDocumentation: true,
    });
    return results[0]!;
  };

  test('all are described, with source, type and doc', async () => {
    await create([newTopic('conf', { configs: [{ name: 'retention.ms', value: '1000' }] })]);
    for (const version of versions('describeConfigs')) {
      const { errorCode, configs } = await describeTopic('conf', version);
      expect(errorCode).toBe(0);
      const retention = configs.find(({ name }) => name === 'retention.ms')!;
      expect(retention).toMatchObject({ value: '1000', configSource: 1 });
      expect(retention.synonyms).toHaveLength(2);
      if (version >= 3)
        expect(retention).toMatchObject({ configType: 5, documentation: expect.stringContaining('kept') });
    }
    expect((await describeTopic('nothing')).errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    const broker = await client.call('describeConfigs', 4, {
      resources: [
        { resourceType: 4, resourceName: '1', configurationKeys: ['num.partitions'] },
        { resourceType: 4, resourceName: '9', configurationKeys: null },
      ],
    });
    expect(broker.results[0]!.configs).toMatchObject([{ name: 'num.partitions', value: '3', configSource: 4 }]);
    expect(broker.results[1]!.errorCode).toBe(E.INVALID_REQUEST);
  });

  test('are changed one by one', async () => {
    await create([newTopic('alter')]);
    const alter = async (name: string, configOperation: number, value: string | null, topic = 'alter') => {
      const { responses } = await client.call('incrementalAlterConfigs', 1, {
        resources: [{ resourceType: 2, resourceName: topic, configs: [{ name, configOperation, value }] }],
        validateOnly: false,
      });
      return responses[0]!.errorCode;
    };
    const value = async (name: string) =>
      (await describeTopic('alter')).configs.find((row) => row.name === name)!.value;
    expect(await alter('retention.ms', 0, '77')).toBe(0);
    expect(await value('retention.ms')).toBe('77');
    expect(await alter('retention.ms', 1, null)).toBe(0);
    expect(await value('retention.ms')).toBe('604800000');
    expect(await alter('retention.ms', 0, 'soon')).toBe(E.INVALID_CONFIG);
    expect(await alter('retention.ms', 2, '1')).toBe(E.INVALID_CONFIG);
    expect(await alter('no.such', 0, '1')).toBe(E.INVALID_CONFIG);
    expect(await alter('retention.ms', 0, '1', 'nothing')).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
  });
});

test('the cluster is this broker', async () => {
  for (const version of versions('describeCluster')) {
    const { clusterId, controllerId, brokers } = await client.call('describeCluster', version, {});
    expect([clusterId, controllerId, brokers.length]).toEqual([rig.storage.clusterId, 1, 1]);
  }
  for (const version of versions('findCoordinator')) {
    const answer = await client.call('findCoordinator', version, { key: 'g', keyType: 0, coordinatorKeys: ['g', 'h'] });
    const found = version >= 4 ? answer.coordinators : [answer];
    expect(found.map(({ nodeId, host, port }) => `${nodeId} ${host}:${port}`)).toContain(`1 ${rig.address}`);
  }
});

test('producer ids are never given twice', async () => {
  const ids = new Set<number>();
  for (const version of versions('initProducerId')) {
    const answer = await client.call('initProducerId', version, { transactionalId: null, transactionTimeoutMs: 1 });
    expect([answer.errorCode, answer.producerEpoch]).toEqual([0, 0]);
    ids.add(answer.producerId);
  }
  expect(ids.size).toBe(versions('initProducerId').length);
});
