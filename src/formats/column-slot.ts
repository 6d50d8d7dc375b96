import type { ColumnSchema } from '../values/batch.ts';
import { allocate, type Column, ColumnBuilder, PlainColumn, TextColumn } from '../values/column.ts';
import type { Datum } from '../values/types.ts';

type Numbers = Float64Array | Int32Array | Uint8Array;

/**
 * A column while its rows are decoded. Generated scanners write its arrays directly: `numbers`, or `starts` and `ends`
 * for text, and `nulls`. When a value does not fit these (a bigint beyond 2^53, a string with escapes) the whole column
 * goes on in `plain`, and so do the types that are held in plain arrays anyway.
 */
export class ColumnSlot {
  readonly schema: ColumnSchema;
  readonly isText: boolean;
  numbers: Numbers;
  starts: Int32Array;
  ends: Int32Array;
  nulls: Uint8Array;
  plain: Datum[] | null;
  readonly #alwaysPlain: boolean;

  constructor(schema: ColumnSchema, capacity: number) {
    this.schema = schema;
    this.isText = schema.type.kind === 'varchar';
    this.#alwaysPlain = !this.isText && Array.isArray(allocate(schema.type, 0));
    this.numbers = NO_NUMBERS;
    this.starts = NO_POSITIONS;
    this.ends = NO_POSITIONS;
    this.nulls = NO_NUMBERS;
    this.plain = null;
    this.renew(capacity);
  }

  /** New arrays: those of the last batch belong to its columns. */
  renew(capacity: number): void {
    this.nulls = new Uint8Array(capacity);
    this.plain = this.#alwaysPlain ? [] : null;
    if (this.isText) {
      this.starts = new Int32Array(capacity);
      this.ends = new Int32Array(capacity);
    } else if (!this.#alwaysPlain) {
      this.numbers = allocate(this.schema.type, capacity) as Numbers;
    }
  }

  grow(capacity: number): void {
    this.nulls = copied(this.nulls, new Uint8Array(capacity));
    if (this.isText) {
      this.starts = copied(this.starts, new Int32Array(capacity));
      this.ends = copied(this.ends, new Int32Array(capacity));
    } else if (!this.#alwaysPlain) {
      this.numbers = copied(this.numbers, allocate(this.schema.type, capacity) as Numbers);
    }
  }

  setNull(row: number): void {
    this.nulls[row] = 1;
    if (this.isText) {
      this.starts[row] = 0;
      this.ends[row] = 0;
    }
    if (this.plain !== null) this.plain[row] = null;
  }

  /** A string without escapes, as a range of the decoder's buffer. */
  setText(row: number, buffer: Buffer, start: number, end: number): void {
    if (this.plain !== null) this.plain[row] = buffer.utf8Slice(start, end);
    else {
      this.starts[row] = start;
      this.ends[row] = end;
    }
  }

  /** Any datum of the column's type; `buffer` is where the text of the rows before lies. */
  set(row: number, datum: Datum, buffer: Buffer): void {
    if (this.plain === null && (this.isText || typeof datum === 'bigint')) this.toPlain(row, buffer);
    if (this.plain !== null) this.plain[row] = datum;
    else if (typeof datum === 'boolean') this.numbers[row] = datum ? 1 : 0;
    else this.numbers[row] = datum as number;
  }

  toPlain(rows: number, buffer: Buffer): void {
    if (this.plain !== null) return;
    const plain = new Array<Datum>(rows);
    for (let i = 0; i < rows; i++) {
      if (this.nulls[i] === 1) plain[i] = null;
      else plain[i] = this.isText ? buffer.utf8Slice(this.starts[i], this.ends[i]) : this.numbers[i];
    }
    this.plain = plain;
  }

  finish(rows: number, buffer: Buffer): Column {
    const { type } = this.schema;
    if (rows === 0) return new ColumnBuilder(type, 1).finish();
    const some = this.nulls.subarray(0, rows);
    const nulls = some.indexOf(1) < 0 ? null : some;
    if (this.plain !== null) {
      this.plain.length = rows;
      return new PlainColumn(type, rows, this.plain, nulls);
    }
    if (this.isText) {
      return new TextColumn(type, rows, buffer, this.starts.subarray(0, rows), this.ends.subarray(0, rows), nulls);
    }
    return new PlainColumn(type, rows, this.numbers.subarray(0, rows), nulls);
  }
}

const NO_NUMBERS = new Uint8Array(0);
const NO_POSITIONS = new Int32Array(0);

function copied<T extends Numbers>(from: T, into: T): T {
  into.set(from);
  return into;
}
