/** The records of `__consumer_offsets` that groups of the consumer protocol use (KIP-848), byte for byte as Kafka writes them. */
import {
  array,
  bytes,
  type Fields,
  int8,
  int32,
  int64,
  type MessageSchema,
  message,
  string,
  struct,
  uuid,
} from './schema.ts';

const topicPartitions = () => array({ topicId: uuid(), partitions: array(int32()) });
/** Kafka keeps the epoch by partition; here a member's present and previous epoch tell enough. */
const ownedPartitions = () =>
  array({
    topicId: uuid(),
    partitions: array(int32()),
    assignmentEpochs: array(int32(), '0+', { nullable: '0+', default: null, tag: 0, tagged: '0+' }),
  });
const groupKey = (name: string) => message(name, '0', 'none', { groupId: string('0') });
const memberKey = (name: string) => message(name, '0', 'none', { groupId: string('0'), memberId: string('0') });

/** By the kind of the record: its type on disk, and the schemas of its key and its value. */
export const CONSUMER_GROUP_RECORDS = {
  consumerGroup: {
    type: 3,
    key: groupKey('ConsumerGroupMetadataKey'),
    value: message('ConsumerGroupMetadataValue', '0', '0+', {
      epoch: int32(),
      metadataHash: int64('0+', { tag: 0, tagged: '0+' }),
    }),
  },
  consumerMember: {
    type: 5,
    key: memberKey('ConsumerGroupMemberMetadataKey'),
    value: message('ConsumerGroupMemberMetadataValue', '0', '0+', {
      instanceId: string('0+', { nullable: '0+' }),
      rackId: string('0+', { nullable: '0+' }),
      clientId: string(),
      clientHost: string(),
      subscribedTopicNames: array(string()),
      subscribedTopicRegex: string('0+', { nullable: '0+' }),
      rebalanceTimeoutMs: int32('0+', { default: -1 }),
      serverAssignor: string('0+', { nullable: '0+' }),
      classicMemberMetadata: struct(
        { sessionTimeoutMs: int32(), supportedProtocols: array({ name: string(), metadata: bytes() }) },
        '0+',
        { nullable: '0+', default: null, tag: 0, tagged: '0+' },
      ),
    }),
  },
  consumerTarget: {
    type: 6,
    key: groupKey('ConsumerGroupTargetAssignmentMetadataKey'),
    value: message('ConsumerGroupTargetAssignmentMetadataValue', '0', '0+', {
      assignmentEpoch: int32(),
      assignmentTimestamp: int64('0+', { tag: 0, tagged: '0+' }),
    }),
  },
  consumerTargetMember: {
    type: 7,
    key: memberKey('ConsumerGroupTargetAssignmentMemberKey'),
    value: message('ConsumerGroupTargetAssignmentMemberValue', '0', '0+', { topicPartitions: topicPartitions() }),
  },
  consumerCurrent: {
    type: 8,
    key: memberKey('ConsumerGroupCurrentMemberAssignmentKey'),
    value: message('ConsumerGroupCurrentMemberAssignmentValue', '0', '0+', {
      memberEpoch: int32(),
      previousMemberEpoch: int32(),
      state: int8(),
      assignedPartitions: ownedPartitions(),
      partitionsPendingRevocation: ownedPartitions(),
    }),
  },
  consumerRegex: {
    type: 16,
    key: message('ConsumerGroupRegularExpressionKey', '0', 'none', {
      groupId: string('0'),
      regularExpression: string('0'),
    }),
    value: message('ConsumerGroupRegularExpressionValue', '0', '0+', {
      topics: array(string()),
      version: int64(),
      timestamp: int64(),
    }),
  },
} as const satisfies Readonly<
  Record<string, { type: number; key: MessageSchema<Fields>; value: MessageSchema<Fields> }>
>;

export type ConsumerRecordKind = keyof typeof CONSUMER_GROUP_RECORDS;
