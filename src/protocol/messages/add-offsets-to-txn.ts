import { api, int16, int32, int64, string, type Value } from '../schema.ts';

export const addOffsetsToTxn = api({
  key: 25,
  name: 'AddOffsetsToTxn',
  versions: '0-4',
  flexible: '3+',
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    groupId: string(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
  },
});

export type AddOffsetsToTxnRequest = Value<typeof addOffsetsToTxn.request.fields>;
export type AddOffsetsToTxnResponse = Value<typeof addOffsetsToTxn.response.fields>;
