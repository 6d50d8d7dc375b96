import { api, array, int8, int16, int32, string, type Value } from '../schema.ts';

export const electLeaders = api({
  key: 43,
  name: 'ElectLeaders',
  versions: '0-2',
  flexible: '2+',
  request: {
    electionType: int8('1+'),
    topicPartitions: array({ topic: string(), partitions: array(int32()) }, '0+', { nullable: '0+' }),
    timeoutMs: int32('0+', { default: 60000 }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16('1+'),
    replicaElectionResults: array({
      topic: string(),
      partitionResult: array({
        partitionId: int32(),
        errorCode: int16(),
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
});

export type ElectLeadersRequest = Value<typeof electLeaders.request.fields>;
export type ElectLeadersResponse = Value<typeof electLeaders.response.fields>;
