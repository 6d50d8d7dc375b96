import { ATTRIBUTE_DELETE_HORIZON, type BatchHeader } from '../protocol/record-batch.ts';
import type { AbortedTransaction } from './transaction-index.ts';

/**
 * What a pass of the cleaner knows of the transactions in the part of a log that it goes through, where all are decided. Batches are to be told in
 * their order, as they are after cleaning.
 */
export class TransactionPass {
  readonly #aborted = new Map<number, AbortedTransaction[]>();
  /** Producers that have batches since their last marker. */
  readonly #written = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[]) {
    for (const one of aborted) {
      const known = this.#aborted.get(one.producerId);
      if (known === undefined) this.#aborted.set(one.producerId, [one]);
      else known.push(one);
    }
  }

  /** Whether nobody is to read the records of a batch: its transaction was aborted. */
  isAborted({ isTransactional, isControl, producerId, baseOffset }: BatchHeader): boolean {
    if (!isTransactional || isControl) return false;
    const transactions = this.#aborted.get(producerId);
    if (transactions === undefined) return false;
    let low = 0;
    for (let high = transactions.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (transactions[middle]!.lastOffset <= baseOffset) low = middle + 1;
      else high = middle;
    }
    return (transactions[low]?.firstOffset ?? Number.POSITIVE_INFINITY) <= baseOffset;
  }

  /** A batch of a transaction stays, if need be without records. */
  noteKept(producerId: number): void {
    this.#written.add(producerId);
  }

  hasKept(producerId: number): boolean {
    return this.#written.has(producerId);
  }

  /** A marker comes: whether something of its transaction is left before it. */
  end(producerId: number): boolean {
    return this.#written.delete(producerId);
  }
}

/** From when on a marker may go whose transaction has nothing left; undefined while that has not been found yet. */
export const deleteHorizonOf = ({ attributes, baseTimestamp }: BatchHeader): number | undefined =>
  (attributes & ATTRIBUTE_DELETE_HORIZON) === 0 ? undefined : baseTimestamp;
