import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

const FENCED_SINCE = 2;
/** The producer goes on with the epoch that the answer brings (KIP-890). */
const RAISES_EPOCH_SINCE = 5;

export const endTxn: Handler<'endTxn'> = (request, call, { transactions }) =>
  new Promise((resolve) => {
    const raisesEpoch = call.version >= RAISES_EPOCH_SINCE;
    transactions.end({ ...request, raisesEpoch }, (error, producerId, producerEpoch) => {
      const fenced = error === E.PRODUCER_FENCED && call.version < FENCED_SINCE;
      resolve({ errorCode: fenced ? E.INVALID_PRODUCER_EPOCH : error, producerId, producerEpoch });
    });
  });
