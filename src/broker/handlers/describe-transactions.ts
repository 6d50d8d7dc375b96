import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

export const describeTransactions: Handler<'describeTransactions'> = (request, _call, { transactions }) => ({
  transactionStates: request.transactionalIds.map((transactionalId) => {
    const transaction = transactions.get(transactionalId);
    if (transaction === undefined || transaction.state.producerId < 0) {
      const errorCode = transactionalId === '' ? E.INVALID_REQUEST : E.TRANSACTIONAL_ID_NOT_FOUND;
      return { errorCode, transactionalId };
    }
    const { status, timeoutMs, startMs, producerId, epoch } = transaction.state;
    return {
      errorCode: E.NONE,
      transactionalId,
      transactionState: status,
      transactionTimeoutMs: timeoutMs,
      transactionStartTimeMs: startMs,
      producerId,
      producerEpoch: epoch,
      topics: [...transaction.partitions].map(([topic, partitions]) => ({ topic, partitions: [...partitions.keys()] })),
    };
  }),
});
