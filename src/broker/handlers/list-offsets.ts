import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import type { PartitionLog } from '../../storage/partition-log.ts';
import type { Handler } from '../context.ts';
import { kafkaError } from '../kafka-error.ts';
import { checkLeaderEpoch } from '../topics.ts';

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

const READ_COMMITTED = 1;
const NOT_FOUND: Found = { offset: -1, timestamp: -1, leaderEpoch: -1 };

/** The timestamps below zero that are questions of their own, and the version that brought them. */
const SPECIAL: Readonly<
  Record<number, { since: number; find: (log: PartitionLog, end: number) => Found | Promise<Found> }>
> = {
  [-1]: { since: 1, find: (log, end) => ({ ...NOT_FOUND, offset: end, leaderEpoch: log.leaderEpoch }) },
  [-2]: { since: 1, find: earliest },
  [-3]: { since: 7, find: async (log, end) => timed(await log.maxTimestamp(), end) },
  // Without tiered storage everything is local, and nothing is tiered or waits to be.
  [-4]: { since: 8, find: earliest },
  [-5]: { since: 9, find: () => NOT_FOUND },
  [-6]: { since: 11, find: () => NOT_FOUND },
};

export const listOffsets: Handler<'listOffsets'> = async (request, call, broker) => {
  const topics = await Promise.all(
    request.topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(async ({ partitionIndex, currentLeaderEpoch, timestamp }) => {
          const log = broker.storage.partition(name, partitionIndex);
          const errorCode =
            log === undefined ? E.UNKNOWN_TOPIC_OR_PARTITION : checkLeaderEpoch(log, currentLeaderEpoch);
          if (log === undefined || errorCode !== E.NONE) return { partitionIndex, errorCode, ...NOT_FOUND };
          const special = SPECIAL[timestamp];
          if (timestamp < 0 && (special === undefined || special.since > call.version)) {
            return { partitionIndex, errorCode: E.UNSUPPORTED_VERSION, ...NOT_FOUND };
          }
          try {
            const end = request.isolationLevel === READ_COMMITTED ? log.lastStableOffset : log.highWatermark;
            const found = await (special?.find(log, end) ?? timed(await log.offsetForTimestamp(timestamp), end));
            return { partitionIndex, errorCode: E.NONE, ...found };
          } catch (thrown) {
            return { partitionIndex, errorCode: kafkaError(thrown).errorCode, ...NOT_FOUND };
          }
        }),
      ),
    })),
  );
  return { topics };
};

function earliest(log: PartitionLog): Found {
  return { ...NOT_FOUND, offset: log.logStart, leaderEpoch: log.epochOf(log.logStart) };
}

/** A record that the reader may not see yet is not found. */
function timed(found: { offset: number; timestampMs: number; leaderEpoch: number } | undefined, end: number): Found {
  if (found === undefined || found.offset >= end) return NOT_FOUND;
  return { offset: found.offset, timestamp: found.timestampMs, leaderEpoch: found.leaderEpoch };
}
