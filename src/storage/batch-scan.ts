import { asStreamError } from '../lib/errors.ts';
import type { DiskFile } from '../ports/disk.ts';
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchCrcMatches,
  batchSizeAt,
  readBatchHeader,
} from '../protocol/records.ts';

const CHUNK_BYTES = 4 << 20;

export interface ScanResult {
  /** Position after the last good batch, and the offset after its last record. */
  readonly position: number;
  readonly endOffset: number;
  /** Why the scan stopped before `to`; undefined when it did not. */
  readonly problem: string | undefined;
}

/**
 * Walks the batches of a segment from `from` (a batch start) to `to` and stops at the first that is torn, fails its
 * CRC (when `verify`) or does not continue the offsets (with `gaps`, steps back), or when `visit` returns false. Reads ahead one chunk while it works
 * on another.
 */
export async function scanBatches(
  file: DiskFile,
  from: number,
  to: number,
  startOffset: number,
  verify: boolean,
  gaps: boolean,
  visit: (header: BatchHeader, position: number) => unknown,
): Promise<ScanResult> {
  let position = from;
  let offset = startOffset;
  const stop = (problem?: string): ScanResult => ({ position, endOffset: offset, problem });
  let chunkBytes = CHUNK_BYTES;
  let next: Promise<Buffer> | undefined;
  while (position < to) {
    const chunk = await (next ?? readChunk(file, position, Math.min(to, position + chunkBytes)));
    const chunkStart = position;
    // Where the next chunk begins is known before this one is checked: after its last whole batch.
    const whole = wholeBatches(chunk);
    if (whole === 0) {
      const left = to - position;
      if (chunk.length < BATCH_HEADER_BYTES) return stop(`a batch header is cut off after ${chunk.length} bytes`);
      const size = batchSizeAt(chunk, 0);
      if (size < BATCH_HEADER_BYTES) return stop(`a batch states the impossible length ${size - 12}`);
      if (size > left || chunk.length < Math.min(to - position, chunkBytes)) {
        return stop(`a batch of ${size} bytes is cut off after ${left}`);
      }
      chunkBytes = size;
      next = undefined;
      continue;
    }
    const nextStart = chunkStart + whole;
    chunkBytes = CHUNK_BYTES;
    const ahead = nextStart < to ? readChunk(file, nextStart, Math.min(to, nextStart + chunkBytes)) : undefined;
    // A failing read is met when it is awaited; this keeps it from being reported as unhandled when we stop before.
    ahead?.catch(() => {});
    for (let at = 0; at < whole; ) {
      const size = batchSizeAt(chunk, at);
      if (chunk[at + 16] !== 2) return stop(`a batch has magic ${chunk[at + 16]} where 2 belongs`);
      let header: BatchHeader;
      try {
        header = readBatchHeader(chunk, at);
      } catch (error) {
        return stop(asStreamError(error).message);
      }
      if (gaps ? header.baseOffset < offset : header.baseOffset !== offset)
        return stop(`a batch has offset ${header.baseOffset} where ${offset} belongs`);
      if (header.lastOffsetDelta < 0) return stop(`a batch has the last offset delta ${header.lastOffsetDelta}`);
      if (verify && !batchCrcMatches(chunk, at, size)) return stop('a batch fails its CRC');
      if (visit(header, position) === false) return stop();
      offset = header.lastOffset + 1;
      position += size;
      at += size;
    }
    next = ahead;
  }
  return stop();
}

/** Length of the whole batches at the start of the chunk, judged by their length fields alone. */
function wholeBatches(chunk: Buffer): number {
  let end = 0;
  while (end + BATCH_HEADER_BYTES <= chunk.length) {
    const size = batchSizeAt(chunk, end);
    if (size < BATCH_HEADER_BYTES || end + size > chunk.length) break;
    end += size;
  }
  return end;
}

async function readChunk(file: DiskFile, from: number, to: number): Promise<Buffer> {
  const into = Buffer.allocUnsafe(to - from);
  const bytes = await file.read(into, from);
  return bytes === into.length ? into : into.subarray(0, bytes);
}
