import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { type Handler, NODE_ID } from '../context.ts';
import { NO_ERROR } from '../kafka-error.ts';

const GROUP = 0;
const TRANSACTION = 1;

/** This broker coordinates everything. */
export const findCoordinator: Handler<'findCoordinator'> = (request, call) => {
  const { host, port } = call.advertised;
  const known = request.keyType === GROUP || request.keyType === TRANSACTION;
  const found = known
    ? { ...NO_ERROR, nodeId: NODE_ID, host, port }
    : {
        errorCode: E.INVALID_REQUEST,
        errorMessage: `coordinators of type ${request.keyType} do not exist here`,
        nodeId: -1,
        host: '',
        port: -1,
      };
  if (call.version < 4) return found;
  return { coordinators: request.coordinatorKeys.map((key) => ({ key, ...found })) };
};
