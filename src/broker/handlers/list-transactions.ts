import { type Regex, regexOf } from '../../lib/regex.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { STATUSES } from '../../transaction/transaction.ts';
import type { Handler } from '../context.ts';

const KNOWN: ReadonlySet<string> = new Set(STATUSES);

export const listTransactions: Handler<'listTransactions'> = (request, _call, { transactions, clock }) => {
  const states = new Set(request.stateFilters);
  const producers = new Set(request.producerIdFilters);
  const nowMs = clock.nowMs();
  const pattern = request.transactionalIdPattern || null;
  let regex: Regex | null;
  try {
    regex = pattern === null ? null : regexOf(pattern);
  } catch {
    return { errorCode: E.INVALID_REGULAR_EXPRESSION, unknownStateFilters: [], transactionStates: [] };
  }
  const transactionStates = [];
  for (const { id, state } of transactions.transactions()) {
    const { producerId, status, startMs } = state;
    if (producerId < 0) continue;
    if (regex !== null && !regex.matches(id)) continue;
    if (states.size > 0 && !states.has(status)) continue;
    if (producers.size > 0 && !producers.has(producerId)) continue;
    if (request.durationFilter >= 0 && (startMs < 0 || nowMs - startMs <= request.durationFilter)) continue;
    transactionStates.push({ transactionalId: id, producerId, transactionState: status });
  }
  return { unknownStateFilters: request.stateFilters.filter((state) => !KNOWN.has(state)), transactionStates };
};
