import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeMetrics } from '../../src/broker/otlp.ts';
import { CLIENT_METRICS_TOPIC } from '../../src/ports/internal-topics.ts';
import { CODECS, compress } from '../../src/protocol/compression.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { RecordCursor } from '../../src/protocol/records.ts';
import { ZERO_UUID } from '../../src/protocol/schema.ts';
import { type BrokerRig, QUICK, startBroker, WireClient } from './rig.ts';

const CLIENT_METRICS = 16;
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

// A writer of protobuf, by hand from opentelemetry-proto's metrics.proto.
const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
const bytes = (field: number, body: Buffer | string): Buffer => {
  const content = Buffer.from(body as string);
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(content.length)]), content]);
};
const eight = (field: number, write: (to: Buffer) => void): Buffer => {
  const out = Buffer.alloc(8);
  write(out);
  return Buffer.concat([Buffer.from([(field << 3) | 1]), out]);
};
const attribute = (field: number, key: string, value: string) =>
  bytes(field, Buffer.concat([bytes(1, key), bytes(2, bytes(1, value))]));
const time = eight(3, (to) => to.writeBigUInt64LE(1_700_000_000_000_000_000n));
const metric = (name: string, kind: number, ...point: Buffer[]) =>
  bytes(2, Buffer.concat([bytes(1, name), bytes(3, 'unit'), bytes(kind, bytes(1, Buffer.concat([time, ...point])))]));
const METRICS = bytes(
  1,
  Buffer.concat([
    bytes(1, attribute(1, 'host', 'h')),
    bytes(
      2,
      Buffer.concat([
        metric(
          'org.a',
          5,
          eight(4, (to) => to.writeDoubleLE(1.5)),
          attribute(7, 'topic', 't'),
        ),
        metric(
          'org.b',
          7,
          eight(6, (to) => to.writeBigInt64LE(-7n)),
        ),
        metric(
          'com.c',
          9,
          eight(4, (to) => to.writeBigUInt64LE(3n)),
          eight(5, (to) => to.writeDoubleLE(2.5)),
        ),
      ]),
    ),
  ]),
);

test('OTLP gauges, sums and histograms are read; garbage is an error and nothing worse', () => {
  expect(decodeMetrics(METRICS)).toEqual([
    { name: 'org.a', kind: 'gauge', value: 1.5, timeMs: 1_700_000_000_000, attributes: { host: 'h', topic: 't' } },
    { name: 'org.b', kind: 'sum', value: -7, timeMs: 1_700_000_000_000, attributes: { host: 'h' } },
    { name: 'com.c', kind: 'histogram', value: 2.5, count: 3, timeMs: 1_700_000_000_000, attributes: { host: 'h' } },
  ]);
  const tries = (data: Buffer): void => {
    try {
      decodeMetrics(data);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(RangeError);
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (data) => tries(Buffer.from(data))),
    { numRuns: 300 },
  );
  for (let at = 0; at < METRICS.length; at++) {
    const changed = Buffer.from(METRICS);
    changed[at]! ^= 0x55;
    tries(changed);
    tries(METRICS.subarray(0, at));
  }
});

test('a subscription is set, shown and listed; clients push what it asks for and no more', async () => {
  const before = await client.call('getTelemetrySubscriptions', 0, { clientInstanceId: ZERO_UUID });
  expect(before.clientInstanceId).not.toBe(ZERO_UUID);
  expect(before.requestedMetrics).toEqual([]);
  const set = async (configs: Record<string, string | null>) => {
    const { responses } = await client.call('incrementalAlterConfigs', 1, {
      resources: [
        {
          resourceType: CLIENT_METRICS,
          resourceName: 'sub',
          configs: Object.entries(configs).map(([name, value]) => ({
            name,
            configOperation: value === null ? 1 : 0,
            value,
          })),
        },
      ],
      validateOnly: false,
    });
    return responses[0]!.errorCode;
  };
  expect(await set({ metrics: 'org.', 'interval.ms': '1000', match: 'client_id=te.t' })).toBe(E.NONE);
  expect(await set({ 'interval.ms': '1' })).toBe(E.INVALID_CONFIG);
  expect(await set({ match: 'planet=earth' })).toBe(E.INVALID_CONFIG);
  expect(await set({ match: 'client_id=(' })).toBe(E.INVALID_CONFIG);
  expect(await set({ nonsense: 'x' })).toBe(E.INVALID_CONFIG);
  const listed = await client.call('listConfigResources', 0, {});
  expect(listed.configResources).toEqual([{ resourceName: 'sub', resourceType: CLIENT_METRICS }]);
  const resources = [{ resourceType: CLIENT_METRICS, resourceName: 'sub', configurationKeys: ['metrics'] }];
  const described = await client.call('describeConfigs', 4, { resources });
  expect(described.results[0]!.configs).toMatchObject([{ name: 'metrics', value: 'org.', configSource: 7 }]);

  const { clientInstanceId } = before;
  const subscription = await client.call('getTelemetrySubscriptions', 0, { clientInstanceId });
  expect(subscription).toMatchObject({ clientInstanceId, requestedMetrics: ['org.'], pushIntervalMs: 1000 });
  const push = async (more: object = {}) => {
    const { subscriptionId } = subscription;
    const request = {
      clientInstanceId,
      subscriptionId,
      terminating: false,
      compressionType: CODECS.gzip,
      metrics: compress('gzip', METRICS),
    };
    return (await client.call('pushTelemetry', 0, { ...request, ...more })).errorCode;
  };
  expect(await push()).toBe(E.NONE);
  expect(await push()).toBe(E.THROTTLING_QUOTA_EXCEEDED);
  const another = (n: number) => ({ clientInstanceId: `00000000-0000-4000-8000-00000000000${n}` });
  expect(await push({ ...another(1), subscriptionId: 1 })).toBe(E.UNKNOWN_SUBSCRIPTION_ID);
  expect(await push({ ...another(2), compressionType: 9 })).toBe(E.UNSUPPORTED_COMPRESSION_TYPE);
  expect(await push({ ...another(3), compressionType: 0, metrics: Buffer.from([0xff]) })).toBe(E.INVALID_RECORD);
  expect(await push({ ...another(4), compressionType: 0, metrics: Buffer.alloc((1 << 20) + 1) })).toBe(
    E.TELEMETRY_TOO_LARGE,
  );
  expect(await push({ ...another(5), metrics: compress('gzip', Buffer.alloc(8 << 20)) })).toBe(E.INVALID_RECORD);
  expect(await push({ clientInstanceId: ZERO_UUID })).toBe(E.INVALID_REQUEST);
  expect(await push({ terminating: true })).toBe(E.NONE);
  expect(await push({ terminating: true })).toBe(E.THROTTLING_QUOTA_EXCEEDED);
  const { highWatermark } = rig.storage.bounds(CLIENT_METRICS_TOPIC, 0);
  expect(highWatermark).toBe(4);
  const cursor = new RecordCursor(await rig.storage.read(CLIENT_METRICS_TOPIC, 0, 0, 1 << 20));
  cursor.next();
  expect(JSON.parse(String(cursor.value()))).toMatchObject({
    time: '2023-11-14T22:13:20.000Z',
    client_instance_id: clientInstanceId,
    client_id: 'test',
    principal: 'User:ANONYMOUS',
    name: 'org.a',
    value: 1.5,
    attributes: { topic: 't' },
  });
  expect(await set({ metrics: null, 'interval.ms': null, match: null })).toBe(E.NONE);
  expect((await client.call('listConfigResources', 0, {})).configResources).toEqual([]);
});

test('AlterConfigs takes back what it does not name; a cluster of one has its quorum and its features', async () => {
  await rig.storage.createTopic('t', {
    partitions: 1,
    config: { 'retention.ms': '1000', 'max.message.bytes': '5000' },
  });
  const alter = async (configs: { name: string; value: string | null }[]) => {
    const resources = [{ resourceType: 2, resourceName: 't', configs }];
    return (await client.call('alterConfigs', 2, { resources, validateOnly: false })).responses[0]!.errorCode;
  };
  expect(await alter([{ name: 'retention.ms', value: '2000' }])).toBe(E.NONE);
  expect(rig.storage.describeTopic('t')!.config).toEqual({ 'retention.ms': '2000' });
  expect(await alter([{ name: 'nonsense', value: '1' }])).toBe(E.INVALID_CONFIG);
  const all = await client.call('listConfigResources', 1, { resourceTypes: [] });
  expect(all.configResources).toContainEqual({ resourceName: 't', resourceType: 2 });
  expect(all.configResources).toContainEqual({ resourceName: '1', resourceType: 4 });
  const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }];
  const quorum = await client.call('describeQuorum', 2, { topics });
  expect(quorum.topics[0]!.partitions[0]).toMatchObject({
    errorCode: 0,
    leaderId: 1,
    currentVoters: [{ replicaId: 1 }],
  });
  const update = async (feature: string, maxVersionLevel: number) =>
    (await client.call('updateFeatures', 1, { featureUpdates: [{ feature, maxVersionLevel }] })).results[0]!.errorCode;
  expect(await update('group.version', 1)).toBe(E.NONE);
  expect(await update('group.version', 0)).toBe(E.INVALID_UPDATE_VERSION);
  expect(await update('nonsense', 1)).toBe(E.INVALID_UPDATE_VERSION);
});

test('ListTransactions finds ids by pattern', async () => {
  for (const transactionalId of ['order-1', 'order-2', 'other'])
    await client.call('initProducerId', 4, { transactionalId, transactionTimeoutMs: 1000 });
  const list = async (transactionalIdPattern: string | null) => {
    const answer = await client.call('listTransactions', 2, {
      stateFilters: [],
      producerIdFilters: [],
      transactionalIdPattern,
    });
    return answer.errorCode || answer.transactionStates.map(({ transactionalId }) => transactionalId).sort();
  };
  expect(await list('order-.*')).toEqual(['order-1', 'order-2']);
  expect(await list('order')).toEqual([]);
  expect(await list('')).toHaveLength(3);
  expect(await list('(')).toBe(E.INVALID_REGULAR_EXPRESSION);
});
