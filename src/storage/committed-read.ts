import { BATCH_HEADER_BYTES, batchSizeAt, emptyBatch, readBatchHeader } from '../protocol/records.ts';
import type { PartitionLog } from './partition-log.ts';
import type { AbortedTransaction } from './transaction-index.ts';

/**
 * As PartitionLog.read, but of committed records only: below the last stable offset, and with the batches of aborted transactions emptied
 * of their records (their offsets stay, so that a reader knows where it is).
 */
export async function readCommitted(log: PartitionLog, offset: number, maxBytes: number): Promise<Buffer> {
  const data = await log.read(offset, maxBytes, { maxOffset: log.lastStableOffset });
  const aborted = abortedIn(log, offset, data);
  return aborted.length === 0 ? data : withoutAborted(data, aborted);
}

/** The aborted transactions with records in what was just read from `offset` on. REQUEST_INVALID when that is gone by now, and so is the answer. */
export function abortedIn(log: PartitionLog, offset: number, data: Buffer): readonly AbortedTransaction[] {
  if (data.length === 0) return NONE;
  log.checkRange(offset);
  if (!log.hasAborted) return NONE;
  let last = 0;
  for (let at = 0; at + BATCH_HEADER_BYTES <= data.length; at += batchSizeAt(data, at)) last = at;
  return log.abortedTransactions(offset, readBatchHeader(data, last).lastOffset + 1);
}

function withoutAborted(data: Buffer, aborted: readonly AbortedTransaction[]): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = 0; at < data.length; ) {
    const header = readBatchHeader(data, at);
    const end = at + header.sizeBytes;
    if (header.isTransactional && !header.isControl && isAborted(header.producerId, header.baseOffset, aborted)) {
      parts.push(data.subarray(from, at), emptyBatch(data, at));
      from = end;
    }
    at = end;
  }
  parts.push(data.subarray(from));
  return Buffer.concat(parts);
}

function isAborted(producerId: number, offset: number, aborted: readonly AbortedTransaction[]): boolean {
  return aborted.some((one) => one.producerId === producerId && one.firstOffset <= offset && offset < one.lastOffset);
}

const NONE: readonly AbortedTransaction[] = [];
