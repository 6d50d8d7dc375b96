import { StreamError } from '../lib/errors.ts';
import type { Column } from '../values/column.ts';
import type { ValueDecoder } from './decoder.ts';

/** A zero byte and the schema's id (int32, big endian) before the value, as Confluent's serializers write them. */
export const HEADER_BYTES = 5;

/** Added to the reason when a record that could not be read begins with a zero byte. */
export const BEGINS_LIKE_HEADER = " (it begins like Confluent's header, which header = 'confluent' passes over)";

/** How many bytes of the value's own framing follow the id; −1 when they are not what is declared. */
export type Framing = (buffer: Buffer, start: number, end: number) => number;

/** `WITH (header = 'confluent' [, schema_id = '7'])`: a record with another id, or without the header, is malformed. */
export class HeaderDecoder implements ValueDecoder {
  readonly #inner: ValueDecoder;
  readonly #schemaId: number | null;
  readonly #framing: Framing | null;
  #error = '';

  constructor(inner: ValueDecoder, schemaId: number | null, framing: Framing | null) {
    this.#inner = inner;
    this.#schemaId = schemaId;
    this.#framing = framing;
  }

  get rows(): number {
    return this.#inner.rows;
  }

  get error(): string {
    return this.#error;
  }

  decode(buffer: Buffer, start: number, end: number): boolean {
    if (end - start < HEADER_BYTES || buffer[start] !== 0) {
      this.#error = "the record does not begin with Confluent's header, a zero byte and the id of a schema";
      return false;
    }
    const id = buffer.readInt32BE(start + 1);
    if (this.#schemaId !== null && id !== this.#schemaId) {
      this.#error = `the record was written with schema ${id}, the source reads schema ${this.#schemaId}`;
      return false;
    }
    let from = start + HEADER_BYTES;
    if (this.#framing !== null) {
      const length = this.#framing(buffer, from, end);
      if (length < 0) {
        this.#error = "the message indexes after Confluent's header name another message";
        return false;
      }
      from += length;
    }
    if (this.#inner.decode(buffer, from, end)) return true;
    this.#error = this.#inner.error;
    return false;
  }

  finish(): Column[] {
    return this.#inner.finish();
  }
}

/** `schema_id`; null when it is not given. OPTION_INVALID. */
export function schemaIdOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const id = Number(text);
  if (!/^\d+$/.test(text) || id > 2147483647)
    throw new StreamError('OPTION_INVALID', `schema_id = '${text}': expected the number of a schema`);
  return id;
}
