import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatColumns } from '../../src/formats/formats.ts';
import {
  BIGINT,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  JSONB,
  SMALLINT,
  TIMESTAMP,
  typeName,
  VARCHAR,
} from '../../src/values/types.ts';
import { column, decodeAll } from './decode.ts';

/** avsc, which is not ours, writes the records. */
const record = (...fields: object[]): string => JSON.stringify({ type: 'record', name: 'R', namespace: 'n', fields });
const field = (name: string, type: unknown) => ({ name, type });
const encode = (schema: string, values: readonly unknown[]): Buffer[] => {
  const type = avro.Type.forSchema(JSON.parse(schema), { wrapUnions: false } as never);
  return values.map((value) => type.toBuffer(value));
};
function read(schema: string, values: readonly unknown[], columns = formatColumns('avro', { schema })!, more = {}) {
  return decodeAll('avro', columns, encode(schema, values), { options: { schema }, ...more });
}

const EVERYTHING = record(
  field('b', 'boolean'),
  field('i', 'int'),
  field('l', ['null', 'long']),
  field('f', 'float'),
  field('d', 'double'),
  field('s', ['string', 'null']),
  field('y', 'bytes'),
  field('x', { type: 'fixed', name: 'F', size: 2 }),
  field('e', { type: 'enum', name: 'E', symbols: ['A', 'B'] }),
  field('a', { type: 'array', items: ['null', 'int'] }),
  field('m', { type: 'map', values: 'long' }),
  field('r', { type: 'record', name: 'Q', fields: [field('p', 'int'), field('q', ['null', 'string'])] }),
  field('r2', ['null', 'Q']),
  field('u', ['null', 'int', 'string', 'Q']),
  field('t', {
    type: 'record',
    name: 'Tree',
    fields: [field('v', 'int'), field('kids', { type: 'array', items: 'Tree' })],
  }),
);

describe('avro', () => {
  test('the columns of a schema', () => {
    const columns = formatColumns('avro', { schema: EVERYTHING })!;
    expect(
      columns.map(({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? '' : ' not null'}`),
    ).toEqual([
      'b boolean not null',
      'i integer not null',
      'l bigint',
      'f real not null',
      'd double not null',
      's varchar',
      'y bytea not null',
      'x bytea not null',
      'e varchar not null',
      'a integer[] not null',
      'm map(varchar,bigint) not null',
      'r row(p integer,q varchar) not null',
      'r2 row(p integer,q varchar)',
      'u jsonb',
      't row(v integer,kids jsonb[]) not null',
    ]);
    expect(formatColumns('avro', { schema: '"long"' })).toEqual([column('value', BIGINT, false)]);
  });

  test('a value of everything', () => {
    const leaf = { v: 2, kids: [] };
    const value = {
      b: true,
      i: -7,
      l: null,
      f: 0.5,
      d: 1e300,
      s: 'é"',
      y: Buffer.from([0, 255]),
      x: Buffer.from([1, 2]),
      e: 'B',
      a: [1, null, -3],
      m: { k: 5, j: -6 },
      r: { p: 1, q: 'a,b' },
      r2: null,
      u: { p: 3, q: null },
      t: { v: 1, kids: [leaf, leaf] },
    };
    const [row] = read(EVERYTHING, [value]);
    expect(row.slice(0, 10)).toEqual([
      true,
      -7,
      null,
      0.5,
      1e300,
      'é"',
      Buffer.from([0, 255]),
      Buffer.from([1, 2]),
      'B',
      [1, null, -3],
    ]);
    const columns = [
      column('m', JSONB),
      column('r', JSONB),
      column('r2', JSONB),
      column('u', JSONB),
      column('t', JSONB),
    ];
    expect(
      read(EVERYTHING, [value, { ...value, u: 'x', r2: { p: 0, q: '' } }, { ...value, u: null }], columns),
    ).toEqual([
      [
        '{"j":-6,"k":5}',
        '{"p":1,"q":"a,b"}',
        null,
        '{"p":3,"q":null}',
        '{"v":1,"kids":[{"v":2,"kids":[]},{"v":2,"kids":[]}]}',
      ],
      [
        '{"j":-6,"k":5}',
        '{"p":1,"q":"a,b"}',
        '{"p":0,"q":""}',
        '"x"',
        '{"v":1,"kids":[{"v":2,"kids":[]},{"v":2,"kids":[]}]}',
      ],
      ['{"j":-6,"k":5}', '{"p":1,"q":"a,b"}', null, null, '{"v":1,"kids":[{"v":2,"kids":[]},{"v":2,"kids":[]}]}'],
    ]);
  });

  test('logical types', () => {
    const logical = (type: string, logicalType: string, more = {}) => ({ type, logicalType, ...more });
    const schema = record(
      field('dec', logical('bytes', 'decimal', { precision: 10, scale: 2 })),
      field('fix', { ...logical('fixed', 'decimal', { precision: 4, scale: 0 }), name: 'D', size: 3 }),
      field('day', logical('int', 'date')),
      field('tm', logical('int', 'time-millis')),
      field('tu', logical('long', 'time-micros')),
      field('ms', logical('long', 'timestamp-millis')),
      field('us', logical('long', 'local-timestamp-micros')),
      field('ns', logical('long', 'timestamp-nanos')),
      field('id', logical('string', 'uuid')),
      field('dur', { ...logical('fixed', 'duration'), name: 'U', size: 12 }),
      field('odd', logical('string', 'date')),
    );
    const duration = Buffer.alloc(12);
    duration.writeUInt32LE(1, 0);
    duration.writeUInt32LE(2, 4);
    duration.writeUInt32LE(3, 8);
    const id = '123e4567-e89b-12d3-a456-426614174000';
    const good = {
      dec: Buffer.from('ff38', 'hex'),
      fix: Buffer.from('0003e8', 'hex'),
      day: 19000,
      tm: 1500,
      tu: 1500,
      ms: 1.5e12,
      us: 7,
      ns: -1,
      id,
      dur: duration,
      odd: 'x',
    };
    expect(
      read(schema, [good, { ...good, fix: Buffer.from('002710', 'hex') }, { ...good, tm: -1 }, { ...good, id: 'x' }]),
    ).toEqual([
      [-200, 1000, 19000, 1500000, 1500, 1.5e15, 7, -1, id, { months: 1, days: 2, micros: 3000 }, 'x'],
      'the record was not written with the schema: a value is out of range: 10000',
      'the record was not written with the schema: a value is out of range: -1000',
      'the record was not written with the schema: a value is out of range: x',
    ]);
  });

  test('columns by name, with other types, fewer, in another order', () => {
    const schema = record(
      field('a', 'int'),
      field('b', ['null', 'string']),
      field('c', 'long'),
      field('t', { type: 'long', logicalType: 'timestamp-millis' }),
    );
    const rows = [
      { a: 70_000, b: '4', c: 2 ** 40, t: 1 },
      { a: 1, b: 'x', c: 0, t: 1 },
      { a: 2, b: null, c: 0, t: 1 },
    ];
    expect(read(schema, rows, [column('c', decimal(20, 2)), column('b', INTEGER), column('t', TIMESTAMP)])).toEqual([
      [2 ** 40 * 100, 4, 1000],
      expect.stringContaining('column "b" (integer) cannot hold x'),
      [0, null, 1000],
    ]);
    expect(read(schema, rows, [column('a', SMALLINT), column('c', DOUBLE), column('b', VARCHAR, false)])).toEqual([
      expect.stringContaining('column "a" (smallint) cannot hold 70000'),
      [1, 0, 'x'],
      expect.stringContaining('column "b" is NOT NULL but null'),
    ]);
    expect(() => read(schema, [], [column('z', INTEGER)])).toThrow(/no field "z"/);
    expect(() => read(schema, [], [column('t', INTEGER)])).toThrow(/is timestamptz, the column integer/);
  });

  test('a schema that cannot be used is refused with its place', () => {
    const refused = (schema: string) => (why: RegExp) => expect(() => formatColumns('avro', { schema })).toThrow(why);
    refused('{')(/it is not JSON/);
    refused(record(field('a', 'Missing')))(/schema\.a names the type "Missing"/);
    refused(record(field('a', 'int'), field('a', 'int')))(/two fields "a"/);
    refused('{"type":"enum","name":"E"}')(/no symbols/);
    refused('["int","int"]')(/the same type twice/);
    refused('{"type":"array"}')(/schema\.items is no type/);
    expect(() => formatColumns('avro', {})).toThrow(/option schema is missing/);
  });

  test("Confluent's header", () => {
    const schema = record(field('a', 'int'));
    const [plain] = encode(schema, [{ a: 1 }]);
    const framed = (id: number) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), plain]);
    const records = [framed(7), framed(8), plain];
    const columns = formatColumns('avro', { schema })!;
    expect(decodeAll('avro', columns, records, { options: { schema, header: 'confluent' } })).toEqual([
      [1],
      [1],
      expect.stringMatching(/does not begin with Confluent's header/),
    ]);
    expect(decodeAll('avro', columns, records, { options: { schema, header: 'confluent', schema_id: '7' } })[1]).toBe(
      'the record was written with schema 8, the source reads schema 7',
    );
    expect(decodeAll('avro', columns, records, { options: { schema } })).toEqual([
      expect.stringMatching(/bytes are left over.*header = 'confluent'/),
      expect.anything(),
      [1],
    ]);
    expect(() => decodeAll('avro', columns, [], { options: { schema, schema_id: '7' } })).toThrow(/schema_id is for/);
  });

  test('what avsc writes is read back, and cut or changed bytes never are more than an error', () => {
    const schema = record(
      field('l', 'long'),
      field('n', ['null', 'double']),
      field('s', 'string'),
      field('a', { type: 'array', items: 'string' }),
      field('m', { type: 'map', values: { type: 'array', items: 'long' } }),
      field('u', ['null', 'long', 'string']),
    );
    const columns = formatColumns('avro', { schema })!;
    // avsc computes in doubles: beyond 2^52 it writes another number.
    const long = fc.oneof(fc.integer({ min: -(2 ** 51), max: 2 ** 51 }), fc.integer(), fc.integer({ min: -3, max: 3 }));
    const value = fc.record({
      l: long,
      n: fc.option(fc.double({ noNaN: true }), { nil: null }),
      s: fc.string({ unit: 'binary' }),
      a: fc.array(fc.string()),
      m: fc.dictionary(fc.string(), fc.array(long, { maxLength: 3 })),
      u: fc.option(fc.oneof(long, fc.string()), { nil: null }),
    });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.nat({ max: 255 }),
        (values, place, byte) => {
          const records = encode(schema, values);
          const rows = decodeAll('avro', columns, records, { options: { schema } }) as Datum[][];
          rows.forEach((row, i) => {
            const { l, n, s, a, u } = values[i];
            expect([row[0], row[1], row[2], row[3]]).toEqual([l, n, s, a]);
            expect(row[5]).toEqual(u === null ? null : JSON.stringify(u));
          });
          for (const one of records) {
            const cut = one.subarray(0, place % one.length);
            const changed = Buffer.from(one);
            changed[place % one.length] = byte;
            decodeAll('avro', columns, [cut, changed], { options: { schema } });
            expect(decodeAll('avro', columns, [cut], { options: { schema } })[0]).toEqual(expect.any(String));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('64 bits are exact, deep and endless values are refused', () => {
    const schema = record(field('l', 'long'));
    const columns = formatColumns('avro', { schema })!;
    const zigzag = (value: bigint): Buffer => {
      let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
      const bytes: number[] = [];
      for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
      return Buffer.from([...bytes, Number(rest)]);
    };
    const canonical = (value: bigint) =>
      BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (big, shift) => {
        const value = big >> BigInt(shift);
        expect(decodeAll('avro', columns, [zigzag(value)], { options: { schema } })).toEqual([[canonical(value)]]);
      }),
    );
    const tree = record(field('k', ['null', 'R']));
    const deep = Buffer.alloc(100_000, 2);
    expect(decodeAll('avro', [column('k', JSONB)], [deep], { options: { schema: tree } })).toEqual([
      expect.stringMatching(/nested more than 128/),
    ]);
    const nulls = record(field('a', { type: 'array', items: 'null' }));
    expect(
      decodeAll('avro', [column('a', JSONB)], [Buffer.concat([zigzag(1n << 40n), Buffer.from([0])])], {
        options: { schema: nulls },
      }),
    ).toEqual([expect.stringMatching(/longer than the record/)]);
  });
});
