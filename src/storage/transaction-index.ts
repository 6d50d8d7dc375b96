import type { BatchHeader } from '../protocol/records.ts';

/** A transaction of one producer that was aborted, as far as it concerns one partition. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Of the marker. */
  readonly lastOffset: number;
  /** Where all was decided up to when the marker came: whatever was aborted later begins here or beyond. */
  readonly lastStableOffset: number;
}

/** A transaction that no marker has decided yet. */
export interface OpenTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

const NONE = Number.POSITIVE_INFINITY;

/**
 * Which transactions of a partition are open, from the batches that are in its log, in their order. Readers of committed records may not
 * pass the first of them (the last stable offset), nor one whose marker could still be lost.
 */
export class TransactionIndex {
  /** First offset by producer id; in the order of these offsets, as each transaction enters at the log's end. */
  readonly #open = new Map<number, number>();
  #firstOpen = NONE;
  /** Decided, but their markers may lie beyond the high watermark; in the order of the markers. */
  #decided: { readonly firstOffset: number; readonly marker: number }[] = [];

  /** Takes the next batch of the log. A transaction that it aborts is added to `aborted`. */
  take(batch: BatchHeader, aborted: AbortedTransaction[]): void {
    if (!batch.isTransactional) return;
    const { producerId } = batch;
    if (!batch.isControl) {
      if (this.#open.has(producerId)) return;
      this.#open.set(producerId, batch.baseOffset);
      if (batch.baseOffset < this.#firstOpen) this.#firstOpen = batch.baseOffset;
      return;
    }
    if (batch.controlType !== ABORT_MARKER && batch.controlType !== COMMIT_MARKER) return;
    const firstOffset = this.#open.get(producerId);
    // Nothing of it is in this log, or the marker was repeated after a crash.
    if (firstOffset === undefined) return;
    this.#open.delete(producerId);
    if (firstOffset === this.#firstOpen) this.#firstOpen = this.#open.values().next().value ?? NONE;
    this.#decided.push({ firstOffset, marker: batch.baseOffset });
    if (batch.controlType === COMMIT_MARKER) return;
    const lastStableOffset = Math.min(this.#firstOpen, batch.lastOffset + 1);
    aborted.push({ producerId, firstOffset, lastOffset: batch.lastOffset, lastStableOffset });
  }

  /** Begins with what was open at the end of the segment before. */
  restore(open: readonly OpenTransaction[]): void {
    this.#open.clear();
    for (const { producerId, firstOffset } of open) this.#open.set(producerId, firstOffset);
    this.#firstOpen = open[0]?.firstOffset ?? NONE;
  }

  /** By first offset. */
  open(): OpenTransaction[] {
    return [...this.#open].map(([producerId, firstOffset]) => ({ producerId, firstOffset }));
  }

  /** Where the open transaction of a producer begins; undefined when it has none. */
  openSince(producerId: number): number | undefined {
    return this.#open.get(producerId);
  }

  /** The offset after the last record below `highWatermark` before which everything is decided for good. */
  lastStable(highWatermark: number): number {
    let stable = Math.min(highWatermark, this.#firstOpen);
    if (this.#decided.length === 0) return stable;
    let settled = 0;
    while (settled < this.#decided.length && this.#decided[settled]!.marker < highWatermark) settled++;
    if (settled > 0) this.#decided = this.#decided.slice(settled);
    for (const { firstOffset } of this.#decided) stable = Math.min(stable, firstOffset);
    return stable;
  }
}

/** Types of control records, as the second half of their key. */
export const ABORT_MARKER = 0;
export const COMMIT_MARKER = 1;

/** What a segment knows of transactions: those whose abort marker is in it, by marker, and those open at its end. */
export interface SegmentTransactions {
  readonly endOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Of the last segment: not kept, the index has it. */
  readonly open: readonly OpenTransaction[];
}

/** The aborted transactions that may have records from `from` to before `to`; `segments` begin with the one that holds `from`. */
export function abortedBetween(
  segments: Iterable<SegmentTransactions>,
  from: number,
  to: number,
): AbortedTransaction[] {
  const found: AbortedTransaction[] = [];
  for (const { aborted, open, endOffset } of segments) {
    for (let at = firstEndingAt(aborted, from); at < aborted.length; at++) {
      const transaction = aborted[at]!;
      if (transaction.firstOffset < to) found.push(transaction);
      if (transaction.lastStableOffset >= to) return found;
    }
    if (endOffset >= to && (open.length === 0 || open[0]!.firstOffset >= to)) return found;
  }
  return found;
}

function firstEndingAt(aborted: readonly AbortedTransaction[], offset: number): number {
  let low = 0;
  for (let high = aborted.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (aborted[middle]!.lastOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
