import { SINK_TRANSACTIONS } from '../../ports/sink-log.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';

/** Until this version clients know a producer with an old epoch by INVALID_PRODUCER_EPOCH only. */
const FENCED_SINCE = 4;

/**
 * For a transactional id the next epoch of its producer id, which fences the producer before. Without one a fresh id with epoch 0: as in Kafka
 * the id and epoch that an idempotent producer may bring (v3+) change nothing, it raises its epoch by itself, and a new id
 * begins its sequences anew (KIP-360). Ids of sinks are closed: fencing one would abort what a checkpoint counts on.
 */
export const initProducerId: Handler<'initProducerId'> = async (request, call, { producerIds, transactions, log }) => {
  const { transactionalId, transactionTimeoutMs: timeoutMs, producerId, producerEpoch } = request;
  if (transactionalId?.startsWith(SINK_TRANSACTIONS)) {
    return { errorCode: E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, producerId: -1, producerEpoch: -1 };
  }
  if (transactionalId !== null) {
    return new Promise((resolve) => {
      transactions.init({ transactionalId, timeoutMs, producerId, producerEpoch }, (error, id, epoch) => {
        const fenced = error === E.PRODUCER_FENCED && call.version < FENCED_SINCE;
        resolve({ errorCode: fenced ? E.INVALID_PRODUCER_EPOCH : error, producerId: id, producerEpoch: epoch });
      });
    });
  }
  try {
    return { producerId: await producerIds.next(), producerEpoch: 0 };
  } catch (thrown) {
    const { errorCode, errorMessage } = kafkaError(thrown);
    log.error('producer_id.failed', { reason: errorMessage });
    const none = { producerId: -1, producerEpoch: -1 };
    return { errorCode: errorCode === E.UNKNOWN_SERVER_ERROR ? errorCode : E.COORDINATOR_NOT_AVAILABLE, ...none };
  }
};
