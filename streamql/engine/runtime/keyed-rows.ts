import type { ValueDecoder } from '../../../src/formats/decoder.ts';
import { createDecoder } from '../../../src/formats/formats.ts';
import type { SourceSpec } from '../../../src/ports/engine.ts';
import type { ColumnSchema } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { keyText, type LogRecord } from './record-meta.ts';
import { rawKeyJson, tableKeyJson } from './table-key.ts';

/** No row: of keys, when the value alone names it; of values, when it is deleted. */
export const NONE = -1;

/** Changes by key, decoded: change i puts row `valueRows[i]` of the values, or deletes, what row `keyRows[i]` of the keys names. */
export interface DecodedChanges {
  readonly keyRows: readonly number[];
  readonly valueRows: readonly number[];
  readonly keys: readonly Column[];
  readonly values: readonly Column[];
}

/** What records say about the rows of a keyed relation. */
export interface KeyedRows {
  /** How many changes the record makes; −1 when it is malformed, and `error` says why. */
  take(record: LogRecord): number;
  readonly error: string;
  finish(): DecodedChanges;
}

/** Collects changes while records are taken. */
export class ChangeList {
  #keyRows: number[] = [];
  #valueRows: number[] = [];

  push(keyRow: number, valueRow: number): void {
    this.#keyRows.push(keyRow);
    this.#valueRows.push(valueRow);
  }

  finish(keys: ValueDecoder, values: ValueDecoder): DecodedChanges {
    const changes = {
      keyRows: this.#keyRows,
      valueRows: this.#valueRows,
      keys: keys.finish(),
      values: values.finish(),
    };
    this.#keyRows = [];
    this.#valueRows = [];
    return changes;
  }
}

/** Each record is one change: its value is the row now, none deletes it. */
export class UpsertRows implements KeyedRows {
  error = '';
  readonly #keyNames: readonly string[];
  readonly #jsonKeys: boolean;
  readonly #keys: ValueDecoder;
  readonly #values: ValueDecoder;
  readonly #changes = new ChangeList();

  /** `columns`: those declared, the ones of the key nullable, since either half of a record may leave them to the other. */
  constructor(spec: SourceSpec, columns: readonly ColumnSchema[], key: readonly number[]) {
    this.#keyNames = key.map((column) => columns[column].name);
    const keyFormat = spec.keyFormat ?? { name: 'json', options: {} };
    this.#jsonKeys = keyFormat.name === 'json';
    this.#keys = createDecoder(keyFormat.name, {
      columns: key.map((column) => columns[column]),
      wanted: key.map((_, k) => k),
      key: [],
      options: keyFormat.options,
    });
    const wanted = columns.map((_, i) => i);
    this.#values = createDecoder(spec.format, { columns, wanted, key, options: spec.formatOptions ?? {} });
  }

  take(record: LogRecord): number {
    let keyRow = NONE;
    if (record.keyEnd >= 0) {
      const found = this.#jsonKeys
        ? this.#takeJsonKey(record)
        : this.#keys.decode(record.buffer, record.keyStart, record.keyEnd);
      if (found === false) {
        const why = this.#jsonKeys ? '' : `: ${this.#keys.error}`;
        return this.#fail(`the record key is no (${this.#keyNames.join(', ')})${why}`);
      }
      if (found === true) keyRow = this.#keys.rows - 1;
    }
    let valueRow = NONE;
    if (record.valueEnd >= 0) {
      if (!this.#values.decode(record.buffer, record.valueStart, record.valueEnd))
        return this.#fail(this.#values.error);
      valueRow = this.#values.rows - 1;
    } else if (keyRow === NONE) return this.#fail('the record has neither key nor value');
    this.#changes.push(keyRow, valueRow);
    return 1;
  }

  finish(): DecodedChanges {
    return this.#changes.finish(this.#keys, this.#values);
  }

  /** Null when there is none: the value's columns name the row then. */
  #takeJsonKey(record: LogRecord): boolean | null {
    const json = tableKeyJson(record.buffer.subarray(record.keyStart, record.keyEnd), this.#keyNames);
    if (json === null) return null;
    return this.#decodeKey(json) || this.#decodeKey(rawKeyJson(keyText(record)!, this.#keyNames));
  }

  #decodeKey(json: Buffer | undefined): boolean {
    return json !== undefined && this.#keys.decode(json, 0, json.length);
  }

  #fail(error: string): -1 {
    this.error = error;
    return -1;
  }
}
