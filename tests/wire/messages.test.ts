import { expect, test } from 'vitest';
import { CONSUMER_GROUP_RECORDS } from '../../src/protocol/consumer-group-records.ts';
import { consumerProtocolAssignment, consumerProtocolSubscription } from '../../src/protocol/consumer-protocol.ts';
import {
  groupMetadataKey,
  groupMetadataValue,
  offsetCommitKey,
  offsetCommitValue,
} from '../../src/protocol/coordinator-records.ts';
import { APIS, advertisedVersions } from '../../src/protocol/protocol.ts';
import { type Fields, inRange, type MessageSchema, versionRange } from '../../src/protocol/schema.ts';
import { transactionLogKey, transactionLogValue } from '../../src/protocol/transaction-records.ts';
import { loadDefinition, wireFieldsOfDefinition, wireFieldsOfTable } from './definitions.ts';

/** The ranges of Kafka 4.3.1. */
const KAFKA_4_3: Readonly<Record<string, string>> = {
  Produce: '3-13',
  Fetch: '4-18',
  ListOffsets: '1-11',
  Metadata: '0-13',
  OffsetCommit: '2-10',
  OffsetFetch: '1-10',
  FindCoordinator: '0-6',
  JoinGroup: '0-9',
  Heartbeat: '0-4',
  LeaveGroup: '0-5',
  SyncGroup: '0-5',
  DescribeGroups: '0-6',
  ListGroups: '0-5',
  ApiVersions: '0-4',
  CreateTopics: '2-7',
  DeleteTopics: '1-6',
  DeleteRecords: '0-2',
  InitProducerId: '0-5',
  OffsetForLeaderEpoch: '2-4',
  AddPartitionsToTxn: '0-5',
  AddOffsetsToTxn: '0-4',
  EndTxn: '0-5',
  WriteTxnMarkers: '1-2',
  TxnOffsetCommit: '0-5',
  ConsumerGroupHeartbeat: '0-1',
  ConsumerGroupDescribe: '0-1',
  AlterConfigs: '0-2',
  ListConfigResources: '0-1',
  DescribeQuorum: '0-2',
  UpdateFeatures: '0-2',
  DescribeClientQuotas: '0-1',
  AlterClientQuotas: '0-1',
  GetTelemetrySubscriptions: '0',
  PushTelemetry: '0',
  SaslHandshake: '0-1',
  SaslAuthenticate: '0-2',
  DescribeUserScramCredentials: '0',
  AlterUserScramCredentials: '0',
  DescribeAcls: '1-3',
  CreateAcls: '1-3',
  DeleteAcls: '1-3',
  DescribeProducers: '0',
  DescribeTransactions: '0',
  ListTransactions: '0-2',
  DescribeConfigs: '1-4',
  CreatePartitions: '0-3',
  DeleteGroups: '0-2',
  IncrementalAlterConfigs: '0-1',
  OffsetDelete: '0',
  DescribeCluster: '0-2',
  DescribeTopicPartitions: '0',
  DescribeLogDirs: '1-5',
  ElectLeaders: '0-2',
  AlterPartitionReassignments: '0-1',
  ListPartitionReassignments: '0',
};

function agrees(schema: MessageSchema<Fields>): void {
  const definition = loadDefinition(schema.name);
  for (let version = schema.versions.from; version <= schema.versions.to; version++) {
    const where = `${schema.name} v${version}`;
    expect(inRange(versionRange(definition.validVersions), version), where).toBe(true);
    expect(inRange(schema.flexible, version), where).toBe(inRange(versionRange(definition.flexibleVersions), version));
    expect(wireFieldsOfTable(schema.fields, version), where).toEqual(wireFieldsOfDefinition(definition, version));
  }
}

test.each(Object.values(APIS))('$name agrees with its definition in every version', (api) => {
  expect(api.key).toBe(loadDefinition(`${api.name}Request`).apiKey);
  expect(loadDefinition(`${api.name}Response`).apiKey).toBe(api.key);
  expect(api.versions).toEqual(versionRange(KAFKA_4_3[api.name]));
  agrees(api.request);
  agrees(api.response);
});

test.each([
  offsetCommitKey,
  offsetCommitValue,
  groupMetadataKey,
  groupMetadataValue,
  transactionLogKey,
  transactionLogValue,
  consumerProtocolSubscription,
  consumerProtocolAssignment,
  ...Object.values(CONSUMER_GROUP_RECORDS).flatMap(({ key, value }) => [key, value]),
] as MessageSchema<Fields>[])('$name agrees with its definition in every version', agrees);

test('produce is announced from version 0', () => {
  expect(advertisedVersions('produce')).toEqual({ apiKey: 0, minVersion: 0, maxVersion: 13 });
  expect(advertisedVersions('fetch')).toEqual({ apiKey: 1, minVersion: 4, maxVersion: 18 });
});
