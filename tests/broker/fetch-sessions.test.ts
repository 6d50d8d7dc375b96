import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FetchSessions } from '../../src/broker/fetch-sessions.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import type { RequestBody, RequestInput, ResponseBody } from '../../src/protocol/protocol.ts';
import { RecordCursor } from '../../src/protocol/records.ts';
import { FakeClock } from '../consumer/fake-clock.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from './rig.ts';

let rig: BrokerRig;
let client: WireClient;
beforeAll(async () => {
  rig = await startBroker(QUICK);
  client = await WireClient.connect(rig.address);
});
afterAll(async () => {
  client.close();
  await rig.close();
});

type Fetched = ResponseBody<'fetch'>;
interface Options {
  readonly sessionId?: number;
  readonly sessionEpoch?: number;
  readonly forgotten?: readonly number[];
  readonly maxBytes?: number;
  readonly version?: number;
}

function fetchOf(topic: string, offsets: ReadonlyMap<number, number>, options: Options = {}): Promise<Fetched> {
  const { version = 12, forgotten = [], maxBytes = 1 << 20 } = options;
  const topicId = rig.storage.describeTopic(topic)!.id;
  const partitions = [...offsets].map(([partition, fetchOffset]) => ({
    partition,
    fetchOffset,
    partitionMaxBytes: 1 << 20,
  }));
  const body: RequestInput<'fetch'> = {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes,
    isolationLevel: 0,
    sessionId: options.sessionId ?? 0,
    sessionEpoch: options.sessionEpoch ?? -1,
    topics: partitions.length === 0 ? [] : [{ topic, topicId, partitions }],
    forgottenTopicsData: forgotten.length === 0 ? [] : [{ topic, topicId, partitions: [...forgotten] }],
    rackId: '',
  };
  return client.call('fetch', version, body);
}

const parts = (answer: Fetched) => answer.responses.flatMap(({ partitions }) => partitions);
const produce = (topic: string, partition: number, n: number) =>
  rig.storage.append(
    topic,
    partition,
    Array.from({ length: n }, (_, i) => ({ key: null, value: Buffer.from(String(i)) })),
  );

test('a client with a session hears all that one without does', async () => {
  let topics = 0;
  const steps = fc.array(
    fc.record({
      what: fc.constantFrom('produce', 'produce', 'read', 'rewind', 'forget', 'deleteRecords', 'beyond'),
      partition: fc.nat(3),
      n: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(12, 16), async (all, version) => {
      const topic = `t${topics++}`;
      await rig.storage.createTopic(topic, { partitions: 4 });
      /** What the client has of each partition; offsets it must tell are those that changed. */
      const offsets = new Map([0, 1, 2, 3].map((partition) => [partition, 0]));
      let changed = new Map(offsets);
      let forgotten: number[] = [];
      const view = new Map<number, { hw: number; start: number; error: number }>();
      let sessionId = 0;
      let epoch = 0;
      const poll = async (): Promise<void> => {
        const answer = await fetchOf(topic, changed, { sessionId, sessionEpoch: epoch, forgotten, version });
        expect(answer.errorCode).toBe(E.NONE);
        sessionId = answer.sessionId;
        expect(sessionId).not.toBe(0);
        epoch++;
        changed = new Map();
        forgotten = [];
        const plain = await fetchOf(topic, offsets, { version });
        expect(plain.sessionId).toBe(0);
        const told = new Map(parts(answer).map((part) => [part.partitionIndex, part]));
        for (const part of told.values()) {
          expect(offsets.has(part.partitionIndex), 'of a partition that was forgotten').toBe(true);
          view.set(part.partitionIndex, { hw: part.highWatermark, start: part.logStartOffset, error: part.errorCode });
        }
        for (const part of parts(plain)) {
          const { highWatermark: hw, logStartOffset: start, errorCode: error } = part;
          expect(view.get(part.partitionIndex)).toEqual({ hw, start, error });
          const same = told.get(part.partitionIndex);
          expect(same?.records ?? Buffer.alloc(0)).toEqual(part.records);
          const cursor = new RecordCursor(part.records as Buffer);
          let next = offsets.get(part.partitionIndex)!;
          while (cursor.next()) next = cursor.offset + 1;
          if (next !== offsets.get(part.partitionIndex)) {
            offsets.set(part.partitionIndex, next);
            changed.set(part.partitionIndex, next);
          }
        }
      };
      await poll();
      for (const { what, partition, n } of all) {
        const { logStart, highWatermark } = rig.storage.bounds(topic, partition);
        const seek = (offset: number): void => {
          offsets.set(partition, offset);
          changed.set(partition, offset);
        };
        if (what === 'produce') await produce(topic, partition, n);
        else if (what === 'rewind') seek(Math.max(logStart, highWatermark - n));
        else if (what === 'beyond') seek(highWatermark + n);
        else if (what === 'deleteRecords')
          await rig.storage.partition(topic, partition)!.deleteRecordsBefore(highWatermark);
        else if (what === 'forget' && offsets.size > 1 && offsets.has(partition)) {
          offsets.delete(partition);
          changed.delete(partition);
          view.delete(partition);
          forgotten = [partition];
        }
        await poll();
      }
      // Close it: it is not known any more.
      expect((await fetchOf(topic, offsets, { sessionId, sessionEpoch: -1, version })).sessionId).toBe(0);
      expect((await fetchOf(topic, new Map(), { sessionId, sessionEpoch: epoch, version })).errorCode).toBe(70);
      await rig.storage.deleteTopic(topic);
    }),
    { numRuns: 40 },
  );
});

test('what does not fit a session is an error, and nobody starves in one', async () => {
  await rig.storage.createTopic('s', { partitions: 3 });
  for (const partition of [0, 1, 2]) await produce('s', partition, 1);
  const offsets = new Map([0, 1, 2].map((partition) => [partition, 0]));
  const first = await fetchOf('s', offsets, { sessionEpoch: 0, maxBytes: 1 });
  const { sessionId } = first;
  const seen = parts(first)
    .filter(({ records }) => records!.length > 0)
    .map(({ partitionIndex }) => partitionIndex);
  for (let epoch = 1; epoch < 3; epoch++) {
    const answer = await fetchOf('s', new Map(), { sessionId, sessionEpoch: epoch, maxBytes: 1 });
    seen.push(
      ...parts(answer)
        .filter(({ records }) => records!.length > 0)
        .map(({ partitionIndex }) => partitionIndex),
    );
  }
  expect(seen.sort()).toEqual([0, 1, 2]);
  expect((await fetchOf('s', new Map(), { sessionId, sessionEpoch: 9 })).errorCode).toBe(E.INVALID_FETCH_SESSION_EPOCH);
  expect((await fetchOf('s', new Map(), { sessionId, sessionEpoch: 3, version: 13 })).errorCode).toBe(
    E.FETCH_SESSION_TOPIC_ID_ERROR,
  );
  expect((await fetchOf('s', new Map(), { sessionId: sessionId + 7, sessionEpoch: 3 })).errorCode).toBe(
    E.FETCH_SESSION_ID_NOT_FOUND,
  );
  // Nothing new: an answer without a partition.
  const quiet = await fetchOf('s', new Map([0, 1, 2].map((partition) => [partition, 1])), {
    sessionId,
    sessionEpoch: 3,
  });
  expect(quiet.errorCode).toBe(E.NONE);
  expect((await fetchOf('s', new Map(), { sessionId, sessionEpoch: 4 })).responses).toEqual([]);
});

test('a full cache gives no more sessions, until one is idle for long', () => {
  const clock = new FakeClock();
  const sessions = new FetchSessions(clock, 2);
  const request = (sessionId: number, sessionEpoch: number) =>
    ({
      sessionId,
      sessionEpoch,
      topics: [{ topic: 't', topicId: '', partitions: [{ partition: 0 }] }],
      forgottenTopicsData: [],
    }) as unknown as RequestBody<'fetch'>;
  const begin = (): number => {
    const plan = sessions.plan(request(0, 0), false);
    return typeof plan === 'number' ? -1 : (plan.finish([]).sessionId ?? 0);
  };
  const [a, b] = [begin(), begin()];
  expect(new Set([a, b, 0]).size).toBe(3);
  expect(begin()).toBe(0);
  clock.advance(119_000);
  sessions.plan(request(a, 1), false);
  clock.advance(2000);
  const c = begin();
  expect(c).not.toBe(0);
  expect(sessions.plan(request(b, 1), false)).toBe(E.FETCH_SESSION_ID_NOT_FOUND);
  expect(sessions.size).toBe(2);
});
