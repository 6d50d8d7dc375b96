import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { decodeRequest, encodeRequest, encodeResponse } from '../../src/protocol/protocol.ts';
import { encodeBatch } from '../../src/protocol/records.ts';

// Bytes that another implementation, kafkajs 2.2.4, writes and reads.
const require = createRequire(import.meta.url);
const frameOf = require('kafkajs/src/protocol/request');
const protocolOf = (api: string, version: number) =>
  require(`kafkajs/src/protocol/requests/${api}`).protocol({ version });

const REQUESTS: [api: string, version: number, args: unknown, body: Record<string, unknown>][] = [
  ['apiVersions', 2, {}, {}],
  [
    'metadata',
    6,
    { topics: ['a', 'b'], allowAutoTopicCreation: true },
    { topics: [{ name: 'a' }, { name: 'b' }], allowAutoTopicCreation: true },
  ],
  [
    'fetch',
    11,
    {
      replicaId: -1,
      maxWaitTime: 100,
      minBytes: 1,
      maxBytes: 1000,
      isolationLevel: 1,
      rackId: 'r',
      topics: [
        {
          topic: 't',
          partitions: [{ partition: 3, currentLeaderEpoch: 2, fetchOffset: 9007199254740000, maxBytes: 55 }],
        },
      ],
    },
    {
      replicaId: -1,
      maxWaitMs: 100,
      minBytes: 1,
      maxBytes: 1000,
      isolationLevel: 1,
      rackId: 'r',
      sessionEpoch: -1,
      topics: [
        {
          topic: 't',
          partitions: [{ partition: 3, currentLeaderEpoch: 2, fetchOffset: 9007199254740000, partitionMaxBytes: 55 }],
        },
      ],
    },
  ],
  [
    'listOffsets',
    3,
    {
      replicaId: -1,
      isolationLevel: 1,
      topics: [{ topic: 't', partitions: [{ partition: 0, timestamp: -1 }] }],
    },
    { replicaId: -1, isolationLevel: 1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }] },
  ],
  ['findCoordinator', 2, { groupId: 'g', coordinatorType: 0 }, { key: 'g', keyType: 0 }],
  [
    'joinGroup',
    5,
    {
      groupId: 'g',
      sessionTimeout: 30000,
      rebalanceTimeout: 60000,
      memberId: 'm',
      groupInstanceId: 'i',
      protocolType: 'consumer',
      groupProtocols: [{ name: 'range', metadata: Buffer.from([1, 2, 3]) }],
    },
    {
      groupId: 'g',
      sessionTimeoutMs: 30000,
      rebalanceTimeoutMs: 60000,
      memberId: 'm',
      groupInstanceId: 'i',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from([1, 2, 3]) }],
    },
  ],
  [
    'syncGroup',
    3,
    {
      groupId: 'g',
      generationId: 4,
      memberId: 'm',
      groupAssignment: [{ memberId: 'm', memberAssignment: Buffer.from([9]) }],
    },
    { groupId: 'g', generationId: 4, memberId: 'm', assignments: [{ memberId: 'm', assignment: Buffer.from([9]) }] },
  ],
  [
    'heartbeat',
    3,
    { groupId: 'g', groupGenerationId: 4, memberId: 'm' },
    { groupId: 'g', generationId: 4, memberId: 'm' },
  ],
  [
    'leaveGroup',
    3,
    { groupId: 'g', memberId: 'm' },
    { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: null }] },
  ],
  [
    'offsetCommit',
    5,
    {
      groupId: 'g',
      groupGenerationId: 4,
      memberId: 'm',
      topics: [{ topic: 't', partitions: [{ partition: 1, offset: '77', metadata: 'x' }] }],
    },
    {
      groupId: 'g',
      generationIdOrMemberEpoch: 4,
      memberId: 'm',
      topics: [{ name: 't', partitions: [{ partitionIndex: 1, committedOffset: 77, committedMetadata: 'x' }] }],
    },
  ],
  [
    'offsetFetch',
    4,
    { groupId: 'g', topics: [{ topic: 't', partitions: [{ partition: 1 }] }] },
    { groupId: 'g', topics: [{ name: 't', partitionIndexes: [1] }] },
  ],
  [
    'createTopics',
    3,
    {
      topics: [{ topic: 't', numPartitions: 3, replicationFactor: 1, configEntries: [{ name: 'a', value: 'b' }] }],
      validateOnly: true,
      timeout: 5000,
    },
    {
      topics: [{ name: 't', numPartitions: 3, replicationFactor: 1, configs: [{ name: 'a', value: 'b' }] }],
      validateOnly: true,
      timeoutMs: 5000,
    },
  ],
  ['deleteTopics', 1, { topics: ['t'], timeout: 5000 }, { topicNames: ['t'], timeoutMs: 5000 }],
  ['deleteGroups', 1, ['g'], { groupsNames: ['g'] }],
  [
    'initProducerId',
    1,
    { transactionalId: null, transactionTimeout: 9 },
    { transactionalId: null, transactionTimeoutMs: 9 },
  ],
];

test.each(REQUESTS)('%s v%i: kafkajs and we write the same bytes, and read them', async (api, version, args, body) => {
  const { request } = protocolOf(api, version)(args);
  const theirs = (await frameOf({ correlationId: 7, clientId: 'kafkajs', request })).buffer as Buffer;
  const ours = encodeRequest(api as 'fetch', version, 7, 'kafkajs', body as never);
  expect(ours.toString('hex')).toBe(theirs.toString('hex'));
  expect(decodeRequest(theirs.subarray(4))).toMatchObject({
    api,
    apiVersion: version,
    correlationId: 7,
    clientId: 'kafkajs',
    body,
  });
});

test('kafkajs reads our responses', async () => {
  const decode = async (api: string, version: number, frame: Buffer) =>
    (await protocolOf(api, version)({}).response.decode(frame.subarray(8))) as Record<string, any>;
  const batch = encodeBatch([{ key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 5 }], { baseOffset: 40 });
  const fetched = await decode(
    'fetch',
    11,
    encodeResponse('fetch', 11, 7, {
      responses: [
        {
          topic: 't',
          partitions: [
            { partitionIndex: 2, highWatermark: 41, lastStableOffset: 41, abortedTransactions: [], records: batch },
          ],
        },
      ],
    }),
  );
  const [partition] = fetched.responses[0].partitions;
  expect(partition).toMatchObject({ partition: 2, highWatermark: '41' });
  expect(partition.messages[0]).toMatchObject({ offset: '40', timestamp: '5' });
  expect(partition.messages[0].value.toString()).toBe('v');

  const metadata = await decode(
    'metadata',
    6,
    encodeResponse('metadata', 6, 7, {
      brokers: [{ nodeId: 1, host: '127.0.0.1', port: 9092, rack: null }],
      clusterId: 'c',
      controllerId: 1,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, leaderId: 1, replicaNodes: [1], isrNodes: [1] }] }],
    }),
  );
  expect(metadata).toMatchObject({
    clusterId: 'c',
    controllerId: 1,
    brokers: [{ nodeId: 1, host: '127.0.0.1', port: 9092 }],
    topicMetadata: [{ topic: 't', partitionMetadata: [{ partitionId: 0, leader: 1, replicas: [1], isr: [1] }] }],
  });
});
