import type { ColumnSchema } from '../../values/batch.ts';
import { typeName } from '../../values/types.ts';
import type { ValueDecoder } from '../decoder.ts';
import { excerpt, SlotDecoder } from '../slot-decoder.ts';
import { type ReadText, textReader } from '../text-values.ts';

export interface CsvOptions {
  /** One byte each. */
  readonly delimiter: number;
  readonly quote: number;
  /** A field of exactly this text, without quotes, is NULL. */
  readonly nullText: string;
}

/**
 * One line of CSV a record (RFC 4180), fields in the order of the declared columns; a line break at its end is passed over. A field in
 * quotes may hold delimiters, line breaks and doubled quotes; a quote inside a field that does not begin with one is itself. The count of fields must be that of the columns.
 */
export function createCsvDecoder(
  columns: readonly ColumnSchema[],
  wanted: readonly number[],
  options: CsvOptions,
): ValueDecoder {
  return new CsvDecoder(columns, wanted, options);
}

const LF = 10;
const CR = 13;

/** How a field was written. */
const PLAIN = 0;
const QUOTED = 1;
/** In quotes, with doubled quotes inside. */
const DOUBLED = 2;

class CsvDecoder extends SlotDecoder {
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #nullText: Buffer;
  readonly #wanted: readonly number[];
  readonly #readers: readonly ReadText[];
  readonly #names: readonly string[];
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  readonly #forms: Uint8Array;

  constructor(columns: readonly ColumnSchema[], wanted: readonly number[], options: CsvOptions) {
    super(wanted.map((position) => columns[position]));
    this.#delimiter = options.delimiter;
    this.#quote = options.quote;
    this.#nullText = Buffer.from(options.nullText);
    this.#wanted = wanted;
    this.#readers = wanted.map((position) => textReader(columns[position].type));
    this.#names = columns.map((column) => column.name);
    this.#starts = new Int32Array(columns.length);
    this.#ends = new Int32Array(columns.length);
    this.#forms = new Uint8Array(columns.length);
  }

  protected read(start: number, end: number, row: number): string | null {
    const b = this.buffer;
    let stop = end;
    if (stop > start && b[stop - 1] === LF) stop--;
    if (stop > start && b[stop - 1] === CR) stop--;
    const problem = this.#split(b, start, stop);
    if (problem !== null) return problem;
    for (let i = 0; i < this.#wanted.length; i++) {
      const failed = this.#fill(b, i, this.#wanted[i], row);
      if (failed !== null) return failed;
    }
    return null;
  }

  #fill(b: Buffer, slot: number, field: number, row: number): string | null {
    const from = this.#starts[field];
    const to = this.#ends[field];
    const form = this.#forms[field];
    if (form === PLAIN && this.#isNull(b, from, to)) return this.setNull(slot, row);
    const target = this.slots[slot];
    let datum: ReturnType<ReadText>;
    if (form === DOUBLED) {
      const quote = String.fromCharCode(this.#quote);
      const text = Buffer.from(b.utf8Slice(from, to).replaceAll(quote + quote, quote));
      datum = this.#readers[slot](text, 0, text.length);
    } else if (target.isText) {
      target.setText(row, b, from, to);
      return null;
    } else datum = this.#readers[slot](b, from, to);
    if (datum === undefined)
      return `column "${target.schema.name}" (${typeName(target.schema.type)}) cannot hold ${excerpt(b, from, to)}`;
    target.set(row, datum, b);
    return null;
  }

  #isNull(b: Buffer, from: number, to: number): boolean {
    const text = this.#nullText;
    if (text.length !== to - from) return false;
    for (let i = 0; i < text.length; i++) if (text[i] !== b[from + i]) return false;
    return true;
  }

  /** Finds the fields; null, or why the line is none. */
  #split(b: Buffer, start: number, end: number): string | null {
    const count = this.#starts.length;
    const delimiter = this.#delimiter;
    const quote = this.#quote;
    let p = start;
    for (let field = 0; ; field++) {
      if (field === count) return `there are more than ${count} fields`;
      if (p < end && b[p] === quote) {
        const close = this.#closeQuote(b, p + 1, end, field);
        if (close < 0) return `the quotes of field ${field + 1} (${this.#names[field]}) are not closed`;
        this.#starts[field] = p + 1;
        this.#ends[field] = close;
        p = close + 1;
        if (p < end && b[p] !== delimiter) return `text follows the quotes of field ${field + 1}`;
      } else {
        this.#starts[field] = p;
        while (p < end && b[p] !== delimiter) {
          if (b[p] === LF) return `a second line begins in field ${field + 1}: a record is one line`;
          p++;
        }
        this.#ends[field] = p;
        this.#forms[field] = PLAIN;
      }
      if (p >= end) return field + 1 === count ? null : `there are ${field + 1} fields for ${count} columns`;
      p++;
    }
  }

  #closeQuote(b: Buffer, from: number, end: number, field: number): number {
    const quote = this.#quote;
    this.#forms[field] = QUOTED;
    for (let p = from; p < end; p++) {
      if (b[p] !== quote) continue;
      if (p + 1 < end && b[p + 1] === quote) {
        this.#forms[field] = DOUBLED;
        p++;
      } else return p;
    }
    return -1;
  }
}
