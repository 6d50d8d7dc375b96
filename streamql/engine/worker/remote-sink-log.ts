import type { SinkLog } from '../../../src/ports/sink-log.ts';
import type { Rpc } from './rpc.ts';

/** The host's SinkLog, seen from the worker. */
export const remoteSinkLog = (rpc: Rpc): SinkLog => ({
  ensureTopic: (topic, options) => rpc.call('sinkTopic', [topic, options]),
  begin: (transactionalId) => rpc.call('sinkBegin', [transactionalId]),
  append(transactionalId, grant, topic, partition, batches) {
    // A copy of its own, so that what moves over is these bytes and no pool around them.
    const bytes = new Uint8Array(batches);
    return rpc.call('sinkAppend', [transactionalId, grant, topic, partition, bytes], [bytes.buffer]);
  },
  commit: (transactionalId, grant) => rpc.call('sinkCommit', [transactionalId, grant]),
  abort: (transactionalId) => rpc.call('sinkAbort', [transactionalId]),
});
