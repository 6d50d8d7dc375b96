/** What a broker may be told. Times in ms, sizes in bytes; in brackets the setting of Kafka that means the same. */
export interface BrokerSettings {
  /** Create a missing topic when a client that allows it asks for it (auto.create.topics.enable). */
  readonly autoCreateTopics: boolean;
  /** Partitions of a topic created without a number (num.partitions). */
  readonly numPartitions: number;
  /** Take any replication factor for 1, the only one there is, instead of refusing it. */
  readonly anyReplicationFactor: boolean;
  /** group.initial.rebalance.delay.ms */
  readonly groupInitialRebalanceDelayMs: number;
  /** group.min.session.timeout.ms */
  readonly groupMinSessionTimeoutMs: number;
  /** group.max.session.timeout.ms */
  readonly groupMaxSessionTimeoutMs: number;
  /** group.consumer.session.timeout.ms */
  readonly groupConsumerSessionTimeoutMs: number;
  /** group.consumer.heartbeat.interval.ms */
  readonly groupConsumerHeartbeatIntervalMs: number;
  /** offsets.retention.minutes, but in ms */
  readonly offsetsRetentionMs: number;
  /** The longest transaction timeout a producer may ask for (transaction.max.timeout.ms). */
  readonly transactionMaxTimeoutMs: number;
  /** A transactional id without a transaction for this long is forgotten (transactional.id.expiration.ms). */
  readonly transactionalIdExpirationMs: number;
  /** Largest request (socket.request.max.bytes). */
  readonly maxRequestBytes: number;
  /** Connections at the same time; more are closed at once (max.connections). */
  readonly maxConnections: number;
  /** Connections from one address at the same time; more are closed at once (max.connections.per.ip). */
  readonly maxConnectionsPerIp: number;
  /**
   * Bytes of requests that may have come in and not begun, all connections together (queued.max.request.bytes). Beyond it a
   * connection with more than 1 MiB of them is closed.
   */
  readonly queuedMaxRequestBytes: number;
  /** A connection without a request for this long is closed (connections.max.idle.ms). */
  readonly idleConnectionMs: number;
  /** Upper bound of one Fetch answer, beyond which only a first batch may go (fetch.max.bytes). */
  readonly maxFetchBytes: number;
  /** Fetch sessions that are remembered (max.incremental.fetch.session.cache.slots). */
  readonly maxFetchSessions: number;
  /** Whether ACLs are kept and checked (authorizer.class.name). */
  readonly authorizer: boolean;
  /** Principals separated by semicolons (super.users). */
  readonly superUsers: string;
  /** allow.everyone.if.no.acl.found */
  readonly allowIfNoAcl: boolean;
  /** Keep an audit log. */
  readonly audit: boolean;
}

export const BROKER_DEFAULTS: BrokerSettings = {
  autoCreateTopics: true,
  numPartitions: 1,
  anyReplicationFactor: false,
  groupInitialRebalanceDelayMs: 3000,
  groupMinSessionTimeoutMs: 6000,
  groupMaxSessionTimeoutMs: 1_800_000,
  groupConsumerSessionTimeoutMs: 45_000,
  groupConsumerHeartbeatIntervalMs: 5000,
  offsetsRetentionMs: 604_800_000,
  transactionMaxTimeoutMs: 900_000,
  transactionalIdExpirationMs: 604_800_000,
  maxRequestBytes: 104_857_600,
  maxConnections: 10_000,
  maxConnectionsPerIp: 2_147_483_647,
  queuedMaxRequestBytes: 536_870_912,
  idleConnectionMs: 600_000,
  maxFetchBytes: 57_671_680,
  maxFetchSessions: 1000,
  authorizer: false,
  superUsers: '',
  allowIfNoAcl: false,
  audit: false,
};

/** The rows that DescribeConfigs shows for the broker: each named as in Kafka. `type` is Kafka's ConfigType by name. */
export const BROKER_CONFIG: readonly {
  readonly name: string;
  readonly setting: keyof BrokerSettings;
  /** What one of Kafka's units is in ours. */
  readonly unit?: number;
  readonly type: 'boolean' | 'string' | 'int' | 'long';
  readonly doc: string;
}[] = [
  {
    name: 'auto.create.topics.enable',
    setting: 'autoCreateTopics',
    type: 'boolean',
    doc: 'Create a missing topic when a client that allows it asks for it.',
  },
  {
    name: 'num.partitions',
    setting: 'numPartitions',
    type: 'int',
    doc: 'Partitions of a topic that is created without a number.',
  },
  {
    name: 'group.initial.rebalance.delay.ms',
    setting: 'groupInitialRebalanceDelayMs',
    type: 'int',
    doc: 'How long a new consumer group waits for more members before its first assignment, in milliseconds.',
  },
  {
    name: 'group.min.session.timeout.ms',
    setting: 'groupMinSessionTimeoutMs',
    type: 'int',
    doc: 'Shortest session timeout a group member may ask for, in milliseconds.',
  },
  {
    name: 'group.max.session.timeout.ms',
    setting: 'groupMaxSessionTimeoutMs',
    type: 'int',
    doc: 'Longest session timeout a group member may ask for, in milliseconds.',
  },
  {
    name: 'group.consumer.session.timeout.ms',
    setting: 'groupConsumerSessionTimeoutMs',
    type: 'int',
    doc: 'How long a member of the consumer protocol may be silent, in milliseconds.',
  },
  {
    name: 'group.consumer.heartbeat.interval.ms',
    setting: 'groupConsumerHeartbeatIntervalMs',
    type: 'int',
    doc: 'How often members of the consumer protocol are told to send heartbeats, in milliseconds.',
  },
  {
    name: 'offsets.retention.minutes',
    setting: 'offsetsRetentionMs',
    unit: 60_000,
    type: 'int',
    doc: 'How long the offsets of a group without members are kept, in minutes.',
  },
  {
    name: 'transaction.max.timeout.ms',
    setting: 'transactionMaxTimeoutMs',
    type: 'int',
    doc: 'The longest transaction timeout that a producer may ask for, in milliseconds.',
  },
  {
    name: 'transactional.id.expiration.ms',
    setting: 'transactionalIdExpirationMs',
    type: 'int',
    doc: 'How long a transactional id without a transaction is remembered, in milliseconds.',
  },
  { name: 'socket.request.max.bytes', setting: 'maxRequestBytes', type: 'int', doc: 'Largest request, in bytes.' },
  { name: 'max.connections', setting: 'maxConnections', type: 'int', doc: 'Connections at the same time.' },
  {
    name: 'max.connections.per.ip',
    setting: 'maxConnectionsPerIp',
    type: 'int',
    doc: 'Connections from one address at the same time.',
  },
  {
    name: 'queued.max.request.bytes',
    setting: 'queuedMaxRequestBytes',
    type: 'long',
    doc: 'Bytes of requests that may wait on all connections together.',
  },
  {
    name: 'connections.max.idle.ms',
    setting: 'idleConnectionMs',
    type: 'long',
    doc: 'A connection without a request for this long is closed, in milliseconds.',
  },
  { name: 'fetch.max.bytes', setting: 'maxFetchBytes', type: 'int', doc: 'Largest answer to a Fetch, in bytes.' },
  {
    name: 'max.incremental.fetch.session.cache.slots',
    setting: 'maxFetchSessions',
    type: 'int',
    doc: 'Fetch sessions that are remembered.',
  },
  {
    name: 'super.users',
    setting: 'superUsers',
    type: 'string',
    doc: 'Principals that may do everything whatever the ACLs say, separated by semicolons.',
  },
  {
    name: 'allow.everyone.if.no.acl.found',
    setting: 'allowIfNoAcl',
    type: 'boolean',
    doc: 'With the authorizer: whether everybody may access what no ACL covers.',
  },
];
