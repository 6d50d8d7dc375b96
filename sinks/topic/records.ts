import { StreamError } from '../../src/lib/errors.ts';
import type { NewRecord } from '../../src/ports/topic-log.ts';
import { type Batch, rowAt, weightAt } from '../../src/values/batch.ts';
import type { EncodeRow } from './encoder.ts';

/** One record per row. A weight other than +1 cannot be told in a topic that only grows. */
export function appendRecords(batches: readonly Batch[], key: EncodeRow | null, value: EncodeRow): NewRecord[] {
  const records: NewRecord[] = [];
  for (const batch of batches) {
    for (let i = 0; i < batch.length; i++) {
      const weight = weightAt(batch, i);
      if (weight < 1) throw new StreamError('SINK_REJECTED', 'a row was taken back, which mode append cannot say');
      const row = rowAt(batch, i);
      const record = { key: key === null ? null : key(row), value: value(row) };
      for (let copy = 0; copy < weight; copy++) records.push(record);
    }
  }
  return records;
}

/** The net changes: each row that came or went once, with how many copies, rows that went first. */
export function changeRecords(batches: readonly Batch[], value: EncodeRow, epoch: number): NewRecord[] {
  const rows = new Map<string, { readonly bytes: Buffer; weight: number }>();
  for (const batch of batches) {
    for (let i = 0; i < batch.length; i++) {
      const bytes = value(rowAt(batch, i));
      const text = bytes.toString('latin1');
      const known = rows.get(text);
      if (known === undefined) rows.set(text, { bytes, weight: weightAt(batch, i) });
      else known.weight += weightAt(batch, i);
    }
  }
  const epochText = Buffer.from(String(epoch));
  const changed = [...rows.values()].filter(({ weight }) => weight !== 0);
  const inOrder = [...changed.filter(({ weight }) => weight < 0), ...changed.filter(({ weight }) => weight > 0)];
  return inOrder.map(({ bytes, weight }) => ({
    key: null,
    value: bytes,
    headers: [
      ['epoch', epochText],
      ['diff', Buffer.from(String(weight))],
    ],
  }));
}

/**
 * The net effect per key: its row, or null when it has none any more. Batches of one epoch hold retractions and insertions in any order,
 * so weights are added up per row before anything is said. Where rows are never taken back the last of a key counts.
 */
export function upsertRecords(
  batches: readonly Batch[],
  key: EncodeRow,
  value: EncodeRow,
  appendOnly: boolean,
): NewRecord[] {
  const keys = new Map<
    string,
    { readonly key: Buffer; readonly rows: Map<string, { bytes: Buffer; weight: number }> }
  >();
  for (const batch of batches) {
    for (let i = 0; i < batch.length; i++) {
      const row = rowAt(batch, i);
      const keyBytes = key(row);
      const id = keyBytes.toString('latin1');
      let entry = keys.get(id);
      if (entry === undefined) {
        entry = { key: keyBytes, rows: new Map() };
        keys.set(id, entry);
      }
      const bytes = value(row);
      if (appendOnly) entry.rows.clear();
      const text = bytes.toString('latin1');
      const known = entry.rows.get(text);
      if (known === undefined) entry.rows.set(text, { bytes, weight: weightAt(batch, i) });
      else known.weight += weightAt(batch, i);
    }
  }
  const records: NewRecord[] = [];
  for (const entry of keys.values()) {
    const present = [...entry.rows.values()].filter(({ weight }) => weight > 0);
    // Nothing but weights that cancelled: the row of before stands.
    if (present.length === 0 && ![...entry.rows.values()].some(({ weight }) => weight < 0)) continue;
    if (present.length > 1)
      throw new StreamError('SINK_REJECTED', `two rows have the key ${entry.key.toString().slice(0, 200)}`, {
        hint: 'name all columns that tell rows apart in key',
      });
    records.push({ key: entry.key, value: present[0]?.bytes ?? null });
  }
  return records;
}
