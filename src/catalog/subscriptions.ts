import { createDecoder } from '../formats/formats.ts';
import { assert } from '../lib/assert.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import type { ViewChange } from '../ports/engine.ts';
import { RecordCursor } from '../protocol/records.ts';
import type { SqlContext } from './context.ts';
import type { CatalogObject } from './objects.ts';

/**
 * CREATE SUBSCRIPTION keeps the changes of a view in a topic of its own, written by a sink (sinks/topic): a record per row and checkpoint, with the
 * epoch and how many copies came or went in headers. Whoever reads it holds a place in the log, so nothing is kept per reader and a
 * reader that comes back goes on exactly where it was, over restarts of either side, for as long as retention keeps the records.
 */
export const isSubscription = (object: CatalogObject | undefined): object is CatalogObject & { topic: string } =>
  object?.sinkKind === 'subscription';

/** Where a reader begins: at the oldest change that is kept, after an epoch, or where a change's `cursor` says. */
export interface SubscriptionStart {
  readonly afterEpoch?: number;
  readonly cursor?: string;
}

const CHUNK_BYTES = 1 << 20;
/** Rows of one change at most; an epoch with more comes as several, each with a cursor. */
const MOST_ROWS = 10_000;

interface Entry {
  readonly epoch: number;
  readonly diff: number;
  readonly next: number;
}

/** Calls `onChange` one change after the other, waiting for each, until `close`. */
export async function followSubscription(
  { log }: Pick<SqlContext, 'log'>,
  object: CatalogObject & { topic: string },
  start: SubscriptionStart,
  onChange: (change: ViewChange) => void | Promise<void>,
): Promise<{ close: () => void }> {
  const { topic, columns, name } = object;
  const { logStart, highWatermark: end } = log.bounds(topic, 0);
  const gone = (): StreamError =>
    new StreamError('NOT_FOUND', `the changes of "${name}" from there on are no longer kept`, {
      hint: 'read the view anew and go on from the present epoch; a longer retention keeps more',
    });
  let offset = logStart;
  if (start.cursor !== undefined) {
    offset = Number(start.cursor);
    if (!Number.isSafeInteger(offset) || offset < 0 || !/^\d+$/.test(start.cursor))
      throw new StreamError('REQUEST_INVALID', `"${start.cursor}" is no cursor of a subscription`);
    if (offset < logStart) throw gone();
    if (offset > end)
      throw new StreamError('REQUEST_INVALID', `the cursor ${start.cursor} is behind the last change of "${name}"`, {
        hint: 'give the id of an event that this subscription sent',
      });
  }
  const { afterEpoch } = start;
  // What came right after that epoch may be gone with the epoch itself.
  let mustSee = afterEpoch !== undefined && logStart > 0;
  if (mustSee && logStart >= end) throw gone();
  let open = true;
  let wake: () => void = () => undefined;
  const stop = log.onChange((changed) => {
    if (changed === topic) wake();
  });

  const step = async (): Promise<boolean> => {
    const { highWatermark } = log.bounds(topic, 0);
    if (offset >= highWatermark) return false;
    const bytes = Buffer.from(await log.read(topic, 0, offset, CHUNK_BYTES));
    const cursor = new RecordCursor(bytes);
    const decoder = createDecoder('json', { columns, wanted: columns.map((_, i) => i), key: [], options: {} });
    let entries: Entry[] = [];
    const flush = async (): Promise<void> => {
      if (entries.length === 0 || !open) return;
      const last = entries[entries.length - 1];
      const weights = Int32Array.from(entries, ({ diff }) => diff);
      const batch = { length: entries.length, columns: decoder.finish(), weights };
      entries = [];
      await onChange({ epoch: last.epoch, snapshot: false, batch, cursor: String(last.next) });
    };
    while (open && cursor.next()) {
      if (cursor.offset < offset) continue;
      const headers = new Map(cursor.headers().map(([header, value]) => [header, Number(value?.toString('latin1'))]));
      const epoch = headers.get('epoch') ?? 0;
      if (mustSee && epoch > (afterEpoch ?? 0)) throw gone();
      mustSee = false;
      if (afterEpoch !== undefined && epoch <= afterEpoch) continue;
      if (entries.length > 0 && (entries[0].epoch !== epoch || entries.length >= MOST_ROWS)) await flush();
      assert(
        decoder.decode(bytes, cursor.valueStart, cursor.valueEnd),
        `a change of ${name} cannot be read: ${decoder.error}`,
      );
      entries.push({ epoch, diff: headers.get('diff') ?? 1, next: cursor.offset + 1 });
    }
    await flush();
    if (cursor.endOffset <= offset) return false;
    offset = Math.max(offset, cursor.endOffset);
    return true;
  };

  const run = async (): Promise<void> => {
    while (open) {
      const news = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!(await step())) await news;
    }
  };
  void run().catch((thrown: unknown) => {
    if (!open) return;
    const { code, detail } = asStreamError(thrown).toJSON();
    void onChange({
      epoch: 0,
      snapshot: false,
      batch: { length: 0, columns: [], weights: null },
      error: { code, detail },
    });
  });
  return {
    close() {
      open = false;
      stop();
      wake();
    },
  };
}
