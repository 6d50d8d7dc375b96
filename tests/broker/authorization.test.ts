import { expect, test } from 'vitest';
import {
  type AclBinding,
  aclKey,
  CLUSTER_NAME,
  OPERATION as OP,
  PATTERN,
  PERMISSION,
  RESOURCE as RES,
} from '../../src/auth/acl.ts';
import { Broker } from '../../src/broker/broker.ts';
import { DurableMap } from '../../src/broker/durable-map.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ACLS_TOPIC, AUDIT_TOPIC } from '../../src/ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../src/protocol/error-codes.ts';
import { APIS, type ApiName, type RequestInput } from '../../src/protocol/protocol.ts';
import { encodeBatch, RecordCursor } from '../../src/protocol/records.ts';
import { Storage } from '../../src/storage/storage.ts';
import { type BrokerRig, produceBody, QUICK, WireClient } from './rig.ts';

const REFUSALS: readonly number[] = [
  E.TOPIC_AUTHORIZATION_FAILED,
  E.GROUP_AUTHORIZATION_FAILED,
  E.CLUSTER_AUTHORIZATION_FAILED,
  E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
];
const anonymous = (operation: number, resourceType: number, resourceName: string): AclBinding => ({
  resourceType,
  resourceName,
  patternType: PATTERN.literal,
  principal: 'User:ANONYMOUS',
  host: '127.0.0.1',
  operation,
  permission: PERMISSION.allow,
});
const topic = (operation: number) => anonymous(operation, RES.topic, 't');
const group = (operation: number) => anonymous(operation, RES.group, 'g');
const transaction = (operation: number) => anonymous(operation, RES.transactionalId, 'x');
const cluster = (operation: number) => anonymous(operation, RES.cluster, CLUSTER_NAME);

interface Case<A extends ApiName> {
  /** What is enough. Each of them is needed. */
  readonly needs: readonly AclBinding[];
  readonly body: RequestInput<A> | ((version: number, topicId: string) => RequestInput<A>);
  /** The array in the answer that is empty when nothing is allowed: such an API hides instead of refusing. */
  readonly hides?: string;
}

const producer = { producerId: 1, producerEpoch: 0 };
const filter = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  patternTypeFilter: 3,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
};

/** What everybody may ask. */
const OPEN = [
  'apiVersions',
  'describeCluster',
  'saslHandshake',
  'saslAuthenticate',
  'getTelemetrySubscriptions',
  'pushTelemetry',
] as const;
type Open = (typeof OPEN)[number];

/** A request of every API: who adds one says here what it needs. */
const CASES: { readonly [A in Exclude<ApiName, Open>]: Case<A> } = {
  produce: {
    needs: [topic(OP.write)],
    body: (_, topicId) => {
      const { topicData = [], ...body } = produceBody('t', ['v']);
      return { ...body, topicData: topicData.map((data) => ({ ...data, topicId })) };
    },
  },
  fetch: {
    needs: [topic(OP.read)],
    body: (_, topicId) => ({
      maxWaitMs: 0,
      minBytes: 0,
      isolationLevel: 0,
      topics: [{ topic: 't', topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] }],
      forgottenTopicsData: [],
      rackId: '',
    }),
  },
  listOffsets: {
    needs: [topic(OP.describe)],
    body: { replicaId: -1, topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }] },
  },
  metadata: { needs: [topic(OP.describe)], body: { topics: [{ name: 't' }] } },
  offsetCommit: {
    needs: [group(OP.read), topic(OP.read)],
    body: (_, topicId) => ({
      groupId: 'g',
      topics: [{ name: 't', topicId, partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }] }],
    }),
  },
  offsetFetch: {
    needs: [group(OP.describe), topic(OP.describe)],
    body: (version, topicId) =>
      version < 8
        ? { groupId: 'g', topics: [{ name: 't', partitionIndexes: [0] }] }
        : { groups: [{ groupId: 'g', topics: [{ name: 't', topicId, partitionIndexes: [0] }] }] },
  },
  findCoordinator: {
    needs: [group(OP.describe)],
    body: (version) => (version < 4 ? { key: 'g' } : { keyType: 0, coordinatorKeys: ['g'] }),
  },
  joinGroup: {
    needs: [group(OP.read)],
    body: {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: 'unknown',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    },
  },
  heartbeat: { needs: [group(OP.read)], body: { groupId: 'g', generationId: 1, memberId: 'm' } },
  leaveGroup: {
    needs: [group(OP.read)],
    body: (version) => (version < 3 ? { groupId: 'g', memberId: 'm' } : { groupId: 'g', members: [{ memberId: 'm' }] }),
  },
  syncGroup: { needs: [group(OP.read)], body: { groupId: 'g', generationId: 1, memberId: 'm', assignments: [] } },
  describeGroups: { needs: [group(OP.describe)], body: { groups: ['g'] } },
  consumerGroupHeartbeat: {
    needs: [group(OP.read), topic(OP.describe)],
    body: {
      groupId: 'g',
      memberId: 'm',
      memberEpoch: 0,
      rebalanceTimeoutMs: 1000,
      subscribedTopicNames: ['t'],
      topicPartitions: [],
    },
  },
  consumerGroupDescribe: {
    needs: [group(OP.describe)],
    body: { groupIds: ['g'], includeAuthorizedOperations: true },
  },
  listGroups: { needs: [cluster(OP.describe)], body: {}, hides: 'groups' },
  createTopics: {
    needs: [cluster(OP.create)],
    body: { topics: [{ name: 'new', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }] },
  },
  deleteTopics: {
    needs: [topic(OP.delete)],
    body: (version) => (version < 6 ? { topicNames: ['t'], timeoutMs: 1 } : { topics: [{ name: 't' }], timeoutMs: 1 }),
  },
  deleteRecords: {
    needs: [topic(OP.delete)],
    body: { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 1 }] }], timeoutMs: 1 },
  },
  initProducerId: { needs: [transaction(OP.write)], body: { transactionalId: 'x', transactionTimeoutMs: 1000 } },
  offsetForLeaderEpoch: {
    needs: [topic(OP.describe)],
    body: { topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: 0 }] }] },
  },
  addPartitionsToTxn: {
    needs: [transaction(OP.write), topic(OP.write)],
    body: (version) =>
      version < 4
        ? {
            v3AndBelowTransactionalId: 'x',
            v3AndBelowProducerId: 1,
            v3AndBelowProducerEpoch: 0,
            v3AndBelowTopics: [{ name: 't', partitions: [0] }],
          }
        : {
            transactions: [
              { transactionalId: 'x', ...producer, verifyOnly: false, topics: [{ name: 't', partitions: [0] }] },
            ],
          },
  },
  addOffsetsToTxn: {
    needs: [transaction(OP.write), group(OP.read)],
    body: { transactionalId: 'x', ...producer, groupId: 'g' },
  },
  endTxn: { needs: [transaction(OP.write)], body: { transactionalId: 'x', ...producer, committed: true } },
  writeTxnMarkers: {
    needs: [cluster(OP.alter)],
    body: {
      markers: [
        {
          ...producer,
          transactionResult: false,
          topics: [{ name: 't', partitionIndexes: [0] }],
          coordinatorEpoch: 0,
        },
      ],
    },
  },
  txnOffsetCommit: {
    needs: [transaction(OP.write), group(OP.read), topic(OP.read)],
    body: {
      transactionalId: 'x',
      groupId: 'g',
      ...producer,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: null }] }],
    },
  },
  alterConfigs: {
    needs: [topic(OP.alterConfigs)],
    body: {
      resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', value: '1000000' }] }],
      validateOnly: false,
    },
  },
  listConfigResources: { needs: [cluster(OP.describeConfigs)], body: {} },
  describeQuorum: { needs: [cluster(OP.describe)], body: { topics: [] } },
  updateFeatures: { needs: [cluster(OP.alter)], body: { featureUpdates: [] } },
  describeClientQuotas: { needs: [cluster(OP.describeConfigs)], body: { components: [], strict: false } },
  alterClientQuotas: {
    needs: [cluster(OP.alterConfigs)],
    body: {
      entries: [
        {
          entity: [{ entityType: 'user', entityName: 'u' }],
          ops: [{ key: 'producer_byte_rate', value: 1e9, remove: false }],
        },
      ],
      validateOnly: false,
    },
  },
  describeAcls: { needs: [cluster(OP.describe)], body: filter },
  describeUserScramCredentials: { needs: [cluster(OP.describe)], body: { users: null } },
  alterUserScramCredentials: {
    needs: [cluster(OP.alter)],
    body: { deletions: [{ name: 'u', mechanism: 1 }], upsertions: [] },
  },
  createAcls: {
    needs: [cluster(OP.alter)],
    body: {
      creations: [
        { resourceType: 2, resourceName: 'n', principal: 'User:a', host: '*', operation: 3, permissionType: 3 },
      ],
    },
  },
  deleteAcls: { needs: [cluster(OP.alter)], body: { filters: [filter] } },
  describeConfigs: {
    needs: [topic(OP.describeConfigs)],
    body: { resources: [{ resourceType: 2, resourceName: 't', configurationKeys: null }] },
  },
  createPartitions: {
    needs: [topic(OP.alter)],
    body: { topics: [{ name: 't', count: 2, assignments: null }], timeoutMs: 1, validateOnly: true },
  },
  deleteGroups: { needs: [group(OP.delete)], body: { groupsNames: ['g'] } },
  incrementalAlterConfigs: {
    needs: [topic(OP.alterConfigs)],
    body: {
      resources: [
        {
          resourceType: 2,
          resourceName: 't',
          configs: [{ name: 'retention.ms', configOperation: 0, value: '100000' }],
        },
      ],
      validateOnly: false,
    },
  },
  offsetDelete: {
    needs: [group(OP.delete), topic(OP.read)],
    body: { groupId: 'g', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] },
  },
  describeLogDirs: { needs: [cluster(OP.describe)], body: { topics: null }, hides: 'results' },
  electLeaders: { needs: [cluster(OP.alter)], body: { topicPartitions: null }, hides: '' },
  alterPartitionReassignments: { needs: [cluster(OP.alter)], body: { topics: [] } },
  listPartitionReassignments: { needs: [cluster(OP.describe)], body: { topics: null } },
  describeProducers: { needs: [topic(OP.read)], body: { topics: [{ name: 't', partitionIndexes: [0] }] } },
  describeTransactions: { needs: [transaction(OP.describe)], body: { transactionalIds: ['x'] } },
  listTransactions: {
    needs: [transaction(OP.describe)],
    body: { stateFilters: [], producerIdFilters: [] },
    hides: 'transactionStates',
  },
  describeTopicPartitions: { needs: [topic(OP.describe)], body: { topics: [{ name: 't' }] } },
};

interface Guarded extends BrokerRig {
  readonly client: WireClient;
  readonly topicId: string;
}

/** A broker with topic t, group g and transactional id x, in which only these bindings hold. */
async function guarded(acls: readonly AclBinding[], settings: Record<string, unknown> = {}): Promise<Guarded> {
  const storage = await Storage.open({ inMemory: true, log: silentLog });
  const start = (more: Record<string, unknown>) =>
    Broker.start({
      storage,
      clock: systemClock,
      log: silentLog,
      listeners: [{ listen: { host: '127.0.0.1', port: 0 } }],
      settings: { ...QUICK, ...more },
    });
  const { id } = await storage.createTopic('t', { partitions: 1 });
  await storage.append('t', 0, [{ key: null, value: Buffer.from('v') }]);
  const open = await start({});
  const before = await WireClient.connect(open.address);
  await before.call('initProducerId', 4, { transactionalId: 'x', transactionTimeoutMs: 1000 });
  await before.call('offsetCommit', 8, {
    groupId: 'g',
    topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 0, committedMetadata: '' }] }],
  });
  before.close();
  await open.close();
  const map = await DurableMap.open(storage, ACLS_TOPIC);
  await map.set(acls.map((acl) => [aclKey(acl), JSON.stringify(acl)]));
  const broker = await start({ authorizer: true, ...settings });
  const client = await WireClient.connect(broker.address);
  const close = async (): Promise<void> => {
    client.close();
    await broker.close();
    await storage.close();
  };
  return { broker, storage, address: broker.address, lines: [], close, client, topicId: id };
}

/** Every number in an answer that is under a name like errorCode. */
function errorsIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(errorsIn);
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    /errorCode$/iu.test(name) && typeof item === 'number' ? [item] : errorsIn(item),
  );
}

const versionsOf = (api: ApiName): number[] => {
  const { from, to } = APIS[api].versions;
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
};

type AnyCase = Case<'metadata'>;

async function ask(rig: Guarded, api: ApiName, version: number): Promise<Record<string, unknown>> {
  const { body } = CASES[api as keyof typeof CASES] as unknown as AnyCase;
  const input = typeof body === 'function' ? body(version, rig.topicId) : body;
  return (await rig.client.call(api, version, input as RequestInput<ApiName>)) as Record<string, unknown>;
}

const isRefused = (api: ApiName, answer: Record<string, unknown>): boolean => {
  const { hides } = CASES[api as keyof typeof CASES] as AnyCase;
  if (errorsIn(answer).some((code) => REFUSALS.includes(code))) return true;
  return hides !== undefined && (hides === '' || (answer[hides] as unknown[]).length === 0);
};

const APIS_TO_GUARD = Object.keys(CASES) as (keyof typeof CASES)[];

test('there is a case for every API', () => {
  const known = [...APIS_TO_GUARD, ...OPEN];
  expect(known.sort()).toEqual(Object.keys(APIS).sort());
});

test('every API in every version refuses whom nothing is allowed, and changes nothing', async () => {
  const rig = await guarded([]);
  for (const api of APIS_TO_GUARD)
    for (const version of versionsOf(api))
      expect(isRefused(api, await ask(rig, api, version)), `${api} ${version}`).toBe(true);
  expect(rig.storage.describeTopic('new')).toBeUndefined();
  expect(rig.storage.describeTopic('t')!.config).toEqual({});
  expect(rig.storage.bounds('t', 0)).toEqual({ logStart: 0, highWatermark: 1 });
  await rig.close();
});

test.each(APIS_TO_GUARD)('%s needs just what it needs', async (api) => {
  const { needs, hides } = CASES[api] as unknown as AnyCase;
  const full = await guarded(needs);
  for (const version of versionsOf(api).slice(-1)) {
    const answer = await ask(full, api, version);
    const refused = errorsIn(answer).filter((code) => REFUSALS.includes(code) && code !== 0);
    // The settings of a new topic are another right than to create it.
    expect(api === 'createTopics' ? refused.slice(1) : refused, JSON.stringify(answer)).toEqual([]);
    if (hides !== undefined && hides !== '') expect((answer[hides] as unknown[]).length).toBeGreaterThan(0);
  }
  await full.close();
  for (const missing of needs) {
    const rig = await guarded(needs.filter((acl) => acl !== missing));
    const version = versionsOf(api).at(-1) as number;
    expect(isRefused(api, await ask(rig, api, version))).toBe(true);
    await rig.close();
  }
});

test('of what a request names only the forbidden part is refused', async () => {
  const rig = await guarded([topic(OP.read), topic(OP.write), topic(OP.describe)]);
  await rig.storage.createTopic('secret', { partitions: 1 });
  const { client } = rig;
  const records = encodeBatch([{ key: null, value: Buffer.from('v') }]);
  const produced = await client.call('produce', 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topicData: ['t', 'secret'].map((name) => ({ name, partitionData: [{ index: 0, records }] })),
  });
  const codes = Object.fromEntries(
    produced.responses.map(({ name, partitionResponses }) => [name, partitionResponses[0]!.errorCode]),
  );
  expect(codes).toEqual({ t: E.NONE, secret: E.TOPIC_AUTHORIZATION_FAILED });
  expect(rig.storage.bounds('secret', 0).highWatermark).toBe(0);
  const all = await client.call('metadata', 12, { topics: null, includeTopicAuthorizedOperations: true });
  expect(all.topics.map(({ name }) => name)).toEqual(['t']);
  expect(all.topics[0]!.topicAuthorizedOperations).toBe((1 << OP.read) | (1 << OP.write) | (1 << OP.describe));
  const named = await client.call('metadata', 12, { topics: [{ name: 'secret' }, { name: 'neither' }] });
  // Whether it exists is not told.
  expect(named.topics.map(({ errorCode }) => errorCode)).toEqual([29, 29]);
  expect(rig.storage.describeTopic('neither')).toBeUndefined();
  const cluster0 = await client.call('describeCluster', 0, { includeClusterAuthorizedOperations: true });
  expect(cluster0.clusterAuthorizedOperations).toBe(0);
  await rig.close();
});

test('acks=0 and no right to write: the connection ends, as there is no answer', async () => {
  const rig = await guarded([]);
  rig.client.send('produce', 9, produceBody('t', ['v'], { acks: 0 }));
  await rig.client.closed;
  expect(rig.storage.bounds('t', 0).highWatermark).toBe(1);
  await rig.close();
});

test('bindings are created, found, deleted, and there after a restart', async () => {
  const rig = await guarded([cluster(OP.all)]);
  const { client } = rig;
  const creation = {
    resourceType: 2,
    resourceName: 'n',
    principal: 'User:a',
    host: '*',
    operation: 3,
    permissionType: 3,
  };
  const created = await client.call('createAcls', 3, {
    creations: [
      creation,
      { ...creation, resourcePatternType: PATTERN.prefixed, resourceName: 'nn' },
      { ...creation, operation: 12 },
    ],
  });
  expect(created.results.map(({ errorCode }) => errorCode)).toEqual([0, 0, E.INVALID_REQUEST]);
  const found = async (more: object = {}) =>
    (await client.call('describeAcls', 3, { ...filter, patternTypeFilter: 1, resourceTypeFilter: 2, ...more }))
      .resources;
  expect((await found()).map(({ resourceName }) => resourceName)).toEqual(['n', 'nn']);
  expect(
    (await found({ patternTypeFilter: 2, resourceNameFilter: 'nnn' })).map(({ resourceName }) => resourceName),
  ).toEqual(['nn']);
  expect(await found({ principalFilter: 'User:b' })).toEqual([]);
  const deleted = await client.call('deleteAcls', 3, {
    filters: [
      { ...filter, resourceNameFilter: 'n' },
      { ...filter, operation: 99 },
    ],
  });
  expect(deleted.filterResults.map(({ errorCode, matchingAcls }) => [errorCode, matchingAcls.length])).toEqual([
    [0, 1],
    [42, 0],
  ]);
  const stored = await DurableMap.open(rig.storage, ACLS_TOPIC);
  expect([...stored.entries()].map(([, text]) => (JSON.parse(text) as AclBinding).resourceName)).toEqual([
    CLUSTER_NAME,
    'nn',
  ]);
  await rig.close();
});

test('without an authorizer ACLs are refused and nobody is', async () => {
  const rig = await guarded([], { authorizer: false });
  expect((await rig.client.call('describeAcls', 2, filter)).errorCode).toBe(E.SECURITY_DISABLED);
  expect((await rig.client.produce('t', ['v'])).errorCode).toBe(E.NONE);
  await rig.close();
});

test('the audit log tells who was refused what, gathered, and who changed what', async () => {
  const rig = await guarded([cluster(OP.create)], { audit: true });
  for (let i = 0; i < 50; i++) await rig.client.produce('t', ['v']);
  await rig.client.call('createTopics', 5, {
    topics: [{ name: 'made', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
  });
  rig.client.close();
  await rig.broker.close();
  const cursor = new RecordCursor(await rig.storage.read(AUDIT_TOPIC, 0, 0, 1 << 20));
  const events: Record<string, unknown>[] = [];
  while (cursor.next()) events.push(JSON.parse(String(cursor.value())) as Record<string, unknown>);
  const from = { principal: 'User:ANONYMOUS', host: '127.0.0.1' };
  expect(events).toContainEqual(
    expect.objectContaining({ event: 'changed', api: 'createTopics', resources: ['made'], ...from }),
  );
  const denied = events.filter(({ event }) => event === 'denied');
  expect(denied[0]).toMatchObject({
    api: 'produce',
    operation: 'WRITE',
    resourceType: 'TOPIC',
    resources: ['t'],
    ...from,
  });
  expect(denied.reduce((sum, { count }) => sum + Number(count), 0)).toBe(50);
  expect(denied.length).toBeLessThan(5);
  await rig.storage.close();
});
