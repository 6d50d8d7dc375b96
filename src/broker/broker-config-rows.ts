import { TOPIC_CONFIG } from '../storage/topic-config.ts';
import { BROKER_DEFAULTS, type BrokerSettings } from './broker-settings.ts';

type Type = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';

/** A setting of the broker as Kafka names and counts it. */
export interface BrokerConfigRow {
  readonly name: string;
  readonly type: Type;
  readonly default: string;
  readonly doc: string;
  /** What the value may be, as an error message goes on after "must be". */
  readonly allowed: string;
  readonly valid: (value: string) => boolean;
  /** Ours that it is; none for the default of a topic's setting, and for what cannot be chosen. */
  readonly setting?: keyof BrokerSettings;
  /** It says something about ACLs, which there are only with the authorizer. */
  readonly needsAuthorizer?: true;
  /** It is set where the server is started only. */
  readonly fixed?: true;
  /** What one of Kafka's units is in ours. */
  readonly unit?: number;
  /** The topic's setting that it is the default of. */
  readonly topic?: string;
}

const LARGEST_INT = 2147483647;
const LARGEST_LONG = Number.MAX_SAFE_INTEGER;

function number(type: 'int' | 'long', name: string, setting: keyof BrokerSettings, doc: string, least = 1, unit = 1) {
  const most = type === 'int' ? LARGEST_INT : LARGEST_LONG;
  return {
    name,
    type,
    setting,
    doc,
    unit,
    default: String((BROKER_DEFAULTS[setting] as number) / unit),
    allowed: `a whole number from ${least} to ${most}`,
    valid: (value: string) => /^-?\d{1,16}$/u.test(value) && Number(value) >= least && Number(value) <= most,
  };
}

function choice(name: string, setting: keyof BrokerSettings | undefined, values: readonly string[], doc: string) {
  const type: Type = values.includes('true') ? 'boolean' : 'string';
  return {
    name,
    type,
    doc,
    default: setting === undefined ? values[0]! : String(BROKER_DEFAULTS[setting]),
    allowed: values.length === 1 ? `${values[0]}` : `one of ${values.join(', ')}`,
    valid: (value: string) => values.includes(value),
    ...(setting === undefined ? {} : { setting }),
  };
}

const BOOLEAN = ['true', 'false'];

const OWN: readonly BrokerConfigRow[] = [
  {
    ...choice(
      'allow.everyone.if.no.acl.found',
      'allowIfNoAcl',
      BOOLEAN,
      'With the authorizer: whether everybody may access what no ACL covers.',
    ),
    needsAuthorizer: true,
  },
  choice(
    'auto.create.topics.enable',
    'autoCreateTopics',
    BOOLEAN,
    'Create a missing topic when a client that allows it asks for it.',
  ),
  choice('broker.id', undefined, ['1'], 'The id of the one broker.'),
  number(
    'long',
    'connections.max.idle.ms',
    'idleConnectionMs',
    'A connection without a request for this long is closed, in milliseconds. A change holds for connections made after it.',
  ),
  {
    ...number(
      'long',
      'connections.max.reauth.ms',
      'maxReauthMs',
      'When a session ends unless the client authenticates again, in milliseconds; 0: never. Set by kafka.max_reauth_ms.',
      0,
    ),
    fixed: true,
  },
  choice('default.replication.factor', undefined, ['1'], 'Replicas of a topic; there is one broker.'),
  choice('delete.topic.enable', undefined, ['true'], 'Topics can be deleted.'),
  number('int', 'fetch.max.bytes', 'maxFetchBytes', 'Largest answer to a Fetch, in bytes.', 1024),
  {
    ...choice(
      'group.consumer.assignors',
      undefined,
      ['uniform,range'],
      'The assignors of the consumer protocol, the default first.',
    ),
    type: 'list',
  },
  number(
    'int',
    'group.consumer.heartbeat.interval.ms',
    'groupConsumerHeartbeatIntervalMs',
    'How often members of the consumer protocol are told to send heartbeats, in milliseconds.',
  ),
  number(
    'int',
    'group.consumer.max.heartbeat.interval.ms',
    'groupConsumerMaxHeartbeatIntervalMs',
    'Longest heartbeat interval that can be set for a group, in milliseconds.',
  ),
  number(
    'int',
    'group.consumer.max.session.timeout.ms',
    'groupConsumerMaxSessionTimeoutMs',
    'Longest session timeout that can be set for a group, in milliseconds.',
  ),
  number(
    'int',
    'group.consumer.max.size',
    'groupConsumerMaxSize',
    'Members of a group of the consumer protocol; more are refused.',
  ),
  choice(
    'group.consumer.migration.policy',
    'groupConsumerMigrationPolicy',
    ['disabled', 'upgrade', 'downgrade', 'bidirectional'],
    'Whether a group with members changes from the classic to the consumer protocol when the first member of that joins (upgrade), and back when the last one leaves (downgrade).',
  ),
  number(
    'int',
    'group.consumer.min.heartbeat.interval.ms',
    'groupConsumerMinHeartbeatIntervalMs',
    'Shortest heartbeat interval that can be set for a group, in milliseconds.',
  ),
  number(
    'int',
    'group.consumer.min.session.timeout.ms',
    'groupConsumerMinSessionTimeoutMs',
    'Shortest session timeout that can be set for a group, in milliseconds.',
  ),
  number(
    'int',
    'group.consumer.session.timeout.ms',
    'groupConsumerSessionTimeoutMs',
    'How long a member of the consumer protocol may be silent, in milliseconds.',
  ),
  number(
    'int',
    'group.initial.rebalance.delay.ms',
    'groupInitialRebalanceDelayMs',
    'How long a new consumer group waits for more members before its first assignment, in milliseconds.',
    0,
  ),
  number(
    'int',
    'group.max.session.timeout.ms',
    'groupMaxSessionTimeoutMs',
    'Longest session timeout a group member may ask for, in milliseconds.',
  ),
  number('int', 'group.max.size', 'groupMaxSize', 'Members of a classic group; more are refused.'),
  number(
    'int',
    'group.min.session.timeout.ms',
    'groupMinSessionTimeoutMs',
    'Shortest session timeout a group member may ask for, in milliseconds.',
  ),
  number('int', 'max.connections', 'maxConnections', 'Connections at the same time; more are closed at once.', 0),
  number(
    'int',
    'max.connections.per.ip',
    'maxConnectionsPerIp',
    'Connections from one address at the same time; more are closed at once.',
    0,
  ),
  number(
    'int',
    'max.incremental.fetch.session.cache.slots',
    'maxFetchSessions',
    'Fetch sessions that are remembered.',
    0,
  ),
  choice('node.id', undefined, ['1'], 'The id of the one broker.'),
  number('int', 'num.partitions', 'numPartitions', 'Partitions of a topic that is created without a number.'),
  number(
    'int',
    'offset.metadata.max.bytes',
    'offsetMetadataMaxBytes',
    'Longest note that may be committed with an offset.',
    0,
  ),
  number(
    'int',
    'offsets.retention.minutes',
    'offsetsRetentionMs',
    'How long the offsets of a group without members are kept, in minutes.',
    1,
    60_000,
  ),
  number(
    'long',
    'queued.max.request.bytes',
    'queuedMaxRequestBytes',
    'Bytes of requests that may wait on all connections together.',
  ),
  {
    ...choice(
      'sasl.enabled.mechanisms',
      'saslMechanisms',
      [],
      'How clients can authenticate. Set by kafka.sasl_mechanisms.',
    ),
    type: 'list',
    allowed: 'mechanisms',
    valid: (value) => /^[A-Z0-9,-]*$/u.test(value),
    fixed: true,
  },
  number('int', 'socket.request.max.bytes', 'maxRequestBytes', 'Largest request, in bytes.', 1024),
  {
    ...choice(
      'super.users',
      'superUsers',
      [],
      'With the authorizer: principals that may do everything whatever the ACLs say, separated by semicolons.',
    ),
    needsAuthorizer: true,
    allowed: 'principals separated by semicolons',
    valid: (value) => value === '' || value.split(';').every((one) => one.trim().includes(':')),
  },
  number(
    'int',
    'transaction.max.timeout.ms',
    'transactionMaxTimeoutMs',
    'The longest transaction timeout that a producer may ask for, in milliseconds.',
  ),
  number(
    'int',
    'transactional.id.expiration.ms',
    'transactionalIdExpirationMs',
    'How long a transactional id without a transaction is remembered, in milliseconds.',
  ),
];

/** Every setting of the broker that there is; names, types and units are Kafka's (4.3). */
export const BROKER_CONFIG: readonly BrokerConfigRow[] = [
  ...OWN,
  ...TOPIC_CONFIG.flatMap(({ server, name, ...row }): BrokerConfigRow[] =>
    server === undefined
      ? []
      : [{ ...row, name: server, topic: name, doc: `The default of the topic setting ${name}. ${row.doc}` }],
  ),
].sort((a, b) => (a.name < b.name ? -1 : 1));

/** Whether it can have another value than the one it has. */
export const isFixed = (row: BrokerConfigRow): boolean =>
  row.fixed === true ||
  (row.setting === undefined &&
    (row.topic === undefined || row.allowed === row.default || row.allowed === 'left empty'));

/** What can be set for a single group of the consumer protocol (Kafka's resource GROUP). */
export const GROUP_CONFIG = [
  {
    name: 'consumer.heartbeat.interval.ms',
    server: 'group.consumer.heartbeat.interval.ms',
    time: 'heartbeatIntervalMs',
    setting: 'groupConsumerHeartbeatIntervalMs',
    least: 'groupConsumerMinHeartbeatIntervalMs',
    most: 'groupConsumerMaxHeartbeatIntervalMs',
    doc: 'How often members of this group are told to send heartbeats, in milliseconds.',
  },
  {
    name: 'consumer.session.timeout.ms',
    server: 'group.consumer.session.timeout.ms',
    time: 'sessionTimeoutMs',
    setting: 'groupConsumerSessionTimeoutMs',
    least: 'groupConsumerMinSessionTimeoutMs',
    most: 'groupConsumerMaxSessionTimeoutMs',
    doc: 'How long a member of this group may be silent, in milliseconds.',
  },
] as const;
