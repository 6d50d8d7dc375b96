import {
  createDebeziumDecoder,
  DebeziumEvents,
  type DebeziumRows,
  type Span,
} from '../../../src/formats/debezium/debezium.ts';
import type { SourceSpec } from '../../../src/ports/engine.ts';
import type { ColumnSchema } from '../../../src/values/batch.ts';
import { ChangeList, type DecodedChanges, type KeyedRows, NONE } from './keyed-rows.ts';
import type { LogRecord } from './record-meta.ts';

/**
 * Debezium's events: `c`, `r` and `u` put the row of `after`, `d` and a record without value delete. The row that `before` names goes first, so that an
 * update of the key leaves nothing behind. The record key names the row too where there is one.
 */
export class DebeziumKeyedRows implements KeyedRows {
  error = '';
  readonly #events = new DebeziumEvents();
  readonly #keys: DebeziumRows;
  readonly #values: DebeziumRows;
  readonly #changes = new ChangeList();

  constructor(spec: SourceSpec, columns: readonly ColumnSchema[], key: readonly number[]) {
    const unit = spec.formatOptions?.['time_unit'];
    this.#keys = createDebeziumDecoder(
      key.map((column) => ({ ...columns[column], nullable: false })),
      key,
      unit,
    );
    this.#values = createDebeziumDecoder(columns, key, unit);
  }

  take(record: LogRecord): number {
    const events = this.#events;
    const { buffer } = record;
    let keyRow = NONE;
    if (record.keyEnd >= 0) {
      if (!events.readKey(buffer, record.keyStart, record.keyEnd)) return this.#fail(`the record key: ${events.error}`);
      if (!this.#takeKey(buffer, events.key)) return this.#fail(`the record key: ${this.#keys.error}`);
      keyRow = this.#keys.rows - 1;
    }
    // A tombstone, for compaction: the delete before it said the same.
    if (record.valueEnd < 0) return this.#delete(keyRow, record);
    if (!events.read(buffer, record.valueStart, record.valueEnd)) return this.#fail(events.error);
    if (events.change === 'none') return 0;
    if (events.change === 'delete') return this.#delete(keyRow, record);
    this.#values.useSchema(buffer, events.schema);
    if (!this.#values.decode(buffer, events.after.start, events.after.end)) return this.#fail(this.#values.error);
    const valueRow = this.#values.rows - 1;
    let changes = 1;
    // Without the key's columns in it, `before` says nothing more.
    if (events.before.start >= 0 && this.#takeKey(buffer, events.before)) {
      this.#changes.push(this.#keys.rows - 1, NONE);
      changes++;
    }
    this.#changes.push(keyRow, valueRow);
    return changes;
  }

  finish(): DecodedChanges {
    return this.#changes.finish(this.#keys, this.#values);
  }

  #delete(keyRow: number, record: LogRecord): number {
    let row = keyRow;
    if (row === NONE) {
      const { before } = this.#events;
      if (record.valueEnd < 0 || before.start < 0) return this.#fail('a delete has neither a record key nor "before"');
      if (!this.#takeKey(record.buffer, before)) return this.#fail(`"before": ${this.#keys.error}`);
      row = this.#keys.rows - 1;
    }
    this.#changes.push(row, NONE);
    return 1;
  }

  #takeKey(buffer: Buffer, span: Span): boolean {
    this.#keys.useSchema(buffer, this.#events.schema);
    return this.#keys.decode(buffer, span.start, span.end);
  }

  #fail(error: string): -1 {
    this.error = error;
    return -1;
  }
}
