import type { Batch } from '../../../src/values/batch.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { grown } from '../state/arrays.ts';
import { KeyTable } from '../state/key-table.ts';

/** The sum of some changes: each distinct row once, with its total weight, none 0. Null when nothing is left. */
export function consolidate(types: readonly SqlType[], batches: readonly Batch[]): Batch | null {
  const rows = new KeyTable(types);
  let weights = new Int32Array(rows.capacity);
  for (const batch of batches) {
    const slots = new Int32Array(batch.length);
    rows.upsert(batch.columns, batch.length, slots);
    if (rows.capacity > weights.length) weights = grown(weights, rows.capacity);
    for (let i = 0; i < batch.length; i++) weights[slots[i]] += batch.weights === null ? 1 : batch.weights[i];
  }
  const kept = new Int32Array(rows.end);
  let count = 0;
  let plain = true;
  for (let slot = 0; slot < rows.end; slot++) {
    if (weights[slot] === 0) continue;
    kept[count++] = slot;
    if (weights[slot] !== 1) plain = false;
  }
  if (count === 0) return null;
  const columns = rows.columns.map((column) => column.gather(kept, count));
  return {
    length: count,
    columns,
    weights: plain ? null : Int32Array.from(kept.subarray(0, count), (slot) => weights[slot]),
  };
}
