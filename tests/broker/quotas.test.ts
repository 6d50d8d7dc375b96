import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Quotas } from '../../src/broker/quotas.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { Storage } from '../../src/storage/storage.ts';
import { FakeClock } from '../consumer/fake-clock.ts';
import { type BrokerRig, produceBody, QUICK, startBroker, WireClient } from './rig.ts';

type Name = string | null;
const rate = (value: number) => new Map([['producer_byte_rate', value]]);
const entity = (user?: Name, client?: Name) => [
  ...(client === undefined ? [] : [{ type: 'client-id' as const, name: client }]),
  ...(user === undefined ? [] : [{ type: 'user' as const, name: user }]),
];

describe('accounts', () => {
  const opened = async () => {
    const clock = new FakeClock();
    const storage = await Storage.open({ inMemory: true, log: silentLog });
    const quotas = await Quotas.open(storage, clock);
    return {
      clock,
      storage,
      quotas,
      use: (user: string, client: string, n: number) => quotas.use('producer_byte_rate', user, client, n),
    };
  };

  test('the most specific quota holds, in Kafka’s order', async () => {
    const { quotas, use } = await opened();
    // What a second of use costs tells which quota held.
    const order: [number, ReturnType<typeof entity>][] = [
      [1, entity(undefined, null)],
      [2, entity(undefined, 'c')],
      [3, entity(null)],
      [4, entity(null, null)],
      [5, entity(null, 'c')],
      [6, entity('u')],
      [7, entity('u', null)],
      [8, entity('u', 'c')],
    ];
    expect(use('u', 'c', 1e9)).toBe(0);
    for (const [value, whom] of order) {
      await quotas.change(whom, rate(value));
      // Ten seconds at this rate, of which one is free after a pause.
      expect(use(`u`, `c`, 0)).toBeLessThanOrEqual(10_000);
      const found = [...quotas.entries()].length;
      expect(found).toBe(value);
    }
    const { quotas: fresh, use: book } = await opened();
    for (const [value, whom] of order) await fresh.change(whom, rate(value));
    expect(book('u', 'c', 16)).toBe(1000);
    expect(book('u', 'x', 14)).toBe(1000);
    expect(book('x', 'c', 10)).toBe(1000);
    expect(book('x', 'x', 8)).toBe(1000);
    for (const [, whom] of order.slice(5)) await fresh.change(whom, new Map([['producer_byte_rate', null]]));
    for (const [, whom] of order.slice(3, 5)) await fresh.change(whom, new Map([['producer_byte_rate', null]]));
    expect(book('y', 'c', 6)).toBe(1000);
    await fresh.change(entity(null), new Map([['producer_byte_rate', null]]));
    expect(book('z', 'c', 4)).toBe(1000);
    expect(book('z', 'z', 2)).toBe(1000);
  });

  test('over time nobody gets more than the rate, and one second ahead', async () => {
    const { clock, quotas, use } = await opened();
    await quotas.change(entity(null), rate(1000));
    let sent = 0;
    for (let second = 0; second < 100; second++) {
      for (let throttleMs = 0; throttleMs === 0; sent += 100) throttleMs = use('u', 'c', 100);
      clock.advance(1000);
    }
    expect(sent).toBeGreaterThanOrEqual(100_000);
    expect(sent).toBeLessThan(103_000);
    // A second user of the default has an account of its own.
    expect(use('v', 'c', 900)).toBe(0);
  });

  test('are there after a restart, and gone when they are taken away', async () => {
    const { clock, storage, quotas } = await opened();
    await quotas.change(entity('u', null), rate(5));
    const again = await Quotas.open(storage, clock);
    expect([...again.entries()]).toMatchObject([{ entity: [{ name: 'u' }, { name: null }] }]);
    await again.change(entity('u', null), new Map([['producer_byte_rate', null]]));
    expect(again.isEmpty).toBe(true);
    expect((await Quotas.open(storage, clock)).isEmpty).toBe(true);
  });
});

describe('a broker', () => {
  let rig: BrokerRig;
  let client: WireClient;
  beforeAll(async () => {
    rig = await startBroker(QUICK);
    await rig.storage.createTopic('t', { partitions: 1 });
    client = await WireClient.connect(rig.address);
  });
  afterAll(async () => {
    client.close();
    await rig.close();
  });

  const alter = async (entityType: string, entityName: Name, key: string, value: number | null) => {
    const { entries } = await client.call('alterClientQuotas', 1, {
      entries: [{ entity: [{ entityType, entityName }], ops: [{ key, value: value ?? 0, remove: value === null }] }],
      validateOnly: false,
    });
    return entries[0]!.errorCode;
  };

  test('answers at once, says for how long, and only then takes the next request', async () => {
    expect(await alter('client-id', 'test', 'producer_byte_rate', 2000)).toBe(E.NONE);
    const other = await WireClient.connect(rig.address);
    const body = produceBody('t', ['x'.repeat(5000)]);
    const began = performance.now();
    const first = await other.call('produce', 9, body);
    expect(performance.now() - began).toBeLessThan(first.throttleTimeMs);
    expect(first.responses[0]!.partitionResponses[0]!.errorCode).toBe(E.NONE);
    expect(first.throttleTimeMs).toBeGreaterThan(1000);
    await other.call('metadata', 12, { topics: [] });
    expect(performance.now() - began).toBeGreaterThan(first.throttleTimeMs - 20);
    other.close();
    await alter('client-id', 'test', 'producer_byte_rate', null);
    expect((await client.call('produce', 9, body)).throttleTimeMs).toBe(0);
  });

  test('counts what is fetched, partitions that come and go, and connections', async () => {
    await alter('client-id', null, 'consumer_byte_rate', 1000);
    await alter('client-id', null, 'controller_mutation_rate', 4);
    const fetcher = await WireClient.connect(rig.address);
    const fetched = await fetcher.call('fetch', 12, {
      maxWaitMs: 0,
      minBytes: 0,
      isolationLevel: 0,
      topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
      forgottenTopicsData: [],
      rackId: '',
    });
    expect(fetched.throttleTimeMs).toBeGreaterThan(1000);
    fetcher.close();
    const create = async (name: string, numPartitions: number) => {
      const one = await WireClient.connect(rig.address);
      const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
      const { topics, throttleTimeMs } = await one.call('createTopics', 6, { topics: [topic] });
      one.close();
      return { error: topics[0]!.errorCode, throttleTimeMs };
    };
    expect(await create('a', 60)).toMatchObject({ error: E.NONE });
    const refused = await create('b', 1);
    expect(refused.error).toBe(E.THROTTLING_QUOTA_EXCEEDED);
    expect(refused.throttleTimeMs).toBeGreaterThan(0);
    expect(rig.storage.describeTopic('b')).toBeUndefined();
    await alter('client-id', null, 'controller_mutation_rate', null);
    await alter('client-id', null, 'consumer_byte_rate', null);
    expect(await alter('ip', '127.0.0.1', 'connection_creation_rate', 1)).toBe(E.NONE);
    const several = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(() => WireClient.connect(rig.address)));
    const open = several.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(open.filter(({ socket }) => !socket.destroyed && socket.readyState === 'open').length).toBeLessThan(6);
    for (const one of open) one.close();
    await alter('ip', '127.0.0.1', 'connection_creation_rate', null);
  });

  test('shows quotas by filter and refuses what cannot be', async () => {
    await alter('user', 'ann', 'request_percentage', 50);
    await alter('user', null, 'request_percentage', 80);
    const find = async (components: { entityType: string; matchType: number; match: Name }[], strict = false) =>
      (await client.call('describeClientQuotas', 1, { components, strict })).entries?.map(
        ({ entity: of }) => of[0]!.entityName,
      );
    expect(await find([])).toEqual(['ann', null]);
    expect(await find([{ entityType: 'user', matchType: 0, match: 'ann' }])).toEqual(['ann']);
    expect(await find([{ entityType: 'user', matchType: 1, match: null }], true)).toEqual([null]);
    expect(await find([{ entityType: 'user', matchType: 2, match: null }])).toEqual(['ann', null]);
    expect(await find([{ entityType: 'client-id', matchType: 2, match: null }])).toEqual([]);
    expect(await alter('user', 'x', 'nonsense', 1)).toBe(E.INVALID_REQUEST);
    expect(await alter('planet', 'x', 'producer_byte_rate', 1)).toBe(E.INVALID_REQUEST);
    expect(await alter('ip', 'x', 'connection_creation_rate', 1)).toBe(E.INVALID_REQUEST);
    expect(await alter('ip', '1.2.3.4', 'producer_byte_rate', 1)).toBe(E.INVALID_REQUEST);
    expect(await alter('user', 'x', 'producer_byte_rate', -1)).toBe(E.INVALID_REQUEST);
    for (const name of ['ann', null]) await alter('user', name, 'request_percentage', null);
    expect(await find([])).toEqual([]);
  });
});
