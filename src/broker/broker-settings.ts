import type { MigrationPolicy } from '../consumer/group-settings.ts';

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
  /** What can be set for a single group lies between these (group.consumer.min.session.timeout.ms and so on). */
  readonly groupConsumerMinSessionTimeoutMs: number;
  readonly groupConsumerMaxSessionTimeoutMs: number;
  readonly groupConsumerMinHeartbeatIntervalMs: number;
  readonly groupConsumerMaxHeartbeatIntervalMs: number;
  /** group.max.size and group.consumer.max.size: more members are refused. */
  readonly groupMaxSize: number;
  readonly groupConsumerMaxSize: number;
  /** Whether groups with members may change their protocol (group.consumer.migration.policy). */
  readonly groupConsumerMigrationPolicy: MigrationPolicy;
  /** offset.metadata.max.bytes */
  readonly offsetMetadataMaxBytes: number;
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
  /** Of the listeners, to be shown: when sessions end, and the mechanisms, separated by commas. */
  readonly maxReauthMs: number;
  readonly saslMechanisms: string;
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
  groupConsumerMinSessionTimeoutMs: 45_000,
  groupConsumerMaxSessionTimeoutMs: 60_000,
  groupConsumerMinHeartbeatIntervalMs: 5000,
  groupConsumerMaxHeartbeatIntervalMs: 15_000,
  groupMaxSize: 10_000,
  groupConsumerMaxSize: 10_000,
  groupConsumerMigrationPolicy: 'bidirectional',
  offsetMetadataMaxBytes: 4096,
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
  maxReauthMs: 0,
  saslMechanisms: '',
};
