import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesLike } from '../../../streamql/functions/like.ts';

/** By the definition, one token after the other. */
function matches(text: readonly string[], pattern: readonly string[]): boolean {
  if (pattern.length === 0) return text.length === 0;
  const [first, ...rest] = pattern;
  if (first === '%') return matches(text, rest) || (text.length > 0 && matches(text.slice(1), pattern));
  if (first === '\\') return text[0] === rest[0] && matches(text.slice(1), rest.slice(1));
  return text.length > 0 && (first === '_' || first === text[0]) && matches(text.slice(1), rest);
}

test('LIKE is its definition', () => {
  const unit = fc.constantFrom('a', 'b', 'ä', '\u{1f600}', '%', '_');
  const token = fc.constantFrom('a', 'b', 'ä', '\u{1f600}', '%', '%', '_', '\\%', '\\_', '\\\\');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 8 }), fc.array(token, { maxLength: 6 }), (text, pattern) => {
      const split = pattern.flatMap((one) => Array.from(one));
      expect(matchesLike(text.join(''), pattern.join(''), false)).toBe(matches(text, split));
    }),
    { numRuns: 2000 },
  );
});

test('no pattern takes long', () => {
  const text = 'a'.repeat(20_000);
  expect(matchesLike(text, `${'%a'.repeat(50)}%b`, false)).toBe(false);
  expect(matchesLike(text, `${'_%a'.repeat(50)}%b`, false)).toBe(false);
});

test('ILIKE goes by lower case; a pattern must not end with an escape', () => {
  expect(matchesLike('Straße', 'STRA%', true)).toBe(true);
  expect(() => matchesLike('a', 'a\\', false)).toThrow('must not end with an escape');
});
