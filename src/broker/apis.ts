import type { ApiName } from '../protocol/protocol.ts';
import type { Handler } from './context.ts';
import { addOffsetsToTxn } from './handlers/add-offsets-to-txn.ts';
import { addPartitionsToTxn } from './handlers/add-partitions-to-txn.ts';
import { alterClientQuotas } from './handlers/alter-client-quotas.ts';
import { alterConfigs } from './handlers/alter-configs.ts';
import { alterPartitionReassignments } from './handlers/alter-partition-reassignments.ts';
import { alterUserScramCredentials } from './handlers/alter-user-scram-credentials.ts';
import { apiVersions } from './handlers/api-versions.ts';
import { consumerGroupDescribe } from './handlers/consumer-group-describe.ts';
import { consumerGroupHeartbeat } from './handlers/consumer-group-heartbeat.ts';
import { createAcls } from './handlers/create-acls.ts';
import { createPartitions } from './handlers/create-partitions.ts';
import { createTopics } from './handlers/create-topics.ts';
import { deleteAcls } from './handlers/delete-acls.ts';
import { deleteGroups } from './handlers/delete-groups.ts';
import { deleteRecords } from './handlers/delete-records.ts';
import { deleteTopics } from './handlers/delete-topics.ts';
import { describeAcls } from './handlers/describe-acls.ts';
import { describeClientQuotas } from './handlers/describe-client-quotas.ts';
import { describeCluster } from './handlers/describe-cluster.ts';
import { describeConfigs } from './handlers/describe-configs.ts';
import { describeGroups } from './handlers/describe-groups.ts';
import { describeLogDirs } from './handlers/describe-log-dirs.ts';
import { describeProducers } from './handlers/describe-producers.ts';
import { describeQuorum } from './handlers/describe-quorum.ts';
import { describeTopicPartitions } from './handlers/describe-topic-partitions.ts';
import { describeTransactions } from './handlers/describe-transactions.ts';
import { describeUserScramCredentials } from './handlers/describe-user-scram-credentials.ts';
import { electLeaders } from './handlers/elect-leaders.ts';
import { endTxn } from './handlers/end-txn.ts';
import { fetch } from './handlers/fetch.ts';
import { findCoordinator } from './handlers/find-coordinator.ts';
import { getTelemetrySubscriptions } from './handlers/get-telemetry-subscriptions.ts';
import { heartbeat } from './handlers/heartbeat.ts';
import { incrementalAlterConfigs } from './handlers/incremental-alter-configs.ts';
import { initProducerId } from './handlers/init-producer-id.ts';
import { joinGroup } from './handlers/join-group.ts';
import { leaveGroup } from './handlers/leave-group.ts';
import { listConfigResources } from './handlers/list-config-resources.ts';
import { listGroups } from './handlers/list-groups.ts';
import { listOffsets } from './handlers/list-offsets.ts';
import { listPartitionReassignments } from './handlers/list-partition-reassignments.ts';
import { listTransactions } from './handlers/list-transactions.ts';
import { metadata } from './handlers/metadata.ts';
import { offsetCommit } from './handlers/offset-commit.ts';
import { offsetDelete } from './handlers/offset-delete.ts';
import { offsetFetch } from './handlers/offset-fetch.ts';
import { offsetForLeaderEpoch } from './handlers/offset-for-leader-epoch.ts';
import { produce } from './handlers/produce.ts';
import { pushTelemetry } from './handlers/push-telemetry.ts';
import { saslAuthenticate } from './handlers/sasl-authenticate.ts';
import { saslHandshake } from './handlers/sasl-handshake.ts';
import { syncGroup } from './handlers/sync-group.ts';
import { txnOffsetCommit } from './handlers/txn-offset-commit.ts';
import { updateFeatures } from './handlers/update-features.ts';
import { writeTxnMarkers } from './handlers/write-txn-markers.ts';

/** One handler per API that the protocol has a table for: what is advertised is exactly this. */
export const HANDLERS: { readonly [A in ApiName]: Handler<A> } = {
  apiVersions,
  createPartitions,
  createTopics,
  deleteGroups,
  deleteRecords,
  deleteTopics,
  describeLogDirs,
  electLeaders,
  alterPartitionReassignments,
  listPartitionReassignments,
  describeCluster,
  describeConfigs,
  describeGroups,
  alterConfigs,
  listConfigResources,
  describeQuorum,
  updateFeatures,
  describeClientQuotas,
  alterClientQuotas,
  getTelemetrySubscriptions,
  pushTelemetry,
  describeTopicPartitions,
  fetch,
  findCoordinator,
  heartbeat,
  incrementalAlterConfigs,
  initProducerId,
  joinGroup,
  leaveGroup,
  listGroups,
  listOffsets,
  metadata,
  offsetCommit,
  offsetDelete,
  offsetFetch,
  offsetForLeaderEpoch,
  produce,
  syncGroup,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeAcls,
  createAcls,
  deleteAcls,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  saslHandshake,
  saslAuthenticate,
  describeUserScramCredentials,
  alterUserScramCredentials,
  describeProducers,
  describeTransactions,
  listTransactions,
};
