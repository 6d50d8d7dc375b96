import { principalText } from '../../auth/principal.ts';
import { CODECS, decompress } from '../../protocol/compression.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import type { Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';
import { type ClientMetric, decodeMetrics } from '../otlp.ts';
import { factsOf, TELEMETRY_MAX_BYTES } from './get-telemetry-subscriptions.ts';

/** Metrics of a client, kept when they are what is subscribed to and not too much or too often (KIP-714). */
export const pushTelemetry: Handler<'pushTelemetry'> = async (request, call, { telemetry, clock }) => {
  const { clientInstanceId, subscriptionId, terminating, compressionType, metrics } = request;
  if (clientInstanceId === ZERO_UUID) return { errorCode: E.INVALID_REQUEST };
  const facts = factsOf(call, clientInstanceId);
  const subscribed = telemetry.subscribed(facts);
  if (telemetry.isTooSoon(clientInstanceId, subscribed.intervalMs, terminating, clock.monotonicMs()))
    return { errorCode: E.THROTTLING_QUOTA_EXCEEDED, throttleTimeMs: subscribed.intervalMs };
  if (subscriptionId !== subscribed.id) return { errorCode: E.UNKNOWN_SUBSCRIPTION_ID };
  if (metrics.length > TELEMETRY_MAX_BYTES) return { errorCode: E.TELEMETRY_TOO_LARGE };
  if (!(Object.values(CODECS) as number[]).includes(compressionType))
    return { errorCode: E.UNSUPPORTED_COMPRESSION_TYPE };
  let decoded: ClientMetric[];
  try {
    decoded = decodeMetrics(Buffer.from(decompress(compressionType, metrics, TELEMETRY_MAX_BYTES)));
  } catch {
    return { errorCode: E.INVALID_RECORD };
  }
  const isWanted = ({ name }: ClientMetric): boolean =>
    subscribed.metrics.some((prefix) => prefix === '*' || name.startsWith(prefix));
  try {
    await telemetry.record(facts, principalText(call.principal), decoded.filter(isWanted));
    return { errorCode: E.NONE };
  } catch (thrown) {
    return { errorCode: kafkaError(thrown).errorCode };
  }
};
