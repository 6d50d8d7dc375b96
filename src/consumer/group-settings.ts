/** How groups behave. Names follow Kafka's broker settings, values are in ms, bytes or members. */
export interface GroupSettings {
  /** group.initial.rebalance.delay.ms: how long an empty group waits for more members before its first generation. */
  readonly initialRebalanceDelayMs: number;
  /** group.min.session.timeout.ms and group.max.session.timeout.ms bound what a member may ask for. */
  readonly minSessionTimeoutMs: number;
  readonly maxSessionTimeoutMs: number;
  /** group.consumer.session.timeout.ms: a member of the consumer protocol that is silent for so long is out. */
  readonly consumerSessionTimeoutMs: number;
  /** group.consumer.heartbeat.interval.ms: how often such a member is told to send. */
  readonly consumerHeartbeatIntervalMs: number;
  /** group.max.size: more members are refused. */
  readonly maxSize: number;
  /** offset.metadata.max.bytes */
  readonly offsetMetadataMaxBytes: number;
  /** offsets.retention.minutes: how long the offsets of a group without members are kept. */
  readonly offsetsRetentionMs: number;
  /** offsets.retention.check.interval.ms */
  readonly offsetsRetentionCheckMs: number;
}

/** Kafka's defaults, but for the size of a group, which Kafka leaves unbounded. */
export const GROUP_DEFAULTS: GroupSettings = {
  initialRebalanceDelayMs: 3000,
  minSessionTimeoutMs: 6000,
  maxSessionTimeoutMs: 1_800_000,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5000,
  maxSize: 10_000,
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 7 * 86_400_000,
  offsetsRetentionCheckMs: 600_000,
};
