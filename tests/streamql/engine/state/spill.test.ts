import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { batchOfRows, rowAt } from '../../../../src/values/batch.ts';
import { BIGINT, type Datum, VARCHAR } from '../../../../src/values/types.ts';
import { Arrangement } from '../../../../streamql/engine/state/arrangement.ts';
import { RowTable } from '../../../../streamql/engine/state/row-table.ts';
import { ScratchFiles } from '../../../../streamql/engine/state/scratch-files.ts';
import { identity } from '../../../../streamql/engine/state/state-column.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { scratch } from '../../../support/scratch.ts';

const directory = mkdtempSync(join(scratch, 'spill-'));
afterAll(() => rmSync(directory, { recursive: true }));

const text = (seed: number, length: number): string => `${seed}é`.repeat(length);

test('a table in files is the same table', () => {
  const step = fc.record({
    action: fc.constantFrom('put', 'put', 'put', 'drop', 'spill', 'read', 'save'),
    key: fc.nat(2500),
    size: fc.nat(6),
    isNull: fc.nat(9).map((n) => n === 0),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const files = new ScratchFiles(directory, 1);
      const make = () => new RowTable('t', [VARCHAR], [VARCHAR, BIGINT]);
      let table = make();
      const rows = new Map<string, [Datum, number]>();
      const put = (keys: readonly string[], values: readonly [Datum, number][]): void => {
        const slots = new Int32Array(keys.length);
        table.upsert(
          batchOfRows(
            [VARCHAR],
            keys.map((key) => [key]),
          ).columns,
          keys.length,
          slots,
        );
        const batch = batchOfRows(
          [VARCHAR, BIGINT],
          values.map((value) => [...value]),
        );
        batch.columns.forEach((column, c) => {
          table.values[c].scatter(column, identity(keys.length), slots, keys.length);
        });
        keys.forEach((key, i) => {
          table.touch(slots[i]);
          rows.set(key, values[i]);
        });
      };
      // More than one block, so that some are out while others are written.
      const first = Array.from({ length: 3000 }, (_, i) => i);
      put(
        first.map((i) => `k${i}`),
        first.map((i) => [text(i, 2), i]),
      );
      for (const { action, key, size, isNull } of steps) {
        if (action === 'put')
          put(
            [`k${key}`, `n${size}`],
            [
              [isNull ? null : text(key, size), size],
              ['x', 1],
            ],
          );
        else if (action === 'drop') {
          const slot = table.lookupOne([`k${key}`]);
          if (slot >= 0) table.release(slot);
          rows.delete(`k${key}`);
        } else if (action === 'spill') {
          const { bytes } = table.size;
          table.arrays(files.take);
          expect(table.size).toEqual({ bytes, used: 0, spilled: bytes });
          files.keepWithin(size * 10_000);
        } else if (action === 'read') {
          const slot = table.lookupOne([`k${key}`]);
          const expected = rows.get(`k${key}`);
          expect(slot < 0 ? undefined : table.values.map((column) => column.get(slot))).toEqual(expected);
        } else {
          const piece = savedBytes(table, true)!;
          table = make();
          table.load(piece);
        }
      }
      const slots = table.aliveSlots();
      const keys = table.keys.columns[0].gather(slots, slots.length);
      const values = table.values.map((column) => column.gather(slots, slots.length));
      const found = new Map(
        Array.from(slots, (_, i) => [
          keys.values[i],
          values.map((column) => (column.nulls?.[i] === 1 ? null : column.values[i])),
        ]),
      );
      expect(found).toEqual(rows);
      files.close();
    }),
    { numRuns: 25 },
  );
});

test('rows of a join that are in files are found, compared and taken back', () => {
  const files = new ScratchFiles(directory, 1);
  const side = new Arrangement('side', [BIGINT, VARCHAR], [0], true);
  const rows = Array.from({ length: 2500 }, (_, i): Datum[] => [i % 50, text(i, 9)]);
  const none = (): void => undefined;
  side.apply(batchOfRows([BIGINT, VARCHAR], rows), none);
  side.table.arrays(files.take);
  expect(files.moved()).toBe(side.table.size.spilled);
  expect(side.table.size.used).toBe(0);
  side.apply(batchOfRows([BIGINT, VARCHAR], rows.slice(0, 10), new Array(10).fill(-1)), none);
  expect(side.table.rows).toBe(2490);
  const slots = side.table.aliveSlots();
  const left = side.columns.map((column) => column.gather(slots, slots.length));
  const kept = Array.from(slots, (_, i) => rowAt({ length: slots.length, columns: left, weights: null }, i));
  expect(kept.map(String).sort()).toEqual(rows.slice(10).map(String).sort());
  // Nothing is left behind by a crash: the file has no name.
  expect(readdirSync(directory)).toEqual([]);
  files.close();
});
