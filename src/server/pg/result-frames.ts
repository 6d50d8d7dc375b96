import type { SqlResult } from '../../catalog/context.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { datumAt } from '../../values/column.ts';
import { datumToText } from '../../values/text.ts';
import { encodeBinary } from './binary.ts';
import { type FrameWriter, int16, int32, text } from './messages.ts';
import { pgType } from './types.ts';

/** Formats as Bind gives them: 1 is binary; one counts for all, none means text. */
export const formatAt = (formats: readonly number[], i: number): number =>
  (formats.length === 1 ? formats[0] : formats[i]) ?? 0;

export function rowDescription(
  out: FrameWriter,
  columns: readonly ColumnSchema[],
  formats: readonly number[] = [],
): void {
  const fields = columns.map((column, i) => {
    const { oid, size } = pgType(column.type);
    return Buffer.concat([
      text(column.name),
      int32(0),
      int16(0),
      int32(oid),
      int16(size),
      int32(-1),
      int16(formatAt(formats, i)),
    ]);
  });
  out.frame('T', int16(columns.length), ...fields);
}

/** At most `most` rows from row `skip` on, flushed per batch. Answers how many. */
export function dataRows(
  out: FrameWriter,
  result: Extract<SqlResult, { kind: 'rows' }>,
  formats: readonly number[],
  skip: number,
  most: number,
  flush: () => void,
): number {
  let rows = 0;
  let before = 0;
  for (const batch of result.batches) {
    const from = Math.max(0, skip - before);
    before += batch.length;
    for (let i = from; i < batch.length && rows < most; i++, rows++) {
      const fields = result.columns.map((column, c) => {
        const datum = datumAt(batch.columns[c], i);
        if (datum === null) return int32(-1);
        const bytes =
          formatAt(formats, c) === 1 ? encodeBinary(datum, column.type) : Buffer.from(datumToText(datum, column.type));
        return Buffer.concat([int32(bytes.length), bytes]);
      });
      out.frame('D', int16(fields.length), ...fields);
    }
    flush();
  }
  return rows;
}
