import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Batch, batchOfRows, rowAt } from '../../src/values/batch.ts';
import { decodeBatch, encodeBatch, transferables } from '../../src/values/batch-codec.ts';
import { TextColumn } from '../../src/values/column.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  type Datum,
  DOUBLE,
  INTEGER,
  INTERVAL,
  VARCHAR,
} from '../../src/values/types.ts';

const rowsOf = (batch: Batch) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i));
const maybe = (arbitrary: fc.Arbitrary<Datum>) => fc.option(arbitrary, { freq: 4 });

test('a batch that crossed is the same, and the sent one still whole', () => {
  const types = [BOOLEAN, INTEGER, BIGINT, DOUBLE, VARCHAR, BYTEA, INTERVAL, arrayOf(VARCHAR)];
  const row = fc.tuple(
    maybe(fc.boolean()),
    maybe(fc.integer()),
    maybe(fc.oneof(fc.maxSafeInteger(), fc.constant(2n ** 60n))),
    maybe(fc.double()),
    maybe(fc.string({ unit: 'binary' }).map((text) => Buffer.from(text).toString())),
    maybe(fc.uint8Array({ maxLength: 4 })),
    maybe(fc.record({ months: fc.integer(), days: fc.integer(), micros: fc.integer() })),
    maybe(fc.array(fc.string(), { maxLength: 2 })),
  );
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), fc.boolean(), (rows, weighted) => {
      const batch = batchOfRows(types, rows, weighted ? rows.map((_, i) => (i % 2 === 0 ? 1 : -1)) : undefined);
      const encoded = encodeBatch(batch);
      const there = decodeBatch(structuredClone(encoded, { transfer: transferables(encoded) }));
      expect(rowsOf(there)).toEqual(rows);
      expect(there.weights).toEqual(batch.weights);
      expect(rowsOf(batch)).toEqual(rows);
    }),
    { numRuns: 200 },
  );
});

test('text ranges take only their own bytes along', () => {
  const bytes = Buffer.from(`${'.'.repeat(5000)}één${'.'.repeat(5000)}two`);
  const nulls = Uint8Array.of(0, 1, 0);
  const starts = Int32Array.of(5000, 9, 10005);
  const ends = Int32Array.of(5005, 2, 10008);
  const column = new TextColumn(VARCHAR, 3, bytes, starts, ends, nulls);
  const encoded = encodeBatch({ length: 3, columns: [column], weights: null });
  expect(transferables(encoded).reduce((sum, buffer) => sum + buffer.byteLength, 0)).toBeLessThan(100);
  expect(rowsOf(decodeBatch(encoded))).toEqual([['één'], [null], ['two']]);
});
