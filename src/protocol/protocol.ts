/**
 * The Kafka wire, pure: bytes in, messages out, no I/O. One table per API over all its versions in `messages/`, read
 * with the notation of `schema.ts` and turned into code by `codec.ts`; `records.ts` holds the record batches inside.
 */
import type { Chunk } from '../ports/stored-bytes.ts';
import { codecOf } from './codec.ts';
import { addOffsetsToTxn } from './messages/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from './messages/add-partitions-to-txn.ts';
import { alterClientQuotas } from './messages/alter-client-quotas.ts';
import { alterConfigs } from './messages/alter-configs.ts';
import { alterPartitionReassignments } from './messages/alter-partition-reassignments.ts';
import { alterUserScramCredentials } from './messages/alter-user-scram-credentials.ts';
import { apiVersions } from './messages/api-versions.ts';
import { consumerGroupDescribe } from './messages/consumer-group-describe.ts';
import { consumerGroupHeartbeat } from './messages/consumer-group-heartbeat.ts';
import { createAcls } from './messages/create-acls.ts';
import { createPartitions } from './messages/create-partitions.ts';
import { createTopics } from './messages/create-topics.ts';
import { deleteAcls } from './messages/delete-acls.ts';
import { deleteGroups } from './messages/delete-groups.ts';
import { deleteRecords } from './messages/delete-records.ts';
import { deleteTopics } from './messages/delete-topics.ts';
import { describeAcls } from './messages/describe-acls.ts';
import { describeClientQuotas } from './messages/describe-client-quotas.ts';
import { describeCluster } from './messages/describe-cluster.ts';
import { describeConfigs } from './messages/describe-configs.ts';
import { describeGroups } from './messages/describe-groups.ts';
import { describeLogDirs } from './messages/describe-log-dirs.ts';
import { describeProducers } from './messages/describe-producers.ts';
import { describeQuorum } from './messages/describe-quorum.ts';
import { describeTopicPartitions } from './messages/describe-topic-partitions.ts';
import { describeTransactions } from './messages/describe-transactions.ts';
import { describeUserScramCredentials } from './messages/describe-user-scram-credentials.ts';
import { electLeaders } from './messages/elect-leaders.ts';
import { endTxn } from './messages/end-txn.ts';
import { fetch } from './messages/fetch.ts';
import { findCoordinator } from './messages/find-coordinator.ts';
import { getTelemetrySubscriptions } from './messages/get-telemetry-subscriptions.ts';
import { heartbeat } from './messages/heartbeat.ts';
import { incrementalAlterConfigs } from './messages/incremental-alter-configs.ts';
import { initProducerId } from './messages/init-producer-id.ts';
import { joinGroup } from './messages/join-group.ts';
import { leaveGroup } from './messages/leave-group.ts';
import { listConfigResources } from './messages/list-config-resources.ts';
import { listGroups } from './messages/list-groups.ts';
import { listOffsets } from './messages/list-offsets.ts';
import { listPartitionReassignments } from './messages/list-partition-reassignments.ts';
import { listTransactions } from './messages/list-transactions.ts';
import { metadata } from './messages/metadata.ts';
import { offsetCommit } from './messages/offset-commit.ts';
import { offsetDelete } from './messages/offset-delete.ts';
import { offsetFetch } from './messages/offset-fetch.ts';
import { offsetForLeaderEpoch } from './messages/offset-for-leader-epoch.ts';
import { produce } from './messages/produce.ts';
import { pushTelemetry } from './messages/push-telemetry.ts';
import { saslAuthenticate } from './messages/sasl-authenticate.ts';
import { saslHandshake } from './messages/sasl-handshake.ts';
import { syncGroup } from './messages/sync-group.ts';
import { txnOffsetCommit } from './messages/txn-offset-commit.ts';
import { updateFeatures } from './messages/update-features.ts';
import { writeTxnMarkers } from './messages/write-txn-markers.ts';
import { ProtocolError } from './protocol-error.ts';
import { type ApiSchema, type Input, inRange, type Value } from './schema.ts';
import { WireReader } from './wire-reader.ts';
import { WireWriter } from './wire-writer.ts';

/** By name, in the order of their keys. */
export const APIS = {
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeAcls,
  createAcls,
  deleteAcls,
  describeConfigs,
  createPartitions,
  deleteGroups,
  incrementalAlterConfigs,
  offsetDelete,
  describeLogDirs,
  saslAuthenticate,
  describeUserScramCredentials,
  alterUserScramCredentials,
  electLeaders,
  alterPartitionReassignments,
  listPartitionReassignments,
  describeCluster,
  describeProducers,
  describeTransactions,
  listTransactions,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  alterConfigs,
  listConfigResources,
  describeQuorum,
  updateFeatures,
  describeClientQuotas,
  alterClientQuotas,
  getTelemetrySubscriptions,
  pushTelemetry,
  describeTopicPartitions,
} as const;

export type ApiName = keyof typeof APIS;
export type RequestBody<A extends ApiName> = Value<(typeof APIS)[A]['request']['fields']>;
export type ResponseBody<A extends ApiName> = Value<(typeof APIS)[A]['response']['fields']>;
/** As bodies, but what is left out takes its default. */
export type RequestInput<A extends ApiName> = Input<(typeof APIS)[A]['request']['fields']>;
export type ResponseInput<A extends ApiName> = Input<(typeof APIS)[A]['response']['fields']>;

const BY_KEY: ReadonlyMap<number, ApiName> = new Map(
  (Object.keys(APIS) as ApiName[]).map((name) => [APIS[name].key, name]),
);

/** Undefined when the API is not implemented. */
export const apiOfKey = (apiKey: number): ApiName | undefined => BY_KEY.get(apiKey);

export interface ApiVersionRow {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

/**
 * What ApiVersions announces for an API. Produce reads from 0 (KAFKA-18659: older librdkafka turns compression off
 * otherwise), though 0–2 are never served.
 */
export function advertisedVersions(name: ApiName): ApiVersionRow {
  const { key, versions } = APIS[name];
  return { apiKey: key, minVersion: name === 'produce' ? 0 : versions.from, maxVersion: versions.to };
}

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  /** Null when the client sent none, or when `api` is undefined. */
  readonly clientId: string | null;
  /**
   * Undefined when the API or this version of it is not implemented; the body then cannot be read. To ApiVersions
   * (key 18) the answer is error 35 in version 0, to any other a closed connection.
   */
  readonly api: ApiName | undefined;
  /** Where the body begins in the frame. */
  readonly bodyStart: number;
}

/** `frame` is what follows the length prefix. ProtocolError when it is too short. */
export function decodeRequestHeader(frame: Buffer): RequestHeader {
  const reader = new WireReader(frame);
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  const name = BY_KEY.get(apiKey);
  if (name === undefined || !inRange(APIS[name].versions, apiVersion)) {
    return { apiKey, apiVersion, correlationId, clientId: null, api: undefined, bodyStart: reader.position };
  }
  // Header v2 keeps the client id in the old form, so that it can be read before versions are known.
  const length = reader.stringLength();
  const clientId = length < 0 ? null : reader.text(length);
  if (inRange(APIS[name].request.flexible, apiVersion)) reader.skipTags();
  return { apiKey, apiVersion, correlationId, clientId, api: name, bodyStart: reader.position };
}

/** The body of a request whose header names the API `api`. Byte fields are views of the frame. */
export function decodeRequestBody<A extends ApiName>(api: A, header: RequestHeader, frame: Buffer): RequestBody<A> {
  const reader = new WireReader(frame, header.bodyStart);
  return codecOf((APIS[api] as ApiSchema).request, header.apiVersion).read(reader) as RequestBody<A>;
}

/** Any implemented request, told apart by `api`. */
export type DecodedRequest = {
  [A in ApiName]: Omit<RequestHeader, 'api'> & { readonly api: A; readonly body: RequestBody<A> };
}[ApiName];

/** ProtocolError when malformed or not implemented; see `decodeRequestHeader` to tell these apart. */
export function decodeRequest(frame: Buffer): DecodedRequest {
  const header = decodeRequestHeader(frame);
  if (header.api === undefined) {
    throw new ProtocolError(`API ${header.apiKey} version ${header.apiVersion} is not implemented`);
  }
  return { ...header, body: decodeRequestBody(header.api, header, frame) } as DecodedRequest;
}

/**
 * A response frame with its length prefix, as chunks for one `writev`: large byte fields (Fetch's records) are passed
 * on without a copy and must not change until they were sent.
 */
export function encodeResponseChunks<A extends ApiName>(
  api: A,
  apiVersion: number,
  correlationId: number,
  body: ResponseInput<A>,
): Chunk[] {
  const schema = (APIS[api] as ApiSchema).response;
  const writer = new WireWriter();
  writer.int32(0);
  writer.int32(correlationId);
  // ApiVersions answers in header v0 for ever: the client does not know yet what the broker speaks (KIP-511).
  if (api !== 'apiVersions' && inRange(schema.flexible, apiVersion)) writer.uvarint(0);
  codecOf(schema, apiVersion).write(writer, body as Input<typeof schema.fields>);
  return framed(writer);
}

export function encodeResponse<A extends ApiName>(
  api: A,
  apiVersion: number,
  correlationId: number,
  body: ResponseInput<A>,
): Buffer {
  return joined(encodeResponseChunks(api, apiVersion, correlationId, body));
}

/** The client's side: a request frame with its length prefix. */
export function encodeRequest<A extends ApiName>(
  api: A,
  apiVersion: number,
  correlationId: number,
  clientId: string | null,
  body: RequestInput<A>,
): Buffer {
  const { key, request } = APIS[api] as ApiSchema;
  const writer = new WireWriter();
  writer.int32(0);
  writer.int16(key);
  writer.int16(apiVersion);
  writer.int32(correlationId);
  writer.string(clientId);
  if (inRange(request.flexible, apiVersion)) writer.uvarint(0);
  codecOf(request, apiVersion).write(writer, body as Input<typeof request.fields>);
  return joined(framed(writer));
}

/** `frame` is what follows the length prefix; the caller knows from the correlation id which request it answers. */
export function decodeResponse<A extends ApiName>(
  api: A,
  apiVersion: number,
  frame: Buffer,
): { correlationId: number; body: ResponseBody<A> } {
  const schema = (APIS[api] as ApiSchema).response;
  const reader = new WireReader(frame);
  const correlationId = reader.int32();
  if (api !== 'apiVersions' && inRange(schema.flexible, apiVersion)) reader.skipTags();
  return { correlationId, body: codecOf(schema, apiVersion).read(reader) as ResponseBody<A> };
}

/** The correlation id of a response frame, before it is known what it answers. */
export const correlationIdOf = (frame: Buffer): number => new WireReader(frame).int32();

function framed(writer: WireWriter): Chunk[] {
  const length = writer.length - 4;
  const chunks = writer.finishStored();
  (chunks[0] as Buffer).writeInt32BE(length, 0);
  return chunks;
}

/** Nothing that is put together here lies in a file. */
const joined = (chunks: readonly Chunk[]): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks as readonly Buffer[]);
