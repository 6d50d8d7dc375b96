import { api, array, int16, int32, string, struct, uuid, type Value } from '../schema.ts';

const topicPartitions = () => ({ topicId: uuid(), partitions: array(int32()) });

export const consumerGroupHeartbeat = api({
  key: 68,
  name: 'ConsumerGroupHeartbeat',
  versions: '0-1',
  flexible: '0+',
  request: {
    groupId: string(),
    memberId: string(),
    // 0 joins, −1 leaves, −2 leaves and will be back (a static member).
    memberEpoch: int32(),
    // Here and below null, and −1, mean: as it was.
    instanceId: string('0+', { nullable: '0+', default: null }),
    rackId: string('0+', { nullable: '0+', default: null }),
    rebalanceTimeoutMs: int32('0+', { default: -1 }),
    subscribedTopicNames: array(string(), '0+', { nullable: '0+', default: null }),
    subscribedTopicRegex: string('1+', { nullable: '1+', default: null }),
    serverAssignor: string('0+', { nullable: '0+', default: null }),
    topicPartitions: array(topicPartitions(), '0+', { nullable: '0+', default: null }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    memberId: string('0+', { nullable: '0+', default: null }),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    assignment: struct({ topicPartitions: array(topicPartitions()) }, '0+', { nullable: '0+', default: null }),
  },
});

export type ConsumerGroupHeartbeatRequest = Value<typeof consumerGroupHeartbeat.request.fields>;
export type ConsumerGroupHeartbeatResponse = Value<typeof consumerGroupHeartbeat.response.fields>;
