import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { type Handler, NODE_ID } from '../context.ts';

/** There is one broker to place a replica on: its own number is no change, everything else is refused. */
export const alterPartitionReassignments: Handler<'alterPartitionReassignments'> = (request, _call, { storage }) => ({
  allowReplicationFactorChange: request.allowReplicationFactorChange,
  errorMessage: null,
  responses: request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex, replicas }) => {
      const answer = (errorCode: number, errorMessage: string | null) => ({ partitionIndex, errorCode, errorMessage });
      if (storage.partition(name, partitionIndex) === undefined) {
        return answer(E.UNKNOWN_TOPIC_OR_PARTITION, 'there is no such partition');
      }
      if (replicas === null) return answer(E.NO_REASSIGNMENT_IN_PROGRESS, 'nothing is being reassigned');
      if (replicas.length === 1 && replicas[0] === NODE_ID) return answer(E.NONE, null);
      return answer(E.INVALID_REPLICA_ASSIGNMENT, `the only broker is ${NODE_ID}`);
    }),
  })),
});
