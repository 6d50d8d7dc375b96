import type { Batch, ColumnSchema } from '../../../src/values/batch.ts';
import { PlainColumn } from '../../../src/values/column.ts';
import { INTEGER } from '../../../src/values/types.ts';
import { bytesOfParts, decodePiece, encodePiece, type Parts } from '../state/piece.ts';

/** Of what is held in memory, roughly: 16 bytes per value, since texts are not measured. */
export const batchBytes = (batches: readonly Batch[]): number =>
  batches.reduce((sum, batch) => sum + batch.length * (4 + 16 * batch.columns.length), 0);

/** Batches as bytes of a checkpoint. */
export function encodeBatches(batches: readonly Batch[], columns: readonly ColumnSchema[]): Parts {
  return batches.flatMap((batch) => {
    const weights = batch.weights ?? new Int32Array(batch.length).fill(1);
    const slots = Int32Array.from({ length: batch.length }, (_, i) => i);
    const alive = new Uint8Array(batch.length).fill(1);
    const all = [...batch.columns, new PlainColumn(INTEGER, batch.length, weights, null)];
    // A text column's `values` are asked for here, so what is stored does not depend on how it was held.
    const plain = all.map(
      (column, c) => new PlainColumn(columns[c]?.type ?? INTEGER, column.length, column.values, column.nulls),
    );
    const piece = encodePiece({ full: true, slots, alive, columns: plain });
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytesOfParts(piece));
    return [head, ...piece];
  });
}

export function decodeBatches(bytes: Uint8Array, columns: readonly ColumnSchema[]): Batch[] {
  const types = [...columns.map((column) => column.type), INTEGER];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const batches: Batch[] = [];
  for (let at = 0; at < buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    const piece = decodePiece(buffer.subarray(at + 4, at + 4 + length), types);
    const weights = piece.columns[columns.length].values as Int32Array;
    batches.push({
      length: weights.length,
      columns: piece.columns.slice(0, columns.length),
      weights: weights.every((weight) => weight === 1) ? null : weights,
    });
    at += 4 + length;
  }
  return batches;
}
