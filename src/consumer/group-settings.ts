/** `upgrade`: classic groups become consumer groups; `downgrade`: the way back. */
export type MigrationPolicy = 'disabled' | 'upgrade' | 'downgrade' | 'bidirectional';

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
  /** group.consumer.max.size: the same for groups of the consumer protocol. */
  readonly consumerMaxSize: number;
  /** group.consumer.migration.policy: what becomes of a group with members when one of the other protocol joins or the last one leaves. */
  readonly migrationPolicy: MigrationPolicy;
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
  consumerMaxSize: 10_000,
  migrationPolicy: 'bidirectional',
  offsetMetadataMaxBytes: 4096,
  offsetsRetentionMs: 7 * 86_400_000,
  offsetsRetentionCheckMs: 600_000,
};

/** What can be set for a single group of the consumer protocol (Kafka's resource GROUP), in ms. */
export interface ConsumerTimes {
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

/** The settings as they are now: all of them can change while groups run, and hold from the next request of a member on. */
export class LiveGroupSettings {
  current: GroupSettings;
  readonly #own: (groupId: string) => Partial<ConsumerTimes>;

  constructor(settings: GroupSettings, own: (groupId: string) => Partial<ConsumerTimes> = () => ({})) {
    this.current = settings;
    this.#own = own;
  }

  of(groupId: string): ConsumerTimes {
    const { consumerSessionTimeoutMs, consumerHeartbeatIntervalMs } = this.current;
    return {
      sessionTimeoutMs: consumerSessionTimeoutMs,
      heartbeatIntervalMs: consumerHeartbeatIntervalMs,
      ...this.#own(groupId),
    };
  }
}
