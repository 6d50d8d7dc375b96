import { expect, test } from 'vitest';
import { tableKeyJson } from '../../../../streamql/engine/runtime/table-key.ts';

const read = (key: string, names: readonly string[]): unknown => {
  const json = tableKeyJson(Buffer.from(key), names);
  return json === null || json === undefined ? json : json.toString();
};

test('record keys name rows in every documented form', () => {
  const cases: [key: string, names: string[], expected: unknown][] = [
    ['[7]', ['id'], '{"id":7}'],
    ['[7, "a,]b"]', ['id', 'region'], '{"id":7,"region":"a,]b"}'],
    ['[12345678901234567890, {"x":[1,2]}]', ['id', 'j'], '{"id":12345678901234567890,"j":{"x":[1,2]}}'],
    ['["q\\"uote\\\\", null]', ['a', 'b'], '{"a":"q\\"uote\\\\","b":null}'],
    ['{"id":7}', ['id'], '{"id":7}'],
    ['7', ['id'], '{"id":7}'],
    ['-1.5e3', ['id'], '{"id":-1.5e3}'],
    ['"seven"', ['id'], '{"id":"seven"}'],
    ['seven', ['id'], '{"id":"seven"}'],
    ['[seven', ['id'], '{"id":"[seven"}'],
    ['{seven', ['id'], '{"id":"{seven"}'],
    ['it\'s "x"', ['id'], '{"id":"it\'s \\"x\\""}'],
    ['[1,2]', ['id'], '{"id":"[1,2]"}'],
    ['', ['id'], null],
    ['null', ['id'], null],
    ['[1]', ['a', 'b'], undefined],
    ['seven', ['a', 'b'], undefined],
  ];
  for (const [key, names, expected] of cases) expect([key, read(key, names)]).toEqual([key, expected]);
});
