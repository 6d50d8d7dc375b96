import { ProtocolError } from '../protocol/protocol-error.ts';
import { type BatchHeader, RecordCursor } from '../protocol/records.ts';
import type { Segment } from './segment.ts';

export interface TimedOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

interface Found {
  readonly segment: Segment;
  readonly header: BatchHeader;
  readonly position: number;
}

/** The first record in [logStart, end) with a timestamp of `timestampMs` or later. */
export async function firstAtOrAfter(
  segments: readonly Segment[],
  timestampMs: number,
  logStart: number,
  end: number,
  decrypt: (batch: Buffer) => Buffer,
): Promise<TimedOffset | undefined> {
  for (const segment of [...segments]) {
    const { summary, baseOffset } = segment;
    if (summary.batchCount === 0 || summary.maxTimestampMs < timestampMs || summary.endOffset <= logStart) continue;
    if (baseOffset >= end) return undefined;
    const index = await segment.index();
    let from = index.positionOfTime(timestampMs);
    if (logStart > baseOffset) from = Math.max(from, index.positionOf(logStart - baseOffset));
    for (;;) {
      let found: Found | undefined;
      await segment.scan(from, (header, position) => {
        if (header.lastOffset >= end) return false;
        if (header.maxTimestamp < timestampMs || header.lastOffset < logStart) return true;
        found = { segment, header, position };
        return false;
      });
      if (!found) break;
      const record = await firstRecord(found, timestampMs, logStart, decrypt);
      if (record) return record;
      from = found.position + found.header.sizeBytes;
    }
  }
  return undefined;
}

/** The first record with the largest timestamp in [logStart, end). */
export async function firstOfLargest(
  segments: readonly Segment[],
  logStart: number,
  end: number,
  decrypt: (batch: Buffer) => Buffer,
): Promise<TimedOffset | undefined> {
  let largest = Number.NEGATIVE_INFINITY;
  for (const segment of [...segments]) {
    const { summary, baseOffset } = segment;
    if (summary.batchCount === 0 || summary.endOffset <= logStart || baseOffset >= end) continue;
    if (summary.maxTimestampMs <= largest) continue;
    if (summary.maxTimestampOffset >= logStart && summary.endOffset <= end) {
      largest = summary.maxTimestampMs;
      continue;
    }
    // The summary also counts records that were deleted or are not readable yet.
    await segment.scan((await segment.index()).positionOf(Math.max(0, logStart - baseOffset)), (header) => {
      if (header.lastOffset >= end) return false;
      if (header.lastOffset >= logStart) largest = Math.max(largest, header.maxTimestamp);
      return true;
    });
  }
  return largest === Number.NEGATIVE_INFINITY ? undefined : firstAtOrAfter(segments, largest, logStart, end, decrypt);
}

/** Within one batch. A batch whose records cannot be read counts as a whole: its reader makes the error known. */
async function firstRecord(
  { segment, header, position }: Found,
  timestampMs: number,
  logStart: number,
  decrypt: (batch: Buffer) => Buffer,
): Promise<TimedOffset | undefined> {
  const leaderEpoch = header.partitionLeaderEpoch;
  try {
    const cursor = new RecordCursor(decrypt(await segment.bytes(position, position + header.sizeBytes)));
    while (cursor.next()) {
      if (cursor.timestampMs < timestampMs || cursor.offset < logStart) continue;
      return { offset: cursor.offset, timestampMs: cursor.timestampMs, leaderEpoch };
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { offset: Math.max(header.baseOffset, logStart), timestampMs: header.maxTimestamp, leaderEpoch };
  }
}
