import fc from 'fast-check';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { describe, expect, test } from 'vitest';
import { formatColumns } from '../../src/formats/formats.ts';
import { BIGINT, decimal, INTEGER, JSONB, SMALLINT, TIMESTAMP, typeName, VARCHAR } from '../../src/values/types.ts';
import { column, decodeAll } from './decode.ts';

/** The codec of protobufjs, of which we only use the parser of schemas, writes the records. */
function encode(schema: string, name: string, values: readonly object[]): Buffer[] {
  const { root, imports } = protobuf.parse(schema, { keepCase: true });
  for (const file of imports ?? []) root.addJSON(protobuf.common.get(file)!.nested!);
  const type = root.lookupType(name);
  return values.map((value) => Buffer.from(type.encode(type.fromObject(value)).finish()));
}
const read = (
  schema: string,
  name: string,
  values: readonly object[],
  columns = formatColumns('protobuf', { schema, message: name })!,
) => decodeAll('protobuf', columns, encode(schema, name, values), { options: { schema, message: name } });
const only = (schema: string) => ({ options: { schema } });

const SCALARS = `syntax = "proto3"; package p;
  enum Colour { RED = 0; GREEN = 2; }
  message All {
    int32 i32 = 1; sint32 s32 = 2; sfixed32 f32 = 3; uint32 u32 = 4; fixed32 x32 = 5;
    int64 i64 = 6; sint64 s64 = 7; sfixed64 f64 = 8; uint64 u64 = 9; fixed64 x64 = 10;
    float fl = 11; double db = 12; bool bo = 13; string st = 14; bytes by = 15; Colour en = 16;
    optional int32 oi = 300; optional string os = 301;
  }`;

const NESTED = `syntax = "proto3";
  import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
  import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
  message Order {
    message Line { string sku = 1; int64 n = 2; optional double price = 3; }
    int64 id = 1;
    repeated Line lines = 2;
    repeated int32 packed = 3;
    repeated int32 loose = 4 [packed = false];
    map<string, int64> counts = 5;
    map<int32, Line> byNumber = 6;
    Line first = 7;
    oneof what { string text = 8; Line line = 9; }
    google.protobuf.Timestamp at = 10;
    google.protobuf.Duration took = 11;
    google.protobuf.Int64Value maybe = 12;
    google.protobuf.Struct more = 13;
    Node tree = 14;
  }
  message Node { int32 v = 1; repeated Node kids = 2; map<string, Node> named = 3; }`;

describe('protobuf', () => {
  test('the columns of a message', () => {
    const columns = formatColumns('protobuf', { schema: NESTED, message: 'Order' })!;
    const line = 'row(sku varchar,n bigint,price double)';
    expect(
      columns.map(({ name, type, nullable }) => `${name} ${typeName(type)}${nullable ? '' : ' not null'}`),
    ).toEqual(
      [
        'id bigint not null',
        `lines ${line}[] not null`,
        'packed integer[] not null',
        'loose integer[] not null',
        'counts map(varchar,bigint) not null',
        `byNumber map(integer,${line}) not null`,
        `first ${line}`,
        'text varchar',
        `line ${line}`,
        'at timestamptz',
        'took interval',
        'maybe bigint',
        'more jsonb',
        'tree row(v integer,kids jsonb[],named map(varchar,jsonb))',
      ].map((text) => text.replace('byNumber', 'byNumber')),
    );
  });

  test('scalars, their defaults, and what is not there', () => {
    const big = {
      i64: '-9223372036854775808',
      s64: '9223372036854775807',
      f64: '-9007199254740993',
      u64: '18446744073709551615',
      x64: '9007199254740993',
    };
    const rows = read(SCALARS, 'p.All', [
      {
        i32: -1,
        s32: -2147483648,
        f32: -5,
        u32: 4294967295,
        x32: 4294967295,
        ...big,
        fl: 0.5,
        db: -1e300,
        bo: true,
        st: 'é',
        by: Buffer.from([0, 255]),
        en: 'GREEN',
        oi: 0,
        os: '',
      },
      {},
      { en: 7 },
    ]);
    expect(rows[0]).toEqual([
      -1,
      -2147483648,
      -5,
      4294967295,
      4294967295,
      -9223372036854775808n,
      9223372036854775807n,
      -9007199254740993n,
      18446744073709551615n,
      9007199254740993n,
      0.5,
      -1e300,
      true,
      'é',
      Buffer.from([0, 255]),
      'GREEN',
      0,
      '',
    ]);
    expect(rows[1]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false, '', new Uint8Array(0), 'RED', null, null]);
    expect(rows[2][15]).toBe('7');
  });

  test('messages, lists, maps, oneofs and the messages of google.protobuf', () => {
    const leaf = { v: 2 };
    const value = {
      id: 5,
      lines: [{ sku: 'a', n: 1, price: 1.5 }, { sku: 'b' }],
      packed: [1, -2],
      loose: [3, 4],
      counts: { k: 7, j: 0 },
      byNumber: { 3: { sku: 'c' } },
      first: { n: 9 },
      text: '',
      at: { seconds: -1, nanos: 999_999_999 },
      took: { seconds: 1, nanos: 500_000 },
      maybe: { value: 0 },
      more: protobuf.common.get('google/protobuf/struct.proto') && {
        fields: {
          a: { numberValue: 1 },
          b: { listValue: { values: [{ boolValue: false }, { nullValue: 'NULL_VALUE' }] } },
          c: { structValue: { fields: {} } },
        },
      },
      tree: { v: 1, kids: [leaf, { v: 3, named: { x: leaf } }] },
    };
    const columns = formatColumns('protobuf', { schema: NESTED, message: 'Order' })!;
    const asJson = columns.map((one) =>
      /lines|byNumber|counts|first|line|tree/.test(one.name) ? { ...one, type: JSONB } : one,
    );
    expect(read(NESTED, 'Order', [value, {}], asJson)).toEqual([
      [
        5,
        '[{"n":1,"sku":"a","price":1.5},{"n":0,"sku":"b","price":null}]',
        [1, -2],
        [3, 4],
        '{"j":0,"k":7}',
        '{"3":{"n":0,"sku":"c","price":null}}',
        '{"n":9,"sku":"","price":null}',
        '',
        null,
        -1,
        { months: 0, days: 0, micros: 1_000_500 },
        0,
        '{"a":1,"b":[false,null],"c":{}}',
        '{"v":1,"kids":[{"v":2,"kids":[],"named":{}},{"v":3,"kids":[],"named":{"x":{"v":2,"kids":[],"named":{}}}}],"named":{}}',
      ],
      [0, '[]', [], [], '{}', '{}', null, null, null, null, null, null, null, null],
    ]);
  });

  test('a message in pieces is one, unknown fields and other wire types are passed over, packed or not', () => {
    const schema = 'syntax = "proto3"; message M { M m = 1; int32 a = 2; repeated int32 l = 3; string s = 4; }';
    const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const columns = [column('m', JSONB), column('a', INTEGER), column('l', JSONB), column('s', VARCHAR)];
    expect(
      decodeAll(
        'protobuf',
        columns,
        [
          bytes('0a02 1005 0a05 2201 78 18 01'),
          bytes('1005 1006 1801 1a020203 2201 61 2201 62'),
          bytes('15 01000000 0d 01000000 3a01ff 4b 0801 4c 1007'),
        ],
        only(schema),
      ),
    ).toEqual([
      ['{"a":5,"l":[1],"m":null,"s":"x"}', 0, '[]', ''],
      [null, 6, '[1,2,3]', 'b'],
      [null, 7, '[]', ''],
    ]);
  });

  test('proto2: required and optional', () => {
    const schema =
      'message M { required int64 id = 1; optional string s = 2; required N n = 3; } message N { required int32 x = 1; }';
    const columns = formatColumns('protobuf', { schema, message: 'M' })!;
    expect(columns.map(({ nullable }) => nullable)).toEqual([false, true, false]);
    const records = [Buffer.from('08011a020805', 'hex'), Buffer.from('0801', 'hex'), Buffer.from('08011a00', 'hex')];
    expect(decodeAll('protobuf', [column('s', VARCHAR)], records, { options: { schema, message: 'M' } })).toEqual([
      [null],
      expect.stringMatching(/required field n is missing/),
      expect.stringMatching(/required field x is missing/),
    ]);
  });

  test('declared columns: fewer, other types, NOT NULL', () => {
    const schema =
      'syntax = "proto3"; import "google/protobuf/timestamp.proto"; message M { uint64 u = 1; google.protobuf.Timestamp t = 2; string n = 3; int32 i = 4; }';
    const columns = [column('n', INTEGER), column('u', BIGINT), column('t', TIMESTAMP, false), column('i', SMALLINT)];
    expect(
      read(
        schema,
        'M',
        [
          { u: 7, t: { seconds: 1 }, n: '12', i: 3 },
          { u: '18446744073709551615', t: {}, n: '1' },
          { n: '1' },
          { n: 'x', t: {} },
          { n: '1', t: {}, i: 70000 },
        ],
        columns,
      ),
    ).toEqual([
      [12, 7, 1_000_000, 3],
      'column "u" (bigint) cannot hold 18446744073709551615',
      'column "t" is NOT NULL but null',
      'column "n" (integer) cannot hold x',
      'column "i" (smallint) cannot hold 70000',
    ]);
    expect(read(schema, 'M', [{ u: 7 }], [column('u', decimal(20, 1))])).toEqual([[70]]);
    expect(() => read(schema, 'M', [], [column('z', INTEGER)])).toThrow(/has no field "z"/);
    expect(() => read(schema, 'M', [], [column('t', INTEGER)])).toThrow(/is timestamptz, the column integer/);
  });

  test('a schema as descriptors, and schemas that cannot be used', () => {
    const { root } = protobuf.parse(SCALARS, { keepCase: true });
    root.resolveAll();
    const set = (root as unknown as { toDescriptor(edition: string): object }).toDescriptor('proto3');
    const schema = Buffer.from(descriptor.FileDescriptorSet.encode(set as never).finish()).toString('base64');
    const columns = formatColumns('protobuf', { schema })!;
    expect(columns).toEqual(formatColumns('protobuf', { schema: SCALARS }));
    const refused = (text: string, why: RegExp, message?: string) =>
      expect(() => formatColumns('protobuf', { schema: text, ...(message && { message }) })).toThrow(why);
    refused('message {', /cannot be used: illegal/);
    refused('syntax = "proto3"; import "other.proto"; message M {}', /imports other\.proto/);
    refused('syntax = "proto3"; message M { Missing m = 1; }', /Missing/);
    refused(NESTED, /the schema has 2 messages/);
    refused(NESTED, /there is no message Nope/, 'Nope');
    refused('%%%', /neither the text/);
    refused('AAAA', /cannot be used|message is missing/);
    refused('message M { optional group G = 1 { optional int32 x = 2; } }', /is a group/);
  });

  test("Confluent's header with message indexes", () => {
    const schema = NESTED;
    const [line] = encode(schema, 'Order.Line', [{ sku: 'a' }]);
    const [node] = encode(schema, 'Node', [{ v: 1 }]);
    const framed = (indexes: number[], body: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1, ...indexes]), body]);
    const sku = [column('sku', VARCHAR)];
    const options = { schema, message: 'Order.Line', header: 'confluent' };
    expect(decodeAll('protobuf', sku, [framed([4, 0, 0], line), framed([2, 2], node), line], { options })).toEqual([
      ['a'],
      "the message indexes after Confluent's header name another message",
      expect.stringMatching(/does not begin/),
    ]);
    const ofNode = { options: { schema, message: 'Node', header: 'confluent' } };
    expect(decodeAll('protobuf', [column('v', INTEGER)], [framed([2, 2], node), framed([0], node)], ofNode)).toEqual([
      [1],
      expect.any(String),
    ]);
    expect(decodeAll('protobuf', sku, [framed([0], line)], { options: { schema, message: 'Order.Line' } })).toEqual([
      expect.stringMatching(/field of number 0 \(it begins like Confluent's header/),
    ]);
  });

  test('any bytes are a row or an error, and what protobufjs writes is read back', () => {
    const columns = formatColumns('protobuf', { schema: NESTED, message: 'Order' })!;
    const options = { schema: NESTED, message: 'Order' };
    const line = fc.record({ sku: fc.string({ unit: 'binary' }), n: fc.maxSafeInteger() });
    const order = fc.record({
      id: fc.maxSafeInteger(),
      packed: fc.array(fc.integer()),
      lines: fc.array(line, { maxLength: 3 }),
      counts: fc.dictionary(fc.string(), fc.integer()),
      text: fc.string({ unit: 'binary' }),
    });
    fc.assert(
      fc.property(
        fc.array(order, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        fc.uint8Array({ maxLength: 40 }),
        (orders, place, noise) => {
          const records = encode(NESTED, 'Order', orders);
          const rows = decodeAll('protobuf', columns, records, { options });
          rows.forEach((row, i) => {
            expect([row[0], row[2], row[7]]).toEqual([orders[i].id, orders[i].packed, orders[i].text]);
            expect((row[1] as unknown[]).length).toBe(orders[i].lines.length);
          });
          const changed = Buffer.from(records[0]);
          changed.set(
            noise.subarray(0, Math.max(0, changed.length - (place % changed.length))),
            place % changed.length,
          );
          decodeAll('protobuf', columns, [changed, noise, records[0].subarray(0, place % records[0].length)], {
            options,
          });
        },
      ),
      { numRuns: 200 },
    );
    const deep = Buffer.concat(Array.from({ length: 2000 }, () => Buffer.from([0x72, 0xff, 0x7f])));
    expect(decodeAll('protobuf', columns, [deep], { options })).toEqual([expect.any(String)]);
  });
});
