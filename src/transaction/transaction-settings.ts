/** Times in ms; in brackets the setting of Kafka that means the same. */
export interface TransactionSettings {
  /** The longest timeout that a producer may ask for (transaction.max.timeout.ms). */
  readonly maxTimeoutMs: number;
  /** A transactional id without a transaction for this long is forgotten (transactional.id.expiration.ms). */
  readonly idExpirationMs: number;
  /** How often timed out transactions are looked for; each is aborted at most so late. */
  readonly timeoutCheckMs: number;
  /** How often expired ids are looked for. */
  readonly expiryCheckMs: number;
  /** A marker that could not be written, for want of space, is tried again after this long. */
  readonly markerRetryMs: number;
}

export const TRANSACTION_DEFAULTS: TransactionSettings = {
  maxTimeoutMs: 900_000,
  idExpirationMs: 604_800_000,
  timeoutCheckMs: 1000,
  expiryCheckMs: 60_000,
  markerRetryMs: 1000,
};
