import { type Batch, batchOfRows, type ColumnSchema, gatherBatch } from '../../../src/values/batch.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { StateSize } from '../operator.ts';
import { Arrangement } from '../state/arrangement.ts';
import type { HasArrays, Visit } from '../state/arrays.ts';
import { NONE } from '../state/chains.ts';
import type { Reader } from './relation.ts';

/**
 * Rows of a relation by the values of some columns that are not its key. It holds them once more, follows the relation as a query does, and is
 * not in checkpoints: after a restart it is made from the relation's rows. Rows with a NULL among the columns are left out, as no equality finds them.
 */
export class SecondaryIndex implements HasArrays {
  readonly columns: readonly number[];
  readonly reader: Reader;
  readonly #rows: Arrangement;
  readonly #schema: readonly ColumnSchema[];

  constructor(schema: readonly ColumnSchema[], columns: readonly number[], rows: Batch) {
    this.columns = columns;
    this.#schema = schema;
    this.#rows = new Arrangement(
      'index',
      schema.map((column) => column.type),
      columns,
      true,
    );
    this.reader = { columns: schema.map((_, i) => i), dropsLate: false, push: (batch) => this.#apply(batch) };
    if (rows.length > 0) this.#apply(rows);
  }

  get size(): StateSize {
    return this.#rows.table.size;
  }

  arrays(visit: Visit): void {
    this.#rows.table.arrays(visit);
  }

  /** Rows that have these values in `columns`, at most `limit`. */
  lookup(key: readonly Datum[], limit: number): Batch {
    const types = this.columns.map((column) => this.#schema[column].type);
    const keySlots = new Int32Array(1);
    const own = this.columns.map((_, i) => i);
    this.#rows.probe(batchOfRows(types, [[...key]]), own, keySlots);
    const { heads, next } = this.#rows.chains;
    const weights = this.#rows.weights!;
    const found: number[] = [];
    for (let slot = keySlots[0] === NONE ? NONE : heads[keySlots[0]]; slot !== NONE; slot = next[slot]) {
      for (let copy = 0; copy < weights[slot] && found.length < limit; copy++) found.push(slot);
      if (found.length >= limit) break;
    }
    const slots = Int32Array.from(found);
    const columns = this.#rows.columns.map((column) => column.gather(slots, slots.length));
    return { length: slots.length, columns, weights: null };
  }

  #apply(batch: Batch): void {
    const kept = new Int32Array(batch.length);
    let count = 0;
    for (let row = 0; row < batch.length; row++) {
      if (this.columns.every((column) => batch.columns[column].nulls?.[row] !== 1)) kept[count++] = row;
    }
    if (count === 0) return;
    this.#rows.apply(count === batch.length ? batch : gatherBatch(batch, kept, count), () => undefined);
  }
}
