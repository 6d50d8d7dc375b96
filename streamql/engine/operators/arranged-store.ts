import { type Batch, type ColumnSchema, gatherBatch } from '../../../src/values/batch.ts';
import { Arrangement } from '../state/arrangement.ts';
import type { StoredRows } from '../state/join-rows.ts';
import type { RowTable } from '../state/row-table.ts';
import { splitByNullKey } from './join-pairs.ts';

/** How a shared side of joins is kept: by these columns, in this order. `nullSafe`: NULL is a key like others. */
export interface Arranged {
  readonly by: readonly number[];
  readonly nullSafe: boolean;
}

/** The rows of a side that several joins have in common, kept once as each of them would. Without `nullSafe` rows with a NULL key are left out. */
export class ArrangedStore {
  readonly columns: readonly ColumnSchema[];
  readonly key = null;
  readonly #rows: Arrangement;
  readonly #arranged: Arranged;

  constructor(id: string, columns: readonly ColumnSchema[], arranged: Arranged, retractable: boolean) {
    this.columns = columns;
    this.#arranged = arranged;
    this.#rows = new Arrangement(
      id,
      columns.map(({ type }) => type),
      arranged.by,
      retractable,
    );
  }

  get state(): RowTable {
    return this.#rows.table;
  }

  /** Distinct ones, where some may go. */
  get rows(): number {
    return this.#rows.table.rows;
  }

  apply(batch: Batch): void {
    const split = this.#arranged.nullSafe ? null : splitByNullKey(batch, this.#arranged.by);
    const keyed = split === null ? batch : gatherBatch(batch, split.keyed, split.keyedCount);
    if (keyed.length > 0) this.#rows.apply(keyed, () => undefined);
  }

  endEpoch(): void {}

  /** Some columns of all rows, or of `limit` of them, copies expanded. */
  scan(columns: readonly number[], limit = Number.POSITIVE_INFINITY): Batch {
    const alive = this.#rows.table.aliveSlots();
    const { weights } = this.#rows;
    const slots = weights === null ? alive : repeated(alive, weights);
    const length = Math.min(limit, slots.length);
    return {
      length,
      columns: columns.map((column) => this.#rows.columns[column].gather(slots, length)),
      weights: null,
    };
  }

  /** As joins read the rows; null unless these are the columns by which they are kept. */
  by(columns: readonly number[]): StoredRows | null {
    if (columns.join() !== this.#arranged.by.join()) return null;
    const rows = this.#rows;
    return {
      columns: rows.columns,
      get weights() {
        return rows.weights;
      },
      get chains() {
        return rows.chains;
      },
      probe: (batch, keyColumns, keySlots) => rows.probe(batch, keyColumns, keySlots),
      scan: (wanted) => this.scan(wanted),
    };
  }
}

/** Each slot as often as its weight says. */
function repeated(slots: Int32Array, weights: Float64Array): Int32Array {
  let total = 0;
  for (const slot of slots) total += weights[slot];
  if (total === slots.length) return slots;
  const all = new Int32Array(total);
  let count = 0;
  for (const slot of slots) for (let copy = weights[slot]; copy > 0; copy--) all[count++] = slot;
  return all;
}
