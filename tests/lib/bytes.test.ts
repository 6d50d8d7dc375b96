import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesFinder, copyBytes, findBytes } from '../../src/lib/bytes.ts';

const few = fc.array(fc.constantFrom(97, 98, 99, 200), { maxLength: 40 }).map((bytes) => Buffer.from(bytes));

test('bytes are found where Buffer.indexOf finds them', () => {
  fc.assert(
    fc.property(few, few, fc.nat(5), fc.nat(5), (b, part, before, after) => {
      const start = Math.min(before, b.length);
      const end = Math.max(start, b.length - after);
      const at = b.subarray(start, end).indexOf(part);
      const expected = part.length === 0 ? start : at < 0 ? -1 : start + at;
      expect(findBytes(b, start, end, part, 0, part.length)).toBe(expected);
      if (part.length > 0) expect(bytesFinder(part)(b, start, end)).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test('short and long ranges are copied alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(20), fc.nat(20), (from, start, at) => {
      const first = Math.min(start, from.length);
      const into = new Uint8Array(400);
      copyBytes(from, first, from.length, into, at);
      expect(into.subarray(at, at + from.length - first)).toEqual(from.subarray(first));
    }),
  );
});
