import type { ValueDecoder } from '../../../src/formats/decoder.ts';
import { createDecoder } from '../../../src/formats/formats.ts';
import type { SourceSpec } from '../../../src/ports/engine.ts';
import { type Batch, type ColumnSchema, gatherBatch } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { DEAD_LETTER_VALUE_BYTES, type DeadLetter } from './dead-letters.ts';
import { type LogRecord, RecordMeta, valueText } from './record-meta.ts';

/** How far a reader is in one partition. */
export interface PartitionPosition {
  readonly partition: number;
  /** Offset of the next record. */
  next: number;
  /** Greatest value of the watermark column so far, in microseconds; −Infinity before the first. */
  maxTime: number;
  /** Greatest timestamp of its records so far, in milliseconds; −Infinity before the first. */
  streamMs: number;
}

/** Where a decoder's results go. Called while records are being read. */
export interface DecodedOutput {
  /** Columns as wanted. Weights null for a source; a table's old rows come with −1. */
  onBatch(batch: Batch): void;
  /** A record that is no row. */
  onMalformed(letter: DeadLetter): void;
  /** Rows below their partition's watermark, whatever becomes of them; `letters` only where the policy is dead_letter. */
  onLate(count: number, letters: readonly DeadLetter[]): void;
}

/** Turns records into row changes; `take` per record in offset order, `finish` at the end of a run within one partition. */
export interface RecordDecoder {
  take(record: LogRecord, partition: number): void;
  finish(position: PartitionPosition): void;
}

export const declaredCount = (spec: SourceSpec): number => spec.columns.filter(({ hidden }) => !hidden).length;

/** What a source's own letters name as their operator. */
export const DECODE = 'decode';

export function letterOf(
  record: LogRecord,
  topic: string,
  partition: number,
  code: string,
  reason: string,
): DeadLetter {
  const value = valueText(record, DEAD_LETTER_VALUE_BYTES);
  const { offset, timestampMs } = record;
  return { code, reason, topic, partition, offset, timestampMs, value, operator: DECODE };
}

/**
 * Marks late rows in `late` and moves the partition's time on. A row is late when its time is below the watermark (greatest time
 * before it in offset order, less the delay); so it does not depend on how the log was cut into batches.
 */
export function markLate(
  times: Column,
  length: number,
  delayMicros: number,
  position: PartitionPosition,
  late: Uint8Array,
): number {
  let count = 0;
  let max = position.maxTime;
  const { values, nulls } = times;
  for (let row = 0; row < length; row++) {
    late[row] = 0;
    if (nulls !== null && nulls[row] === 1) continue;
    const time = Number(values[row]);
    if (time < max - delayMicros) {
      late[row] = 1;
      count++;
    } else if (time > max) max = time;
  }
  position.maxTime = max;
  return count;
}

/** The declared columns that record values hold. */
export const valueColumns = ({ columns, keyColumn }: Pick<SourceSpec, 'columns' | 'keyColumn'>): ColumnSchema[] =>
  columns.filter(({ hidden }, column) => !hidden && column !== keyColumn);

const KEY_COLUMN = '_key';

/** The only hidden column that a watermark can be on. */
const TIMESTAMP_COLUMN = '_timestamp';

/** Each record is a row that is added. */
export class AppendDecoder implements RecordDecoder {
  readonly #spec: SourceSpec;
  readonly #output: DecodedOutput;
  readonly #decoder: ValueDecoder;
  /** For each wanted column, its place among the decoded ones, or a hidden column's name. */
  readonly #plan: readonly (number | string)[];
  /** Place of the watermark column among the decoded ones; −1 for `_timestamp`. */
  readonly #timeAt: number;
  readonly #meta: RecordMeta;
  readonly #keepsRecords: boolean;
  readonly #texts: (string | null)[] = [];

  /** `wanted`: positions in the source's columns, in the order the batches will have. */
  constructor(spec: SourceSpec, wanted: readonly number[], batchRecords: number, output: DecodedOutput) {
    this.#spec = spec;
    this.#output = output;
    const declared = declaredCount(spec);
    const { keyColumn } = spec;
    const isValue = (column: number): boolean => column < declared && column !== keyColumn;
    const decoded = [...new Set([...wanted, ...(spec.watermark ? [spec.watermark.column] : [])].filter(isValue))];
    decoded.sort((a, b) => a - b);
    this.#decoder = createDecoder(spec.format, {
      columns: valueColumns(spec),
      wanted: decoded.map((column) => (keyColumn !== undefined && column > keyColumn ? column - 1 : column)),
      key: [],
      options: spec.formatOptions ?? {},
    });
    this.#plan = wanted.map((column) => {
      if (isValue(column)) return decoded.indexOf(column);
      return column === keyColumn ? KEY_COLUMN : spec.columns[column].name;
    });
    this.#timeAt = spec.watermark === null ? -1 : decoded.indexOf(spec.watermark.column);
    const hidden = new Set(this.#plan.filter((place) => typeof place === 'string'));
    if (spec.watermark !== null && this.#timeAt < 0) hidden.add(TIMESTAMP_COLUMN);
    this.#meta = new RecordMeta(spec.topic, batchRecords, hidden);
    this.#keepsRecords = spec.watermark !== null && spec.late === 'dead_letter';
  }

  take(record: LogRecord, partition: number): void {
    if (record.valueEnd < 0) {
      this.#malformed(record, partition, 'the record has no value');
    } else if (this.#decoder.decode(record.buffer, record.valueStart, record.valueEnd)) {
      this.#meta.push(record);
      if (this.#keepsRecords) this.#texts.push(valueText(record, DEAD_LETTER_VALUE_BYTES));
    } else {
      this.#malformed(record, partition, this.#decoder.error);
    }
  }

  finish(position: PartitionPosition): void {
    const length = this.#meta.length;
    if (length === 0) return;
    const decoded = this.#decoder.finish();
    const columns = this.#plan.map((place) =>
      typeof place === 'number' ? decoded[place] : this.#meta.column(place, position),
    );
    let batch: Batch = { length, columns, weights: null, origin: this.#meta.origin(position.partition) };
    const { watermark, late: policy } = this.#spec;
    if (watermark !== null) {
      const late = new Uint8Array(length);
      const times = this.#timeAt < 0 ? this.#meta.column(TIMESTAMP_COLUMN, position) : decoded[this.#timeAt];
      const count = markLate(times, length, watermark.delayMicros, position, late);
      if (count > 0) {
        this.#output.onLate(count, policy === 'dead_letter' ? this.#lateLetters(late, position.partition) : []);
        batch = policy === 'update' ? { ...batch, late } : without(batch, late);
      }
    }
    position.streamMs = this.#meta.streamMs(position.streamMs);
    if (batch.length > 0) this.#output.onBatch(batch);
    this.#meta.clear();
    this.#texts.length = 0;
  }

  #lateLetters(late: Uint8Array, partition: number): DeadLetter[] {
    const letters: DeadLetter[] = [];
    for (let row = 0; row < late.length; row++) {
      if (late[row] === 1) letters.push(lateLetter(this.#spec, partition, this.#meta, row, this.#texts[row]));
    }
    return letters;
  }

  #malformed(record: LogRecord, partition: number, reason: string): void {
    this.#output.onMalformed(letterOf(record, this.#spec.topic, partition, 'RECORD_MALFORMED', reason));
  }
}

export function lateLetter(
  spec: SourceSpec,
  partition: number,
  meta: RecordMeta,
  row: number,
  value: string | null,
): DeadLetter {
  const reason = `${spec.columns[spec.watermark!.column].name} is below the watermark of partition ${partition}`;
  const place = { topic: spec.topic, partition, offset: meta.offset(row), timestampMs: meta.timestampMs(row) };
  return { code: 'RECORD_LATE', reason, ...place, value, operator: DECODE };
}

/** The rows of a source's batch that are not marked. */
export function without(batch: Batch, marked: Uint8Array): Batch {
  const rows = new Int32Array(batch.length);
  let kept = 0;
  for (let row = 0; row < batch.length; row++) if (marked[row] === 0) rows[kept++] = row;
  const { topic, partition, offsets, timestampsMs } = batch.origin!;
  const pick = (of: Float64Array): Float64Array => Float64Array.from(rows.subarray(0, kept), (row) => of[row]);
  const origin = { topic, partition, offsets: pick(offsets), timestampsMs: pick(timestampsMs) };
  return { ...gatherBatch(batch, rows, kept), origin };
}
