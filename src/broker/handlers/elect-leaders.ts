import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';

/** One broker leads every partition already. Asked for all partitions, Kafka leaves out those that need no election: here all. */
export const electLeaders: Handler<'electLeaders'> = ({ topicPartitions }, _call, { storage }) => ({
  replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map((partitionId) =>
      storage.partition(topic, partitionId) === undefined
        ? { partitionId, errorCode: E.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: 'there is no such partition' }
        : { partitionId, errorCode: E.ELECTION_NOT_NEEDED, errorMessage: 'the preferred replica leads already' },
    ),
  })),
});
