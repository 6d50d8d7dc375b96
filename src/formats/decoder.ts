import type { Column } from '../values/column.ts';

/** Bytes of records, in one format, to columns. */
export interface ValueDecoder {
  /**
   * Reads the record value `buffer[start..end)`. True: a row was added to all wanted columns. False: the record is malformed, no
   * row was added and `error` says why. The bytes must stay as they are while the columns live. A batch of rows is best
   * read from one buffer: when it changes, strings so far are copied out of the old one.
   */
  decode(buffer: Buffer, start: number, end: number): boolean;
  /** The columns of the rows since the last `finish`, in the order of `wanted`. */
  finish(): Column[];
  readonly rows: number;
  /** Why the last `decode` returned false; the code of such an error is RECORD_MALFORMED. */
  readonly error: string;
}
