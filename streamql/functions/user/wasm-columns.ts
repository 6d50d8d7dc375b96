import { StreamError } from '../../../src/lib/errors.ts';
import { type Column, type ColumnValues, PlainColumn } from '../../../src/values/column.ts';
import { canonicalInteger, type Datum, type SqlType } from '../../../src/values/types.ts';

/** `values`, `nulls` and `data`, each the place of an array. */
export const DESCRIPTOR_BYTES = 12;

/** Bytes of a value in memory, by kind; texts have an offset of 4. */
export const WIDTHS: Readonly<Record<string, number>> = {
  boolean: 1,
  smallint: 4,
  integer: 4,
  bigint: 8,
  real: 8,
  double: 8,
  varchar: 4,
};

export const isWasmType = ({ kind }: SqlType): boolean => WIDTHS[kind] !== undefined;

/** Eight bytes further than it has to be at most, so that every array begins where its values may. */
export const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Rows `from` to `to` of columns without NULLs, as a call's arguments. */
export class Arguments {
  readonly #columns: readonly Column[];
  readonly #types: readonly SqlType[];
  readonly #from: number;
  readonly #to: number;
  readonly #texts: readonly ({ readonly offsets: Uint32Array; readonly bytes: Uint8Array } | null)[];
  readonly #sizes: readonly number[];
  /** What `write` needs behind the descriptors. */
  readonly bytes: number;

  constructor(columns: readonly Column[], types: readonly SqlType[], from: number, to: number) {
    this.#columns = columns;
    this.#types = types;
    this.#from = from;
    this.#to = to;
    const rows = to - from;
    this.#texts = columns.map((column, i) => (types[i].kind === 'varchar' ? textsOf(column, from, to) : null));
    this.#sizes = types.map((type, i) => {
      const text = this.#texts[i];
      return text === null ? aligned(rows * WIDTHS[type.kind]) : aligned((rows + 1) * 4) + aligned(text.bytes.length);
    });
    this.bytes = this.#sizes.reduce((a, b) => a + b, 0);
  }

  /** A descriptor for each at `descriptors`, and their arrays from `at`, a multiple of eight. */
  write(buffer: ArrayBuffer, descriptors: number, at: number): void {
    const view = new DataView(buffer);
    const rows = this.#to - this.#from;
    let next = at;
    this.#columns.forEach((column, i) => {
      const descriptor = descriptors + i * DESCRIPTOR_BYTES;
      const text = this.#texts[i];
      const data = text === null ? 0 : next + aligned((rows + 1) * 4);
      view.setUint32(descriptor, next, true);
      view.setUint32(descriptor + 4, 0, true);
      view.setUint32(descriptor + 8, data, true);
      if (text === null) writeValues(buffer, next, column, this.#from, this.#to, this.#types[i]);
      else {
        new Uint32Array(buffer, next, rows + 1).set(text.offsets);
        new Uint8Array(buffer, data, text.bytes.length).set(text.bytes);
      }
      next += this.#sizes[i];
    });
  }
}

/** What a call gave for some rows. */
export interface Part {
  readonly values: ColumnValues;
  readonly nulls: Uint8Array | null;
  readonly rows: number;
}

const encoder = new TextEncoder();

const wellFormed = (text: string): string => Buffer.from(text).toString();

function textsOf(column: Column, from: number, to: number): { offsets: Uint32Array; bytes: Uint8Array } {
  const offsets = new Uint32Array(to - from + 1);
  const all = (column.values as readonly string[]).slice(from, to);
  const bytes = encoder.encode(all.join(''));
  let at = 0;
  all.forEach((text, i) => {
    at += Buffer.byteLength(text);
    offsets[i + 1] = at;
  });
  // Halves of a pair that stand apart became one where texts meet: made good before.
  if (at !== bytes.length)
    return textsOf(new PlainColumn(column.type, all.length, all.map(wellFormed), null), 0, all.length);
  return { offsets, bytes };
}

function writeValues(
  buffer: ArrayBuffer,
  at: number,
  { values }: Column,
  from: number,
  to: number,
  type: SqlType,
): void {
  const rows = to - from;
  switch (type.kind) {
    case 'boolean': {
      const out = new Uint8Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] ? 1 : 0;
      return;
    }
    case 'bigint': {
      const out = new BigInt64Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = BigInt(values[from + i] as number | bigint);
      return;
    }
    case 'real':
    case 'double': {
      const out = new Float64Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] as number;
      return;
    }
    default: {
      const out = new Int32Array(buffer, at, rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] as number;
    }
  }
}

/** Of a result whose arrays the caller made room for. `dataAt`: where the descriptor says where the texts' bytes are. */
export function readResult(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  valuesAt: number,
  nullsAt: number,
  dataAt: number,
  type: SqlType,
): Part {
  // Copies: the memory is the module's.
  const nulls = new Uint8Array(buffer, nullsAt, rows).slice();
  let some = false;
  for (let i = 0; i < rows; i++) {
    nulls[i] = nulls[i] === 0 ? 0 : 1;
    some ||= nulls[i] === 1;
  }
  return { values: valuesOf(name, buffer, rows, valuesAt, nulls, dataAt, type), nulls: some ? nulls : null, rows };
}

/** Copies: the memory is the module's. */
export function valuesOf(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  at: number,
  nulls: Uint8Array,
  dataAt: number,
  type: SqlType,
): ColumnValues {
  switch (type.kind) {
    case 'boolean':
      return new Uint8Array(buffer, at, rows).map((byte) => (byte === 0 ? 0 : 1));
    case 'bigint': {
      const given = new BigInt64Array(buffer, at, rows);
      const out: Datum[] = Array.from(given, (value, i) => (nulls[i] === 1 ? 0 : canonicalInteger(value)));
      return out.every((value) => typeof value === 'number') ? Float64Array.from(out as number[]) : out;
    }
    case 'real':
      return new Float64Array(buffer, at, rows).map((value) => Math.fround(value));
    case 'double':
      return new Float64Array(buffer, at, rows).slice();
    case 'varchar':
      return stringsOf(name, buffer, rows, at, nulls, dataAt);
    default: {
      const out = new Int32Array(buffer, at, rows).slice();
      const beyond =
        type.kind === 'smallint' ? out.find((value, i) => nulls[i] === 0 && value !== (value << 16) >> 16) : undefined;
      if (beyond === undefined) return out;
      throw new StreamError('VALUE_FUNCTION', `${name} gave ${beyond} for SMALLINT`);
    }
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function stringsOf(
  name: string,
  buffer: ArrayBuffer,
  rows: number,
  at: number,
  nulls: Uint8Array,
  dataAt: number,
): Datum[] {
  const offsets = new Uint32Array(buffer, at, rows + 1);
  const data = new DataView(buffer).getUint32(dataAt, true);
  const out: Datum[] = [];
  for (let i = 0; i < rows; i++) {
    if (nulls[i] === 1) {
      out.push(null);
      continue;
    }
    const [from, to] = [data + offsets[i], data + offsets[i + 1]];
    if (from > to || to > buffer.byteLength)
      throw new StreamError('VALUE_FUNCTION', `${name} gave a text outside its memory`);
    try {
      out.push(decoder.decode(new Uint8Array(buffer, from, to - from)));
    } catch {
      throw new StreamError('VALUE_FUNCTION', `${name} gave a text that is not UTF-8`);
    }
  }
  return out;
}
