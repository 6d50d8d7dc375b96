import { crc32c } from '../protocol/crc32c.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { AbortedTransaction, OpenTransaction } from './transaction-index.ts';

/** A leader epoch and the first offset appended in it (KIP-101). */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

/** What a scan of a segment yields besides its index. */
export interface SegmentSummary {
  /** Offset after the last record. */
  endOffset: number;
  /** File length, header included. */
  sizeBytes: number;
  /** −1 without batches. */
  maxTimestampMs: number;
  /** Base offset of the first batch that holds maxTimestampMs. */
  maxTimestampOffset: number;
  batchCount: number;
  epochs: EpochStart[];
  /** Transactions whose abort marker is in the segment, by marker. */
  aborted: AbortedTransaction[];
  /** Transactions open at the segment's end; set when it is complete. */
  open: OpenTransaction[];
}

/**
 * Sparse index of one segment: for a batch about every `index.interval.bytes`, its offset (relative to the segment's base), its
 * position, and the largest timestamp of all batches before it, which only grows and so can be searched.
 */
export class SegmentIndex {
  #offsets: Uint32Array;
  #positions: Uint32Array;
  #times: Float64Array;
  #count: number;

  constructor(offsets = new Uint32Array(64), positions = new Uint32Array(64), times = new Float64Array(64), count = 0) {
    this.#offsets = offsets;
    this.#positions = positions;
    this.#times = times;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  get byteLength(): number {
    return this.#offsets.length * 16;
  }

  /** Position of the last entry, or −1. */
  get lastPosition(): number {
    return this.#count === 0 ? -1 : this.#positions[this.#count - 1]!;
  }

  add(relativeOffset: number, position: number, maxTimeBefore: number): void {
    if (this.#count === this.#offsets.length) this.#grow();
    this.#offsets[this.#count] = relativeOffset;
    this.#positions[this.#count] = position;
    this.#times[this.#count] = maxTimeBefore;
    this.#count++;
  }

  /** A batch start at or before the batch that holds the offset. */
  positionOf(relativeOffset: number): number {
    if (this.#count === 0) return SEGMENT_HEADER_BYTES;
    return this.#positions[lastNotAbove(this.#offsets, this.#count, relativeOffset)]!;
  }

  /**
   * Bytes from the batch at exactly this offset to another batch start: at most so many, and of records below `maxOffset`. Undefined
   * when the index knows no such range.
   */
  rangeFrom(offset: number, maxBytes: number, maxOffset: number): { from: number; to: number } | undefined {
    const first = lastNotAbove(this.#offsets, this.#count, offset);
    if (this.#count === 0 || this.#offsets[first] !== offset) return undefined;
    const from = this.#positions[first]!;
    const last = Math.min(
      lastNotAbove(this.#positions, this.#count, from + maxBytes),
      lastNotAbove(this.#offsets, this.#count, maxOffset),
    );
    return last > first ? { from, to: this.#positions[last]! } : undefined;
  }

  /** A batch start before which every timestamp is below `timeMs`. */
  positionOfTime(timeMs: number): number {
    if (this.#count === 0) return SEGMENT_HEADER_BYTES;
    let low = 0;
    for (let high = this.#count - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (this.#times[middle]! < timeMs) low = middle;
      else high = middle - 1;
    }
    return this.#positions[low]!;
  }

  toBytes(): Buffer {
    return Buffer.concat(
      [this.#offsets, this.#positions, this.#times].map((column) => {
        const used = column.subarray(0, this.#count);
        return Buffer.from(used.buffer, used.byteOffset, used.byteLength);
      }),
    );
  }

  static fromBytes(bytes: Buffer, count: number): SegmentIndex {
    const own = new Uint8Array(bytes).buffer;
    return new SegmentIndex(
      new Uint32Array(own, 0, count),
      new Uint32Array(own, 4 * count, count),
      new Float64Array(own, 8 * count, count),
      count,
    );
  }

  #grow(): void {
    const grown = Math.max(64, this.#offsets.length * 2);
    const [offsets, positions, times] = [new Uint32Array(grown), new Uint32Array(grown), new Float64Array(grown)];
    offsets.set(this.#offsets);
    positions.set(this.#positions);
    times.set(this.#times);
    this.#offsets = offsets;
    this.#positions = positions;
    this.#times = times;
  }
}

function lastNotAbove(sorted: Uint32Array, count: number, wanted: number): number {
  let low = 0;
  for (let high = count - 1; low < high; ) {
    const middle = (low + high + 1) >> 1;
    if (sorted[middle]! <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The sidecar `<base>.idx` written at seal (little-endian, as the arrays lie in memory): magic `STRX`, version, the segment's link, counts of
 * entries, epochs and batches, then as doubles size, end offset, max timestamp and its offset, CRC of the entries, CRC of
 * the head, counts of aborted and open transactions; the epochs; these transactions, four and two doubles each; the entries. Everything in it follows from the segment.
 */
const MAGIC = 0x58525453;
const VERSION = 2;
const HEAD_BYTES = 72;
const ABORTED_BYTES = 32;
const OPEN_BYTES = 16;

export function encodeSidecar(link: number, summary: SegmentSummary, index: SegmentIndex): Buffer {
  const entries = index.toBytes();
  const { aborted, open } = summary;
  const transactionsAt = HEAD_BYTES + summary.epochs.length * 12;
  const head = Buffer.alloc(transactionsAt + aborted.length * ABORTED_BYTES + open.length * OPEN_BYTES);
  [MAGIC, VERSION, link, index.count, summary.epochs.length, summary.batchCount].forEach((value, at) => {
    head.writeUInt32LE(value, at * 4);
  });
  [summary.sizeBytes, summary.endOffset, summary.maxTimestampMs, summary.maxTimestampOffset].forEach((value, at) => {
    head.writeDoubleLE(value, 24 + at * 8);
  });
  summary.epochs.forEach(({ epoch, startOffset }, at) => {
    head.writeInt32LE(epoch, HEAD_BYTES + at * 12);
    head.writeDoubleLE(startOffset, HEAD_BYTES + at * 12 + 4);
  });
  head.writeUInt32LE(aborted.length, 64);
  head.writeUInt32LE(open.length, 68);
  const numbers = [
    ...aborted.flatMap((one) => [one.producerId, one.firstOffset, one.lastOffset, one.lastStableOffset]),
    ...open.flatMap((one) => [one.producerId, one.firstOffset]),
  ];
  numbers.forEach((value, at) => {
    head.writeDoubleLE(value, transactionsAt + at * 8);
  });
  head.writeUInt32LE(crc32c(entries), 56);
  head.writeUInt32LE(crc32c(head), 60);
  return Buffer.concat([head, entries]);
}

/** Undefined when the bytes are not the whole, undamaged sidecar of the segment with this link and length. */
export function decodeSidecar(
  bytes: Buffer,
  link: number,
  sizeBytes: number,
): { summary: SegmentSummary; index: SegmentIndex } | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== VERSION)
    return undefined;
  const [entryCount, epochCount] = [bytes.readUInt32LE(12), bytes.readUInt32LE(16)];
  const [abortedCount, openCount] = [bytes.readUInt32LE(64), bytes.readUInt32LE(68)];
  const abortedAt = HEAD_BYTES + epochCount * 12;
  const openAt = abortedAt + abortedCount * ABORTED_BYTES;
  const headBytes = openAt + openCount * OPEN_BYTES;
  if (bytes.length !== headBytes + entryCount * 16) return undefined;
  const head = Buffer.from(bytes.subarray(0, headBytes));
  const stated = head.readUInt32LE(60);
  head.writeUInt32LE(0, 60);
  const entries = bytes.subarray(headBytes);
  if (crc32c(head) !== stated || crc32c(entries) !== head.readUInt32LE(56)) return undefined;
  if (head.readUInt32LE(8) !== link || head.readDoubleLE(24) !== sizeBytes) return undefined;
  const epochs: EpochStart[] = [];
  for (let at = HEAD_BYTES; at < abortedAt; at += 12) {
    epochs.push({ epoch: head.readInt32LE(at), startOffset: head.readDoubleLE(at + 4) });
  }
  const aborted: AbortedTransaction[] = [];
  for (let at = abortedAt; at < openAt; at += ABORTED_BYTES) {
    aborted.push({
      producerId: head.readDoubleLE(at),
      firstOffset: head.readDoubleLE(at + 8),
      lastOffset: head.readDoubleLE(at + 16),
      lastStableOffset: head.readDoubleLE(at + 24),
    });
  }
  const open: OpenTransaction[] = [];
  for (let at = openAt; at < headBytes; at += OPEN_BYTES) {
    open.push({ producerId: head.readDoubleLE(at), firstOffset: head.readDoubleLE(at + 8) });
  }
  const summary: SegmentSummary = {
    sizeBytes,
    endOffset: head.readDoubleLE(32),
    maxTimestampMs: head.readDoubleLE(40),
    maxTimestampOffset: head.readDoubleLE(48),
    batchCount: head.readUInt32LE(20),
    epochs,
    aborted,
    open,
  };
  return { summary, index: SegmentIndex.fromBytes(entries, entryCount) };
}
