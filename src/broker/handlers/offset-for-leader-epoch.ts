import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { Handler } from '../context.ts';
import { checkLeaderEpoch } from '../topics.ts';

/** Where a leader epoch ended: consumers find out whether what they read was cut off since (KIP-320). */
export const offsetForLeaderEpoch: Handler<'offsetForLeaderEpoch'> = (request, _call, broker) => ({
  topics: request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
      const log = broker.storage.partition(topic, partition);
      if (log === undefined) return { partition, errorCode: E.UNKNOWN_TOPIC_OR_PARTITION };
      const errorCode = checkLeaderEpoch(log, currentLeaderEpoch);
      if (errorCode !== E.NONE) return { partition, errorCode };
      const end = log.offsetForEpoch(leaderEpoch);
      return { partition, errorCode, leaderEpoch: end?.epoch ?? -1, endOffset: end?.endOffset ?? -1 };
    }),
  })),
});
