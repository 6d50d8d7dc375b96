import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { APIS } from '../../../src/protocol/protocol.ts';
import { encodeBatch, readBatchHeader } from '../../../src/protocol/records.ts';
import { ZERO_UUID } from '../../../src/protocol/schema.ts';
import { type BrokerRig, produceBody, QUICK, startBroker, WireClient } from '../rig.ts';

let rig: BrokerRig;
let client: WireClient;
let topicId: string;

beforeAll(async () => {
  rig = await startBroker({ ...QUICK, autoCreateTopics: true, numPartitions: 2 });
  client = await WireClient.connect(rig.address);
  topicId = (await rig.storage.createTopic('t', { partitions: 2, config: { 'max.message.bytes': '2000' } })).id;
});

afterAll(async () => {
  client.close();
  await rig.close();
});

const versions = (api: keyof typeof APIS): number[] => {
  const { from, to } = APIS[api].versions;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
};

describe('Metadata', () => {
  test('every version describes the topic', async () => {
    for (const version of versions('metadata')) {
      const { topics, brokers } = await client.call('metadata', version, { topics: [{ name: 't' }] });
      expect(topics[0]).toMatchObject({ errorCode: 0, name: 't', topicId: version >= 10 ? topicId : ZERO_UUID });
      expect(topics[0]!.partitions.map(({ partitionIndex, leaderId }) => [partitionIndex, leaderId])).toEqual([
        [0, 1],
        [1, 1],
      ]);
      expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([rig.address]);
    }
  });

  test('null means all topics, empty none, and in version 0 empty means all', async () => {
    const count = async (version: number, topics: [] | null) =>
      (await client.call('metadata', version, { topics })).topics.length;
    expect(await count(0, [])).toBe(rig.storage.listTopics().length);
    expect(await count(1, [])).toBe(0);
    expect(await count(13, null)).toBe(rig.storage.listTopics().length);
  });

  test('a missing topic is created only where client and broker allow it', async () => {
    const ask = async (name: string, allow: boolean) =>
      (await client.call('metadata', 12, { topics: [{ name }], allowAutoTopicCreation: allow })).topics[0]!;
    expect((await ask('made', false)).errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask('made', true)).partitions).toHaveLength(2);
    expect((await ask('bad name', true)).errorCode).toBe(E.INVALID_TOPIC_EXCEPTION);
    expect((await ask('__consumer_offsets', true)).errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    const strict = await startBroker({ autoCreateTopics: false });
    const other = await WireClient.connect(strict.address);
    const answer = await other.call('metadata', 9, { topics: [{ name: 'made' }], allowAutoTopicCreation: true });
    expect(answer.topics[0]!.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    await strict.close();
  });

  test('topics are found by id', async () => {
    const ask = (id: string) => client.call('metadata', 12, { topics: [{ name: null, topicId: id }] });
    expect((await ask(topicId)).topics[0]).toMatchObject({ name: 't', errorCode: 0 });
    expect((await ask('11111111-1111-1111-1111-111111111111')).topics[0]).toMatchObject({
      name: null,
      errorCode: E.UNKNOWN_TOPIC_ID,
    });
  });
});

describe('Produce', () => {
  test('every version appends', async () => {
    for (const version of versions('produce')) {
      const { topicData, ...rest } = produceBody('t', ['x']);
      const body = { ...rest, topicData: [{ ...topicData![0]!, topicId }] };
      const { responses } = await client.call('produce', version, body);
      expect(responses[0]!.partitionResponses[0]).toMatchObject({ index: 0, errorCode: 0 });
    }
  });

  test('each partition has its own error', async () => {
    const good = encodeBatch([{ key: null, value: Buffer.from('v') }]);
    const broken = Buffer.from(good);
    broken[broken.length - 1] ^= 1;
    const oneByOne = Buffer.concat([good, good]);
    const large = encodeBatch([{ key: null, value: Buffer.alloc(3000) }]);
    const control = encodeBatch([{ key: null, value: Buffer.from('v') }], { isControl: true });
    const cases: [Buffer | null, number][] = [
      [good, E.NONE],
      [broken, E.CORRUPT_MESSAGE],
      [oneByOne, E.INVALID_RECORD],
      [large, E.MESSAGE_TOO_LARGE],
      [control, E.INVALID_RECORD],
      [null, E.INVALID_RECORD],
      [Buffer.from('short'), E.CORRUPT_MESSAGE],
    ];
    const { responses } = await client.call('produce', 9, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [
        {
          name: 't',
          partitionData: cases.map(([records]) => ({ index: 1, records: records && Buffer.from(records) })),
        },
        { name: 't', partitionData: [{ index: 9, records: good }] },
        { name: 'missing', partitionData: [{ index: 0, records: good }] },
      ],
    });
    expect(responses[0]!.partitionResponses.map(({ errorCode }) => errorCode)).toEqual(cases.map(([, code]) => code));
    expect(responses[1]!.partitionResponses[0]!.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    expect(responses[2]!.partitionResponses[0]!.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('bad acks, transactions and internal topics are refused', async () => {
    const ask = async (change: object) => {
      const { responses } = await client.call('produce', 9, { ...produceBody('t', ['x']), ...change });
      return responses[0]!.partitionResponses[0]!.errorCode;
    };
    expect(await ask({ acks: 2 })).toBe(E.INVALID_REQUIRED_ACKS);
    await client.call('initProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1000 });
    expect(await ask(produceBody('__producer_ids', ['x']))).toBe(E.INVALID_TOPIC_EXCEPTION);
  });

  test('a compacted topic takes no record without a key and says which had none (KIP-467)', async () => {
    await rig.storage.createTopic('compacted', { partitions: 1, config: { 'cleanup.policy': 'compact' } });
    const value = Buffer.from('v');
    for (const codec of ['none', 'lz4'] as const) {
      const records = encodeBatch(
        [
          { key: value, value },
          { key: null, value },
          { key: value, value },
          { key: null, value },
        ],
        { codec },
      );
      const answer = await client.call('produce', 8, {
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: 'compacted', partitionData: [{ index: 0, records }] }],
      });
      const [partition] = answer.responses[0]!.partitionResponses;
      expect(partition).toMatchObject({ errorCode: E.INVALID_RECORD, baseOffset: -1 });
      expect(partition!.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 3]);
    }
    const good = await client.call('produce', 8, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'compacted', partitionData: [{ index: 0, records: encodeBatch([{ key: value, value }]) }] }],
    });
    expect(good.responses[0]!.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0 });
  });

  test('an idempotent producer: repeats are recognised, gaps and old epochs refused', async () => {
    const { producerId } = await client.call('initProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1 });
    const { id } = await rig.storage.createTopic('idem', { partitions: 1 });
    expect(id).toBeDefined();
    const send = async (baseSequence: number, producerEpoch = 0) => {
      const records = encodeBatch([{ key: null, value: Buffer.from('v') }], {
        producerId,
        producerEpoch,
        baseSequence,
      });
      const body = {
        ...produceBody('idem', ['']),
        topicData: [{ name: 'idem', partitionData: [{ index: 0, records }] }],
      };
      const { errorCode, baseOffset } = (await client.call('produce', 9, body)).responses[0]!.partitionResponses[0]!;
      return [errorCode, baseOffset];
    };
    expect(await send(0)).toEqual([0, 0]);
    expect(await send(1)).toEqual([0, 1]);
    expect(await send(1)).toEqual([0, 1]);
    expect(await send(5)).toEqual([E.OUT_OF_ORDER_SEQUENCE_NUMBER, -1]);
    expect(await send(0, 1)).toEqual([0, 2]);
    expect(await send(2, 0)).toEqual([E.INVALID_PRODUCER_EPOCH, -1]);
    expect(rig.storage.bounds('idem', 0).highWatermark).toBe(3);
  });
});

describe('Fetch', () => {
  const ask = async (
    offset: number,
    more: { version?: number; topic?: string; maxBytes?: number; minBytes?: number; maxWaitMs?: number } & Record<
      string,
      unknown
    > = {},
  ) => {
    const { version = 11, topic = 'f', maxBytes = 1 << 20, minBytes = 1, maxWaitMs = 0, ...partition } = more;
    const { responses, errorCode } = await client.call('fetch', version, {
      maxWaitMs,
      minBytes,
      maxBytes,
      topics: [
        {
          topic,
          topicId: fetchId,
          partitions: [{ partition: 0, fetchOffset: offset, partitionMaxBytes: maxBytes, ...partition }],
        },
      ],
    });
    expect(errorCode).toBe(0);
    return responses[0]!.partitions[0]!;
  };
  let fetchId: string;

  beforeAll(async () => {
    fetchId = (await rig.storage.createTopic('f', { partitions: 1 })).id;
    await client.produce('f', ['a', 'b', 'c']);
    await client.produce('f', ['d', 'x'.repeat(5000)]);
  });

  test('every version returns the whole batch that holds the offset', async () => {
    for (const version of versions('fetch')) {
      const { records, highWatermark, lastStableOffset } = await ask(1, { version });
      expect(readBatchHeader(records!)).toMatchObject({ baseOffset: 0, recordCount: 3 });
      expect([highWatermark, lastStableOffset]).toEqual([5, 5]);
    }
  });

  test('the first batch comes whole however small the limit', async () => {
    const first = (await ask(0, { maxBytes: 10 })).records!;
    expect(first.length).toBe(readBatchHeader(first).sizeBytes);
    expect(readBatchHeader((await ask(3, { maxBytes: 1 })).records!)).toMatchObject({ baseOffset: 3, recordCount: 2 });
    expect((await ask(0, { maxBytes: 0 })).records!.length).toBe(first.length);
  });

  test('only the first partition may exceed the limit', async () => {
    const partitions = [{ partition: 0, fetchOffset: 3, partitionMaxBytes: 100 }];
    const { responses } = await client.call('fetch', 11, {
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 100,
      topics: [
        { topic: 'f', partitions },
        { topic: 'f', partitions },
      ],
    });
    expect(responses.map((topic) => topic.partitions[0]!.records!.length > 0)).toEqual([true, false]);
  });

  test('errors come at once', async () => {
    expect(await ask(6, { maxWaitMs: 5000 })).toMatchObject({ errorCode: E.OFFSET_OUT_OF_RANGE });
    expect(await ask(0, { topic: 'none', maxWaitMs: 5000 })).toMatchObject({ errorCode: E.UNKNOWN_TOPIC_OR_PARTITION });
    expect(await ask(0, { currentLeaderEpoch: 9 })).toMatchObject({ errorCode: E.UNKNOWN_LEADER_EPOCH });
    expect(await ask(0, { partition: 3 })).toMatchObject({ errorCode: E.UNKNOWN_TOPIC_OR_PARTITION });
    const unknown = await client.call('fetch', 13, {
      maxWaitMs: 1000,
      minBytes: 1,
      topics: [{ topicId: '11111111-1111-1111-1111-111111111111', partitions: [{ partition: 0 }] }],
    });
    expect(unknown.responses[0]!.partitions[0]!.errorCode).toBe(E.UNKNOWN_TOPIC_ID);
    const session = await client.call('fetch', 7, { sessionId: 12, sessionEpoch: 3, topics: [] });
    expect(session.errorCode).toBe(E.FETCH_SESSION_ID_NOT_FOUND);
  });

  test('a long poll is woken by an append from elsewhere and otherwise ends empty', async () => {
    const began = performance.now();
    const waiting = ask(5, { maxWaitMs: 5000 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    await rig.storage.append('f', 0, [{ key: null, value: Buffer.from('by HTTP') }]);
    expect(readBatchHeader((await waiting).records!)).toMatchObject({ baseOffset: 5 });
    expect(performance.now() - began).toBeLessThan(3000);
    const empty = await ask(6, { maxWaitMs: 40 });
    expect(empty).toMatchObject({ errorCode: 0, records: Buffer.alloc(0) });
  });

  test('min_bytes gathers', async () => {
    const waiting = ask(6, { maxWaitMs: 5000, minBytes: 400 });
    for (let i = 0; i < 8; i++) await rig.storage.append('f', 0, [{ key: null, value: Buffer.from('v'.repeat(60)) }]);
    expect((await waiting).records!.length).toBeGreaterThanOrEqual(400);
  });
});

describe('ListOffsets and OffsetForLeaderEpoch', () => {
  test('every version and every question', async () => {
    await rig.storage.createTopic('l', { partitions: 1 });
    const times = [5000, 9000, 7000];
    await rig.storage.append(
      'l',
      0,
      times.map((timestampMs) => ({ key: null, value: null, timestampMs })),
    );
    const ask = async (version: number, timestamp: number) => {
      const { topics } = await client.call('listOffsets', version, {
        replicaId: -1,
        topics: [{ name: 'l', partitions: [{ partitionIndex: 0, timestamp }] }],
      });
      const { errorCode, offset, timestamp: at } = topics[0]!.partitions[0]!;
      return [errorCode, offset, at];
    };
    for (const version of versions('listOffsets')) {
      expect(await ask(version, -1)).toEqual([0, 3, -1]);
      expect(await ask(version, -2)).toEqual([0, 0, -1]);
      expect(await ask(version, 6000)).toEqual([0, 1, 9000]);
      expect(await ask(version, 9001)).toEqual([0, -1, -1]);
      expect(await ask(version, -3)).toEqual(version >= 7 ? [0, 1, 9000] : [E.UNSUPPORTED_VERSION, -1, -1]);
      expect(await ask(version, -4)).toEqual(version >= 8 ? [0, 0, -1] : [E.UNSUPPORTED_VERSION, -1, -1]);
      expect(await ask(version, -5)).toEqual(version >= 9 ? [0, -1, -1] : [E.UNSUPPORTED_VERSION, -1, -1]);
    }
    for (const version of versions('offsetForLeaderEpoch')) {
      const { topics } = await client.call('offsetForLeaderEpoch', version, {
        topics: [{ topic: 'l', partitions: [{ partition: 0, leaderEpoch: 0 }] }],
      });
      expect(topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 3 });
    }
  });
});
