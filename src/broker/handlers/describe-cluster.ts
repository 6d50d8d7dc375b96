import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { CLUSTER_OPERATIONS, UNKNOWN_OPERATIONS } from '../authorized-operations.ts';
import { type Handler, NODE_ID } from '../context.ts';

const BROKERS = 1;

export const describeCluster: Handler<'describeCluster'> = (request, { advertised: { host, port } }, { storage }) => {
  const { endpointType } = request;
  if (endpointType !== BROKERS) {
    const errorMessage = `this endpoint has brokers, not endpoints of type ${endpointType}`;
    return { errorCode: E.MISMATCHED_ENDPOINT_TYPE, errorMessage, endpointType, clusterId: '', brokers: [] };
  }
  return {
    clusterId: storage.clusterId,
    controllerId: NODE_ID,
    brokers: [{ brokerId: NODE_ID, host, port, rack: null }],
    clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : UNKNOWN_OPERATIONS,
  };
};
