import type { SourceSpec } from '../../../src/ports/engine.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { type Column, ColumnBuilder, datumAt } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { BOOLEAN, type Datum, TIMESTAMP } from '../../../src/values/types.ts';

/**
 * The versions of a table's rows as they come: one row for each record that puts or deletes one, in HISTORY_COLUMNS after the table's own. A
 * version counts from the value of the watermark column on, where there is one and the row has it. Otherwise, and for a delete, it counts
 * from the record's timestamp on, but not from before the partition's watermark: so that promise holds for all versions.
 */
export class TableHistory {
  readonly #spec: SourceSpec;
  readonly #key: readonly number[];
  readonly #timestamp: number;
  readonly #offset: number;

  constructor(spec: SourceSpec) {
    this.#spec = spec;
    this.#key = spec.primaryKey ?? [];
    const place = (name: string): number => spec.columns.findIndex((column) => column.name === name);
    this.#timestamp = place('_timestamp');
    this.#offset = place('_offset');
  }

  /** `columns` are the table's, of changes in offset order of one partition; `maxTime` is the greatest time before them. */
  versions(columns: readonly Column[], length: number, deletes: Uint8Array, maxTime: number): Batch {
    const { watermark } = this.#spec;
    const timestamps = columns[this.#timestamp];
    const versions: Datum[] = new Array(length);
    let max = maxTime;
    for (let row = 0; row < length; row++) {
      const time = watermark === null || deletes[row] === 1 ? null : datumAt(columns[watermark.column], row);
      if (time !== null && Number(time) > max) max = Number(time);
      const written = datumAt(timestamps, row) as number;
      versions[row] = time ?? Math.max(written, watermark === null ? written : max - watermark.delayMicros);
    }
    const kept = new Int32Array(length);
    let count = 0;
    for (let row = 0; row < length; row++) {
      const isUpdate = deletes[row] === 1 && row + 1 < length && this.#isOneRecord(columns, row, row + 1);
      // An update whose record tells the row as it was: where the key stays, the new version is all there is to say.
      if (isUpdate && this.#isOneKey(columns, row, row + 1)) continue;
      if (isUpdate) versions[row] = versions[row + 1];
      kept[count++] = row;
    }
    const version = new ColumnBuilder(TIMESTAMP, length);
    const deleted = new ColumnBuilder(BOOLEAN, length);
    for (let row = 0; row < length; row++) {
      version.push(versions[row]);
      deleted.push(deletes[row] === 1);
    }
    const batch: Batch = { length, columns: [...columns, version.finish(), deleted.finish()], weights: null };
    return count === length ? batch : gatherBatch(batch, kept, count);
  }

  #isOneRecord(columns: readonly Column[], a: number, b: number): boolean {
    return columns[this.#offset].values[a] === columns[this.#offset].values[b];
  }

  #isOneKey(columns: readonly Column[], a: number, b: number): boolean {
    return this.#key.every((column) => {
      const [x, y] = [datumAt(columns[column], a), datumAt(columns[column], b)];
      return x !== null && y !== null && equalDatums(x, y, columns[column].type);
    });
  }
}
