import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ERROR_CODES as E } from '../../../src/protocol/error-codes.ts';
import { encodeBatch, RecordCursor } from '../../../src/protocol/records.ts';
import { MemoryDisk } from '../../../src/storage/disk/memory-disk.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from '../rig.ts';

let rig: BrokerRig;
let client: WireClient;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  rig = await startBroker();
  client = await WireClient.connect(rig.address);
  await rig.storage.createTopic('t', { partitions: 2 });
});
afterEach(async () => {
  client.close();
  for (const one of open.splice(0)) await one.close();
  await rig.close();
});

interface Identity {
  transactionalId: string;
  producerId: number;
  producerEpoch: number;
}

async function init(transactionalId: string, more: object = {}): Promise<Identity & { errorCode: number }> {
  const answer = await client.call('initProducerId', 5, { transactionalId, transactionTimeoutMs: 60_000, ...more });
  return { transactionalId, ...answer };
}

const produceRequest = (who: Identity, values: string[], sequence: number, partition = 0) => ({
  transactionalId: who.transactionalId,
  acks: -1,
  timeoutMs: 1000,
  topicData: [
    {
      name: 't',
      partitionData: [
        {
          index: partition,
          records: encodeBatch(
            values.map((value) => ({ key: null, value: Buffer.from(value) })),
            { ...who, baseSequence: sequence, isTransactional: true },
          ),
        },
      ],
    },
  ],
});

async function produce(who: Identity, values: string[], sequence: number, version = 9, partition = 0) {
  const { responses } = await client.call('produce', version, produceRequest(who, values, sequence, partition));
  return responses[0]!.partitionResponses[0]!.errorCode;
}

async function addPartitions(who: Identity, partitions = [0], version = 3) {
  const { resultsByTopicV3AndBelow } = await client.call('addPartitionsToTxn', version, {
    v3AndBelowTransactionalId: who.transactionalId,
    v3AndBelowProducerId: who.producerId,
    v3AndBelowProducerEpoch: who.producerEpoch,
    v3AndBelowTopics: [{ name: 't', partitions }],
  });
  return resultsByTopicV3AndBelow[0]!.resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode);
}

const end = (who: Identity, committed: boolean, version = 3) => client.call('endTxn', version, { ...who, committed });

async function read(isolationLevel: number, options: { partition?: number; maxWaitMs?: number; from?: number } = {}) {
  const { partition = 0, maxWaitMs = 0, from = 0 } = options;
  const partitions = [{ partition, fetchOffset: from, partitionMaxBytes: 1 << 20 }];
  const answer = await client.call('fetch', 11, {
    maxWaitMs,
    minBytes: 1,
    isolationLevel,
    topics: [{ topic: 't', partitions }],
  });
  const { records, abortedTransactions, lastStableOffset, highWatermark, errorCode } =
    answer.responses[0]!.partitions[0]!;
  const values: string[] = [];
  const cursor = new RecordCursor(records!);
  while (cursor.next()) values.push(String(cursor.value()));
  return { values, abortedTransactions, lastStableOffset, highWatermark, errorCode };
}

async function latest(isolationLevel: number): Promise<number> {
  const { topics } = await client.call('listOffsets', 7, {
    isolationLevel,
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }],
  });
  return topics[0]!.partitions[0]!.offset;
}

describe('transactions', () => {
  test('readers of committed records see a transaction when it is committed, and know which were aborted', async () => {
    const who = await init('tx');
    expect([who.errorCode, who.producerEpoch]).toEqual([0, 0]);
    expect(await addPartitions(who)).toEqual([0]);
    expect(await produce(who, ['a', 'b'], 0)).toBe(0);
    expect((await read(0)).values).toEqual(['a', 'b']);
    expect(await read(1)).toMatchObject({ values: [], lastStableOffset: 0, highWatermark: 2, abortedTransactions: [] });
    expect([await latest(0), await latest(1)]).toEqual([2, 0]);
    const other = await WireClient.connect(rig.address);
    open.push(other);
    const began = performance.now();
    const waiting = other.call('fetch', 11, {
      maxWaitMs: 20_000,
      minBytes: 1,
      isolationLevel: 1,
      topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await end(who, true)).errorCode).toBe(0);
    expect((await waiting).responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await read(1)).values).toEqual(['a', 'b']);
    // A second one, aborted: its epoch and sequences go on.
    expect(await addPartitions(who)).toEqual([0]);
    expect(await produce(who, ['lost'], 2)).toBe(0);
    expect((await end(who, false)).errorCode).toBe(0);
    const seen = await read(1, { from: 3 });
    expect(seen.abortedTransactions).toEqual([{ producerId: who.producerId, firstOffset: 3 }]);
    expect(seen.lastStableOffset).toBe(seen.highWatermark);
    expect((await read(0, { from: 3 })).abortedTransactions).toBeNull();
    expect((await read(1, { from: 5 })).abortedTransactions).toEqual([]);
    // Repeated ends are answered alike; the other end is too late.
    expect((await end(who, false)).errorCode).toBe(0);
    expect((await end(who, true)).errorCode).toBe(E.INVALID_TXN_STATE);
    // Inside the process nobody sees what was aborted.
    const cursor = new RecordCursor(await rig.storage.read('t', 0, 0, 1 << 20));
    const values = [];
    while (cursor.next()) values.push(String(cursor.value()));
    expect(values).toEqual(['a', 'b']);
    expect(cursor.endOffset).toBe(5);
  });

  test('in the newer protocol Produce adds its partition and each transaction has an epoch', async () => {
    const versions = await client.call('apiVersions', 4, { clientSoftwareName: 'test', clientSoftwareVersion: '1' });
    expect(versions.finalizedFeatures).toContainEqual({
      name: 'transaction.version',
      maxVersionLevel: 2,
      minVersionLevel: 2,
    });
    const who = await init('tx');
    // Begun in one go, as a client sends them: the second waits for the first.
    const ids = [['a'], ['b']].map((values, i) => client.send('produce', 12, produceRequest(who, values, i)));
    for (const _ of ids) await client.frame();
    expect((await read(0)).values).toEqual(['a', 'b']);
    expect(await end(who, true, 5)).toMatchObject({ errorCode: 0, producerId: who.producerId, producerEpoch: 1 });
    // The answer was lost: the same again. The other end is not.
    expect(await end(who, true, 5)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect((await end(who, false, 5)).errorCode).toBe(E.INVALID_TXN_STATE);
    expect(await produce(who, ['late'], 2, 12)).toBe(E.INVALID_PRODUCER_EPOCH);
    const next = { ...who, producerEpoch: 1 };
    expect((await end(next, true, 5)).errorCode).toBe(E.INVALID_TXN_STATE);
    expect(await end(next, false, 5)).toMatchObject({ errorCode: 0, producerEpoch: 2 });
    const third = { ...who, producerEpoch: 2 };
    expect(await produce(third, ['c'], 0, 12, 1)).toBe(0);
    expect(await end(third, true, 5)).toMatchObject({ errorCode: 0, producerEpoch: 3 });
    expect((await read(1)).values).toEqual(['a', 'b']);
    expect((await read(1, { partition: 1 })).values).toEqual(['c']);
  });

  test('a partition that takes no part is refused, as are strangers', async () => {
    const who = await init('tx');
    expect(await produce(who, ['x'], 0, 9)).toBe(E.INVALID_TXN_STATE);
    expect(await produce(who, ['x'], 0, 11)).toBe(E.TRANSACTION_ABORTABLE);
    expect(await addPartitions(who, [0])).toEqual([0]);
    expect(await produce(who, ['x'], 0, 11, 1)).toBe(E.TRANSACTION_ABORTABLE);
    expect(await addPartitions(who, [1, 7])).toEqual([E.OPERATION_NOT_ATTEMPTED, E.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(await produce({ ...who, transactionalId: 'other' }, ['x'], 0)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    expect(await produce({ ...who, producerEpoch: 1 }, ['x'], 0)).toBe(E.INVALID_PRODUCER_EPOCH);
    expect(await produce({ ...who, transactionalId: null as unknown as string }, ['x'], 0)).toBe(E.INVALID_TXN_STATE);
    expect((await end({ ...who, producerId: 99 }, true)).errorCode).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    // The API of brokers: a client that takes it is served, and may only ask.
    const ask = async (verifyOnly: boolean, partition: number) => {
      const { resultsByTransaction } = await client.call('addPartitionsToTxn', 5, {
        transactions: [{ ...who, verifyOnly, topics: [{ name: 't', partitions: [partition] }] }],
      });
      return resultsByTransaction[0]!.topicResults[0]!.resultsByPartition[0]!.partitionErrorCode;
    };
    expect([await ask(true, 0), await ask(true, 1), await ask(false, 1), await ask(true, 1)]).toEqual([
      0,
      E.TRANSACTION_ABORTABLE,
      0,
      0,
    ]);
  });

  test('a second producer fences the first and aborts what it left open', async () => {
    const first = await init('tx');
    await addPartitions(first);
    await produce(first, ['lost'], 0);
    const second = await init('tx');
    expect([second.errorCode, second.producerId]).toEqual([0, first.producerId]);
    expect(second.producerEpoch).toBeGreaterThan(first.producerEpoch);
    expect(await addPartitions(first, [0], 1)).toEqual([E.INVALID_PRODUCER_EPOCH]);
    expect(await addPartitions(first, [0], 3)).toEqual([E.PRODUCER_FENCED]);
    expect(await produce(first, ['zombie'], 1)).toBe(E.INVALID_PRODUCER_EPOCH);
    expect((await end(first, true)).errorCode).toBe(E.PRODUCER_FENCED);
    expect((await init('tx', first)).errorCode).toBe(E.PRODUCER_FENCED);
    expect((await read(1)).abortedTransactions).toEqual([{ producerId: first.producerId, firstOffset: 0 }]);
    // KIP-360: whoever names the present epoch gets the next, once, however often it asks.
    const bumped = await init('tx', second);
    expect(bumped.producerEpoch).toBe(second.producerEpoch + 1);
    expect((await init('tx', second)).producerEpoch).toBe(bumped.producerEpoch);
    // What @platformatic/kafka begins with.
    expect((await init('new', { producerId: 0, producerEpoch: 0 })).errorCode).toBe(0);
    expect((await init('new', { producerId: 9999, producerEpoch: 0 })).errorCode).toBe(E.PRODUCER_FENCED);
    expect((await init('tx', { transactionTimeoutMs: 900_001 })).errorCode).toBe(E.INVALID_TRANSACTION_TIMEOUT);
    expect((await init('')).errorCode).toBe(E.INVALID_REQUEST);
  });

  test('offsets count with their transaction', async () => {
    const who = await init('tx');
    const commit = async (offset: number, version: number, more: object = {}, as = who) => {
      const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'note' }];
      const answer = await client.call('txnOffsetCommit', version, {
        ...as,
        groupId: 'g',
        topics: [{ name: 't', partitions }],
        ...more,
      });
      return answer.topics[0]!.partitions[0]!.errorCode;
    };
    const committed = async (requireStable = false) => {
      const answer = await client.call('offsetFetch', 7, {
        groupId: 'g',
        requireStable,
        topics: [{ name: 't', partitionIndexes: [0] }],
      });
      const { errorCode, committedOffset } = answer.topics[0]!.partitions[0]!;
      return errorCode === 0 ? committedOffset : errorCode === E.UNSTABLE_OFFSET_COMMIT ? 'unstable' : errorCode;
    };
    expect(await commit(5, 3)).toBe(E.INVALID_TXN_STATE);
    expect((await client.call('addOffsetsToTxn', 3, { ...who, groupId: 'g' })).errorCode).toBe(0);
    expect(await commit(5, 3, { memberId: 'm', generationIdOrMemberEpoch: 3 })).not.toBe(0);
    expect(await commit(5, 3)).toBe(0);
    expect([await committed(), await committed(true)]).toEqual([-1, 'unstable']);
    await end(who, true);
    expect([await committed(), await committed(true)]).toEqual([5, 5]);
    // Of the newer protocol, aborted.
    expect(await commit(9, 5)).toBe(0);
    expect(await committed(true)).toBe('unstable');
    expect(await end(who, false, 5)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect(await committed(true)).toBe(5);
    const next = { ...who, producerEpoch: 1 };
    expect(await commit(11, 5, {}, who)).toBe(E.INVALID_PRODUCER_EPOCH);
    expect(await commit(11, 5, {}, next)).toBe(0);
    expect((await end(next, true, 5)).errorCode).toBe(0);
    expect(await committed(true)).toBe(11);
  });

  test('a transaction that takes too long is aborted and its producer fenced', { timeout: 20_000 }, async () => {
    const who = await init('tx', { transactionTimeoutMs: 200 });
    await addPartitions(who);
    await produce(who, ['slow'], 0);
    const began = performance.now();
    while ((await read(1)).lastStableOffset === 0 && performance.now() - began < 10_000) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await read(1)).abortedTransactions).toHaveLength(1);
    expect((await end(who, true)).errorCode).toBe(E.PRODUCER_FENCED);
  });

  test('transactions and producers are described, and one that hangs is aborted', async () => {
    const who = await init('tx');
    await init('idle');
    await addPartitions(who, [0, 1]);
    await produce(who, ['x'], 0);
    const { transactionStates } = await client.call('describeTransactions', 0, { transactionalIds: ['tx', 'nobody'] });
    expect(transactionStates[0]).toMatchObject({
      errorCode: 0,
      transactionState: 'Ongoing',
      transactionTimeoutMs: 60_000,
      producerId: who.producerId,
      topics: [{ topic: 't', partitions: [0, 1] }],
    });
    expect(transactionStates[1]!.errorCode).toBe(E.TRANSACTIONAL_ID_NOT_FOUND);
    const list = async (filters: object) => {
      const answer = await client.call('listTransactions', 1, filters);
      return [answer.transactionStates.map(({ transactionalId }) => transactionalId), answer.unknownStateFilters];
    };
    expect(await list({})).toEqual([['tx', 'idle'], []]);
    expect(await list({ stateFilters: ['Ongoing', 'Odd'] })).toEqual([['tx'], ['Odd']]);
    expect(await list({ producerIdFilters: [who.producerId + 1] })).toEqual([['idle'], []]);
    expect(await list({ durationFilter: 10_000 })).toEqual([[], []]);
    // Written past the coordinator, so nobody would ever end it.
    const stray = encodeBatch([{ key: null, value: Buffer.from('stray') }], {
      producerId: 777,
      producerEpoch: 2,
      baseSequence: 0,
      isTransactional: true,
    });
    rig.storage.partition('t', 1)!.append(stray, { origin: 'transaction' });
    const producers = async () => {
      const { topics } = await client.call('describeProducers', 0, {
        topics: [{ name: 't', partitionIndexes: [1, 5] }],
      });
      return topics[0]!.partitions;
    };
    await rig.storage.flush();
    const [known, missing] = await producers();
    expect(known!.activeProducers).toMatchObject([
      { producerId: 777, producerEpoch: 2, lastSequence: 0, currentTxnStartOffset: 0 },
    ]);
    expect(missing!.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
    const marker = { producerId: 777, producerEpoch: 2, transactionResult: false, coordinatorEpoch: 0 };
    const { markers } = await client.call('writeTxnMarkers', 1, {
      markers: [{ ...marker, topics: [{ name: 't', partitionIndexes: [1, 9] }] }],
    });
    expect(markers[0]!.topics[0]!.partitions.map(({ errorCode }) => errorCode)).toEqual([
      0,
      E.UNKNOWN_TOPIC_OR_PARTITION,
    ]);
    expect((await producers())[0]!.activeProducers[0]!.currentTxnStartOffset).toBe(-1);
    expect((await read(1, { partition: 1 })).abortedTransactions).toEqual([{ producerId: 777, firstOffset: 0 }]);
  });

  test('all of it survives a crash', async () => {
    const disk = new MemoryDisk();
    const start = async () => {
      const started = await startBroker(QUICK, { disk });
      open.push(started);
      client.close();
      client = await WireClient.connect(started.address);
      return started;
    };
    const before = await start();
    await before.storage.createTopic('t', { partitions: 2 });
    const [one, two] = [await init('one'), await init('two')];
    await produce(one, ['a1'], 0, 12);
    await produce(two, ['b1'], 0, 12);
    const partitions = [{ partitionIndex: 0, committedOffset: 7, committedMetadata: null }];
    const offsets = { ...two, groupId: 'g', topics: [{ name: 't', partitions }] };
    expect((await client.call('txnOffsetCommit', 5, offsets)).topics[0]!.partitions[0]!.errorCode).toBe(0);
    await end(one, true, 5);
    await start();
    expect(await read(1)).toMatchObject({ values: ['a1'], lastStableOffset: 1 });
    // The first end is asked for again by a producer that did not get its answer; the second transaction goes on.
    expect(await end(one, true, 5)).toMatchObject({ errorCode: 0, producerEpoch: 1 });
    expect(await produce(two, ['b1'], 0, 12)).toBe(0);
    expect(await produce(two, ['b2'], 1, 12)).toBe(0);
    expect((await end(two, true, 5)).errorCode).toBe(0);
    expect((await read(1)).values).toEqual(['a1', 'b1', 'b2']);
    await start();
    const fetched = await client.call('offsetFetch', 7, {
      groupId: 'g',
      requireStable: true,
      topics: [{ name: 't', partitionIndexes: [0] }],
    });
    expect(fetched.topics[0]!.partitions[0]).toMatchObject({ errorCode: 0, committedOffset: 7 });
    expect((await read(1)).values).toEqual(['a1', 'b1', 'b2']);
  });
});
