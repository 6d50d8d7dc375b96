import { StreamError } from '../../../src/lib/errors.ts';
import type { EngineObject, StreamEngine, Subscription, ViewChange } from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { decodeBatch, encodeBatch, transferables } from '../../../src/values/batch-codec.ts';
import { ColumnBuilder, datumAt } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { type Rpc, type RpcHandlers, Transferred } from './rpc.ts';

/** Changes of one subscription that the host has not acknowledged: at either bound it is disconnected. */
const MOST_CHANGES_AHEAD = 1000;
const MOST_ROWS_AHEAD = 2_000_000;

interface Feed {
  subscription: Subscription | null;
  changes: number;
  rows: number;
}

/** Up to so many rows cross as datums: each array of numbers would cost a buffer of its own. */
const FEW_ROWS = 32;

/** The few rows of a lookup, as plain values. */
interface FewRows {
  readonly length: number;
  readonly types: readonly SqlType[];
  readonly few: readonly (readonly Datum[])[];
}

function fewRows({ length, columns }: Batch): FewRows {
  const few = columns.map((column) => Array.from({ length }, (_, row) => ownBytes(datumAt(column, row))));
  return { length, types: columns.map(({ type }) => type), few };
}

/** A view of bytes would take its whole buffer along. */
const ownBytes = (datum: Datum): Datum => (datum instanceof Uint8Array ? new Uint8Array(datum) : datum);

function fromFewRows({ length, types, few }: FewRows): Batch {
  const columns = few.map((datums, c) => {
    const builder = new ColumnBuilder(types[c], length);
    for (const datum of datums) builder.push(datum);
    return builder.finish();
  });
  return { length, columns, weights: null };
}

export const packed = (batches: readonly Batch[]): { plain: unknown[]; buffers: ArrayBuffer[] } => {
  const plain = batches.map(encodeBatch);
  return { plain, buffers: plain.flatMap(transferables) };
};

/** The worker's half of RemoteEngine: StreamEngine's methods as RPC handlers. `readCame` is told of each read. */
export function serveEngine(engine: StreamEngine, rpc: Rpc, readCame: () => void = () => undefined): RpcHandlers {
  const feeds = new Map<number, Feed>();

  const send = (id: number, feed: Feed, change: ViewChange): void => {
    if (!feeds.has(id)) return;
    // A snapshot is as large as the view, and asked for; it does not count.
    const rows = change.snapshot ? 0 : change.batch.length;
    if (feed.changes >= MOST_CHANGES_AHEAD || feed.rows + rows > MOST_ROWS_AHEAD) {
      feeds.delete(id);
      feed.subscription?.close();
      const { code, detail } = new StreamError('OVERLOADED', 'the subscriber takes changes too slowly').toJSON();
      const { plain } = packed([{ length: 0, columns: [], weights: null }]);
      rpc.note('changed', [id, { ...change, snapshot: false, batch: plain[0], error: { code, detail } }, 0]);
      return;
    }
    feed.changes++;
    feed.rows += rows;
    const { plain, buffers } = packed([change.batch]);
    rpc.note('changed', [id, { ...change, batch: plain[0] }, rows], buffers);
    if (change.error !== undefined) feeds.delete(id);
  };

  return {
    add: (object: EngineObject) => engine.add(object),
    resume: () => engine.resume(),
    remove: (id: string) => engine.remove(id),
    alter: (id: string, change: Parameters<StreamEngine['alter']>[1]) => engine.alter(id, change),
    caughtUp: (ids: readonly string[], timeoutMs: number) => engine.caughtUp(ids, timeoutMs),
    handOver: (views: Parameters<StreamEngine['handOver']>[0]) => engine.handOver(views),
    flush: () => engine.flush(),
    stats: () => engine.stats(),
    replay: (id: string) => engine.replay(id),
    checkpoint: () => engine.checkpoint(),
    close: () => engine.close(),
    lookup: async (id: string, key: readonly Datum[], limit: number, columns?: readonly number[], waitMs?: number) => {
      readCame();
      const { epoch, batch } = await engine.lookup(id, key, limit, columns, waitMs);
      if (batch.length <= FEW_ROWS && batch.weights === null) return { epoch, batch: fewRows(batch) };
      const { plain, buffers } = packed([batch]);
      return new Transferred({ epoch, batch: plain[0] }, buffers);
    },
    snapshot: async (...args: Parameters<StreamEngine['snapshot']>) => {
      readCame();
      const { batches, ...rest } = await engine.snapshot(...args);
      const { plain, buffers } = packed(batches);
      return new Transferred({ ...rest, batches: plain }, buffers);
    },
    readSource: (read: number, id: string, columns: readonly number[], upTo?: readonly number[]) => {
      const onBatch = (batch: Batch): Promise<boolean> => {
        const { plain, buffers } = packed([batch]);
        return rpc.call<boolean>('rows', [read, plain[0]], buffers);
      };
      return engine.readSource(id, columns, onBatch, upTo);
    },
    subscribe: async (feedId: number, id: string, options: { snapshot: boolean }) => {
      const feed: Feed = { subscription: null, changes: 0, rows: 0 };
      feeds.set(feedId, feed);
      try {
        feed.subscription = await engine.subscribe(id, options, (change) => send(feedId, feed, change));
      } catch (thrown) {
        feeds.delete(feedId);
        throw thrown;
      }
      if (!feeds.has(feedId)) feed.subscription.close();
    },
    unsubscribe: (feedId: number) => {
      feeds.get(feedId)?.subscription?.close();
      feeds.delete(feedId);
    },
    taken: (feedId: number, rows: number) => {
      const feed = feeds.get(feedId);
      if (feed === undefined) return;
      feed.changes--;
      feed.rows -= rows;
    },
  };
}

export const unpacked = (plain: unknown): Batch =>
  'few' in (plain as object) ? fromFewRows(plain as FewRows) : decodeBatch(plain as Parameters<typeof decodeBatch>[0]);
