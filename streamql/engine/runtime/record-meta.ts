import type { RecordCursor } from '../../../src/protocol/records.ts';
import type { BatchOrigin } from '../../../src/values/batch.ts';
import { type Column, ColumnBuilder, PlainColumn } from '../../../src/values/column.ts';
import { SOURCE_HIDDEN_COLUMNS } from '../../../src/values/hidden-columns.ts';
import { type Datum, VARCHAR } from '../../../src/values/types.ts';
import { microsOf } from './dead-letters.ts';
import type { PartitionPosition } from './record-decoder.ts';

/** The record under a RecordCursor; an end of −1 means null. */
export type LogRecord = Pick<
  RecordCursor,
  'buffer' | 'offset' | 'timestampMs' | 'keyStart' | 'keyEnd' | 'valueStart' | 'valueEnd' | 'headerCount' | 'headers'
>;

type Hidden = '_topic' | '_partition' | '_offset' | '_timestamp' | '_key' | '_headers' | '_stream_time';

/** What is remembered of each record of a batch beside its decoded value; only the hidden columns asked for are made. */
export class RecordMeta {
  readonly #topic: string;
  readonly #offsets: Float64Array;
  readonly #timestamps: Float64Array;
  readonly #keys: (string | null)[] | null;
  readonly #headers: string[] | null;
  length = 0;

  constructor(topic: string, capacity: number, wanted: ReadonlySet<string>) {
    this.#topic = topic;
    this.#offsets = new Float64Array(capacity);
    this.#timestamps = new Float64Array(capacity);
    this.#keys = wanted.has('_key') ? [] : null;
    this.#headers = wanted.has('_headers') ? [] : null;
  }

  offset(row: number): number {
    return this.#offsets[row];
  }

  timestampMs(row: number): number {
    return this.#timestamps[row];
  }

  /** Until `clear`. */
  origin(partition: number): BatchOrigin {
    return { topic: this.#topic, partition, offsets: this.#offsets, timestampsMs: this.#timestamps };
  }

  push(record: LogRecord): void {
    const row = this.length++;
    this.#offsets[row] = record.offset;
    this.#timestamps[row] = record.timestampMs;
    if (this.#keys !== null) this.#keys.push(keyText(record));
    if (this.#headers !== null) this.#headers.push(headersJson(record));
  }

  clear(): void {
    this.length = 0;
    if (this.#keys !== null) this.#keys.length = 0;
    if (this.#headers !== null) this.#headers.length = 0;
  }

  /** The greatest timestamp, these records taken in. */
  streamMs(before: number): number {
    let most = before;
    for (let i = 0; i < this.length; i++) if (this.#timestamps[i] > most) most = this.#timestamps[i];
    return most;
  }

  /** `position`: of the partition before these records. */
  column(name: string, { partition, streamMs }: Pick<PartitionPosition, 'partition' | 'streamMs'>): Column {
    const { length } = this;
    const { type } = SOURCE_HIDDEN_COLUMNS.find((column) => column.name === name)!;
    switch (name as Hidden) {
      case '_topic':
        return new PlainColumn(VARCHAR, length, new Array<string>(length).fill(this.#topic), null);
      case '_partition':
        return new PlainColumn(type, length, new Int32Array(length).fill(partition), null);
      case '_offset':
        return new PlainColumn(type, length, this.#offsets.slice(0, length), null);
      case '_timestamp': {
        const builder = new ColumnBuilder(type, length);
        for (let i = 0; i < length; i++) builder.push(microsOf(this.#timestamps[i]));
        return builder.finish();
      }
      case '_stream_time': {
        const builder = new ColumnBuilder(type, length);
        let most = streamMs;
        for (let i = 0; i < length; i++) {
          if (this.#timestamps[i] > most) most = this.#timestamps[i];
          builder.push(microsOf(most));
        }
        return builder.finish();
      }
      case '_key':
        return textColumn(this.#keys!);
      case '_headers':
        return new PlainColumn(type, length, this.#headers!.slice(), null);
    }
  }
}

function textColumn(texts: readonly (string | null)[]): Column {
  const builder = new ColumnBuilder(VARCHAR, texts.length);
  for (const text of texts) builder.push(text as Datum);
  return builder.finish();
}

export function keyText(record: LogRecord): string | null {
  return record.keyEnd < 0 ? null : record.buffer.toString('utf8', record.keyStart, record.keyEnd);
}

/** At most `most` bytes of the value, read as UTF-8. */
export function valueText(record: LogRecord, most: number): string | null {
  if (record.valueEnd < 0) return null;
  return record.buffer.toString('utf8', record.valueStart, Math.min(record.valueEnd, record.valueStart + most));
}

/** `[["name","value"], …]`, values read as UTF-8; null values stay null. */
function headersJson(record: LogRecord): string {
  if (record.headerCount === 0) return '[]';
  return JSON.stringify(
    record.headers().map(([name, value]) => [name, value === null ? null : value.toString('utf8')]),
  );
}
