import { api, array, bool, int16, int32, int64, string, type Value } from '../schema.ts';

export const describeLogDirs = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: '1-5',
  flexible: '2+',
  request: {
    topics: array({ topic: string(), partitions: array(int32()) }, '0+', { nullable: '0+' }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16('3+'),
    results: array({
      errorCode: int16(),
      logDir: string(),
      topics: array({
        name: string(),
        partitions: array({
          partitionIndex: int32(),
          partitionSize: int64(),
          offsetLag: int64(),
          isFutureKey: bool(),
        }),
      }),
      totalBytes: int64('4+', { default: -1 }),
      usableBytes: int64('4+', { default: -1 }),
      isCordoned: bool('5+'),
    }),
  },
});

export type DescribeLogDirsRequest = Value<typeof describeLogDirs.request.fields>;
export type DescribeLogDirsResponse = Value<typeof describeLogDirs.response.fields>;
