import { copyBytes } from '../../../src/lib/bytes.ts';
import type { Batch } from '../../../src/values/batch.ts';
import { type Column, TextColumn } from '../../../src/values/column.ts';

/**
 * The batch without a hold on large buffers that it uses little of: a text column's bytes are a whole chunk of the log. For batches
 * that are kept for a while.
 */
export function compactBatch(batch: Batch): Batch {
  let columns: Column[] | null = null;
  for (let c = 0; c < batch.columns.length; c++) {
    const compacted = compactColumn(batch.columns[c]);
    if (compacted === batch.columns[c]) continue;
    columns ??= [...batch.columns];
    columns[c] = compacted;
  }
  return columns === null ? batch : { length: batch.length, columns, weights: batch.weights };
}

function compactColumn(column: Column): Column {
  if (!(column instanceof TextColumn)) return column;
  const { starts, ends, nulls, length, bytes } = column;
  let used = 0;
  for (let i = 0; i < length; i++) if (nulls === null || nulls[i] === 0) used += ends[i] - starts[i];
  if (used * 2 > bytes.buffer.byteLength) return column;
  const copy = Buffer.allocUnsafeSlow(used);
  const from = new Int32Array(length);
  const to = new Int32Array(length);
  let at = 0;
  for (let i = 0; i < length; i++) {
    from[i] = at;
    if (nulls === null || nulls[i] === 0) {
      copyBytes(bytes, starts[i], ends[i], copy, at);
      at += ends[i] - starts[i];
    }
    to[i] = at;
  }
  return new TextColumn(column.type, length, copy, from, to, nulls);
}
