import { statfs } from 'node:fs/promises';
import type { TopicInfo } from '../../ports/topic-log.ts';
import type { BrokerContext, Handler } from '../context.ts';

/** There is one log directory; without one (in memory) its volume has no size. */
export const describeLogDirs: Handler<'describeLogDirs'> = async (request, _call, { storage }) => {
  const wanted = request.topics && new Map(request.topics.map(({ topic, partitions }) => [topic, new Set(partitions)]));
  const topics = storage
    .listTopics()
    .filter(({ name }) => wanted === null || wanted.has(name))
    .map((topic) => ({ name: topic.name, partitions: partitionsOf(storage, topic, wanted?.get(topic.name)) }));
  const volume = storage.directory === undefined ? undefined : await statfs(storage.directory).catch(() => undefined);
  return {
    results: [
      {
        logDir: storage.directory ?? 'memory',
        topics,
        totalBytes: volume === undefined ? -1 : volume.blocks * volume.bsize,
        usableBytes: volume === undefined ? -1 : volume.bavail * volume.bsize,
      },
    ],
  };
};

function partitionsOf(storage: BrokerContext['storage'], topic: TopicInfo, only: ReadonlySet<number> | undefined) {
  return Array.from({ length: topic.partitions }, (_, partitionIndex) => partitionIndex)
    .filter((partition) => only === undefined || only.has(partition))
    .flatMap((partitionIndex) => {
      const log = storage.partition(topic.name, partitionIndex);
      if (log === undefined) return [];
      const { sizeBytes, logEnd, highWatermark } = log;
      return [{ partitionIndex, partitionSize: sizeBytes, offsetLag: logEnd - highWatermark }];
    });
}
