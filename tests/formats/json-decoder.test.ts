import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createJsonDecoder } from '../../src/formats/json/json-decoder.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { type Column, datumAt, TextColumn } from '../../src/values/column.ts';
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
  JSONB,
  REAL,
  SMALLINT,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';

const column = (name: string, type: SqlType, nullable = true): ColumnSchema => ({ name, type, nullable });
const rowsOf = (columns: Column[]): Datum[][] =>
  columns.length === 0
    ? []
    : Array.from({ length: columns[0].length }, (_, row) => columns.map((c) => datumAt(c, row)));

/** One record through the general way: its datum, or the error. */
function read(type: SqlType, json: string): Datum | string[] {
  const decoder = createJsonDecoder([column('x', type)], [0], { useShapes: false });
  const bytes = Buffer.from(`{"x":${json}}`);
  return decoder.decode(bytes, 0, bytes.length) ? rowsOf(decoder.finish())[0][0] : [decoder.error];
}
const REFUSED = [expect.stringContaining('column "x" (')];

test('values of each type', () => {
  const cases: [SqlType, string, unknown][] = [
    [BIGINT, '5', 5],
    [BIGINT, '-0', 0],
    [BIGINT, '5.0', 5],
    [BIGINT, '"42"', 42],
    [BIGINT, '9007199254740991', 9007199254740991],
    [BIGINT, '9007199254740993', 9007199254740993n],
    [BIGINT, '9223372036854775807', 9223372036854775807n],
    [BIGINT, '9223372036854775808', REFUSED],
    [BIGINT, '-9223372036854775808', -9223372036854775808n],
    [BIGINT, '5.5', REFUSED],
    [BIGINT, 'true', REFUSED],
    [BIGINT, '[1]', REFUSED],
    [BIGINT, 'null', null],
    [INTEGER, '2147483648', REFUSED],
    [INTEGER, '-2147483648', -2147483648],
    [SMALLINT, '32768', REFUSED],
    [decimal(10, 2), '1.005', 101],
    [decimal(10, 2), '-1.005', -101],
    [decimal(10, 2), '"12.3"', 1230],
    [decimal(10, 2), '1e3', 100000],
    [decimal(4, 2), '100', REFUSED],
    [decimal(38, 10), '1234567890123456789012345678.0123456789', 12345678901234567890123456780123456789n],
    [DOUBLE, '1.5e3', 1500],
    [DOUBLE, '"NaN"', Number.NaN],
    [DOUBLE, '"-Infinity"', Number.NEGATIVE_INFINITY],
    [DOUBLE, '1e999', REFUSED],
    [DOUBLE, '"abc"', REFUSED],
    [REAL, '0.1', Math.fround(0.1)],
    [BOOLEAN, 'true', true],
    [BOOLEAN, 'false', false],
    [BOOLEAN, '1', REFUSED],
    [VARCHAR, '"a\\u0041\\n\\"é"', 'aA\n"é'],
    [VARCHAR, '12.50', '12.50'],
    [VARCHAR, '{"a": 1}', '{"a": 1}'],
    [TIMESTAMP, '"2015-07-15 00:00:00.005"', 1436918400005000],
    [TIMESTAMP, '"2015-07-15T00:00:00Z"', 1436918400000000],
    [TIMESTAMP, '"2015-07-15T02:00:00+02:00"', 1436918400000000],
    [TIMESTAMPTZ, '"2015-07-15T00:00:00.123456Z"', 1436918400123456],
    [TIMESTAMP, '"9999-12-31 23:59:59.999999"', 253402300799999999n],
    [TIMESTAMP, '"0001-01-01T00:00:00"', -62135596800000000n],
    [TIMESTAMP, '1436918400005', 1436918400005000],
    [TIMESTAMP, '"yesterday"', REFUSED],
    [TIMESTAMP, '"2015-02-30 00:00:00"', REFUSED],
    [DATE, '"1970-01-02"', 1],
    [TIME, '"00:00:01.5"', 1500000],
    [INTERVAL, '"1 day 02:00:00"', { months: 0, days: 1, micros: 7200000000 }],
    [UUID, '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    [UUID, '"xyz"', REFUSED],
    [JSONB, '{"bb" : 1.0, "a":[1, 2 ,{"c":null}], "bb": 2.50}', '{"a":[1,2,{"c":null}],"bb":2.50}'],
    [JSONB, '"\\u0041"', '"A"'],
    [BYTEA, '"\\\\x0aff"', Buffer.from([10, 255])],
    [BYTEA, '"Cv8="', Buffer.from([10, 255])],
    [arrayOf(BIGINT), '[1, null, "3"]', [1, null, 3]],
    [arrayOf(BIGINT), '[1, "x"]', REFUSED],
    [arrayOf(arrayOf(VARCHAR)), '[["a"],[]]', [['a'], []]],
  ];
  for (const [type, json, expected] of cases) expect(read(type, json), `${type.kind} ${json}`).toEqual(expected);
});

const SCHEMA: ColumnSchema[] = [
  column('id', BIGINT),
  column('n', INTEGER),
  column('d', DOUBLE),
  column('m', decimal(12, 3)),
  column('s', VARCHAR),
  column('t', TIMESTAMP),
  column('b', BOOLEAN),
  column('j', JSONB),
  column('ключ', VARCHAR),
  column('z', TIMESTAMPTZ, false),
];
const ALL = SCHEMA.map((_, i) => i);

const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 10 }),
  fc.constantFrom(
    '12',
    '-7.5',
    '2020-02-29 23:59:59.999999',
    '2020-01-01T00:00:00Z',
    '1999-12-31 00:00:00',
    '9999-01-01 00:00:00',
    'x'.repeat(70),
  ),
);
const numberText = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.tuple(fc.integer(), fc.nat(99999)).map(([a, b]) => `${a}.${b}`),
  fc.constantFrom('0', '-0', '-0.0', '1e5', '0.000', '123456789012345', '1234567890123456', '9007199254740993', '1E+2'),
);
const value: fc.Arbitrary<string> = fc.oneof(
  numberText,
  text.map((t) => JSON.stringify(t)),
  fc.constantFrom('null', 'true', 'false', '[]', '{}', '[1, {"a":"}"}]', '"\\u00e9\\/"', '{"a":1,"a":[2]}'),
);
const space = fc.constantFrom('', '', '', ' ', '\n\t');
/** JSON text of objects: keys in any order, unknown and repeated ones, whitespace, escapes. */
const record = fc
  .tuple(
    fc.array(fc.tuple(fc.constantFrom(...SCHEMA.map((c) => c.name), 'other', '', 'i\\u0064'), value), {
      maxLength: 12,
    }),
    space,
    space,
    fc.boolean(),
  )
  .map(([members, a, b, withZone]) => {
    const all = withZone ? [...members, ['z', '"2020-01-01T00:00:00Z"']] : members;
    return `${a}{${a}${all.map(([k, v]) => `"${k}"${b}:${a}${v}`).join(`${b},${a}`)}}${b}`;
  });
const damaged = fc
  .tuple(record, fc.nat(), fc.constantFrom('', ',', '"', '}', '\\', '0', ' ', '\u0001', 'é', '{', ':'), fc.nat(3))
  .map(([json, at, put, cut]) => {
    const i = at % (json.length + 1);
    return json.slice(0, i) + put + json.slice(i + cut);
  });

function parsesToObject(json: string): boolean {
  try {
    const parsed = JSON.parse(json);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  } catch {
    return false;
  }
}

test('scanners of shapes and the general way give the same rows and errors, and accept what JSON.parse accepts', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(record, record, damaged), { minLength: 1, maxLength: 6 }), (records) => {
      // Every record comes three times over, so that its shape is learnt and used.
      const fast = createJsonDecoder(SCHEMA, ALL);
      const slow = createJsonDecoder(SCHEMA, ALL, { useShapes: false });
      const all = [...records, ...records, ...records].map((r) => Buffer.from(r));
      const buffer = Buffer.concat(all);
      let at = 0;
      for (const bytes of all) {
        const end = at + bytes.length;
        const ok = slow.decode(buffer, at, end);
        expect(fast.decode(buffer, at, end), bytes.toString()).toBe(ok);
        if (!ok) expect(fast.error).toBe(slow.error);
        if (ok) expect(parsesToObject(bytes.toString())).toBe(true);
        else if (!slow.error.startsWith('column')) expect(parsesToObject(bytes.toString())).toBe(false);
        at = end;
      }
      expect(fast.rows).toBe(slow.rows);
      expect(rowsOf(fast.finish())).toEqual(rowsOf(slow.finish()));
    }),
    { numRuns: 400 },
  );
});

test('what JSON.parse reads is what columns hold', () => {
  const plainRecord = fc.record(
    {
      id: fc.maxSafeInteger(),
      d: fc.double({ noNaN: true, noDefaultInfinity: true }),
      s: fc.string({ unit: 'grapheme' }),
      b: fc.boolean(),
      z: fc.constant('2020-01-01T00:00:00Z'),
    },
    { requiredKeys: ['z'] },
  );
  fc.assert(
    fc.property(fc.array(plainRecord, { maxLength: 20 }), (records) => {
      const decoder = createJsonDecoder(SCHEMA, [0, 2, 4, 6]);
      const buffer = Buffer.from(records.map((r) => JSON.stringify(r)).join(''));
      let at = 0;
      for (const r of records) {
        const end = at + Buffer.byteLength(JSON.stringify(r));
        expect(decoder.decode(buffer, at, end)).toBe(true);
        at = end;
      }
      // JSON text has no −0.
      const plus = (x: number | undefined) => (x === undefined ? null : x + 0);
      expect(rowsOf(decoder.finish())).toEqual(records.map((r) => [plus(r.id), plus(r.d), r.s ?? null, r.b ?? null]));
    }),
    { numRuns: 100 },
  );
});

test('strings stay ranges of the buffer until one has an escape', () => {
  const decoder = createJsonDecoder(SCHEMA, [4]);
  const buffer = Buffer.from('{"s":"one"}{"s":"two"}{"s":null}{"s":"thrée"}{"s":"f\\nour"}{"s":"five"}');
  const ends = [...buffer.toString('latin1').matchAll(/\}/g)].map((m) => m.index + 1);
  const decodeUpTo = (count: number): void => {
    for (let i = 0; i < count; i++) expect(decoder.decode(buffer, i === 0 ? 0 : ends[i - 1], ends[i])).toBe(true);
  };
  decodeUpTo(4);
  const [ranges] = decoder.finish();
  expect(ranges).toBeInstanceOf(TextColumn);
  expect(rowsOf([ranges]).flat()).toEqual(['one', 'two', null, 'thrée']);
  decodeUpTo(6);
  const [plain] = decoder.finish();
  expect(plain).not.toBeInstanceOf(TextColumn);
  expect(rowsOf([plain]).flat()).toEqual(['one', 'two', null, 'thrée', 'f\nour', 'five']);
});

test('rows of one batch may come from several buffers', () => {
  const decoder = createJsonDecoder(SCHEMA, [0, 4]);
  for (let i = 0; i < 1000; i++) {
    const bytes = Buffer.from(`{"id":${i},"s":"text ${i}"}`);
    expect(decoder.decode(bytes, 0, bytes.length)).toBe(true);
  }
  expect(rowsOf(decoder.finish())).toEqual(Array.from({ length: 1000 }, (_, i) => [i, `text ${i}`]));
});

test('a column that must not be null, a value that has no place, and no object at all are named', () => {
  const decoder = createJsonDecoder(SCHEMA, [9, 1]);
  const error = (json: string): string => {
    const bytes = Buffer.from(json);
    expect(decoder.decode(bytes, 0, bytes.length)).toBe(false);
    return decoder.error;
  };
  expect(error('{"n":1}')).toBe('column "z" is NOT NULL but missing');
  expect(error('{"z":null}')).toBe('column "z" is NOT NULL but null');
  expect(error('{"z":"2020-01-01T00:00:00Z","n":"one"}')).toBe('column "n" (integer) cannot hold "one"');
  expect(error('[1]')).toContain('not an object');
  expect(error('nonsense')).toContain('not JSON');
  expect(error('')).toContain('empty');
  expect(error('{"z":1} x')).toContain('follows');
  expect(error(`{"a":${'['.repeat(5000)}`)).toContain('malformed');
  expect(decoder.rows).toBe(0);
});

test('a failed scan leaves no null behind', () => {
  const decoder = createJsonDecoder([column('a', BIGINT), column('b', BIGINT)], [0, 1]);
  const lines = ['{"a":1,"b":1}', '{"a":1,"b":1}', '{"a":null,"b":x}', '{"a":2,"b":2}', '{"a":null,"b":3}'];
  for (const line of lines) decoder.decode(Buffer.from(line), 0, line.length);
  expect(rowsOf(decoder.finish())).toEqual([
    [1, 1],
    [1, 1],
    [2, 2],
    [null, 3],
  ]);
});
