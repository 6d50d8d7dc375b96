import type { Handler } from '../context.ts';

/** Ends transactions in single partitions, whatever their coordinator knows: how an administrator aborts a hanging one (KIP-664). */
export const writeTxnMarkers: Handler<'writeTxnMarkers'> = async (request, _call, { markers }) => ({
  markers: await Promise.all(
    request.markers.map(async ({ producerId, producerEpoch, transactionResult, topics, coordinatorEpoch }) => ({
      producerId,
      topics: await Promise.all(
        topics.map(async ({ name: topic, partitionIndexes }) => ({
          name: topic,
          partitions: await Promise.all(
            partitionIndexes.map(async (partition) => {
              const outcome = { producerId, producerEpoch, committed: transactionResult };
              const errorCode = await markers.end(outcome, { topic, partition }, coordinatorEpoch);
              return { partitionIndex: partition, errorCode };
            }),
          ),
        })),
      ),
    })),
  ),
});
