import type { StreamError } from '../../../src/lib/errors.ts';
import type { SourceSpec, Unreadable } from '../../../src/ports/engine.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { DeadLetter } from './dead-letters.ts';
import { type CursorParts, SourceCursor } from './source-cursor.ts';
import { logDecoder } from './source-node.ts';

/**
 * The source's rows, or of a table the versions of its rows, that are in the log now, decoded, in chunks: the next comes when the last was taken, and none after an answer of false.
 * With `upTo` those before these offsets, by partition.
 * Late rows are left out as the source's policy says, so this is what a view over the source would see.
 */
export async function readSource(
  spec: SourceSpec,
  columns: readonly number[],
  parts: CursorParts,
  onBatch: (batch: Batch) => Promise<boolean>,
  upTo?: readonly number[],
): Promise<Unreadable | null> {
  const state = await parts.log.describe(spec.topic);
  if (state === undefined) return null;
  let batches: Batch[] = [];
  let news: () => void = () => undefined;
  let failure: StreamError | null = null;
  let unreadable = null as Unreadable | null;
  const output = {
    onBatch: (batch: Batch) => {
      batches.push(batch);
    },
    onMalformed: ({ partition, offset, reason }: DeadLetter) => {
      unreadable = {
        records: (unreadable?.records ?? 0) + 1,
        first: unreadable?.first ?? { partition, offset, reason },
      };
    },
    onLate: () => undefined,
  };
  const cursor = new SourceCursor(
    spec,
    logDecoder(spec, columns, parts.settings.batchRecords, output),
    output,
    {
      ...parts,
      onReady: () => news(),
      onError: (error) => {
        failure = error;
        news();
      },
    },
    null,
  );
  try {
    cursor.update(state);
    const limit = (partition: number): number =>
      upTo === undefined ? state.partitions[partition].highWatermark : (upTo[partition] ?? 0);
    const unread = (): boolean =>
      state.partitions.some((_, partition) => (cursor.position(partition) ?? 0) < limit(partition));
    for (;;) {
      if (failure !== null) throw failure;
      if (!unread()) break;
      if (!cursor.readyBelow(limit)) {
        await new Promise<void>((resolve) => {
          news = resolve;
        });
        continue;
      }
      cursor.step(parts.settings.batchRecords, limit);
      const ready = batches;
      batches = [];
      for (const batch of ready) if (!(await onBatch(batch))) return unreadable;
    }
    return unreadable;
  } finally {
    cursor.close();
  }
}
