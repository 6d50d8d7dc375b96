import { StreamError } from '../../src/lib/errors.ts';
import { datumToText } from '../../src/values/text.ts';
import { arrayOf, BOOLEAN, type Datum, INTEGER, type SqlType, VARCHAR } from '../../src/values/types.ts';
import { isQuotedWord } from '../parser/keywords.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Longest text a function may build. */
const MAX_TEXT = 1 << 24;

function bounded(text: string): string {
  if (text.length > MAX_TEXT)
    throw new StreamError('VALUE_OVERFLOW', `the text would be longer than ${MAX_TEXT} characters`);
  return text;
}

/** From the n-th character, counted from 1, that many are replaced. */
function overlay(text: string, by: string, from: number, count: number): string {
  if (from < 1) throw new StreamError('VALUE_DOMAIN', 'overlay: characters count from 1');
  const all = Array.from(text);
  const start = Math.min(from - 1, all.length);
  return bounded(all.slice(0, start).join('') + by + all.slice(Math.max(0, from - 1 + count)).join(''));
}

function translate(text: string, from: string, to: string): string {
  const [sources, targets] = [Array.from(from), Array.from(to)];
  const map = new Map<string, string>();
  sources.forEach((one, i) => {
    if (!map.has(one)) map.set(one, targets[i] ?? '');
  });
  return Array.from(text, (one) => map.get(one) ?? one).join('');
}

/** A name as SQL takes it back. */
const quoteIdent = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) && !isQuotedWord(name) ? name : `"${name.replaceAll('"', '""')}"`;

/** A text as a literal of SQL. */
function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/**
 * format of Postgres: %s text, %I name, %L literal, %% a percent sign; %n$ picks an argument, a width fills with spaces and is itself an
 * argument where it is * or *n$.
 */
function format(template: string, args: readonly Datum[], types: readonly SqlType[]): string {
  let next = 0;
  return bounded(
    template.replace(/%(?:(%)|(?:(\d+)\$)?(-)?(\d+|\*(?:\d+\$)?)?([sIL])|)/g, (_, percent, at, left, width, kind) => {
      if (percent !== undefined) return '%';
      if (kind === undefined) throw new StreamError('VALUE_DOMAIN', 'format: after % stands %, s, I or L');
      const take = (place: string | undefined): number => {
        if (place !== undefined) next = Number.parseInt(place, 10) - 1;
        if (next < 0 || next >= args.length) throw new StreamError('VALUE_DOMAIN', 'format: too few arguments');
        return next++;
      };
      const asked = width?.startsWith('*') ? Number(args[take(width.slice(1) || undefined)] ?? 0) : Number(width ?? 0);
      const place = take(at);
      const shown = formatted(args[place], types[place], kind);
      const size = Math.abs(asked);
      if (!(size <= MAX_TEXT)) throw new StreamError('VALUE_OVERFLOW', 'format: the width is no number, or too large');
      const missing = ' '.repeat(Math.max(0, size - Array.from(shown).length));
      return left === undefined && asked >= 0 ? missing + shown : shown + missing;
    }),
  );
}

function formatted(datum: Datum, type: SqlType, kind: string): string {
  if (datum === null) {
    if (kind === 'I') throw new StreamError('VALUE_DOMAIN', 'format: NULL is no name');
    return kind === 'L' ? 'NULL' : '';
  }
  const text = datumToText(datum, type);
  return kind === 's' ? text : kind === 'I' ? quoteIdent(text) : quoteLiteral(text);
}

const MAX_DISTANCE_TEXT = 2000;

/** The fewest insertions, deletions and replacements of characters that make one text of the other. */
function levenshtein(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  if (x.length > MAX_DISTANCE_TEXT || y.length > MAX_DISTANCE_TEXT) {
    throw new StreamError('VALUE_OVERFLOW', `levenshtein: a text is longer than ${MAX_DISTANCE_TEXT} characters`);
  }
  let row = Array.from({ length: y.length + 1 }, (_, i) => i);
  for (let i = 0; i < x.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < y.length; j++) {
      next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (x[i] === y[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[y.length];
}

/** The digit of each letter that has one. */
const SOUNDEX = {
  B: 1,
  F: 1,
  P: 1,
  V: 1,
  C: 2,
  G: 2,
  J: 2,
  K: 2,
  Q: 2,
  S: 2,
  X: 2,
  Z: 2,
  D: 3,
  T: 3,
  L: 4,
  M: 5,
  N: 5,
  R: 6,
};

function soundex(text: string): string {
  const letters = text.replace(/[^A-Za-z]/g, '').toUpperCase();
  let out = letters.slice(0, 1);
  let last = SOUNDEX[out as 'B'] ?? 0;
  for (const letter of letters.slice(1)) {
    const code = SOUNDEX[letter as 'B'] ?? 0;
    if (code !== 0 && code !== last) out += code;
    if (letter !== 'H' && letter !== 'W') last = code;
    if (out.length === 4) break;
  }
  return out === '' ? '' : out.padEnd(4, '0');
}

/** Two's complement for negative ones, of 32 bits or 64. */
const inBase =
  (base: number, bits: bigint) =>
  ([n]: readonly any[]): string =>
    BigInt.asUintN(Number(bits), BigInt(n)).toString(base);

const bases: ScalarFunction[] = (['hex', 'bin', 'oct'] as const).flatMap((name) => {
  const base = { hex: 16, bin: 2, oct: 8 }[name];
  const doc = `A whole number to base ${base}; of negative ones the two's complement.`;
  const value = { hex: 'ff', bin: '11111111', oct: '377' }[name];
  return [
    own(`to_${name}(integer)`, VARCHAR, doc, inBase(base, 32n), [`to_${name}(255)`, value]),
    own(`to_${name}(bigint)`, VARCHAR, doc, inBase(base, 64n)),
  ];
});

const POSTGRES_NAMES: Readonly<Partial<Record<SqlType['kind'], string>>> = {
  decimal: 'numeric',
  double: 'double precision',
  varchar: 'text',
  time: 'time without time zone',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  row: 'record',
  map: 'hstore',
  null: 'unknown',
};
const postgresName = (type: SqlType): string =>
  type.kind === 'array' ? `${postgresName(type.element)}[]` : (POSTGRES_NAMES[type.kind] ?? type.kind);

export const TEXTS: readonly ScalarFunction[] = [
  ...bases,
  own(
    'overlay(varchar, varchar, integer)',
    VARCHAR,
    'The second text laid over the first from the n-th character on. Also overlay(a placing b from n).',
    ([a, by, from]) => overlay(a, by, from, Array.from(by as string).length),
    ["overlay('Txxxxas' placing 'hom' from 2)", 'Thomxas'],
  ),
  own(
    'overlay(varchar, varchar, integer, integer)',
    VARCHAR,
    'As overlay, in place of that many characters.',
    ([a, by, from, count]) => overlay(a, by, from, count),
    ["overlay('Txxxxas' placing 'hom' from 2 for 4)", 'Thomas'],
  ),
  own(
    'translate(varchar, varchar, varchar)',
    VARCHAR,
    'Each character of the second text replaced by the one at its place in the third, or left out.',
    ([a, from, to]) => translate(a, from, to),
    ["translate('12345', '143', 'ax')", 'a2x5'],
  ),
  own('bit_length(varchar)', INTEGER, 'The number of bits in UTF-8.', ([a]) => Buffer.byteLength(a) * 8, [
    "bit_length('ab')",
    '16',
  ]),
  own(
    'instr(varchar, varchar)',
    INTEGER,
    'As strpos.',
    ([a, b]) => {
      const at = (a as string).indexOf(b);
      return at < 0 ? 0 : Array.from((a as string).slice(0, at)).length + 1;
    },
    ["instr('streamline', 'line')", '7'],
  ),
  own('quote_ident(varchar)', VARCHAR, 'A name as SQL takes it, in quotes where needed.', ([a]) => quoteIdent(a), [
    "quote_ident('Total')",
    '"Total"',
  ]),
  own('quote_literal(varchar)', VARCHAR, 'A text as a literal of SQL.', ([a]) => quoteLiteral(a), [
    "quote_literal('it''s')",
    "'it''s'",
  ]),
  own(
    'quote_nullable(varchar)',
    VARCHAR,
    'As quote_literal, NULL for NULL.',
    ([a]) => (a === null ? 'NULL' : quoteLiteral(a)),
    ['quote_nullable(NULL)', 'NULL'],
    { nullAware: true },
  ),
  own(
    'format(varchar, any …)',
    VARCHAR,
    'A text with values in it: %s text, %I name, %L literal, %1$s by place, %-10s with a width, %*s with that of an argument, %% a percent sign.',
    ([template, ...args], [, ...types]) => (template === null ? null : format(template, args, types)),
    ["format('%s is %5s', 'a', 1)", 'a is     1'],
    { nullAware: true },
  ),
  own('space(integer)', VARCHAR, 'That many spaces.', ([n]) => bounded('').padEnd(Math.min(Math.max(0, n), MAX_TEXT)), [
    "'a' || space(2) || 'b'",
    'a  b',
  ]),
  own(
    'levenshtein(varchar, varchar)',
    INTEGER,
    'The fewest characters to insert, delete or replace to make one text of the other.',
    ([a, b]) => levenshtein(a, b),
    ["levenshtein('kitten', 'sitting')", '3'],
  ),
  own('soundex(varchar)', VARCHAR, 'The Soundex code of a name.', ([a]) => soundex(a), ["soundex('Robert')", 'R163']),
  own(
    'string_to_array(varchar, varchar)',
    arrayOf(VARCHAR),
    'The fields between delimiters; NULL splits into characters.',
    ([a, by]) =>
      a === null ? null : a === '' ? [] : by === null ? Array.from(a as string) : by === '' ? [a] : a.split(by),
    ["string_to_array('a,b,,c', ',')", '{a,b,"",c}'],
    { nullAware: true },
  ),
  own(
    'string_to_array(varchar, varchar, varchar)',
    arrayOf(VARCHAR),
    'As string_to_array; fields equal to the third are NULL.',
    ([a, by, none]) => {
      if (a === null) return null;
      const fields: string[] = a === '' ? [] : by === null ? Array.from(a as string) : by === '' ? [a] : a.split(by);
      return fields.map((one) => (one === none ? null : one));
    },
    ["string_to_array('a,-,c', ',', '-')", '{a,NULL,c}'],
    { nullAware: true },
  ),
  own('parse_ident(varchar)', arrayOf(VARCHAR), 'The parts of a qualified name.', ([a]) => parseIdent(a), [
    `parse_ident('public."T".c')`,
    '{public,T,c}',
  ]),
  own('is_ascii(varchar)', BOOLEAN, 'Whether every character is of ASCII.', ([a]) => /^[\0-\x7f]*$/.test(a), [
    "is_ascii('é')",
    'false',
  ]),
  own('unistr(varchar)', VARCHAR, 'A text with \\XXXX and \\+XXXXXX read as code points.', ([a]) => unistr(a), [
    "unistr('d\\0061t\\+000061')",
    'data',
  ]),
  own('length(bytea)', INTEGER, 'The number of bytes.', ([a]) => a.length, ["length(decode('00ff', 'hex'))", '2']),
  own('octet_length(bytea)', INTEGER, 'The number of bytes.', ([a]) => a.length),
  own(
    'pg_typeof(any)',
    VARCHAR,
    'The name of the type, as Postgres has it.',
    (_, [type]) => postgresName(type),
    ['pg_typeof(1.5)', 'numeric'],
    { nullAware: true },
  ),
  own(
    'num_nonnulls(any …)',
    INTEGER,
    'How many values are not NULL.',
    (args) => args.filter((one) => one !== null).length,
    ["num_nonnulls(1, NULL, 'a')", '2'],
    { nullAware: true },
  ),
  own(
    'num_nulls(any …)',
    INTEGER,
    'How many values are NULL.',
    (args) => args.filter((one) => one === null).length,
    ["num_nulls(1, NULL, 'a')", '1'],
    { nullAware: true },
  ),
];

function unistr(text: string): string {
  return text.replace(/\\(?:\\|([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|)/g, (whole, short?: string, long?: string) => {
    if (whole === '\\\\') return '\\';
    const point = Number.parseInt(short ?? long ?? 'x', 16);
    if (!(point > 0 && point <= 0x10ffff))
      throw new StreamError('VALUE_DOMAIN', 'unistr: not an escape of a character');
    return String.fromCodePoint(point);
  });
}

function parseIdent(text: string): string[] {
  const parts: string[] = [];
  const pattern = /[ \t\n\r]*(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))[ \t\n\r]*(\.|$)/y;
  for (;;) {
    const found = pattern.exec(text);
    if (found === null) throw new StreamError('VALUE_DOMAIN', 'parse_ident: not a name');
    parts.push(found[1]?.replaceAll('""', '"') ?? found[2].replace(/[A-Z]/g, (letter) => letter.toLowerCase()));
    if (found[3] === '') return parts;
  }
}
