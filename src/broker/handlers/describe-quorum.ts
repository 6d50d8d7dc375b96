import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import { type Handler, NODE_ID } from '../context.ts';

const METADATA_TOPIC = '__cluster_metadata';
/** The metadata are one checked file, replaced as a whole: there is no log of them whose end could be told. */
const NO_LOG = 0;

/** The quorum of this cluster is its one node. */
export const describeQuorum: Handler<'describeQuorum'> = (request, { advertised }, { clock }) => {
  const nowMs = clock.nowMs();
  const self = {
    replicaId: NODE_ID,
    replicaDirectoryId: ZERO_UUID,
    logEndOffset: NO_LOG,
    lastFetchTimestamp: nowMs,
    lastCaughtUpTimestamp: nowMs,
  };
  return {
    errorMessage: null,
    topics: request.topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) => {
        const isQuorum = topicName === METADATA_TOPIC && partitionIndex === 0;
        return {
          partitionIndex,
          errorCode: isQuorum ? E.NONE : E.UNKNOWN_TOPIC_OR_PARTITION,
          errorMessage: isQuorum ? null : `only ${METADATA_TOPIC}-0 has a quorum`,
          leaderId: isQuorum ? NODE_ID : -1,
          leaderEpoch: isQuorum ? 1 : -1,
          highWatermark: isQuorum ? NO_LOG : -1,
          currentVoters: isQuorum ? [self] : [],
          observers: [],
        };
      }),
    })),
    nodes: [{ nodeId: NODE_ID, listeners: [{ name: 'BROKER', ...advertised }] }],
  };
};
