import { api, int16, int32, int64, string, type Value } from '../schema.ts';

export const initProducerId = api({
  key: 22,
  name: 'InitProducerId',
  versions: '0-5',
  flexible: '2+',
  request: {
    transactionalId: string('0+', { nullable: '0+' }),
    transactionTimeoutMs: int32(),
    producerId: int64('3+', { default: -1 }),
    producerEpoch: int16('3+', { default: -1 }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    producerId: int64('0+', { default: -1 }),
    producerEpoch: int16(),
  },
});

export type InitProducerIdRequest = Value<typeof initProducerId.request.fields>;
export type InitProducerIdResponse = Value<typeof initProducerId.response.fields>;
