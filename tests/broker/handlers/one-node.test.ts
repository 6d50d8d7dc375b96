import { afterAll, beforeAll, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { APIS, type ApiName } from '../../../src/protocol/protocol.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from '../rig.ts';

/** What a cluster of one node answers to questions about many. */
let rig: BrokerRig;
let client: WireClient;

beforeAll(async () => {
  rig = await startBroker({ ...QUICK, numPartitions: 2 });
  client = await WireClient.connect(rig.address);
  await rig.storage.createTopic('t', { partitions: 2 });
  await client.produce('t', ['one', 'two']);
});

afterAll(async () => {
  client.close();
  await rig.close();
});

const versions = (api: ApiName): number[] => {
  const { from, to } = APIS[api].versions;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
};

test('DescribeLogDirs: the one directory with the size of every partition, or of those asked for', async () => {
  for (const version of versions('describeLogDirs')) {
    const { results } = await client.call('describeLogDirs', version, { topics: null });
    const found = results[0]!.topics.find(({ name }) => name === 't')!;
    expect(found.partitions.map(({ partitionIndex }) => partitionIndex)).toEqual([0, 1]);
    expect(found.partitions[0]).toMatchObject({
      partitionSize: rig.storage.partition('t', 0)!.sizeBytes,
      offsetLag: 0,
    });
  }
  const some = await client.call('describeLogDirs', 4, { topics: [{ topic: 't', partitions: [1, 7] }] });
  expect(some.results[0]!.topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([['t', 1]]);
});

test('ElectLeaders: the preferred replica leads already', async () => {
  for (const version of versions('electLeaders')) {
    const topicPartitions = [{ topic: 't', partitions: [0, 9] }];
    const answer = await client.call('electLeaders', version, { topicPartitions });
    const codes = answer.replicaElectionResults[0]!.partitionResult.map(({ errorCode }) => errorCode);
    expect(codes).toEqual([E.ELECTION_NOT_NEEDED, E.UNKNOWN_TOPIC_OR_PARTITION]);
    expect((await client.call('electLeaders', version, { topicPartitions: null })).replicaElectionResults).toEqual([]);
  }
});

test('reassignments: none is under way, and there is no other broker', async () => {
  expect((await client.call('listPartitionReassignments', 0, {})).topics).toEqual([]);
  const ask = async (replicas: number[] | null): Promise<number> => {
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, replicas }] }];
    const answer = await client.call('alterPartitionReassignments', 1, { topics });
    return answer.responses[0]!.partitions[0]!.errorCode;
  };
  expect(await ask([1])).toBe(E.NONE);
  expect(await ask([1, 2])).toBe(E.INVALID_REPLICA_ASSIGNMENT);
  expect(await ask(null)).toBe(E.NO_REASSIGNMENT_IN_PROGRESS);
});

test('a replication factor beyond the one broker is refused unless any is to be taken', async () => {
  const ask = async (broker: WireClient, name: string): Promise<number> => {
    const topics = [{ name, numPartitions: 1, replicationFactor: 3, assignments: [], configs: [] }];
    return (await broker.call('createTopics', 7, { topics })).topics[0]!.errorCode;
  };
  expect(await ask(client, 'three')).toBe(E.INVALID_REPLICATION_FACTOR);
  const lenient = await startBroker({ ...QUICK, anyReplicationFactor: true });
  const other = await WireClient.connect(lenient.address);
  expect(await ask(other, 'three')).toBe(E.NONE);
  other.close();
  await lenient.close();
});
