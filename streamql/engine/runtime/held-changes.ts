import { type Batch, type ColumnSchema, copied } from '../../../src/values/batch.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { inMemory, type StateSize, type StateTable } from '../operator.ts';
import { bytesOfParts, type Parts } from '../state/piece.ts';
import { batchBytes, decodeBatches, encodeBatches } from './batch-bytes.ts';
import { compactBatch } from './compact-batch.ts';
import { consolidate } from './consolidate.ts';

/** Rows held before what cancels is looked for. */
const CONSOLIDATE_ROWS = 100_000;

/**
 * Changes of a view or table that a paused query has not taken in. What cancels is let go, so they are never more than the relation's rows
 * then and now.
 */
export class HeldChanges implements StateTable {
  readonly id: string;
  readonly #columns: readonly ColumnSchema[];
  readonly #types: readonly SqlType[];
  #batches: Batch[] = [];
  /** Of `#batches`, those that the last save did not have. */
  #unsaved = 0;
  #netRows = 0;
  rows = 0;
  fullBytes = 0;
  changeBytes = 0;

  /** `columns` of the batches that come. */
  constructor(id: string, columns: readonly ColumnSchema[]) {
    this.id = id;
    this.#columns = columns;
    this.#types = columns.map((column) => column.type);
  }

  get size(): StateSize {
    return inMemory(batchBytes(this.#batches));
  }

  hold(batch: Batch): void {
    if (batch.length === 0) return;
    this.#batches.push(compactBatch(batch));
    this.#unsaved++;
    this.rows += batch.length;
    if (this.rows > Math.max(CONSOLIDATE_ROWS, 2 * this.#netRows)) this.#consolidate();
  }

  /** Where nothing goes, equal rows come one by one: the relation may be one that is only appended to. */
  take(): readonly Batch[] {
    this.#consolidate();
    return this.#batches.map((batch) => (batch.weights?.some((weight) => weight < 0) ? batch : copied(batch)));
  }

  save(full: boolean): Parts | null {
    if (full) {
      this.#unsaved = this.#batches.length;
      this.#consolidate();
    }
    const batches = full ? this.#batches : this.#batches.slice(this.#batches.length - this.#unsaved);
    if (!full && batches.length === 0) return null;
    this.#unsaved = 0;
    const parts = encodeBatches(batches, this.#columns);
    const bytes = bytesOfParts(parts);
    if (full) {
      this.fullBytes = bytes;
      this.changeBytes = 0;
    } else this.changeBytes += bytes;
    return parts;
  }

  load(piece: Uint8Array): void {
    for (const batch of decodeBatches(piece, this.#columns)) {
      this.#batches.push(batch);
      this.rows += batch.length;
    }
  }

  /** Saved pieces stay true: what cancels adds up to nothing. So a consolidated remainder is saved only when all is. */
  #consolidate(): void {
    const saved = this.#batches.length - this.#unsaved;
    const parts = saved > 0 ? [this.#batches.slice(0, saved), this.#batches.slice(saved)] : [this.#batches];
    const net = parts.map((part) => (part.length === 0 ? null : consolidate(this.#types, part)));
    this.#batches = net.filter((batch) => batch !== null);
    this.#unsaved = net.at(-1) === null || this.#unsaved === 0 ? 0 : 1;
    this.rows = this.#batches.reduce((sum, batch) => sum + batch.length, 0);
    this.#netRows = this.rows;
  }
}
