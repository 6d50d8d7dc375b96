import type { SourceSpec } from '../../../src/ports/engine.ts';
import { type Column, ColumnBuilder, datumAt } from '../../../src/values/column.ts';
import { equalDatums } from '../../../src/values/compare.ts';
import { HIDDEN_COLUMNS } from '../../../src/values/hidden-columns.ts';
import type { Datum } from '../../../src/values/types.ts';
import { DEAD_LETTER_VALUE_BYTES, type DeadLetter } from './dead-letters.ts';
import { DebeziumKeyedRows } from './debezium-rows.ts';
import { type KeyedRows, NONE, UpsertRows } from './keyed-rows.ts';
import {
  DECODE,
  type DecodedOutput,
  declaredCount,
  lateLetter,
  letterOf,
  markLate,
  type PartitionPosition,
  type RecordDecoder,
} from './record-decoder.ts';
import { type LogRecord, RecordMeta, valueText } from './record-meta.ts';

const HIDDEN_NAMES = new Set(HIDDEN_COLUMNS.map((column) => column.name));
/** Changes that one record makes at most: an update may delete one row and put another. */
const MOST_CHANGES = 2;

/**
 * Takes changes of one partition in offset order: row i of `columns` (all of the table's; of a delete only key and hidden ones count) is put
 * unless `deletes[i]`. `maxTime` is the partition's greatest time before them.
 */
export type WriteChanges = (columns: readonly Column[], length: number, deletes: Uint8Array, maxTime: number) => void;

/**
 * Each record puts or deletes (null value) the row that its key names. Where key and value both have the primary key they must agree;
 * key columns missing from the value are taken from the key, and without a record key the value alone names the row. The last
 * record in offset order wins; across partitions Kafka gives no order, so one key should stay in one partition.
 */
export class TableDecoder implements RecordDecoder {
  readonly #spec: SourceSpec;
  readonly #key: readonly number[];
  readonly #write: WriteChanges;
  readonly #output: Omit<DecodedOutput, 'onBatch'>;
  readonly #declared: number;
  readonly #keyNames: readonly string[];
  readonly #rows: KeyedRows;
  readonly #meta: RecordMeta;
  /** Per change. */
  #texts: (string | null)[] = [];

  constructor(spec: SourceSpec, batchRecords: number, write: WriteChanges, output: Omit<DecodedOutput, 'onBatch'>) {
    this.#spec = spec;
    this.#write = write;
    this.#output = output;
    this.#declared = declaredCount(spec);
    const key = spec.primaryKey ?? [];
    this.#key = key;
    // The value may leave the key to the record key, so NULL is checked here and not by the decoder.
    const columns = spec.columns
      .slice(0, this.#declared)
      .map((column, i) => (key.includes(i) ? { ...column, nullable: true } : column));
    this.#keyNames = key.map((column) => columns[column].name);
    const isDebezium = spec.format === 'debezium';
    this.#rows = isDebezium ? new DebeziumKeyedRows(spec, columns, key) : new UpsertRows(spec, columns, key);
    this.#meta = new RecordMeta(spec.topic, batchRecords * MOST_CHANGES, HIDDEN_NAMES);
  }

  take(record: LogRecord, partition: number): void {
    const changes = this.#rows.take(record);
    if (changes < 0) {
      this.#malformed(record, partition, this.#rows.error);
      return;
    }
    for (let i = 0; i < changes; i++) {
      this.#meta.push(record);
      // Kept for letters that only `finish` can write; tables are small enough in records per second.
      this.#texts.push(valueText(record, DEAD_LETTER_VALUE_BYTES));
    }
  }

  finish(position: PartitionPosition): void {
    const length = this.#meta.length;
    const { keyRows, valueRows, keys: keyColumns, values: valueColumns } = this.#rows.finish();
    if (length === 0) return;
    const { maxTime } = position;
    const refused = new Uint8Array(length);
    const deletes = Uint8Array.from(valueRows, (row) => (row === NONE ? 1 : 0));

    const named = this.#key.map((column, k) => {
      const builder = new ColumnBuilder(this.#spec.columns[column].type, length);
      for (let i = 0; i < length; i++) {
        const byKey = keyRows[i] === NONE ? null : datumAt(keyColumns[k], keyRows[i]);
        const byValue = valueRows[i] === NONE ? null : datumAt(valueColumns[column], valueRows[i]);
        const datum = byKey ?? byValue;
        if (
          refused[i] === 0 &&
          (datum === null ||
            (byKey !== null && byValue !== null && !equalDatums(byKey, byValue, this.#spec.columns[column].type)))
        ) {
          refused[i] = 1;
          const name = this.#keyNames[k];
          this.#refuse(
            i,
            position.partition,
            datum === null ? `${name} is missing` : `${name} differs between key and value`,
          );
        }
        builder.push(datum);
      }
      return builder.finish();
    });
    this.#markLate(valueColumns, valueRows, refused, position);
    // A record counts as a whole: what it deletes beside the row that it puts stays when that is refused.
    for (let i = length - 1; i > 0; i--) {
      if (refused[i] === 1 && this.#meta.offset(i) === this.#meta.offset(i - 1)) refused[i - 1] = 1;
    }

    const rows = new Int32Array(length);
    let count = 0;
    for (let i = 0; i < length; i++) if (refused[i] === 0) rows[count++] = i;
    const columns = this.#spec.columns.map((column, c) => {
      const k = this.#key.indexOf(c);
      if (k >= 0) return named[k].gather(rows, count);
      if (c >= this.#declared) return this.#meta.column(column.name, position).gather(rows, count);
      return spread(valueColumns[c], valueRows, rows, count);
    });
    const keptDeletes = new Uint8Array(count);
    for (let i = 0; i < count; i++) keptDeletes[i] = deletes[rows[i]];
    this.#meta.clear();
    this.#texts = [];
    if (count === 0) return;
    this.#write(columns, count, keptDeletes, maxTime);
  }

  /** Only rows that are put have a time; a delete is never late. */
  #markLate(
    values: readonly Column[],
    valueRows: readonly number[],
    refused: Uint8Array,
    position: PartitionPosition,
  ): void {
    const { watermark, late: policy } = this.#spec;
    if (watermark === null) return;
    const puts: number[] = [];
    for (let i = 0; i < valueRows.length; i++) if (valueRows[i] !== NONE && refused[i] === 0) puts.push(i);
    const rows = Int32Array.from(puts, (i) => valueRows[i]);
    const late = new Uint8Array(puts.length);
    const times = values[watermark.column].gather(rows, puts.length);
    const count = markLate(times, puts.length, watermark.delayMicros, position, late);
    if (count === 0) return;
    const letters: DeadLetter[] = [];
    puts.forEach((i, n) => {
      if (late[n] === 0 || policy === 'update') return;
      refused[i] = 1;
      if (policy === 'dead_letter')
        letters.push(lateLetter(this.#spec, position.partition, this.#meta, i, this.#texts[i]));
    });
    this.#output.onLate(count, letters);
  }

  #refuse(row: number, partition: number, reason: string): void {
    const place = { topic: this.#spec.topic, partition, offset: this.#meta.offset(row) };
    const timestampMs = this.#meta.timestampMs(row);
    const value = this.#texts[row];
    this.#output.onMalformed({ code: 'RECORD_MALFORMED', reason, ...place, timestampMs, value, operator: DECODE });
  }

  #malformed(record: LogRecord, partition: number, reason: string): void {
    this.#output.onMalformed(letterOf(record, this.#spec.topic, partition, 'RECORD_MALFORMED', reason));
  }
}

/** The column at each kept record: NULL where the record has no value. */
function spread(column: Column, valueRows: readonly number[], rows: Int32Array, count: number): Column {
  const builder = new ColumnBuilder(column.type, count);
  for (let i = 0; i < count; i++) {
    const row = valueRows[rows[i]];
    builder.push((row === NONE ? null : datumAt(column, row)) as Datum);
  }
  return builder.finish();
}
