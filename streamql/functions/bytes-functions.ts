import { StreamError } from '../../src/lib/errors.ts';
import { BIGINT, BYTEA, INTEGER, VARCHAR } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';
import { own } from './own-function.ts';

/** Bytes as texts of an encoding, and what they hold. */

/** By the names of Postgres. */
const ENCODINGS: Readonly<Record<string, string>> = {
  utf8: 'utf-8',
  unicode: 'utf-8',
  latin1: 'latin1',
  iso88591: 'latin1',
  sqlascii: 'utf-8',
};

function encodingOf(name: string, fn: string): string {
  const found = ENCODINGS[name.toLowerCase().replace(/[^a-z0-9]/g, '')];
  if (found !== undefined) return found;
  throw new StreamError('VALUE_DOMAIN', `${fn}: the encoding ${name} is not supported`, {
    hint: 'there are UTF8 and LATIN1',
  });
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function convertFrom(bytes: Uint8Array, name: string): string {
  if (encodingOf(name, 'convert_from') === 'latin1') return Buffer.from(bytes).toString('latin1');
  try {
    return utf8.decode(bytes);
  } catch {
    throw new StreamError('VALUE_DOMAIN', 'convert_from: the bytes are not UTF-8');
  }
}

function convertTo(text: string, name: string): Uint8Array {
  if (encodingOf(name, 'convert_to') === 'utf-8') return Buffer.from(text, 'utf8');
  if (/[^\0-\xff]/.test(text))
    throw new StreamError('VALUE_DOMAIN', 'convert_to: the text has a character that LATIN1 lacks');
  return Buffer.from(text, 'latin1');
}

function bitCount(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) for (let rest: number = byte; rest > 0; rest &= rest - 1) count++;
  return count;
}

export const BYTES: readonly ScalarFunction[] = [
  own(
    'convert_from(bytea, varchar)',
    VARCHAR,
    'The text that bytes are in an encoding, UTF8 or LATIN1.',
    ([a, name]) => convertFrom(a, name),
    ["convert_from('\\x7465c3a9'::bytea, 'UTF8')", 'teé'],
  ),
  own(
    'convert_to(varchar, varchar)',
    BYTEA,
    'The bytes of a text in an encoding, UTF8 or LATIN1.',
    ([a, name]) => convertTo(a, name),
    ["encode(convert_to('é', 'LATIN1'), 'hex')", 'e9'],
  ),
  own('bit_count(bytea)', BIGINT, 'How many bits are set.', ([a]) => bitCount(a), [
    "bit_count('\\x1234567890'::bytea)",
    '15',
  ]),
  own(
    'strpos(bytea, bytea)',
    INTEGER,
    'Where the second bytes first are in the first, from 1; 0 where they are not.',
    ([a, b]) => Buffer.from(a).indexOf(b) + 1,
    ["position('\\x5678'::bytea in '\\x1234567890'::bytea)", '3'],
  ),
];
