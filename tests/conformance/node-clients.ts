import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { Kafka, logLevel } from 'kafkajs';
import { ServerProcess, temporaryDirectory } from '../support/process.ts';
import type { Judge } from './judge.ts';

const PLATFORMATIC = '@platformatic/kafka@1.35.0';

const values = (count: number): string[] => Array.from({ length: count }, (_, i) => `value ${i}`);
const topicOf = (name: string): string => name.replaceAll(/\W+/g, '-');

interface Case {
  readonly name: string;
  readonly run: (bootstrap: string, cache: string) => Promise<void>;
}

function same(got: readonly unknown[], expected: readonly unknown[]): void {
  if (JSON.stringify(got) !== JSON.stringify(expected)) {
    throw new Error(`got ${JSON.stringify(got).slice(0, 200)}, expected ${JSON.stringify(expected).slice(0, 200)}`);
  }
}

const kafkajs = (bootstrap: string): Kafka =>
  new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 5 } });

async function readWithKafkajs(client: Kafka, topic: string, groupId: string, count: number): Promise<string[]> {
  const consumer = client.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const got: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error(`${got.length} of ${count} records after 30 s`)), 30_000).unref();
      void consumer.run({
        eachMessage: async ({ message }) => {
          if (got.push(String(message.value)) === count) resolve();
        },
      });
    });
  } finally {
    await consumer.disconnect();
  }
  return got;
}

async function platformatic(cache: string): Promise<any> {
  const require = createRequire(join(cache, 'platformatic', 'package.json'));
  return import(pathToFileURL(require.resolve('@platformatic/kafka')).href);
}

const CASES: readonly Case[] = [
  {
    name: 'kafkajs 2.2.4: produce and consume',
    async run(bootstrap) {
      const client = kafkajs(bootstrap);
      const producer = client.producer();
      await producer.connect();
      const messages = values(500).map((value) => ({ value }));
      await producer.send({ topic: 'kafkajs', messages });
      await producer.disconnect();
      same(await readWithKafkajs(client, 'kafkajs', 'kafkajs', 500), values(500));
    },
  },
  {
    name: 'kafkajs 2.2.4: transactions',
    async run(bootstrap) {
      const client = kafkajs(bootstrap);
      const producer = client.producer({ transactionalId: 'kafkajs', idempotent: true, maxInFlightRequests: 1 });
      await producer.connect();
      for (const [value, commit] of [
        ['one', true],
        ['two', false],
        ['three', true],
      ] as const) {
        const transaction = await producer.transaction();
        await transaction.send({ topic: 'kafkajs-transactions', messages: [{ value }] });
        await (commit ? transaction.commit() : transaction.abort());
      }
      await producer.disconnect();
      same(await readWithKafkajs(client, 'kafkajs-transactions', 'kafkajs-t', 2), ['one', 'three']);
    },
  },
  {
    name: 'kafkajs 2.2.4: admin',
    async run(bootstrap) {
      const admin = kafkajs(bootstrap).admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic: 'kafkajs-admin', numPartitions: 2 }] });
      await admin.createPartitions({ topicPartitions: [{ topic: 'kafkajs-admin', count: 3 }] });
      const { topics } = await admin.fetchTopicMetadata({ topics: ['kafkajs-admin'] });
      same([topics[0].partitions.length], [3]);
      await admin.setOffsets({
        groupId: 'kafkajs-admin',
        topic: 'kafkajs-admin',
        partitions: [{ partition: 0, offset: '7' }],
      });
      const [offsets] = await admin.fetchOffsets({ groupId: 'kafkajs-admin', topics: ['kafkajs-admin'] });
      same([offsets.partitions.find(({ partition }) => partition === 0)?.offset], ['7']);
      await admin.deleteTopics({ topics: ['kafkajs-admin'] });
      await admin.disconnect();
    },
  },
  ...['none', 'gzip', 'snappy', 'lz4', ...('zstdCompress' in zlib ? ['zstd'] : [])].map(
    (compression): Case => ({
      name: `${PLATFORMATIC}: produce (${compression}) and consume`,
      async run(bootstrap, cache) {
        const { Producer, Consumer, stringSerializers, stringDeserializers } = await platformatic(cache);
        const topic = topicOf(`platformatic-${compression}`);
        const common = { clientId: 'judge', bootstrapBrokers: [bootstrap], autocreateTopics: true };
        const producer = new Producer({ ...common, serializers: stringSerializers, compression });
        await producer.send({ messages: values(200).map((value) => ({ topic, key: 'k', value })) });
        await producer.close();
        const consumer = new Consumer({ ...common, groupId: topic, deserializers: stringDeserializers });
        const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: true });
        const got: string[] = [];
        for await (const message of stream) if (got.push(message.value) === 200) break;
        await consumer.close(true);
        same(got, values(200));
      },
    }),
  ),
  {
    name: `${PLATFORMATIC}: admin`,
    async run(bootstrap, cache) {
      const { Admin } = await platformatic(cache);
      const admin = new Admin({ clientId: 'judge', bootstrapBrokers: [bootstrap] });
      await admin.createTopics({ topics: ['platformatic-admin'], partitions: 2, replicas: 1 });
      const { topics } = await admin.metadata({ topics: ['platformatic-admin'] });
      same([topics.get('platformatic-admin').partitionsCount], [2]);
      await admin.deleteTopics({ topics: ['platformatic-admin'] });
      await admin.close();
    },
  },
];

export const nodeClients: Judge = {
  name: 'node',
  title: 'Clients in Node: kafkajs and @platformatic/kafka',
  async prepare(cache) {
    const folder = join(cache, 'platformatic');
    if (existsSync(join(folder, 'node_modules'))) return undefined;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}');
    const npm = spawnSync('npm', ['install', PLATFORMATIC], { cwd: folder, stdio: 'ignore' });
    return npm.status === 0 ? undefined : `npm could not install ${PLATFORMATIC}`;
  },
  async run(cache, report) {
    const directory = temporaryDirectory();
    const server = await ServerProcess.start(directory.path);
    for (const { name, run } of CASES) {
      const started = performance.now();
      const late = new Promise((_, fail) => setTimeout(() => fail(new Error('no end after 60 s')), 60_000).unref());
      try {
        await Promise.race([run(server.kafka, cache), late]);
        report({ name, outcome: 'pass', seconds: (performance.now() - started) / 1000 });
      } catch (error) {
        report({ name, outcome: 'fail', note: String(error), seconds: (performance.now() - started) / 1000 });
      }
    }
    await server.stop();
    directory.remove();
  },
};
