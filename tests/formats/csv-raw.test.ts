import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatOptions } from '../../src/formats/formats.ts';
import { BIGINT, BOOLEAN, BYTEA, DATE, decimal, INTEGER, JSONB, TIMESTAMP, VARCHAR } from '../../src/values/types.ts';
import { column, decodeAll } from './decode.ts';

describe('csv', () => {
  const columns = [column('id', BIGINT, false), column('name', VARCHAR), column('price', decimal(10, 2))];
  const read = (...lines: string[]) => decodeAll('csv', columns, lines);

  test('fields in the order of the columns; quotes, nulls, line ends', () => {
    expect(
      read('1,one,1.5', '2,"a,b",2\n', '3,"say ""hi""\nthere",\r\n', '4,,4', '5,"",5', '6,a"b,6', ' 7,é,7'),
    ).toEqual([
      [1, 'one', 150],
      [2, 'a,b', 200],
      [3, 'say "hi"\nthere', null],
      [4, null, 400],
      [5, '', 500],
      [6, 'a"b', 600],
      [7, 'é', 700],
    ]);
  });

  test('what is wrong is said', () => {
    expect(
      read('1,one', '1,a,2,3', '', ',a,1', 'x,a,1', '1,"a,1', '1,"a"b,1', '1,a\n2,b,1', '9223372036854775808,a,1'),
    ).toEqual([
      'there are 2 fields for 3 columns',
      'there are more than 3 fields',
      'there are 1 fields for 3 columns',
      'column "id" is NOT NULL but null',
      'column "id" (bigint) cannot hold x',
      'the quotes of field 2 (name) are not closed',
      'text follows the quotes of field 2',
      'a second line begins in field 2: a record is one line',
      'column "id" (bigint) cannot hold 9223372036854775808',
    ]);
  });

  test('delimiter, quote and null text', () => {
    const options = { delimiter: '\\t', quote: "'", null_text: '\\N' };
    expect(decodeAll('csv', columns, ["1\t'a\tb'\t\\N", '2\t\t2'], { options })).toEqual([
      [1, 'a\tb', null],
      [2, '', 200],
    ]);
    expect(() => decodeAll('csv', columns, [], { options: { delimiter: ';;' } })).toThrow(/one ASCII character/);
    expect(() => formatOptions('json', { delimiter: ';' })).toThrow(/means nothing for format json/);
  });

  test('types by their text', () => {
    const types = [
      column('a', TIMESTAMP),
      column('b', DATE),
      column('c', BOOLEAN),
      column('d', JSONB),
      column('e', BYTEA),
      column('f', INTEGER),
    ];
    expect(
      decodeAll('csv', types, [
        '2015-07-15 00:00:00.005,2015-07-15,t,"{""b"":1, ""a"":[1,2]}",\\xff00,-5',
        '1436918400005,1970-01-02,false,null,\\x,2147483647',
        '1436918400,1970-01-02,no,1,\\x,2147483648',
      ]),
    ).toEqual([
      [1436918400005000, 16631, true, '{"a":[1,2],"b":1}', Buffer.from([255, 0]), -5],
      [1436918400005000, 1, false, 'null', Buffer.from([]), 2147483647],
      'column "f" (integer) cannot hold 2147483648',
    ]);
  });

  test('any texts come back, and only the wanted columns are read', () => {
    const texts = [column('a', VARCHAR), column('b', VARCHAR), column('c', VARCHAR)];
    const quoted = (text: string | null) => (text === null ? '' : `"${text.replaceAll('"', '""')}"`);
    const cell = fc.option(fc.string({ unit: 'binary' }), { nil: null });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 20 }), (rows) => {
        const lines = rows.map((row) => row.map(quoted).join(','));
        expect(decodeAll('csv', texts, lines)).toEqual(rows);
        expect(decodeAll('csv', texts, lines, { wanted: [2, 0] })).toEqual(rows.map(([a, , c]) => [c, a]));
      }),
      { numRuns: 200 },
    );
  });
});

describe('raw', () => {
  test('bytes, text, or what the text says', () => {
    expect(decodeAll('raw', [column('b', BYTEA)], [Buffer.from([0, 255]), ''])).toEqual([
      [Buffer.from([0, 255])],
      [Buffer.from([])],
    ]);
    expect(decodeAll('raw', [column('t', VARCHAR)], ['"é" {', Buffer.from([0xc3, 0x28]), ''])).toEqual([
      ['"é" {'],
      'the value is not UTF-8: column "t" would have to be BYTEA',
      [''],
    ]);
    expect(decodeAll('raw', [column('n', BIGINT)], ['42', '4x'])).toEqual([[42], 'column "n" (bigint) cannot hold 4x']);
    expect(decodeAll('raw', [column('j', JSONB)], ['{"a" : 1}', '{'])).toEqual([
      ['{"a":1}'],
      'column "j" (jsonb) cannot hold {',
    ]);
  });

  test('one column, beside the primary key', () => {
    expect(() => decodeAll('raw', [column('a', VARCHAR), column('b', VARCHAR)], [])).toThrow(/is one column, and 2/);
    expect(decodeAll('raw', [column('k', VARCHAR), column('v', VARCHAR)], ['x'], { key: [0] })).toEqual([[null, 'x']]);
  });
});
