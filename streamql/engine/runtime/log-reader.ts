import type { PartitionBounds, TopicLog } from '../../../src/ports/topic-log.ts';

/** What is readable of a topic at some moment. */
export interface TopicState {
  /** Stable; a re-created topic gets another. */
  readonly id: string;
  /** By partition number. */
  readonly partitions: readonly PartitionBounds[];
}

/**
 * The reading half of TopicLog as the engine needs it, all asynchronous, so that the log may live in another thread. A watch
 * carries the state itself: news of records and where they end arrive in one message.
 */
export interface LogReader {
  /** The state now, not before the call; undefined when there is no such topic. */
  describe(topic: string): Promise<TopicState | undefined>;
  /** As TopicLog.read. */
  read(topic: string, partition: number, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** Called soon after the topic changed, several changes as one; returns the end of it. */
  watch(topic: string, listener: (state: TopicState | undefined) => void): () => void;
  close(): void;
}

function topicState(log: TopicLog, topic: string): TopicState | undefined {
  const info = log.describeTopic(topic);
  if (info === undefined) return undefined;
  const partitions = [];
  for (let partition = 0; partition < info.partitions; partition++) partitions.push(log.bounds(topic, partition));
  return { id: info.id, partitions };
}

/** The log in this thread. Changes within one turn of the event loop are told once. */
export function localLogReader(log: TopicLog): LogReader {
  const listeners = new Map<string, Set<(state: TopicState | undefined) => void>>();
  const changed = new Set<string>();
  const tell = (): void => {
    const topics = [...changed];
    changed.clear();
    for (const topic of topics) {
      const watching = listeners.get(topic);
      if (watching === undefined) continue;
      const state = topicState(log, topic);
      for (const listener of [...watching]) listener(state);
    }
  };
  const stop = log.onChange((topic) => {
    if (!listeners.has(topic)) return;
    if (changed.size === 0) setImmediate(tell);
    changed.add(topic);
  });
  return {
    describe: async (topic) => topicState(log, topic),
    read: (topic, partition, offset, maxBytes) => log.read(topic, partition, offset, maxBytes),
    watch(topic, listener) {
      let watching = listeners.get(topic);
      if (watching === undefined) {
        watching = new Set();
        listeners.set(topic, watching);
      }
      watching.add(listener);
      return () => {
        watching.delete(listener);
        if (watching.size === 0 && listeners.get(topic) === watching) listeners.delete(topic);
      };
    },
    close() {
      stop();
      listeners.clear();
    },
  };
}
