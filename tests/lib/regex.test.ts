import fc from 'fast-check';
import { RE2JS } from 're2js';
import { expect, test } from 'vitest';
import { Regex } from '../../src/lib/regex.ts';
import type { ByteSearch } from '../../src/lib/regex-bytes.ts';
import { plainPattern } from '../../src/lib/regex-plain.ts';

const atom = fc.constantFrom('a', 'b', 'c', '.', '[ab]', '[^a]', '[b-c]', '\\d', '\\w', '\\S', '\\.', 'é', '[\\d_]');
const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,2}', '{0,}');
const item = fc.tuple(atom, quantifier).map(([a, q]) => a + q);
const group = fc
  .tuple(
    fc.array(fc.array(item, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 }),
    fc.boolean(),
    fc.constantFrom('', '', '?'),
  )
  .map(([options, captures, q]) => `(${captures ? '' : '?:'}${options.map((one) => one.join('')).join('|')})${q}`);
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '^'),
    fc.array(fc.oneof(item, group), { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '', '$'),
  )
  .map(([begin, items, end]) => begin + items.join('') + end);
const text = fc
  .array(fc.constantFrom('a', 'b', 'c', 'a', 'b', '1', '.', 'é', '😀', '\n'), { maxLength: 12 })
  .map((l) => l.join(''));

function byRe2(source: string, subject: string): unknown[] {
  const matcher = RE2JS.compile(source, RE2JS.DOTALL).matcher(subject);
  const out: unknown[] = [];
  while (matcher.find()) {
    const groups = [];
    for (let i = 0; i <= matcher.groupCount(); i++) groups.push(matcher.group(i));
    out.push({ start: matcher.start(), end: matcher.end(), groups });
  }
  return out;
}

/** The groups of the first match of a text that lies somewhere within other bytes. */
function groupsInBytes(search: ByteSearch, subject: string): (string | null)[] | undefined {
  const b = Buffer.from(`ab${subject}a`);
  if (!search.find(b, 2, b.length - 1)) return undefined;
  return Array.from(search.starts, (start, i) => (start < 0 ? null : b.toString('utf8', start, search.ends[i])));
}

test('plain patterns find what RE2 finds, in strings and in bytes', () => {
  let plain = 0;
  let inBytes = 0;
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 5, maxLength: 5 }), (source, texts) => {
      if (plainPattern(source) !== undefined) plain++;
      const regex = new Regex(source);
      const search = regex.bytes();
      if (search !== undefined) inBytes++;
      for (const subject of texts) {
        if (search !== undefined) expect(groupsInBytes(search, subject)).toEqual(regex.first(subject)?.groups);
        expect([...regex.matchesIn(subject)]).toEqual(byRe2(source, subject));
        expect(regex.first(subject)).toEqual(byRe2(source, subject)[0]);
        expect(regex.test(subject)).toBe(byRe2(source, subject).length > 0);
      }
    }),
    { numRuns: 400 },
  );
  expect(plain).toBeGreaterThan(50);
  expect(inBytes).toBeGreaterThan(50);
});

test.each([
  ['(?:&|^)channel_id=([^&]*)', true, 'channel_id='],
  ['[a-z]+@[a-z]+\\.com', true, '.com'],
  ['(a|b)c?d', true, 'd'],
  // What giving back would cost more than one look a character.
  ['(a*)*b', false, ''],
  ['a*ab', false, ''],
  ['\\w+\\w+x', false, ''],
  ['.*x', false, ''],
  ['(a+|b)*c', false, ''],
  ['(?=a)b', false, ''],
  ['\\bword\\b', false, ''],
  ['a*', false, ''],
])('%s: plain %s', (source, plain, needle) => {
  const found = plainPattern(source);
  expect(found !== undefined).toBe(plain);
  if (found !== undefined) expect(found.needle).toBe(needle);
});

test('a text too long for backtracking is searched all the same', () => {
  const regex = new Regex('x([^&]*)&y');
  const long = `${'x'.repeat(5000)}&y`;
  expect(regex.first(long)?.end).toBe(long.length);
});
