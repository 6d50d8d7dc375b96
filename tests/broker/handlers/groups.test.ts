import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { APIS } from '../../../src/protocol/protocol.ts';
import { MemoryDisk } from '../../../src/storage/disk/memory-disk.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from '../rig.ts';

let disk: MemoryDisk;
let rig: BrokerRig;
let client: WireClient;

async function restart(): Promise<void> {
  client?.close();
  await rig?.close();
  rig = await startBroker(QUICK, { disk });
  client = await WireClient.connect(rig.address);
}

beforeEach(async () => {
  disk = new MemoryDisk();
  await restart();
  await rig.storage.createTopic('t', { partitions: 2 });
});

afterEach(async () => {
  client.close();
  await rig.close();
});

const versions = (api: keyof typeof APIS): number[] => {
  const { from, to } = APIS[api].versions;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
};

const joinBody = (memberId: string, groupId = 'g') => ({
  groupId,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  memberId,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('meta') }],
});

/** Joins, syncs and returns the member id. */
async function member(version: number, groupId: string): Promise<{ memberId: string; generationId: number }> {
  let joined = await client.call('joinGroup', version, joinBody('', groupId));
  if (version >= 4) {
    expect(joined.errorCode).toBe(E.MEMBER_ID_REQUIRED);
    joined = await client.call('joinGroup', version, joinBody(joined.memberId, groupId));
  }
  expect(joined).toMatchObject({ errorCode: 0, generationId: 1, leader: joined.memberId, protocolName: 'range' });
  expect(joined.members[0]!.metadata.toString()).toBe('meta');
  const { memberId, generationId } = joined;
  const synced = await client.call('syncGroup', Math.min(version, APIS.syncGroup.versions.to), {
    groupId,
    generationId,
    memberId,
    protocolType: 'consumer',
    protocolName: 'range',
    assignments: [{ memberId, assignment: Buffer.from('mine') }],
  });
  expect([synced.errorCode, synced.assignment.toString()]).toEqual([0, 'mine']);
  return { memberId, generationId };
}

describe('groups over the wire', () => {
  test('every version joins, syncs, beats and leaves', async () => {
    for (const version of versions('joinGroup')) {
      const groupId = `g${version}`;
      const { memberId, generationId } = await member(version, groupId);
      const beat = await client.call('heartbeat', Math.min(version, 4), { groupId, memberId, generationId });
      expect(beat.errorCode).toBe(0);
      const left = await client.call('leaveGroup', Math.min(version, 5), {
        groupId,
        memberId,
        members: [{ memberId }],
      });
      expect(left.errorCode).toBe(0);
      if (version >= 3) expect(left.members).toMatchObject([{ memberId, errorCode: 0 }]);
    }
  });

  test('are listed, described and deleted', async () => {
    const { memberId } = await member(9, 'g');
    for (const version of versions('listGroups')) {
      const { groups } = await client.call('listGroups', version, {});
      expect(groups).toMatchObject([{ groupId: 'g', protocolType: 'consumer' }]);
    }
    const filtered = async (statesFilter: string[], typesFilter: string[]) =>
      (await client.call('listGroups', 5, { statesFilter, typesFilter })).groups.length;
    expect(await filtered(['stable'], ['classic'])).toBe(1);
    expect(await filtered(['Empty'], [])).toBe(0);
    expect(await filtered([], ['consumer'])).toBe(0);
    for (const version of versions('describeGroups')) {
      const { groups } = await client.call('describeGroups', version, { groups: ['g', 'none'] });
      expect(groups[0]).toMatchObject({ groupState: 'Stable', protocolData: 'range', members: [{ memberId }] });
      expect(groups[0]!.members[0]!.clientHost).toBe('/127.0.0.1');
      expect(groups[1]).toMatchObject({ groupState: 'Dead', errorCode: version >= 6 ? E.GROUP_ID_NOT_FOUND : 0 });
    }
    const remove = async () => (await client.call('deleteGroups', 2, { groupsNames: ['g'] })).results[0]!.errorCode;
    expect(await remove()).toBe(E.NON_EMPTY_GROUP);
    await client.call('leaveGroup', 5, { groupId: 'g', members: [{ memberId }] });
    expect(await remove()).toBe(0);
    expect(await remove()).toBe(E.GROUP_ID_NOT_FOUND);
  });

  test('a group and its member go on over a restart of the broker', async () => {
    const { memberId, generationId } = await member(9, 'g');
    await restart();
    expect((await client.call('heartbeat', 4, { groupId: 'g', memberId, generationId })).errorCode).toBe(0);
    const synced = await client.call('syncGroup', 5, {
      groupId: 'g',
      memberId,
      generationId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: [],
    });
    expect(synced.assignment.toString()).toBe('mine');
  });
});

describe('offsets over the wire', () => {
  const commit = async (version: number, offset: number, more: object = {}) => {
    const topicId = rig.storage.describeTopic('t')!.id;
    const { topics } = await client.call('offsetCommit', version, {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      topics: [
        {
          name: 't',
          topicId,
          partitions: [
            { partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: 4, committedMetadata: `at ${offset}` },
            { partitionIndex: 7, committedOffset: 1, committedMetadata: null },
          ],
        },
      ],
      ...more,
    });
    return topics[0]!.partitions.map(({ errorCode }) => errorCode);
  };

  test('every version commits and fetches them; all and by name', async () => {
    for (const version of versions('offsetCommit')) {
      expect(await commit(version, version)).toEqual([0, E.UNKNOWN_TOPIC_OR_PARTITION]);
    }
    const topicId = rig.storage.describeTopic('t')!.id;
    for (const version of versions('offsetFetch')) {
      const named = [{ name: 't', topicId, partitionIndexes: [0, 1] }];
      for (const topics of version >= 2 ? [named, null] : [named]) {
        const answer = await client.call('offsetFetch', version, {
          groupId: 'g',
          topics,
          groups: [
            { groupId: 'g', topics },
            { groupId: 'other', topics },
          ],
        });
        const found = version >= 8 ? answer.groups[0]!.topics : answer.topics;
        expect(found).toHaveLength(1);
        if (version >= 10) expect(answer.groups[0]!.topics[0]!.topicId).toBe(topicId);
        expect(found[0]!.partitions[0]).toMatchObject({ committedOffset: 10, metadata: 'at 10', errorCode: 0 });
        if (version >= 5) expect(found[0]!.partitions[0]!.committedLeaderEpoch).toBe(4);
        if (topics !== null) expect(found[0]!.partitions[1]).toMatchObject({ committedOffset: -1, metadata: '' });
        if (version >= 8)
          expect(answer.groups[1]!.topics.flatMap((topic) => topic.partitions)).toHaveLength(topics ? 2 : 0);
      }
    }
  });

  test('survive a restart, and go with their topic', async () => {
    await commit(8, 42);
    await restart();
    const offset = async () => {
      const topics = [{ name: 't', partitionIndexes: [0] }];
      return (await client.call('offsetFetch', 7, { groupId: 'g', topics })).topics[0]!.partitions[0]!.committedOffset;
    };
    expect(await offset()).toBe(42);
    await client.call('deleteTopics', 4, { topicNames: ['t'] });
    await rig.storage.createTopic('t', { partitions: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await offset()).toBe(-1);
    await restart();
    expect(await offset()).toBe(-1);
  });

  test('of strangers are refused; are deleted on demand', async () => {
    const missing = { generationIdOrMemberEpoch: 3, memberId: 'm', groupId: 'none' };
    expect((await commit(8, 1, missing))[0]).toBe(E.ILLEGAL_GENERATION);
    expect((await commit(9, 1, missing))[0]).toBe(E.GROUP_ID_NOT_FOUND);
    await commit(8, 5);
    const answer = await client.call('offsetDelete', 0, {
      groupId: 'g',
      topics: [{ name: 't', partitions: [{ partitionIndex: 0 }, { partitionIndex: 9 }] }],
    });
    expect(answer.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([0, E.UNKNOWN_TOPIC_OR_PARTITION]);
  });

  test('the log of offsets is rewritten when it has grown well beyond what counts', async () => {
    const offsets = rig.storage;
    for (let round = 0; round < 220; round++) {
      const partitions = Array.from({ length: 100 }, () => ({
        partitionIndex: 0,
        committedOffset: round,
        committedMetadata: '',
      }));
      await client.call('offsetCommit', 8, { groupId: 'g', topics: [{ name: 't', partitions }] });
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { logStart, highWatermark } = offsets.bounds('__consumer_offsets', 0);
    expect(logStart).toBeGreaterThan(19_000);
    expect(highWatermark - logStart).toBeLessThan(3000);
    await restart();
    const topics = [{ name: 't', partitionIndexes: [0] }];
    const answer = await client.call('offsetFetch', 7, { groupId: 'g', topics });
    expect(answer.topics[0]!.partitions[0]!.committedOffset).toBe(219);
  });
});

test('producer ids go on above what was reserved before a restart', async () => {
  const next = async () =>
    (await client.call('initProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1 })).producerId;
  const first = await next();
  await restart();
  const second = await next();
  expect(second).toBeGreaterThan(first);
  await restart();
  expect(await next()).toBeGreaterThan(second);
});
