import { createDecoder, type DecoderContext } from '../../src/formats/formats.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { type Column, datumAt } from '../../src/values/column.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';

export const column = (name: string, type: SqlType, nullable = true): ColumnSchema => ({ name, type, nullable });

export const rowsOf = (columns: readonly Column[]): Datum[][] =>
  columns.length === 0
    ? []
    : Array.from({ length: columns[0].length }, (_, row) => columns.map((c) => datumAt(c, row)));

/** Each record as its row, or as why it is none; all lie in one buffer, between bytes that belong to nobody. */
export function decodeAll(
  format: string,
  columns: readonly ColumnSchema[],
  records: readonly (string | Uint8Array)[],
  more: Partial<DecoderContext> = {},
): (Datum[] | string)[] {
  const decoder = createDecoder(format, { columns, wanted: columns.map((_, i) => i), key: [], options: {}, ...more });
  const parts = records.map((record) => Buffer.from(record as string));
  const gap = Buffer.from([0xff, 0x22, 0x7b]);
  const buffer = Buffer.concat(parts.flatMap((part) => [gap, part]).concat(gap));
  const out: (string | null)[] = [];
  let at = 0;
  for (const part of parts) {
    at += gap.length;
    out.push(decoder.decode(buffer, at, at + part.length) ? null : decoder.error);
    at += part.length;
  }
  const rows = rowsOf(decoder.finish());
  return out.map((error) => error ?? (rows.shift() as Datum[]));
}
