import { createHash } from 'node:crypto';
import { StreamError } from '../../src/lib/errors.ts';
import { datumToText } from '../../src/values/text.ts';
import { BOOLEAN, BYTEA, INTEGER, VARCHAR } from '../../src/values/types.ts';
import { decodeBytes, encodeBytes } from './byte-formats.ts';
import {
  concatForm,
  contains,
  endsWith,
  fieldForm,
  leftForm,
  lengthForm,
  lettersMoved,
  octetLengthForm,
  positionForm,
  replaceForm,
  rightForm,
  startsWith,
  substrForm,
  testForm,
  trimForm,
} from './bytes/string-bytes.ts';
import { duckdbFail } from './duckdb-fail.ts';
import type { ScalarFunction } from './function-table.ts';
import { matchesLike } from './like.ts';
import { duckdbOutput } from './operators.ts';

/** Text counts in code points, as Postgres does with UTF-8. Pure ASCII takes the short way. */
const ASCII = /^[\x20-\x7e\t\n\r]*$/;
const points = (text: string): readonly string[] => (ASCII.test(text) ? text.split('') : Array.from(text));
const countOf = (text: string): number => (ASCII.test(text) ? text.length : Array.from(text).length);
const part = (text: string, from: number, to: number): string =>
  ASCII.test(text) ? text.slice(from, to) : Array.from(text).slice(from, to).join('');

/** Longest text a function may build. */
const MAX_TEXT = 1 << 24;

function bounded(length: number): number {
  if (length > MAX_TEXT)
    throw new StreamError('VALUE_OVERFLOW', `the text would be longer than ${MAX_TEXT} characters`);
  return length;
}

const text = (
  name: string,
  id: string,
  args: ScalarFunction['args'],
  doc: string,
  call: ScalarFunction['call'],
  more: Partial<ScalarFunction> = {},
): ScalarFunction => ({
  name,
  id,
  args,
  returns: () => VARCHAR,
  call,
  doc,
  ...more,
});

/** One character for one, as Postgres has it: no SS for ß, no other sigma at the end of a word. */
function mapped(value: string, map: (character: string) => string): string {
  return Array.from(value, (one) => {
    const other = map(one);
    return Array.from(other).length === 1 ? other : one;
  }).join('');
}
const upper = (value: string): string =>
  ASCII.test(value) ? value.toUpperCase() : mapped(value, (one) => one.toUpperCase());
const lower = (value: string): string =>
  ASCII.test(value) ? value.toLowerCase() : mapped(value, (one) => (one === 'İ' ? 'i' : one.toLowerCase()));

function capital(word: string): string {
  const [first] = word;
  return upper(first) + lower(word.slice(first.length));
}

const NEGATIVE_LENGTH = 'substr: the length must not be negative';
const NO_FIELD_0 = 'split_part: fields count from 1, or from −1 backwards';

function checkLength(count: number): void {
  if (count < 0) throw new StreamError('VALUE_DOMAIN', NEGATIVE_LENGTH);
}

function substr(value: string, from: number, count: number): string {
  checkLength(count);
  const start = Math.max(1, from);
  return part(value, start - 1, Math.max(start - 1, from - 1 + count));
}

function trimmed(value: string, characters: string, left: boolean, right: boolean): string {
  const set = new Set(points(characters));
  const all = points(value);
  let from = 0;
  let to = all.length;
  while (left && from < to && set.has(all[from])) from++;
  while (right && to > from && set.has(all[to - 1])) to--;
  return all.slice(from, to).join('');
}

function trims(name: string, left: boolean, right: boolean, where: string): ScalarFunction[] {
  const plain = name === 'btrim' ? 'trim' : name;
  return [
    text(name, `${name}.1`, ['varchar'], `Without spaces at the ${where}.`, ([a]) => trimmed(a, ' ', left, right), {
      duckdb: ([a]) => `${plain}(${a}, ' ')`,
      bytes: trimForm(left, right),
    }),
    text(
      name,
      `${name}.2`,
      ['varchar', 'varchar'],
      `Without any of the given characters at the ${where}.`,
      ([a, b]) => trimmed(a, b, left, right),
      {
        duckdb: ([a, b]) => `${plain}(${a}, ${b})`,
        bytes: trimForm(left, right),
      },
    ),
  ];
}

function pad(value: string, length: number, fill: string, left: boolean): string {
  bounded(length);
  const all = points(value);
  if (length <= 0) return '';
  if (all.length >= length) return all.slice(0, length).join('');
  const filler = points(fill);
  if (filler.length === 0) return value;
  const missing = length - all.length;
  const padding = Array.from({ length: missing }, (_, i) => filler[i % filler.length]).join('');
  return left ? padding + value : value + padding;
}

/** DuckDB fails where there is nothing to fill with. */
const duckdbPad = (name: string, [a, n, fill]: readonly string[]): string =>
  `CASE WHEN ${fill} = '' OR ${n} <= 0 THEN left(${a}, greatest(0, ${n})) ELSE ${name}(${a}, ${n}, ${fill}) END`;

function splitPart(value: string, delimiter: string, field: number): string {
  if (field === 0) throw new StreamError('VALUE_DOMAIN', NO_FIELD_0);
  if (delimiter === '') return field === 1 || field === -1 ? value : '';
  const { length } = delimiter;
  if (field > 0) {
    let from = 0;
    for (let n = 1; n < field; n++) {
      const at = value.indexOf(delimiter, from);
      if (at < 0) return '';
      from = at + length;
    }
    const to = value.indexOf(delimiter, from);
    return value.slice(from, to < 0 ? undefined : to);
  }
  // From the end fields are still those that cutting from the beginning gives.
  const parts = value.split(delimiter);
  return parts[parts.length + field] ?? '';
}

const hash = (algorithm: string) => (value: string) => createHash(algorithm).update(value, 'utf8').digest('hex');

export const STRINGS: readonly ScalarFunction[] = [
  text('lower', 'lower', ['varchar'], 'In lower case.', ([a]) => lower(a), {
    bytes: lettersMoved(65, 90, 32, lower),
  }),
  text('upper', 'upper', ['varchar'], 'In upper case, character by character: ß stays.', ([a]) => upper(a), {
    bytes: lettersMoved(97, 122, -32, upper),
  }),
  text(
    'initcap',
    'initcap',
    ['varchar'],
    'The first letter of each word in upper case, the rest in lower case.',
    ([a]) => (a as string).replace(/[\p{L}\p{N}]+/gu, capital),
    { own: true, example: ["initcap('hello WORLD')", 'Hello World'] },
  ),
  {
    name: 'length',
    id: 'length',
    args: ['varchar'],
    returns: () => INTEGER,
    call: ([a]) => countOf(a),
    bytes: lengthForm,
    duckdb: ([a]) => `CAST(length(${a}) AS INTEGER)`,
    doc: 'The number of characters.',
  },
  {
    name: 'octet_length',
    id: 'octet_length',
    args: ['varchar'],
    returns: () => INTEGER,
    call: ([a]) => Buffer.byteLength(a),
    bytes: octetLengthForm,
    duckdb: ([a]) => `CAST(strlen(${a}) AS INTEGER)`,
    doc: 'The number of bytes in UTF-8.',
  },
  text(
    'substr',
    'substr.2',
    ['varchar', 'integer'],
    'From the n-th character on, counted from 1.',
    ([a, from]) => part(a, Math.max(0, from - 1), Number.POSITIVE_INFINITY),
    {
      duckdb: ([a, from]) => `substr(${a}, greatest(1, ${from}))`,
      bytes: substrForm(checkLength),
    },
  ),
  text(
    'substr',
    'substr.3',
    ['varchar', 'integer', 'integer'],
    'That many characters from the n-th on, counted from 1.',
    ([a, from, count]) => substr(a, from, count),
    {
      bytes: substrForm(checkLength),
      duckdb: ([a, from, count]) =>
        `CASE WHEN ${count} < 0 THEN ${duckdbFail('VALUE_DOMAIN', NEGATIVE_LENGTH)} ELSE substr(${a}, greatest(1, ${from}), greatest(0, CAST(${from} AS BIGINT) + ${count} - greatest(1, ${from}))) END`,
    },
  ),
  ...trims('btrim', true, true, 'beginning and the end'),
  ...trims('ltrim', true, false, 'beginning'),
  ...trims('rtrim', false, true, 'end'),
  text(
    'trim',
    'trim',
    ['varchar'],
    'Without spaces at the beginning and the end.',
    ([a]) => trimmed(a, ' ', true, true),
    { bytes: trimForm(true, true), duckdb: ([a]) => `trim(${a}, ' ')` },
  ),
  text(
    'replace',
    'replace',
    ['varchar', 'varchar', 'varchar'],
    'Every occurrence of the second text replaced by the third.',
    ([a, from, to]) => (from === '' ? a : a.replaceAll(from, () => to)),
    { bytes: replaceForm },
  ),
  {
    name: 'strpos',
    id: 'strpos',
    args: ['varchar', 'varchar'],
    returns: () => INTEGER,
    call: ([a, b]) => position(a, b),
    bytes: positionForm(false),
    duckdb: ([a, b]) => `CAST(strpos(${a}, ${b}) AS INTEGER)`,
    doc: 'Where the second text first occurs in the first, counted from 1; 0 when it does not.',
  },
  {
    name: 'position',
    id: 'position',
    args: ['varchar', 'varchar'],
    returns: () => INTEGER,
    call: ([b, a]) => position(a, b),
    bytes: positionForm(true),
    duckdb: ([b, a]) => `CAST(strpos(${a}, ${b}) AS INTEGER)`,
    doc: 'Where the first text first occurs in the second, counted from 1; 0 when it does not.',
  },
  text(
    'split_part',
    'split_part',
    ['varchar', 'varchar', 'integer'],
    'The n-th field between delimiters, from 1, negative from the end; empty when there is none.',
    ([a, by, n]) => splitPart(a, by, n),
    {
      bytes: fieldForm(1, 'empty'),
      duckdb: ([a, by, n]) =>
        `CASE WHEN ${n} = 0 THEN ${duckdbFail('VALUE_DOMAIN', NO_FIELD_0)} WHEN ${by} <> '' THEN split_part(${a}, ${by}, ${n}) WHEN ${n} IN (1, -1) THEN ${a} ELSE '' END`,
    },
  ),
  text(
    'split_index',
    'split_index',
    ['varchar', 'varchar', 'integer'],
    'As in Flink: the n-th field between delimiters, from 0; NULL when there is none.',
    ([a, by, n]) => (by === '' && a !== '' ? Array.from(a as string) : a.split(by || ','))[n] ?? null,
    {
      bytes: fieldForm(0, 'null'),
      duckdb: ([a, by, n]) =>
        `CASE WHEN ${n} < 0 THEN NULL ELSE string_split(${a}, ${by})[CAST(${n} AS BIGINT) + 1] END`,
    },
  ),
  text(
    'left',
    'left',
    ['varchar', 'integer'],
    'The first n characters; negative: all but the last −n.',
    ([a, n]) => (n >= 0 ? part(a, 0, n) : part(a, 0, Math.max(0, countOf(a) + n))),
    { bytes: leftForm },
  ),
  text(
    'right',
    'right',
    ['varchar', 'integer'],
    'The last n characters; negative: all but the first −n.',
    ([a, n]) => (n >= 0 ? part(a, Math.max(0, countOf(a) - n), countOf(a)) : part(a, -n, Number.POSITIVE_INFINITY)),
    { bytes: rightForm },
  ),
  text(
    'lpad',
    'lpad.2',
    ['varchar', 'integer'],
    'Filled with spaces on the left, or cut, to n characters.',
    ([a, n]) => pad(a, n, ' ', true),
    { duckdb: ([a, n]) => `lpad(${a}, greatest(0, ${n}), ' ')` },
  ),
  text(
    'lpad',
    'lpad.3',
    ['varchar', 'integer', 'varchar'],
    'Filled on the left, or cut, to n characters.',
    ([a, n, fill]) => pad(a, n, fill, true),
    { duckdb: (args) => duckdbPad('lpad', args) },
  ),
  text(
    'rpad',
    'rpad.2',
    ['varchar', 'integer'],
    'Filled with spaces on the right, or cut, to n characters.',
    ([a, n]) => pad(a, n, ' ', false),
    { duckdb: ([a, n]) => `rpad(${a}, greatest(0, ${n}), ' ')` },
  ),
  text(
    'rpad',
    'rpad.3',
    ['varchar', 'integer', 'varchar'],
    'Filled on the right, or cut, to n characters.',
    ([a, n, fill]) => pad(a, n, fill, false),
    { duckdb: (args) => duckdbPad('rpad', args) },
  ),
  text(
    'repeat',
    'repeat',
    ['varchar', 'integer'],
    'That many times.',
    ([a, n]) => (bounded(a.length * Math.max(0, n)) >= 0 ? a.repeat(Math.max(0, n)) : ''),
    { duckdb: ([a, n]) => `repeat(${a}, greatest(0, ${n}))` },
  ),
  text('reverse', 'reverse', ['varchar'], 'The characters in reverse.', ([a]) => [...points(a)].reverse().join('')),
  text(
    'concat',
    'concat',
    ['any'],
    'The texts of all values one after the other; NULL counts as empty.',
    (args, types) => args.map((arg, i) => (arg === null ? '' : datumToText(arg, types[i]))).join(''),
    {
      variadic: true,
      nullAware: true,
      bytes: concatForm(datumToText),
      duckdb: (args, types) => `concat(${args.map((arg, i) => duckdbOutput(arg, types[i])).join(', ')})`,
    },
  ),
  text(
    'concat_ws',
    'concat_ws',
    ['varchar', 'any'],
    'The texts of the values with the first between them; NULLs are left out.',
    ([by, ...args], [, ...types]) =>
      by === null
        ? null
        : args
            .map((arg, i) => (arg === null ? null : datumToText(arg, types[i])))
            .filter((one) => one !== null)
            .join(by),
    {
      variadic: true,
      nullAware: true,
      duckdb: ([by, ...args], [, ...types]) =>
        `concat_ws(${[by, ...args.map((arg, i) => duckdbOutput(arg, types[i]))].join(', ')})`,
    },
  ),
  {
    name: 'starts_with',
    id: 'starts_with',
    args: ['varchar', 'varchar'],
    returns: () => BOOLEAN,
    call: ([a, b]) => a.startsWith(b),
    bytes: testForm(startsWith),
    inline: ([a, b]) => `${a}.startsWith(${b})`,
    doc: 'Whether the first text begins with the second.',
  },
  {
    name: 'ends_with',
    id: 'ends_with',
    args: ['varchar', 'varchar'],
    returns: () => BOOLEAN,
    call: ([a, b]) => a.endsWith(b),
    bytes: testForm(endsWith),
    inline: ([a, b]) => `${a}.endsWith(${b})`,
    doc: 'Whether the first text ends with the second.',
  },
  {
    name: 'contains',
    id: 'contains',
    args: ['varchar', 'varchar'],
    returns: () => BOOLEAN,
    call: ([a, b]) => a.includes(b),
    bytes: testForm(contains),
    inline: ([a, b]) => `${a}.includes(${b})`,
    doc: 'Whether the second text occurs in the first.',
  },
  {
    name: 'ascii',
    id: 'ascii',
    args: ['varchar'],
    returns: () => INTEGER,
    call: ([a]) => a.codePointAt(0) ?? 0,
    doc: 'The code point of the first character; 0 of an empty text.',
  },
  text('chr', 'chr', ['integer'], 'The character of a code point.', ([n]) => {
    if (n < 1 || n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff))
      throw new StreamError('VALUE_DOMAIN', `chr: ${n} is no code point`);
    return String.fromCodePoint(n);
  }),
  text('md5', 'md5', ['varchar'], 'The MD5 hash, in hex.', ([a]) => hash('md5')(a)),
  text('sha256', 'sha256', ['varchar'], 'The SHA-256 hash, in hex.', ([a]) => hash('sha256')(a)),
  text(
    'encode',
    'encode',
    ['bytea', 'varchar'],
    'Bytes as hex, base64 or escape (ASCII with \\ooo for other bytes).',
    ([bytes, format]) => encodeBytes(bytes, format),
    { own: true, example: ["encode(decode('6869', 'hex'), 'base64')", 'aGk='] },
  ),
  {
    name: 'decode',
    id: 'decode',
    args: ['varchar', 'varchar'],
    returns: () => BYTEA,
    call: ([a, format]) => decodeBytes(a, format),
    own: true,
    example: ["encode(decode('aGk=', 'base64'), 'hex')", '6869'],
    doc: 'Bytes from hex, base64 or escape.',
  },
  {
    name: 'like',
    id: 'like',
    args: ['varchar', 'varchar'],
    returns: () => BOOLEAN,
    call: ([a, pattern]) => matchesLike(a, pattern, false),
    duckdb: ([a, pattern]) => `(${a} LIKE ${pattern} ESCAPE '\\')`,
    doc: 'Whether a text matches a pattern: % stands for any characters, _ for one, \\ takes the next as it is.',
  },
  {
    name: 'ilike',
    id: 'ilike',
    args: ['varchar', 'varchar'],
    returns: () => BOOLEAN,
    call: ([a, pattern]) => matchesLike(a, pattern, true),
    duckdb: ([a, pattern]) => `(${a} ILIKE ${pattern} ESCAPE '\\')`,
    doc: 'As like, whatever the case.',
  },
];

function position(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? 0 : countOf(text.slice(0, at)) + 1;
}
