import { api, array, int16, int32, int64, string, uint16, uuid, type Value } from '../schema.ts';

export const describeQuorum = api({
  key: 55,
  name: 'DescribeQuorum',
  versions: '0-2',
  flexible: '0+',
  request: {
    topics: array({
      topicName: string(),
      partitions: array({
        partitionIndex: int32(),
      }),
    }),
  },
  response: {
    errorCode: int16(),
    errorMessage: string('2+', { nullable: '2+' }),
    topics: array({
      topicName: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string('2+', { nullable: '2+' }),
        leaderId: int32(),
        leaderEpoch: int32(),
        highWatermark: int64(),
        currentVoters: array({
          replicaId: int32(),
          replicaDirectoryId: uuid('2+'),
          logEndOffset: int64(),
          lastFetchTimestamp: int64('1+', { default: -1 }),
          lastCaughtUpTimestamp: int64('1+', { default: -1 }),
        }),
        observers: array({
          replicaId: int32(),
          replicaDirectoryId: uuid('2+'),
          logEndOffset: int64(),
          lastFetchTimestamp: int64('1+', { default: -1 }),
          lastCaughtUpTimestamp: int64('1+', { default: -1 }),
        }),
      }),
    }),
    nodes: array(
      {
        nodeId: int32('2+'),
        listeners: array(
          {
            name: string('2+'),
            host: string('2+'),
            port: uint16('2+'),
          },
          '2+',
        ),
      },
      '2+',
    ),
  },
});

export type DescribeQuorumRequest = Value<typeof describeQuorum.request.fields>;
export type DescribeQuorumResponse = Value<typeof describeQuorum.response.fields>;
