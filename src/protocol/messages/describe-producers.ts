import { api, array, int16, int32, int64, string, type Value } from '../schema.ts';

export const describeProducers = api({
  key: 61,
  name: 'DescribeProducers',
  versions: '0',
  flexible: '0+',
  request: {
    topics: array({
      name: string(),
      partitionIndexes: array(int32()),
    }),
  },
  response: {
    throttleTimeMs: int32(),
    topics: array({
      name: string(),
      partitions: array({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string('0+', { nullable: '0+', default: null }),
        activeProducers: array({
          producerId: int64(),
          producerEpoch: int32(),
          lastSequence: int32('0+', { default: -1 }),
          lastTimestamp: int64('0+', { default: -1 }),
          coordinatorEpoch: int32(),
          // −1 without an open transaction.
          currentTxnStartOffset: int64('0+', { default: -1 }),
        }),
      }),
    }),
  },
});

export type DescribeProducersRequest = Value<typeof describeProducers.request.fields>;
export type DescribeProducersResponse = Value<typeof describeProducers.response.fields>;
