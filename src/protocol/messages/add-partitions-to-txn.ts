import { api, array, bool, int16, int32, int64, string, type Value } from '../schema.ts';

const topics = (versions: string) =>
  array(
    {
      name: string(),
      partitions: array(int32()),
    },
    versions,
  );

const results = (versions: string) =>
  array(
    {
      name: string(),
      resultsByPartition: array({
        partitionIndex: int32(),
        partitionErrorCode: int16(),
      }),
    },
    versions,
  );

export const addPartitionsToTxn = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: '0-5',
  flexible: '3+',
  request: {
    // From v4 on the API of brokers, which some clients use all the same.
    transactions: array(
      {
        transactionalId: string('4+'),
        producerId: int64('4+'),
        producerEpoch: int16('4+'),
        // Only asks whether the partitions take part already.
        verifyOnly: bool('4+'),
        topics: topics('4+'),
      },
      '4+',
    ),
    v3AndBelowTransactionalId: string('0-3'),
    v3AndBelowProducerId: int64('0-3'),
    v3AndBelowProducerEpoch: int16('0-3'),
    v3AndBelowTopics: topics('0-3'),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16('4+'),
    resultsByTransaction: array(
      {
        transactionalId: string('4+'),
        topicResults: results('4+'),
      },
      '4+',
    ),
    resultsByTopicV3AndBelow: results('0-3'),
  },
});

export type AddPartitionsToTxnRequest = Value<typeof addPartitionsToTxn.request.fields>;
export type AddPartitionsToTxnResponse = Value<typeof addPartitionsToTxn.response.fields>;
