import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Batch, batchOfRows, type ColumnSchema, rowAt } from '../../../../src/values/batch.ts';
import { BIGINT, BOOLEAN, type SqlType, VARCHAR } from '../../../../src/values/types.ts';
import { ViewStore } from '../../../../streamql/engine/operators/view-store.ts';
import { savedBytes } from '../../../support/saved-bytes.ts';
import { Bag, histories, type Row, rowKey } from '../history.ts';

const TYPES: readonly SqlType[] = [VARCHAR, BIGINT, BOOLEAN, BIGINT];
const COLUMNS: ColumnSchema[] = TYPES.map((type, i) => ({ name: `c${i}`, type, nullable: true }));
const row = fc.tuple(
  fc.constantFrom(null, 'x', 'y'),
  fc.constantFrom(null, 0, 1, 9007199254740993n),
  fc.constantFrom(null, true, false),
  fc.constantFrom(null, 5, 6),
) as fc.Arbitrary<Row>;
const ALL = [0, 1, 2, 3];

const listOf = (batch: Batch): Row[] => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i));
const batchOf = (changes: readonly { row: Row; weight: number }[]): Batch =>
  batchOfRows(
    TYPES,
    changes.map((change) => change.row),
    changes.map((change) => change.weight),
  );

test('without a key a view is the sum of its changes', () => {
  fc.assert(
    fc.property(histories([row], [false]), fc.integer({ min: 1, max: 4 }), (history, restartEvery) => {
      let store = new ViewStore('v', COLUMNS, null);
      let pieces = [savedBytes(store.state, true)!];
      const expected = new Bag();
      history.forEach((changes, epoch) => {
        for (const change of changes) expected.add(change.row, change.weight);
        if (changes.length > 0) store.apply(batchOf([...changes].reverse()));
        store.endEpoch();
        expect(Bag.of(listOf(store.scan(ALL))).sorted()).toEqual(expected.sorted());
        expect(store.rows).toBe(expected.list().length);
        const piece = savedBytes(store.state, false);
        if (piece !== null) pieces.push(piece);
        if (epoch % restartEvery === 0) {
          store = new ViewStore('v', COLUMNS, null);
          for (const saved of pieces) store.state.load(saved);
          pieces = [savedBytes(store.state, true)!];
        }
      });
    }),
    { numRuns: 100 },
  );
});

/** Each epoch replaces, adds and deletes some keys, with detours; the changes are then shuffled into batches. */
const keyedHistories = fc.array(
  fc.record({
    puts: fc.array(fc.record({ row, detour: fc.option(row) }), { maxLength: 6 }),
    deletes: fc.array(fc.nat(20), { maxLength: 2 }),
    shuffle: fc.array(fc.nat(1000), { maxLength: 40 }),
    size: fc.integer({ min: 1, max: 5 }),
  }),
  { maxLength: 10 },
);

describe.each([{ key: [1, 0] }, { key: [2] }, { key: [] }, { key: ALL }])('with key $key', ({ key }) => {
  const keyText = (values: Row): string => rowKey(key.map((column) => values[column]));

  test('a view holds one row per key, in whatever order an epoch brings its changes', () => {
    fc.assert(
      fc.property(keyedHistories, fc.integer({ min: 1, max: 4 }), (history, restartEvery) => {
        let store = new ViewStore('v', COLUMNS, key);
        let pieces = [savedBytes(store.state, true)!];
        const expected = new Map<string, Row>();
        history.forEach(({ puts, deletes, shuffle, size }, epoch) => {
          const changes: { row: Row; weight: number }[] = [];
          const replace = (id: string, next: Row | null) => {
            const before = expected.get(id);
            if (before !== undefined) changes.push({ row: before, weight: -1 });
            expected.delete(id);
            if (next !== null) {
              changes.push({ row: next, weight: 1 });
              expected.set(id, next);
            }
          };
          for (const put of puts) {
            if (put.detour !== null) replace(keyText(put.detour), put.detour);
            replace(keyText(put.row), put.row);
          }
          for (const n of deletes) {
            const id = [...expected.keys()][n];
            if (id !== undefined) replace(id, null);
          }
          shuffle.forEach((to, from) => {
            if (from >= changes.length) return;
            const other = to % changes.length;
            [changes[from], changes[other]] = [changes[other], changes[from]];
          });
          for (let at = 0; at < changes.length; at += size) store.apply(batchOf(changes.slice(at, at + size)));
          store.endEpoch();
          expect(Bag.of(listOf(store.scan(ALL))).sorted()).toEqual(Bag.of([...expected.values()]).sorted());
          expect(store.rows).toBe(expected.size);
          checkLookups(store, [...expected.values()]);
          const piece = savedBytes(store.state, false);
          if (piece !== null) pieces.push(piece);
          if (epoch % restartEvery === 0) {
            store = new ViewStore('v', COLUMNS, key);
            for (const saved of pieces) store.state.load(saved);
            pieces = [savedBytes(store.state, true)!];
          }
        });
      }),
      { numRuns: 100 },
    );
  });

  function checkLookups(store: ViewStore, all: readonly Row[]): void {
    for (const wanted of all.slice(0, 3)) {
      for (let length = 0; length <= key.length; length++) {
        const prefix = key.slice(0, length).map((column) => wanted[column]);
        const found = listOf(store.lookup(prefix, 1000));
        const right = all.filter((one) => rowKey(key.slice(0, length).map((column) => one[column])) === rowKey(prefix));
        expect(Bag.of(found).sorted()).toEqual(Bag.of(right).sorted());
        expect(store.lookup(prefix, 1).length).toBe(Math.min(1, right.length));
      }
    }
  }

  test('an epoch that leaves two rows for a key, or takes back what is not there, fails', () => {
    const failing = expect.objectContaining({ code: 'PIPELINE_FAILED' });
    const store = new ViewStore('v', COLUMNS, key);
    store.apply(batchOf([{ row: ['x', 0, true, 5], weight: 1 }]));
    store.endEpoch();
    store.apply(batchOf([{ row: ['x', 0, true, 5], weight: 1 }]));
    expect(() => store.endEpoch()).toThrow(failing);
    const other = new ViewStore('v', COLUMNS, key);
    other.apply(batchOf([{ row: ['x', 0, true, 5], weight: -1 }]));
    expect(() => other.endEpoch()).toThrow(failing);
  });
});

test('a row taken back below nothing fails without a key too', () => {
  const store = new ViewStore('v', COLUMNS, null);
  store.apply(batchOf([{ row: ['x', 0, true, 5], weight: -1 }]));
  expect(() => store.endEpoch()).toThrow(expect.objectContaining({ code: 'PIPELINE_FAILED' }));
});

test('lookups by NULL, booleans and beyond 2^53; chunks cover everything once', () => {
  const store = new ViewStore('v', COLUMNS, [2, 1]);
  const rows: Row[] = [
    ['a', null, true, 1],
    ['b', 9007199254740993n, false, null],
    [null, 3, null, 3],
  ];
  store.apply(batchOfRows(TYPES, rows));
  store.endEpoch();
  for (const one of rows) expect(listOf(store.lookup([one[2], one[1]], 5))).toEqual([one]);
  expect(listOf(store.lookup([false], 5))).toEqual([rows[1]]);
  expect(store.lookup([true, 3], 5).length).toBe(0);
  expect(() => store.lookup([1, 2, 3], 5)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  expect([...store.chunks([0], 2)].map((batch) => batch.length)).toEqual([2, 1]);
});

test('a view that is only appended to is the same with its index and without', () => {
  let store = new ViewStore('v', COLUMNS, null, true);
  const pieces = [savedBytes(store.state, true)!];
  const expected = new Bag();
  const rowOf = (i: number): Row => [`text ${i}`, i % 50 === 0 ? 0 : i, i % 2 === 0, i % 50 === 0 ? null : 5];
  for (let epoch = 0; epoch < 8; epoch++) {
    // Some rows are there twice, and some came in an earlier epoch.
    const rows = Array.from({ length: 1500 }, (_, i) => rowOf((i % 1450) + epoch * 1400));
    for (const one of rows) expected.add(one, 1);
    store.apply(batchOfRows(TYPES, rows));
    store.endEpoch();
    pieces.push(savedBytes(store.state, false)!);
    if (epoch === 5) {
      store = new ViewStore('v', COLUMNS, null, true);
      for (const piece of pieces) store.state.load(piece);
    }
    expect(store.rows).toBe(1500 * (epoch + 1));
    expect(Bag.of(listOf(store.scan(ALL))).sorted()).toEqual(expected.sorted());
    // As it was an epoch before.
    const undone = store.with([1, 0], batchOf(rows.map((one) => ({ row: one, weight: -1 }))));
    const before = new Bag();
    for (const one of expected.list()) before.add([one[1], one[0]], 1);
    for (const one of rows) before.add([one[1], one[0]], -1);
    expect(Bag.of(listOf(undone)).sorted()).toEqual(before.sorted());
  }
  expect(() => store.apply(batchOf([{ row: rowOf(1), weight: -1 }]))).toThrow('only appended to');
});

test('a view of few different rows keeps counts, not rows', () => {
  const store = new ViewStore('v', COLUMNS, null, true);
  for (let epoch = 0; epoch < 10; epoch++) {
    store.apply(
      batchOfRows(
        TYPES,
        Array.from({ length: 10_000 }, (_, i): Row => [`text ${i % 4}`, 1, null, 5]),
      ),
    );
    store.endEpoch();
  }
  expect(store.rows).toBe(100_000);
  expect(store.state.rows).toBe(4);
});
