import { asStreamError, type ErrorCode } from '../lib/errors.ts';
import { ERROR_CODES as E } from '../protocol/error-codes.ts';

/** What a Kafka client is told about our errors where an API has nothing more precise to say. */
const CODES: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: E.UNKNOWN_TOPIC_OR_PARTITION,
  ALREADY_EXISTS: E.TOPIC_ALREADY_EXISTS,
  REQUEST_INVALID: E.INVALID_REQUEST,
  OPTION_INVALID: E.INVALID_CONFIG,
  TOO_LARGE: E.MESSAGE_TOO_LARGE,
  STORAGE_FAILED: E.KAFKA_STORAGE_ERROR,
};

export interface KafkaError {
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

export const NO_ERROR: KafkaError = { errorCode: E.NONE, errorMessage: null };

/** `instead` says what one of our codes means to this API. An unexpected error is UNKNOWN_SERVER_ERROR. */
export function kafkaError(thrown: unknown, instead: Partial<Record<ErrorCode, number>> = {}): KafkaError {
  const { code, message } = asStreamError(thrown);
  return { errorCode: instead[code] ?? CODES[code] ?? E.UNKNOWN_SERVER_ERROR, errorMessage: message };
}
