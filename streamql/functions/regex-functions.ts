import { StreamError } from '../../src/lib/errors.ts';
import { type Regex, type RegexMatch, regexOf } from '../../src/lib/regex.ts';
import { arrayOf, BOOLEAN, INTEGER, VARCHAR } from '../../src/values/types.ts';
import { groupForm, matchForm } from './bytes/regex-bytes.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Regular expressions of Postgres's names over RE2's syntax; positions count characters from 1. */

/** Flags of Postgres: i ignores case, n is sensitive to lines, g means every match. */
function withFlags(name: string, pattern: string, flags: string): { regex: Regex; all: boolean } {
  for (const flag of flags) {
    if (!'icngs'.includes(flag)) {
      throw new StreamError('VALUE_DOMAIN', `${name}: there is no flag ${flag}; there are i, c, n, s and g`);
    }
  }
  const insensitive = flags.lastIndexOf('i') > flags.lastIndexOf('c');
  return { regex: regexOf(pattern, { insensitive, lines: flags.includes('n') }), all: flags.includes('g') };
}

/** The groups of a match, or the whole of it where the pattern has none. */
const captured = ({ groups }: RegexMatch): readonly (string | null)[] => (groups.length > 1 ? groups.slice(1) : groups);

const groupAt = ({ groups }: RegexMatch, group: number): string | null => groups[group];

/** `\1` to `\9` are groups, `\&` is the match, `\\` a backslash. */
function replacement(text: string, { groups }: RegexMatch): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(.?)/gs, (both, sign: string) => {
    if (sign === '&') return groups[0] ?? '';
    if (sign === '\\') return '\\';
    return sign >= '1' && sign <= '9' ? (groups[Number(sign)] ?? '') : both;
  });
}

function replaceIn(text: string, pattern: string, by: string, flags: string): string {
  const { regex, all } = withFlags('regexp_replace', pattern, flags);
  let out = '';
  let from = 0;
  for (const match of regex.matchesIn(text, all ? undefined : 1)) {
    out += text.slice(from, match.start) + replacement(by, match);
    from = match.end;
  }
  return out + text.slice(from);
}

export const splitBy = (text: string, pattern: string, flags: string): string[] =>
  split(text, withFlags('regexp_split', pattern, flags).regex);

/** Of the first match, or of all of them, the groups. */
export function allCaptured(text: string, pattern: string, flags: string): (readonly (string | null)[])[] {
  const { regex, all } = withFlags('regexp_matches', pattern, flags);
  return Array.from(regex.matchesIn(text, all ? undefined : 1), captured);
}

function split(text: string, regex: Regex): string[] {
  const out: string[] = [];
  let from = 0;
  for (const { start, end } of regex.matchesIn(text)) {
    // Postgres: an empty match at an end or right behind a match splits nothing off.
    if (start === end && (start === from || start === text.length)) continue;
    out.push(text.slice(from, start));
    from = end;
  }
  out.push(text.slice(from));
  return out;
}

function nth(regex: Regex, text: string, n: number): RegexMatch | undefined {
  let i = 0;
  for (const match of regex.matchesIn(text, n)) if (++i === n) return match;
  return undefined;
}

function countAll(regex: Regex, text: string): number {
  let count = 0;
  for (const _ of regex.matchesIn(text)) count++;
  return count;
}

/** The group of the first match, 0 being all of it; as Flink's regexp_extract. */
function extract(text: string, pattern: string, group: number): string | null {
  const match = regexOf(pattern).first(text);
  if (match === undefined) return null;
  if (group < 0 || group >= match.groups.length) {
    throw new StreamError('VALUE_DOMAIN', `regexp_extract: the pattern has no group ${group}`);
  }
  return match.groups[group];
}

const place = (text: string, match: RegexMatch | undefined): number =>
  match === undefined ? 0 : Array.from(text.slice(0, match.start)).length + 1;

/** A pattern of SIMILAR TO as a regular expression: % and _ as in LIKE, | * + ? {} () [] as in regular expressions, \ escapes. */
function fromSimilar(pattern: string): string {
  let out = '';
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern[i];
    if (sign === '\\') {
      if (++i === pattern.length) {
        throw new StreamError('VALUE_DOMAIN', 'SIMILAR TO: the pattern ends in its escape character');
      }
      out += pattern[i].replace(/[^\p{L}\p{N}\s]/u, '\\$&');
    } else if (inClass) {
      if (sign === ']') inClass = false;
      out += sign;
    } else if (sign === '[') {
      inClass = true;
      out += sign;
    } else if (sign === '%') out += '.*';
    else if (sign === '_') out += '.';
    else if (sign === '(') out += '(?:';
    else out += '.^$'.includes(sign) ? `\\${sign}` : sign;
  }
  return `(?:${out})`;
}

const operators: ScalarFunction[] = (
  [
    ['~', false, false, 'Whether the text contains a match of the regular expression.', ["'stream' ~ 're+a'", 'true']],
    ['~*', true, false, 'As ~, whatever the case.', ["'Stream' ~* '^s.*M$'", 'true']],
    ['!~', false, true, 'Whether the text contains no match of the regular expression.', ["'abc' !~ '[0-9]'", 'true']],
    ['!~*', true, true, 'As !~, whatever the case.', ["'ABC' !~* 'b'", 'false']],
  ] as const
).map(([sign, insensitive, negated, doc, example]) =>
  own(
    `${sign}(varchar, varchar)`,
    BOOLEAN,
    doc,
    ([text, pattern]) => regexOf(pattern, { insensitive }).test(text) !== negated,
    example,
    sign === '~' ? { bytes: matchForm } : {},
  ),
);

export const REGEXES: readonly ScalarFunction[] = [
  ...operators,
  own(
    'regexp_like(varchar, varchar)',
    BOOLEAN,
    'Whether the text contains a match.',
    ([a, p]) => regexOf(p).test(a),
    ["regexp_like('a1b', '[0-9]')", 'true'],
    { bytes: matchForm },
  ),
  own(
    'regexp_like(varchar, varchar, varchar)',
    BOOLEAN,
    'Whether the text contains a match; flags i (any case), n (by line).',
    ([a, p, flags]) => withFlags('regexp_like', p, flags).regex.test(a),
  ),
  own(
    'regexp_match(varchar, varchar)',
    arrayOf(VARCHAR),
    'The groups of the first match, or the whole of it where the pattern has no groups; NULL without one.',
    ([a, p]) => {
      const match = regexOf(p).first(a);
      return match === undefined ? null : captured(match);
    },
    ["regexp_match('k=v', '(\\w+)=(\\w+)')", '{k,v}'],
  ),
  own('regexp_match(varchar, varchar, varchar)', arrayOf(VARCHAR), 'As regexp_match, with flags.', ([a, p, flags]) => {
    const match = withFlags('regexp_match', p, flags).regex.first(a);
    return match === undefined ? null : captured(match);
  }),
  own(
    'regexp_replace(varchar, varchar, varchar)',
    VARCHAR,
    'The first match replaced; \\1 is a group, \\& the match.',
    ([a, p, by]) => replaceIn(a, p, by, ''),
    ["regexp_replace('2024-05', '(\\d+)-(\\d+)', '\\2/\\1')", '05/2024'],
  ),
  own(
    'regexp_replace(varchar, varchar, varchar, varchar)',
    VARCHAR,
    'As regexp_replace, with flags: g replaces every match.',
    ([a, p, by, flags]) => replaceIn(a, p, by, flags),
    ["regexp_replace('a1b22', '[0-9]+', '#', 'g')", 'a#b#'],
  ),
  own('regexp_count(varchar, varchar)', INTEGER, 'How many matches there are.', ([a, p]) => countAll(regexOf(p), a), [
    "regexp_count('banana', 'an')",
    '2',
  ]),
  own(
    'regexp_instr(varchar, varchar)',
    INTEGER,
    'Where the first match begins, from 1; 0 without one.',
    ([a, p]) => place(a, regexOf(p).first(a)),
    ["regexp_instr('abc123', '[0-9]')", '4'],
  ),
  own(
    'regexp_substr(varchar, varchar)',
    VARCHAR,
    'The first match; NULL without one.',
    ([a, p]) => regexOf(p).first(a)?.groups[0] ?? null,
    ["regexp_substr('order 42 of 50', '[0-9]+')", '42'],
    { bytes: groupForm(() => 0, groupAt) },
  ),
  own(
    'regexp_substr(varchar, varchar, integer)',
    VARCHAR,
    'The n-th match, from 1; NULL without one.',
    ([a, p, n]) => {
      if (n < 1) throw new StreamError('VALUE_DOMAIN', 'regexp_substr: matches count from 1');
      return nth(regexOf(p), a, n)?.groups[0] ?? null;
    },
    ["regexp_substr('order 42 of 50', '[0-9]+', 2)", '50'],
  ),
  own(
    'substr(varchar, varchar)',
    VARCHAR,
    'substring(text FROM pattern): what the first group of the first match holds, or the match where there is no group; NULL without one.',
    ([a, p]) => {
      const match = regexOf(p).first(a);
      return match === undefined ? null : captured(match)[0];
    },
    ["substring('id=42&x=1' FROM 'id=([0-9]+)')", '42'],
    { bytes: groupForm((_, groups) => (groups > 0 ? 1 : 0), groupAt) },
  ),
  own(
    'regexp_extract(varchar, varchar)',
    VARCHAR,
    'As in Flink: the first match; NULL without one.',
    ([a, p]) => extract(a, p, 0),
    ["regexp_extract('v1.2', '[0-9]+')", '1'],
    { bytes: groupForm(() => 0, groupAt) },
  ),
  own(
    'regexp_extract(varchar, varchar, integer)',
    VARCHAR,
    'As in Flink: a group of the first match, 0 being all of it.',
    ([a, p, group]) => extract(a, p, group),
    ["regexp_extract('channel_id=77', '(\\w+)=([0-9]+)', 2)", '77'],
    { bytes: groupForm(([, , group]) => (typeof group === 'number' ? group : -1), groupAt) },
  ),
  own(
    'regexp_split_to_array(varchar, varchar)',
    arrayOf(VARCHAR),
    'The parts between the matches.',
    ([a, p]) => split(a, regexOf(p)),
    ["regexp_split_to_array('a, b;c', '[,;] *')", '{a,b,c}'],
  ),
  own(
    'similar_to(varchar, varchar)',
    BOOLEAN,
    'Whether the text matches a pattern of SQL: % _ | * + ? {} () []. Written a SIMILAR TO pattern.',
    ([a, pattern]) => regexOf(fromSimilar(pattern)).matches(a),
    ["'abc' SIMILAR TO '%(b|d)_'", 'true'],
  ),
];
