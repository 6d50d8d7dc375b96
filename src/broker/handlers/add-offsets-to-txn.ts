import { OFFSETS_TOPIC } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

const FENCED_SINCE = 2;

/** The offsets of the group become part of the transaction: their partition is told its end. */
export const addOffsetsToTxn: Handler<'addOffsetsToTxn'> = async (request, call, { transactions }) => {
  const { groupId, ...who } = request;
  if (groupId === '') return { errorCode: E.INVALID_GROUP_ID };
  const error = await new Promise<number>((resolve) => {
    transactions.add(who, [{ topic: OFFSETS_TOPIC, partition: 0 }], 0, resolve);
  });
  const fenced = error === E.PRODUCER_FENCED && call.version < FENCED_SINCE;
  return { errorCode: fenced ? E.INVALID_PRODUCER_EPOCH : error };
};
