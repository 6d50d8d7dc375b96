import { randomUUID } from 'node:crypto';
import { CODECS } from '../../protocol/compression.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import type { Call, Handler } from '../context.ts';
import { hostOf } from '../rights.ts';
import type { ClientFacts } from '../telemetry.ts';

/** Largest push, when it is inflated too (telemetry.max.bytes). */
export const TELEMETRY_MAX_BYTES = 1 << 20;

export const factsOf = (call: Call, clientInstanceId: string): ClientFacts => ({
  client_instance_id: clientInstanceId,
  client_id: call.clientId ?? '',
  client_software_name: call.software.name,
  client_software_version: call.software.version,
  client_source_address: hostOf(call),
  client_source_port: call.clientPort,
});

/** A client that has no id yet gets one; it pushes what is subscribed to. */
export const getTelemetrySubscriptions: Handler<'getTelemetrySubscriptions'> = (request, call, { telemetry }) => {
  const clientInstanceId = request.clientInstanceId === ZERO_UUID ? randomUUID() : request.clientInstanceId;
  const { id, intervalMs, metrics } = telemetry.subscribed(factsOf(call, clientInstanceId));
  return {
    clientInstanceId,
    subscriptionId: id,
    acceptedCompressionTypes: [CODECS.zstd, CODECS.lz4, CODECS.gzip, CODECS.snappy],
    pushIntervalMs: intervalMs,
    telemetryMaxBytes: TELEMETRY_MAX_BYTES,
    deltaTemporality: true,
    // '' would be all, too: the two spellings of clients' libraries.
    requestedMetrics: [...metrics],
  };
};
