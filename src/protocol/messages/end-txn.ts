import { api, bool, int16, int32, int64, string, type Value } from '../schema.ts';

export const endTxn = api({
  key: 26,
  name: 'EndTxn',
  versions: '0-5',
  flexible: '3+',
  request: {
    transactionalId: string(),
    producerId: int64(),
    producerEpoch: int16(),
    committed: bool(),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    // For the next transaction (KIP-890).
    producerId: int64('5+', { default: -1 }),
    producerEpoch: int16('5+', { default: -1 }),
  },
});

export type EndTxnRequest = Value<typeof endTxn.request.fields>;
export type EndTxnResponse = Value<typeof endTxn.response.fields>;
