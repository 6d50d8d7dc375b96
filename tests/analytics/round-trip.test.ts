import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { batchOfRows, gatherBatch } from '../../src/values/batch.ts';
import { TextColumn } from '../../src/values/column.ts';
import { arrayOf, type Datum, decimal, NULL_TYPE, type SqlType, typeName, VARCHAR } from '../../src/values/types.ts';
import { COLUMN_TYPES, DATUMS, datumOf } from '../streamql/expr/random-expr.ts';
import { LIMITS, newAnalytics, rowsOfBatches, runOver, scanOf } from './rig.ts';

const analytics = newAnalytics();
afterAll(() => analytics.close());

const TYPES: readonly SqlType[] = [
  ...COLUMN_TYPES,
  decimal(4, 1),
  decimal(9, 9),
  decimal(18, 0),
  decimal(19, 4),
  decimal(38, 38),
  NULL_TYPE,
  ...COLUMN_TYPES.filter((type) => type.kind !== 'varchar' && type.kind !== 'array').map(arrayOf),
  arrayOf(arrayOf(VARCHAR)),
];

const MORE: Readonly<Record<string, readonly Datum[]>> = {
  varchar: [
    'a\0b',
    'twelve bytes',
    'thirteen byte',
    'a\0longer text than fits an entry',
    'ßßßßßß',
    '\u{1f600}\u{1f600}\u{1f600}\u{1f600}',
  ],
};

function anyDatum(type: SqlType): fc.Arbitrary<Datum> {
  if (type.kind === 'null') return fc.constant(null);
  if (type.kind === 'decimal' && DATUMS[typeName(type)] === undefined) {
    const limit = 10n ** BigInt(type.precision) - 1n;
    const canonical = (value: bigint): Datum =>
      value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
    return fc.option(fc.bigInt({ min: -limit, max: limit }).map(canonical), { nil: null, freq: 5 });
  }
  if (type.kind === 'array' && DATUMS[typeName(type)] === undefined) {
    return fc.option(fc.array(anyDatum(type.element), { maxLength: 3 }), { nil: null, freq: 5 });
  }
  const more = MORE[typeName(type)];
  return more === undefined
    ? datumOf(type)
    : fc.oneof(datumOf(type), fc.constantFrom(...more), fc.string({ unit: 'grapheme' }));
}

const rowArbitrary = fc.tuple(...TYPES.map(anyDatum)) as fc.Arbitrary<Datum[]>;

test('every type comes back as it went in, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(rowArbitrary, { maxLength: 20 }),
      fc.integer({ min: 1, max: 7 }),
      async (rows, batchRows) => {
        expect(await runOver(analytics, scanOf(TYPES), () => rows, batchRows)).toEqual(rows);
      },
    ),
    { numRuns: 60 },
  );
});

test('batches longer than a chunk, gathered text and NULLs everywhere', async () => {
  const rows = Array.from({ length: 5000 }, (_, i): Datum[] =>
    TYPES.map((type) => {
      const pool = DATUMS[typeName(type)];
      return pool === undefined || i % 3 === 0 ? null : pool[i % pool.length];
    }),
  );
  expect(await runOver(analytics, scanOf(TYPES), () => rows, 4500)).toEqual(rows);
});

test('text as ranges of bytes', async () => {
  const texts = ['', 'short', 'exactly 12 b', 'longer than twelve bytes', 'ßüö', null, '\0'];
  const bytes = Buffer.from(texts.map((text) => text ?? '').join(''));
  const ends: number[] = [];
  for (const text of texts) ends.push((ends.at(-1) ?? 0) + Buffer.byteLength(text ?? ''));
  const starts = [0, ...ends.slice(0, -1)];
  const nulls = Uint8Array.from(texts.map((text) => (text === null ? 1 : 0)));
  const column = new TextColumn(VARCHAR, texts.length, bytes, Int32Array.from(starts), Int32Array.from(ends), nulls);
  const batch = { length: texts.length, columns: [column], weights: null };
  const order = Int32Array.from({ length: 4000 }, (_, i) => (i * 5) % texts.length);
  const plan = scanOf([VARCHAR]);
  const batches = [batch, gatherBatch(batch, order, order.length)];
  const answer = rowsOfBatches(await analytics.run(plan, new Map([[plan, batches]]), LIMITS));
  expect(answer).toEqual([...texts, ...Array.from(order, (row) => texts[row])].map((text) => [text]));
});

test('no rows, no batches', async () => {
  const plan = scanOf(TYPES);
  expect(await analytics.run(plan, new Map([[plan, []]]), LIMITS)).toEqual([]);
  expect(await analytics.run(plan, new Map([[plan, [batchOfRows(TYPES, [])]]]), LIMITS)).toEqual([]);
});
