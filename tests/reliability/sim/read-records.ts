import { RecordCursor, readBatchHeader } from '../../../src/protocol/records.ts';
import type { Seen } from '../history.ts';
import { valueIn } from './lab.ts';

export interface Aborted {
  readonly producerId: number;
  readonly firstOffset: number;
}

/**
 * What a consumer gives its user of a Fetch answer: the records from `from` on, without those of aborted transactions when the
 * answer lists them, and where to go on. Written from the protocol's rules (KIP-98), apart from the broker's code.
 */
export function readRecords(
  key: string,
  data: Buffer,
  from: number,
  aborted: readonly Aborted[] | null,
): { records: Seen[]; next: number } {
  const waiting = [...(aborted ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
  const active = new Set<number>();
  const records: Seen[] = [];
  let next = from;
  for (let at = 0; at < data.length; ) {
    const header = readBatchHeader(data, at);
    const batch = data.subarray(at, at + header.sizeBytes);
    at += header.sizeBytes;
    const lastOffset = header.baseOffset + header.lastOffsetDelta;
    next = Math.max(next, lastOffset + 1);
    while (waiting.length > 0 && waiting[0]!.firstOffset <= lastOffset) active.add(waiting.shift()!.producerId);
    if (header.isControl) {
      // A marker ends the producer's transaction, aborted or not.
      active.delete(header.producerId);
      continue;
    }
    if (header.isTransactional && active.has(header.producerId)) continue;
    const cursor = new RecordCursor(batch);
    while (cursor.next()) {
      if (cursor.offset < from) continue;
      records.push({ key, offset: cursor.offset, value: valueIn(cursor.value()!) });
    }
  }
  return { records, next };
}
