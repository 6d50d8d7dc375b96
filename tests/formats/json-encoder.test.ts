import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inferColumns } from '../../src/formats/json/infer.ts';
import { createJsonDecoder } from '../../src/formats/json/json-decoder.ts';
import { encodeJsonRow, encodeJsonRows } from '../../src/formats/json/json-encoder.ts';
import { batchOfRows, type ColumnSchema } from '../../src/values/batch.ts';
import { datumAt } from '../../src/values/column.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  canonicalInteger,
  DATE,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  JSONB,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';

const exact = (bits: bigint) => fc.bigInt({ min: -(2n ** bits), max: 2n ** bits - 1n }).map(canonicalInteger);
const micros = fc
  .integer({ min: -60_000_000_000_000_000, max: 250_000_000_000_000_000 })
  .map((n) => canonicalInteger(BigInt(n)));
const DATUMS: [SqlType, fc.Arbitrary<Datum>][] = [
  [BIGINT, exact(63n)],
  [INTEGER, fc.integer()],
  [decimal(38, 6), exact(120n)],
  [DOUBLE, fc.double()],
  [BOOLEAN, fc.boolean()],
  [VARCHAR, fc.string({ unit: 'grapheme' })],
  [TIMESTAMP, micros],
  [TIMESTAMPTZ, micros],
  [DATE, fc.integer({ min: -700000, max: 2900000 })],
  [TIME, fc.integer({ min: 0, max: 86_399_999_999 })],
  [UUID, fc.uuid()],
  [JSONB, fc.constantFrom('{"a":1}', '[1,"x",null]', '1.50', '"é"')],
  [BYTEA, fc.uint8Array().map((b) => Buffer.from(b))],
  [arrayOf(VARCHAR), fc.array(fc.option(fc.string()), { maxLength: 3 })],
];
const columns: ColumnSchema[] = DATUMS.map(([type], i) => ({ name: `c"${i}`, type, nullable: true }));
const row = fc.tuple(...DATUMS.map(([, datum]) => fc.option(datum))) as fc.Arbitrary<Datum[]>;

test('what the encoder writes the decoder reads back', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 8 }), (rows) => {
      const batch = batchOfRows(
        columns.map((c) => c.type),
        rows,
      );
      const encoded = encodeJsonRows(columns, batch);
      const decoder = createJsonDecoder(
        columns,
        columns.map((_, i) => i),
      );
      encoded.forEach((bytes, i) => {
        expect(bytes.equals(encodeJsonRow(columns, rows[i]))).toBe(true);
        JSON.parse(bytes.toString());
        expect(decoder.decode(bytes, 0, bytes.length), decoder.error).toBe(true);
      });
      const decoded = decoder.finish();
      expect(rows.map((_, r) => decoded.map((c) => datumAt(c, r)))).toEqual(rows);
    }),
    { numRuns: 200 },
  );
});

test('exact numbers are written as number text, and a row can be an array', () => {
  const schema: ColumnSchema[] = [
    { name: 'a', type: BIGINT, nullable: true },
    { name: 'b', type: decimal(10, 2), nullable: true },
    { name: 't', type: TIMESTAMP, nullable: true },
  ];
  const values = [9223372036854775807n, -5, 1436918400005000];
  expect(encodeJsonRow(schema, values).toString()).toBe(
    '{"a":9223372036854775807,"b":-0.05,"t":"2015-07-15T00:00:00.005"}',
  );
  expect(encodeJsonRow(schema, [1, null, null], 'array').toString()).toBe('[1,null,null]');
});

test('columns are inferred from what all samples have in common', () => {
  const samples = [
    '{"id":1,"price":1,"at":"2020-01-01T00:00:00Z","ts":"2020-01-01 00:00:00","ok":true,"tags":[],"mixed":1,"none":null}',
    'not json',
    '{"id":9223372036854775807,"price":1.5,"at":"2020-01-01T00:00:00+01:00","ts":"2020-01-01 00:00:00.5","late":"x","mixed":"1"}',
    '{"id":null,"huge":99999999999999999999,"tags":{"a":1}}',
  ];
  expect(inferColumns(samples.map((s) => Buffer.from(s))).map((c) => [c.name, c.type.kind, c.nullable])).toEqual([
    ['id', 'bigint', true],
    ['price', 'double', true],
    ['at', 'timestamptz', true],
    ['ts', 'timestamp', true],
    ['ok', 'boolean', true],
    ['tags', 'jsonb', true],
    ['mixed', 'varchar', true],
    ['none', 'varchar', true],
    ['late', 'varchar', true],
    ['huge', 'double', true],
  ]);
  expect(inferColumns([Buffer.from('[]')])).toEqual([]);
});
