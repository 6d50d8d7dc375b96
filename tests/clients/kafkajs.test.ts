import { spawn } from 'node:child_process';
import { CompressionTypes, type Consumer, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BrokerRig, startBroker } from '../broker/rig.ts';

let rig: BrokerRig;
let kafka: Kafka;
const open: { disconnect(): Promise<void> }[] = [];

beforeAll(async () => {
  rig = await startBroker({ groupInitialRebalanceDelayMs: 50, numPartitions: 2 });
  kafka = new Kafka({ clientId: 'tests', brokers: [rig.address], logLevel: logLevel.NOTHING });
});

afterAll(async () => {
  await Promise.all(open.map((client) => client.disconnect().catch(() => {})));
  await rig.close();
});

async function producer(options = {}) {
  const made = kafka.producer(options);
  open.push(made);
  await made.connect();
  return made;
}

async function until(what: () => boolean, withinMs = 20_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!what()) {
    if (performance.now() > end) throw new Error('did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A running consumer and the values it got. */
async function consumer(groupId: string, topic: string) {
  const made = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 100, maxWaitTimeInMs: 100 });
  open.push(made);
  const got: string[] = [];
  const partitions = new Set<number>();
  made.on(made.events.GROUP_JOIN, ({ payload }) => {
    partitions.clear();
    for (const partition of payload.memberAssignment[topic] ?? []) partitions.add(partition);
  });
  await made.connect();
  await made.subscribe({ topics: [topic], fromBeginning: true });
  await made.run({
    autoCommitInterval: 50,
    eachMessage: async ({ message }) => {
      got.push(String(message.value));
    },
  });
  return { client: made as Consumer, got, partitions };
}

describe('kafkajs', () => {
  test('produces and consumes, plain and with gzip, keys and headers kept', async () => {
    const out = await producer();
    await out.send({ topic: 'plain', messages: [{ value: 'one' }, { key: 'k', value: 'two', headers: { h: 'v' } }] });
    await out.send({
      topic: 'plain',
      compression: CompressionTypes.GZIP,
      messages: [{ value: 'three' }, { value: 'four' }],
    });
    const { client, got } = await consumer('plain-group', 'plain');
    await until(() => got.length === 4);
    expect([...got].sort()).toEqual(['four', 'one', 'three', 'two']);
    await client.disconnect();
  });

  test('an idempotent producer', async () => {
    const out = await producer({ idempotent: true, maxInFlightRequests: 1 });
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => out.send({ topic: 'idem', messages: [{ key: 'same', value: `m${i}` }] })),
    );
    const { client, got } = await consumer('idem-group', 'idem');
    await until(() => got.length === 20);
    expect(new Set(got).size).toBe(20);
    await client.disconnect();
  });

  test('a group of three rebalances when one dies, and goes on from what was committed', async () => {
    const admin = kafka.admin();
    open.push(admin);
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'shared', numPartitions: 6 }] });
    const out = await producer();
    const send = (from: number) =>
      out.send({
        topic: 'shared',
        messages: Array.from({ length: 30 }, (_, i) => ({ partition: i % 6, value: `m${from + i}` })),
      });
    const members = await Promise.all([1, 2, 3].map(() => consumer('trio', 'shared')));
    await until(() => members.every(({ partitions }) => partitions.size === 2));
    expect(new Set(members.flatMap(({ partitions }) => [...partitions])).size).toBe(6);
    await send(0);
    await until(() => members.reduce((sum, { got }) => sum + got.length, 0) === 30);
    const [first, ...rest] = members;
    await first!.client.disconnect();
    await until(() => rest.every(({ partitions }) => partitions.size === 3));
    await send(100);
    await until(
      () => rest.reduce((sum, { got }) => sum + got.filter((v) => Number(v.slice(1)) >= 100).length, 0) === 30,
    );
    const all = members.flatMap(({ got }) => got);
    expect(new Set(all).size).toBe(60);
    const described = await admin.describeGroups(['trio']);
    expect(described.groups[0]).toMatchObject({ state: 'Stable', protocol: 'RoundRobinAssigner' });
    expect(described.groups[0]!.members).toHaveLength(2);
    await Promise.all(rest.map(({ client }) => client.disconnect()));
    const committed = await admin.fetchOffsets({ groupId: 'trio', topics: ['shared'] });
    expect(committed[0]!.partitions.map(({ offset }) => offset)).toEqual(Array(6).fill('10'));
  });

  test('a member whose process is killed is evicted at its session timeout', { timeout: 30_000 }, async () => {
    const one = await consumer('dying', 'plain');
    const script = `
      const { Kafka, logLevel } = require('kafkajs');
      const kafka = new Kafka({ brokers: [process.argv[1]], logLevel: logLevel.NOTHING });
      const consumer = kafka.consumer({ groupId: 'dying', sessionTimeout: 6000, heartbeatInterval: 100, maxWaitTimeInMs: 100 });
      consumer.connect()
        .then(() => consumer.subscribe({ topics: ['plain'] }))
        .then(() => consumer.run({ eachMessage: async () => {} }));`;
    const other = spawn(process.execPath, ['-e', script, rig.address], { stdio: 'ignore' });
    await until(() => one.partitions.size === 1);
    other.kill('SIGKILL');
    await until(() => one.partitions.size === 2);
    await one.client.disconnect();
  });

  test('administers topics, settings, offsets and groups', async () => {
    const admin = kafka.admin();
    open.push(admin);
    await admin.connect();
    const configEntries = [{ name: 'retention.ms', value: '60000' }];
    expect(await admin.createTopics({ topics: [{ topic: 'adm', numPartitions: 2, configEntries }] })).toBe(true);
    expect(await admin.createTopics({ topics: [{ topic: 'adm' }] })).toBe(false);
    expect(await admin.listTopics()).toContain('adm');
    await admin.createPartitions({ topicPartitions: [{ topic: 'adm', count: 3 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: ['adm'] });
    expect(topics[0]!.partitions).toHaveLength(3);
    const { resources } = await admin.describeConfigs({
      includeSynonyms: true,
      resources: [{ type: 2, name: 'adm', configNames: ['retention.ms'] }],
    });
    expect(resources[0]!.configEntries).toMatchObject([{ configName: 'retention.ms', configValue: '60000' }]);
    const out = await producer();
    await out.send({ topic: 'adm', messages: [0, 1, 2].map((partition) => ({ partition, value: 'x' })) });
    expect((await admin.fetchTopicOffsets('adm')).map(({ high, low }) => [low, high])).toEqual(
      Array(3).fill(['0', '1']),
    );
    await admin.setOffsets({ groupId: 'reset', topic: 'adm', partitions: [{ partition: 0, offset: '1' }] });
    const [fetched] = await admin.fetchOffsets({ groupId: 'reset', topics: ['adm'] });
    expect(fetched!.partitions.find(({ partition }) => partition === 0)!.offset).toBe('1');
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toContain('reset');
    await admin.deleteTopicRecords({ topic: 'adm', partitions: [{ partition: 0, offset: '1' }] });
    expect((await admin.fetchTopicOffsets('adm'))[0]).toBeDefined();
    await admin.deleteGroups(['reset']);
    await admin.deleteTopics({ topics: ['adm'] });
    expect(await admin.listTopics()).not.toContain('adm');
    const cluster = await admin.describeCluster();
    expect(cluster.brokers).toHaveLength(1);
    expect(cluster.clusterId).toBe(rig.storage.clusterId);
  });
});
