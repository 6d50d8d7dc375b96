import { api, array, int16, int32, int64, string, type Value } from '../schema.ts';

export const listTransactions = api({
  key: 66,
  name: 'ListTransactions',
  versions: '0-2',
  flexible: '0+',
  request: {
    // Empty: all.
    stateFilters: array(string()),
    producerIdFilters: array(int64()),
    // Only those that run longer than so many milliseconds; −1 all (KIP-994).
    durationFilter: int64('1+', { default: -1 }),
    // A regular expression that the whole id must match; null or empty: all (KIP-1152).
    transactionalIdPattern: string('2+', { nullable: '2+', default: null }),
  },
  response: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    unknownStateFilters: array(string()),
    transactionStates: array({
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
});

export type ListTransactionsRequest = Value<typeof listTransactions.request.fields>;
export type ListTransactionsResponse = Value<typeof listTransactions.response.fields>;
