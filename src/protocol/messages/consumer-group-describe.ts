import { api, array, bool, int8, int16, int32, string, struct, uuid, type Value } from '../schema.ts';

const assignment = () =>
  struct({ topicPartitions: array({ topicId: uuid(), topicName: string(), partitions: array(int32()) }) });

export const consumerGroupDescribe = api({
  key: 69,
  name: 'ConsumerGroupDescribe',
  versions: '0-1',
  flexible: '0+',
  request: {
    groupIds: array(string()),
    includeAuthorizedOperations: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    groups: array({
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+', default: null }),
      groupId: string(),
      groupState: string(),
      groupEpoch: int32(),
      assignmentEpoch: int32(),
      assignorName: string(),
      members: array({
        memberId: string(),
        instanceId: string('0+', { nullable: '0+', default: null }),
        rackId: string('0+', { nullable: '0+', default: null }),
        memberEpoch: int32(),
        clientId: string(),
        clientHost: string(),
        subscribedTopicNames: array(string()),
        subscribedTopicRegex: string('0+', { nullable: '0+', default: null }),
        assignment: assignment(),
        targetAssignment: assignment(),
        // 0 of the classic protocol, 1 of the consumer protocol.
        memberType: int8('1+', { default: -1 }),
      }),
      authorizedOperations: int32('0+', { default: -2147483648 }),
    }),
  },
});

export type ConsumerGroupDescribeRequest = Value<typeof consumerGroupDescribe.request.fields>;
export type ConsumerGroupDescribeResponse = Value<typeof consumerGroupDescribe.response.fields>;
