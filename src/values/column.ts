import { type Datum, isExact64, type SqlType } from './types.ts';

/** What a column's values are stored in; index it by row. A null row's content is undefined behaviour: look at `nulls`. */
export type ColumnValues = Uint8Array | Int32Array | Float64Array | readonly Datum[];

/**
 * One column of a batch. Immutable once built. `nulls[row] === 1` means NULL; `nulls === null` means that none is.
 * Booleans are 0/1 in `values` (see types.ts); read single datums through `datumAt`.
 */
export interface Column {
  readonly type: SqlType;
  readonly length: number;
  readonly values: ColumnValues;
  readonly nulls: Uint8Array | null;
  /** The rows at `rows[0..count)`, in that order. */
  gather(rows: Int32Array, count: number): Column;
}

export class PlainColumn implements Column {
  readonly type: SqlType;
  readonly length: number;
  readonly values: ColumnValues;
  readonly nulls: Uint8Array | null;

  constructor(type: SqlType, length: number, values: ColumnValues, nulls: Uint8Array | null) {
    this.type = type;
    this.length = length;
    this.values = values;
    this.nulls = nulls;
  }

  gather(rows: Int32Array, count: number): Column {
    return new PlainColumn(
      this.type,
      count,
      gatherValues(this.values, rows, count),
      gatherNulls(this.nulls, rows, count),
    );
  }
}

function gatherValues(values: ColumnValues, rows: Int32Array, count: number): ColumnValues {
  if (values instanceof Float64Array) {
    const out = new Float64Array(count);
    for (let i = 0; i < count; i++) out[i] = values[rows[i]];
    return out;
  }
  if (values instanceof Int32Array) {
    const out = new Int32Array(count);
    for (let i = 0; i < count; i++) out[i] = values[rows[i]];
    return out;
  }
  if (values instanceof Uint8Array) {
    const out = new Uint8Array(count);
    for (let i = 0; i < count; i++) out[i] = values[rows[i]];
    return out;
  }
  const out = new Array<Datum>(count);
  for (let i = 0; i < count; i++) out[i] = values[rows[i]];
  return out;
}

function gatherNulls(nulls: Uint8Array | null, rows: Int32Array, count: number): Uint8Array | null {
  if (nulls === null) return null;
  const out = new Uint8Array(count);
  let any = 0;
  for (let i = 0; i < count; i++) any |= out[i] = nulls[rows[i]];
  return any === 0 ? null : out;
}

/**
 * Text as ranges of UTF-8 bytes, made into JS strings on first use of `values`. Passing rows through a filter, a
 * projection or an exchange moves only the ranges. `bytes` must not change while the column lives.
 */
export class TextColumn implements Column {
  readonly type: SqlType;
  readonly length: number;
  readonly nulls: Uint8Array | null;
  readonly bytes: Buffer;
  /** Row i is `bytes[starts[i] .. ends[i])`, plain UTF-8 without escapes. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  #strings: readonly string[] | null = null;

  constructor(
    type: SqlType,
    length: number,
    bytes: Buffer,
    starts: Int32Array,
    ends: Int32Array,
    nulls: Uint8Array | null,
  ) {
    this.type = type;
    this.length = length;
    this.bytes = bytes;
    this.starts = starts;
    this.ends = ends;
    this.nulls = nulls;
  }

  get values(): readonly string[] {
    if (this.#strings === null) {
      const strings = new Array<string>(this.length);
      const { bytes, starts, ends, nulls } = this;
      for (let i = 0; i < this.length; i++) {
        strings[i] = nulls !== null && nulls[i] === 1 ? '' : bytes.toString('utf8', starts[i], ends[i]);
      }
      this.#strings = strings;
    }
    return this.#strings;
  }

  /** Whether `values` was made already; then using it costs nothing more. */
  get decoded(): boolean {
    return this.#strings !== null;
  }

  gather(rows: Int32Array, count: number): Column {
    if (this.#strings !== null) {
      return new PlainColumn(
        this.type,
        count,
        gatherValues(this.#strings, rows, count),
        gatherNulls(this.nulls, rows, count),
      );
    }
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      starts[i] = this.starts[rows[i]];
      ends[i] = this.ends[rows[i]];
    }
    return new TextColumn(this.type, count, this.bytes, starts, ends, gatherNulls(this.nulls, rows, count));
  }
}

export function datumAt(column: Column, row: number): Datum {
  if (column.nulls !== null && column.nulls[row] === 1) return null;
  const value = column.values[row];
  return column.type.kind === 'boolean' ? value === 1 || value === true : value;
}

/** Builds a column value by value; starts with the narrowest storage and widens when a bigint comes. */
export class ColumnBuilder {
  readonly type: SqlType;
  #values: ColumnValues;
  #nulls: Uint8Array | null = null;
  #length = 0;
  readonly #capacityStart: number;

  constructor(type: SqlType, capacity = 64) {
    this.type = type;
    this.#capacityStart = Math.max(1, capacity);
    this.#values = allocate(type, this.#capacityStart);
  }

  get length(): number {
    return this.#length;
  }

  push(datum: Datum): void {
    const row = this.#length++;
    if (!Array.isArray(this.#values) && row >= this.#values.length)
      this.#values = grow(this.#values as Float64Array, row);
    if (this.#nulls !== null && row >= this.#nulls.length) this.#nulls = grow(this.#nulls, row) as Uint8Array;
    if (datum === null) {
      if (this.#nulls === null)
        this.#nulls = new Uint8Array(Math.max(row + 1, this.#values.length, this.#capacityStart));
      this.#nulls[row] = 1;
      if (Array.isArray(this.#values)) this.#values[row] = null;
      return;
    }
    if (typeof datum === 'bigint' && !Array.isArray(this.#values)) {
      this.#values = Array.from((this.#values as Float64Array).subarray(0, row));
    }
    (this.#values as Datum[])[row] =
      typeof datum === 'boolean' && !Array.isArray(this.#values) ? ((datum ? 1 : 0) as Datum) : datum;
  }

  finish(): Column {
    const length = this.#length;
    const values = Array.isArray(this.#values) ? this.#values : (this.#values as Float64Array).subarray(0, length);
    return new PlainColumn(this.type, length, values, this.#nulls === null ? null : this.#nulls.subarray(0, length));
  }
}

function grow(values: Float64Array | Int32Array | Uint8Array, needed: number): Float64Array | Int32Array | Uint8Array {
  const bigger = new (values.constructor as Float64ArrayConstructor)(Math.max(needed + 1, values.length * 2));
  bigger.set(values);
  return bigger;
}

/** Empty storage for `capacity` values of a type; bigints need a plain array instead (see types.ts). */
export function allocate(type: SqlType, capacity: number): Uint8Array | Int32Array | Float64Array | Datum[] {
  if (isExact64(type) || type.kind === 'double' || type.kind === 'real' || type.kind === 'time') {
    return new Float64Array(capacity);
  }
  if (type.kind === 'integer' || type.kind === 'smallint' || type.kind === 'date') return new Int32Array(capacity);
  if (type.kind === 'boolean') return new Uint8Array(capacity);
  return [];
}

/** `length` NULLs. */
export function nullColumn(type: SqlType, length: number): Column {
  const values = allocate(type, length);
  return new PlainColumn(
    type,
    length,
    Array.isArray(values) ? new Array<null>(length).fill(null) : values,
    new Uint8Array(length).fill(1),
  );
}
