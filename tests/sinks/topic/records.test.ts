import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rowEncoder } from '../../../sinks/topic/encoder.ts';
import { appendRecords, upsertRecords } from '../../../sinks/topic/records.ts';
import { type Batch, batchOfRows, type ColumnSchema } from '../../../src/values/batch.ts';
import { INTEGER } from '../../../src/values/types.ts';

const columns: ColumnSchema[] = ['k', 'v'].map((name) => ({ name, type: INTEGER, nullable: true }));
const key = rowEncoder('array', columns, [0]);
const value = rowEncoder('array', columns, [0, 1]);
const types = columns.map((column) => column.type);

const batchOf = (changes: readonly (readonly [k: number, v: number, weight: number])[]): Batch => ({
  ...batchOfRows(
    types,
    changes.map(([k, v]) => [k, v]),
  ),
  weights: Int32Array.from(changes, ([, , weight]) => weight),
});

/** A keyed relation under random writes, and each write's changes. */
const writes = fc.array(
  fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.option(fc.integer({ min: 0, max: 3 }))), { maxLength: 6 }),
  { maxLength: 12 },
);

test('whoever keeps the newest record of each key has the rows, however changes are cut and ordered', () => {
  fc.assert(
    fc.property(writes, fc.array(fc.nat()), (epochs, order) => {
      const rows = new Map<number, number>();
      const kept = new Map<string, string | null>();
      for (const epoch of epochs) {
        const batches: Batch[] = [];
        for (const [k, v] of epoch) {
          const old = rows.get(k);
          const changes: [number, number, number][] = [];
          if (v !== null) changes.push([k, v, 1]);
          if (old !== undefined) changes.push([k, old, -1]);
          if (v === null) rows.delete(k);
          else rows.set(k, v);
          batches.push(batchOf(changes));
        }
        // Nothing may hang on the order within an epoch.
        batches.sort((a, b) => (order[a.length] ?? 0) - (order[b.length] ?? 0));
        for (const record of upsertRecords(batches, key, value, false))
          kept.set(String(record.key), record.value === null ? null : String(record.value));
      }
      const left = [...kept].filter(([, text]) => text !== null).sort();
      expect(left).toEqual([...rows].map(([k, v]) => [`[${k}]`, `[${k},${v}]`]).sort());
    }),
  );
});

test('of rows that are never taken back the last of a key counts', () => {
  const records = upsertRecords(
    [
      batchOf([
        [1, 1, 1],
        [1, 2, 1],
      ]),
      batchOf([[1, 3, 1]]),
    ],
    key,
    value,
    true,
  );
  expect(records.map((record) => String(record.value))).toEqual(['[1,3]']);
});

test('append has a record per copy and refuses what is taken back', () => {
  expect(appendRecords([batchOf([[1, 1, 2]])], null, value).map((record) => String(record.value))).toEqual([
    '[1,1]',
    '[1,1]',
  ]);
  expect(() => appendRecords([batchOf([[1, 1, -1]])], null, value)).toThrow('taken back');
});
