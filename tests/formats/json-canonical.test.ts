import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/formats/json/json-canonical.ts';
import { canonicalJsonText } from '../../src/values/json-text.ts';

test('a jsonb value has one text, whether it came in a record or by a cast', () => {
  expect(canonicalJsonText('{"b": 1, "aa": 2, "a": 3, "é": 4}')).toBe('{"a":3,"b":1,"aa":2,"é":4}');
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const bytes = Buffer.from(JSON.stringify(value));
      expect(canonicalJsonText(bytes.toString())).toBe(canonicalJson(bytes, 0, bytes.length));
    }),
    { numRuns: 300 },
  );
});
