import { StreamError } from '../../../src/lib/errors.ts';
import type { SinkLog } from '../../../src/ports/sink-log.ts';
import type { LogReader } from '../runtime/log-reader.ts';
import { type Rpc, type RpcHandlers, Transferred } from './rpc.ts';

/** Answers a worker's RemoteLog: bytes are read here and moved over, nothing else is done with them. */
export function serveLog(log: LogReader, rpc: () => Rpc): RpcHandlers {
  const watches = new Map<number, () => void>();
  return {
    describe: (topic: string) => log.describe(topic),
    read: async (topic: string, partition: number, offset: number, maxBytes: number) => {
      // A copy: the log may keep what it gave out, and what is transferred is gone on this side.
      const bytes = new Uint8Array(await log.read(topic, partition, offset, maxBytes));
      return new Transferred(bytes, [bytes.buffer]);
    },
    watch: (watch: number, topic: string) => {
      watches.set(
        watch,
        log.watch(topic, (state) => rpc().note('topic', [watch, state])),
      );
    },
    unwatch: (watch: number) => {
      watches.get(watch)?.();
      watches.delete(watch);
    },
  };
}

/** Answers a worker's remoteSinkLog. */
export function serveSinkLog(sinkLog: (() => SinkLog) | undefined): RpcHandlers {
  const log = (): SinkLog => {
    if (sinkLog === undefined)
      throw new StreamError('SQL_UNSUPPORTED', 'this server has no log that sinks can write to');
    return sinkLog();
  };
  return {
    sinkTopic: (...args: Parameters<SinkLog['ensureTopic']>) => log().ensureTopic(...args),
    sinkBegin: (...args: Parameters<SinkLog['begin']>) => log().begin(...args),
    sinkAppend: (...args: Parameters<SinkLog['append']>) => log().append(...args),
    sinkCommit: (...args: Parameters<SinkLog['commit']>) => log().commit(...args),
    sinkAbort: (...args: Parameters<SinkLog['abort']>) => log().abort(...args),
  };
}
