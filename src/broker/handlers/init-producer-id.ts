import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';

/**
 * A fresh id with epoch 0 for an idempotent producer. As in Kafka the id and epoch that such a producer may bring (v3+) change
 * nothing: it raises its epoch by itself, and a new id begins its sequences anew (KIP-360).
 *
 * A transactional id is answered with UNSUPPORTED_VERSION: of the errors that clients treat as final it is the one that says that
 * this broker has no transactions, while an authorization error would send people to look for an ACL. For the same reason
 * AddPartitionsToTxn, AddOffsetsToTxn, EndTxn and TxnOffsetCommit are not advertised.
 */
export const initProducerId: Handler<'initProducerId'> = async (request, _call, { producerIds, log }) => {
  const none = { producerId: -1, producerEpoch: -1 };
  if (request.transactionalId !== null) {
    return { errorCode: request.transactionalId === '' ? E.INVALID_REQUEST : E.UNSUPPORTED_VERSION, ...none };
  }
  try {
    return { producerId: await producerIds.next(), producerEpoch: 0 };
  } catch (thrown) {
    const { errorCode, errorMessage } = kafkaError(thrown);
    log.error('producer_id.failed', { reason: errorMessage });
    return { errorCode: errorCode === E.UNKNOWN_SERVER_ERROR ? errorCode : E.COORDINATOR_NOT_AVAILABLE, ...none };
  }
};
