import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AvroRowEncoder, avroSchemaText } from '../../src/formats/avro/avro-encoder.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { packMap, packRow } from '../../src/values/nested.ts';
import * as types from '../../src/values/types.ts';
import { decodeAll } from './decode.ts';

const exact = (bits: bigint) => fc.bigInt({ min: -(2n ** bits), max: 2n ** bits - 1n }).map(types.canonicalInteger);
const micros = fc.integer({ min: -60_000_000_000_000_000, max: 250_000_000_000_000_000 });
const moment = micros.map((n) => types.canonicalInteger(BigInt(n)));
const pair = types.rowOf([
  { name: 'a', type: types.INTEGER },
  { name: 'b', type: types.VARCHAR },
]);
const map = types.mapOf(types.VARCHAR, types.BIGINT);
const DATUMS: [types.SqlType, fc.Arbitrary<types.Datum>][] = [
  [types.BIGINT, exact(63n)],
  [types.INTEGER, fc.integer()],
  [types.decimal(38, 6), exact(120n)],
  [types.DOUBLE, fc.double()],
  [types.REAL, fc.double().map(Math.fround)],
  [types.BOOLEAN, fc.boolean()],
  [types.VARCHAR, fc.string({ unit: 'grapheme' })],
  [types.TIMESTAMP, moment],
  [types.TIMESTAMPTZ, moment],
  [types.DATE, fc.integer({ min: -700000, max: 2900000 })],
  [types.TIME, fc.integer({ min: 0, max: 86_399_999_999 })],
  [types.UUID, fc.uuid()],
  [types.BYTEA, fc.uint8Array().map((b) => Buffer.from(b))],
  [types.arrayOf(types.VARCHAR), fc.array(fc.option(fc.string()), { maxLength: 3 })],
  [pair, fc.tuple(fc.option(fc.integer()), fc.option(fc.string())).map((values) => packRow(values, pair))],
  [
    map,
    fc
      .uniqueArray(fc.tuple(fc.string(), exact(63n)), { maxLength: 3, selector: ([key]) => key })
      .map((entries) => packMap(entries, map)),
  ],
];
const columns: ColumnSchema[] = DATUMS.map(([type], i) => ({ name: `c${i}`, type, nullable: i % 2 === 0 }));
const row = fc.tuple(
  ...DATUMS.map(([, datum], i) => (columns[i].nullable ? fc.option(datum) : datum)),
) as unknown as fc.Arbitrary<types.Datum[]>;

test('what the encoder writes is read back with the schema that it says', () => {
  const schema = avroSchemaText('every type', columns);
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), (rows) => {
      const encoder = new AvroRowEncoder(columns);
      const encoded = rows.map((one) => encoder.encode(one, new Uint8Array(0)));
      expect(decodeAll('avro', columns, encoded, { options: { schema } })).toEqual(rows);
    }),
  );
});
