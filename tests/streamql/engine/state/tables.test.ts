import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchOfRows, rowAt } from '../../../../src/values/batch.ts';
import { compareDatums } from '../../../../src/values/compare.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  type SqlType,
  VARCHAR,
} from '../../../../src/values/types.ts';
import { ABSENT, KeyTable } from '../../../../streamql/engine/state/key-table.ts';
import { EMPTY, OrderedSets } from '../../../../streamql/engine/state/ordered-set.ts';
import { RowTable } from '../../../../streamql/engine/state/row-table.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { type Row, rowKey } from '../history.ts';

const samples: readonly (readonly [SqlType, fc.Arbitrary<Datum>])[] = [
  [BIGINT, fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom<Datum>(2 ** 40, -9007199254740993n, 2n ** 63n))],
  [VARCHAR, fc.oneof(fc.string({ maxLength: 2 }), fc.constantFrom('ä', '\u{1f600}'))],
  [DOUBLE, fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN))],
  [BOOLEAN, fc.boolean()],
  [INTEGER, fc.integer({ min: -5, max: 5 })],
  [DATE, fc.integer({ min: 0, max: 3 })],
  [decimal(20, 3), fc.constantFrom<Datum>(1, 10n ** 20n)],
  [BYTEA, fc.uint8Array({ maxLength: 1 })],
  [arrayOf(BIGINT), fc.array(fc.option(fc.integer({ min: 0, max: 2 })), { maxLength: 2 })],
  [INTERVAL, fc.record({ months: fc.nat(1), days: fc.constantFrom(0, 30), micros: fc.nat(1) })],
];

/** Months are 30 days, as in comparisons. */
const groupKey = (row: Row): string =>
  rowKey(
    row.map((datum) =>
      datum !== null && typeof datum === 'object' && 'months' in datum
        ? [datum.months * 30 + datum.days, datum.micros]
        : datum instanceof Uint8Array
          ? [...datum]
          : datum,
    ),
  );

const keyedTypes = fc
  .uniqueArray(fc.nat(samples.length - 1), { maxLength: 3 })
  .map((picks) => picks.map((pick) => samples[pick]));

test('a key table gives each key one slot, finds it again, and forgets what is released', () => {
  const scenario = keyedTypes.chain((columns) =>
    fc.record({
      types: fc.constant(columns.map(([type]) => type)),
      batches: fc.array(
        fc.array(fc.tuple(...columns.map(([, value]) => fc.option(value, { freq: 6 }))) as fc.Arbitrary<Row>, {
          minLength: 1,
          maxLength: 30,
        }),
        { maxLength: 6 },
      ),
      release: fc.array(fc.nat(100), { maxLength: 20 }),
    }),
  );
  fc.assert(
    fc.property(scenario, ({ types, batches, release }) => {
      const table = new KeyTable(types);
      const slotOf = new Map<string, number>();
      for (const rows of batches) {
        const batch = batchOfRows(types, rows);
        const slots = new Int32Array(rows.length);
        const before = new Set(slotOf.keys());
        const made = table.upsert(batch.columns, rows.length, slots);
        rows.forEach((row, i) => {
          const known = slotOf.get(groupKey(row));
          if (known === undefined) slotOf.set(groupKey(row), slots[i]);
          else expect(slots[i]).toBe(known);
        });
        expect(made).toBe(slotOf.size - before.size);
        expect(table.count).toBe(slotOf.size);
        expect(new Set(slotOf.values()).size).toBe(slotOf.size);
        for (const n of release) {
          const key = [...slotOf.keys()][n];
          if (key === undefined) continue;
          table.release(slotOf.get(key)!);
          slotOf.delete(key);
        }
        table.lookup(batch.columns, rows.length, slots);
        rows.forEach((row, i) => {
          expect(slots[i]).toBe(slotOf.get(groupKey(row)) ?? ABSENT);
          expect(table.lookupOne(row)).toBe(slots[i]);
        });
      }
    }),
    { numRuns: 200 },
  );
});

test('keys whose hashes collide stay apart', () => {
  // 2^17 distinct keys have about two pairs with one 32-bit hash; also across growth and release.
  const many = 1 << 17;
  const table = new KeyTable([BIGINT]);
  const keys = batchOfRows(
    [BIGINT],
    Array.from({ length: many }, (_, i) => [i * 7919]),
  );
  const slots = new Int32Array(many);
  expect(table.upsert(keys.columns, many, slots)).toBe(many);
  expect(new Set(slots).size).toBe(many);
  for (let i = 0; i < many; i += 2) table.release(slots[i]);
  const again = new Int32Array(many);
  table.lookup(keys.columns, many, again);
  for (let i = 0; i < many; i++) if (again[i] !== (i % 2 === 0 ? ABSENT : slots[i])) throw new Error(`key ${i}`);
});

describe('saved state', () => {
  const types = samples.map(([type]) => type);
  const row = fc.tuple(...samples.map(([, value]) => fc.option(value, { freq: 6 }))) as fc.Arbitrary<Row>;

  test('a full piece and the changes after it give the same rows in the same slots', () => {
    fc.assert(
      fc.property(fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { maxLength: 6 }), (epochs) => {
        const make = () => new RowTable('t', types, types);
        const table = make();
        const pieces = [savedBytes(table, true)!];
        const live = new Set<number>();
        epochs.forEach((rows, epoch) => {
          const batch = batchOfRows(types, rows);
          const slots = new Int32Array(rows.length);
          table.upsert(batch.columns, rows.length, slots);
          rows.forEach((one, i) => {
            one.forEach((datum, c) => {
              table.values[c].set(slots[i], datum);
            });
            table.touch(slots[i]);
            live.add(slots[i]);
          });
          const [first] = live;
          if (epoch % 2 === 1) {
            table.release(first);
            live.delete(first);
          }
          pieces.push(savedBytes(table, false)!);
          expect(savedBytes(table, false)).toBeNull();
          const copy = make();
          for (const piece of pieces) copy.load(piece);
          expect([...copy.aliveSlots()]).toEqual([...table.aliveSlots()]);
          for (const slot of live) {
            const all = (from: RowTable) => [...from.keys.columns, ...from.values].map((column) => column.get(slot));
            expect(all(copy)).toEqual(all(table));
            expect(copy.lookupOne(all(copy).slice(0, types.length))).toBe(slot);
          }
        });
      }),
      { numRuns: 100 },
    );
  });

  test('refuses what is not a piece of this table', () => {
    const table = new RowTable('t', [BIGINT], [VARCHAR]);
    const slots = new Int32Array(2);
    const rows = batchOfRows([BIGINT], [[1], [2]]);
    table.upsert(rows.columns, 2, slots);
    for (const slot of slots) table.touch(slot);
    const piece = savedBytes(table, true)!;
    const load = (bytes: Uint8Array, types: readonly SqlType[] = [VARCHAR]) =>
      new RowTable('t', [BIGINT], types).load(bytes);
    const failing = expect.objectContaining({ code: 'STORAGE_FAILED' });
    expect(() => load(piece)).not.toThrow();
    for (let length = 0; length < piece.length; length++) {
      expect(() => load(piece.subarray(0, length)), `${length} bytes`).toThrow(failing);
    }
    expect(() => load(Buffer.concat([piece, Buffer.from([0])]))).toThrow(failing);
    expect(() => load(piece, [BIGINT])).toThrow(failing);
    const newer = Buffer.from(piece);
    newer[4] = 9;
    expect(() => load(newer)).toThrow(failing);
    expect(() => load(Buffer.from('not state at all'))).toThrow(failing);
  });
});

test('an ordered set is a sorted list', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(30), fc.boolean()), { maxLength: 120 }), (steps) => {
      const value = (slot: number) => (slot * 17) % 31;
      const sets = new OrderedSets((a, b) => compareDatums(value(a), value(b), BIGINT));
      let root = EMPTY;
      const inside = new Set<number>();
      for (const [slot, adds] of steps) {
        if (adds === inside.has(slot)) continue;
        root = adds ? sets.insert(root, slot) : sets.remove(root, slot);
        if (adds) inside.add(slot);
        else inside.delete(slot);
        const right = [...inside].sort((a, b) => value(a) - value(b));
        const walked: number[] = [];
        sets.walk(root, (one) => walked.push(one) > 0);
        expect(walked).toEqual(right);
        expect(sets.first(root)).toBe(right[0] ?? EMPTY);
        expect(sets.last(root)).toBe(right[right.length - 1] ?? EMPTY);
      }
    }),
    { numRuns: 100 },
  );
});

test('rows come back as they went in', () => {
  const types = samples.map(([type]) => type);
  const row = fc.tuple(...samples.map(([, value]) => fc.option(value))) as fc.Arbitrary<Row>;
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 10 }), (rows) => {
      const table = new KeyTable(types, false);
      const slots = new Int32Array(rows.length);
      table.append(batchOfRows(types, rows).columns, rows.length, slots);
      const columns = table.columns.map((column) => column.gather(slots, rows.length));
      const batch = { length: rows.length, columns, weights: null };
      expect(rows.map((_, i) => groupKey(rowAt(batch, i)))).toEqual(rows.map(groupKey));
    }),
    { numRuns: 100 },
  );
});
