/** Topics of our own: shown only when they are asked for, closed to producers, not to be created or deleted by anybody. */
export const OFFSETS_TOPIC = '__consumer_offsets';
export const TRANSACTIONS_TOPIC = '__transaction_state';
export const PRODUCER_IDS_TOPIC = '__producer_ids';
export const ACLS_TOPIC = '__acls';
export const USERS_TOPIC = '__users';
export const CONFIGS_TOPIC = '__configs';
export const CLIENT_QUOTAS_TOPIC = '__client_quotas';
export const METRIC_SUBSCRIPTIONS_TOPIC = '__client_metric_subscriptions';
export const CLIENT_METRICS_TOPIC = '__client_metrics';
export const AUDIT_TOPIC = '__audit';

const INTERNAL: ReadonlySet<string> = new Set([
  OFFSETS_TOPIC,
  TRANSACTIONS_TOPIC,
  PRODUCER_IDS_TOPIC,
  ACLS_TOPIC,
  USERS_TOPIC,
  CONFIGS_TOPIC,
  AUDIT_TOPIC,
  CLIENT_QUOTAS_TOPIC,
  METRIC_SUBSCRIPTIONS_TOPIC,
  CLIENT_METRICS_TOPIC,
]);

/** What lies in it helps to guess passwords: no client reads it, whatever it is allowed. */
export const isSecretTopic = (topic: string): boolean => topic === USERS_TOPIC;

export const isInternalTopic = (topic: string): boolean => INTERNAL.has(topic);
