import { type Position, StreamError } from '../../src/lib/errors.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  BYTEA,
  DATE,
  DOUBLE,
  decimal,
  INTEGER,
  INTERVAL,
  JSONB,
  MAX_DECIMAL_PRECISION,
  mapOf,
  REAL,
  type RowField,
  rowOf,
  SMALLINT,
  type SqlType,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from '../../src/values/types.ts';
import type { Cursor } from './cursor.ts';
import { closest } from './suggest.ts';

/** One-word spellings of Postgres and Flink. Those with arguments or more words are in `parseType`. */
const SIMPLE: Readonly<Record<string, SqlType>> = {
  boolean: BOOLEAN,
  bool: BOOLEAN,
  smallint: SMALLINT,
  int2: SMALLINT,
  integer: INTEGER,
  int: INTEGER,
  int4: INTEGER,
  bigint: BIGINT,
  int8: BIGINT,
  real: REAL,
  float4: REAL,
  float8: DOUBLE,
  text: VARCHAR,
  string: VARCHAR,
  varchar: VARCHAR,
  bytea: BYTEA,
  bytes: BYTEA,
  date: DATE,
  time: TIME,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  timestamp_ltz: TIMESTAMPTZ,
  interval: INTERVAL,
  uuid: UUID,
  jsonb: JSONB,
  json: JSONB,
};

const SPECIAL = ['double', 'float', 'decimal', 'numeric', 'dec', 'char', 'character', 'row', 'struct', 'map'];

/** Whether a word may begin a type; used to see `DATE '…'`. */
export const isTypeWord = (word: string): boolean => Object.hasOwn(SIMPLE, word) || SPECIAL.includes(word);

/**
 * A type. Precisions are honoured or refused: a DECIMAL that is declared needs (p [, s]); VARCHAR(n) is refused since lengths are not checked;
 * times have microseconds, so `(6)` is the type itself. `(3)`, Flink's usual, is taken where a column is declared
 * (`declaring`: the column then keeps finer values too) and refused in casts, where it would have to round.
 */
export function parseType(cursor: Cursor, declaring: boolean): SqlType {
  let type = parseElement(cursor, declaring);
  let dimensions = 0;
  while (cursor.isSign('[')) {
    const at = cursor.at;
    cursor.next();
    if (cursor.token.kind === 'number') throw cursor.unsupported('an array size', 'write []', at);
    cursor.expectSign(']');
    cursor.checkChain(++dimensions * 25, at);
    type = arrayOf(type);
  }
  if (cursor.isWord('array')) throw cursor.unsupported('ARRAY after a type', 'write type[]');
  return type;
}

function parseElement(cursor: Cursor, declaring: boolean): SqlType {
  const { token } = cursor;
  const { at } = token;
  if (token.kind !== 'word') throw cursor.expected('a type');
  const word = token.text;
  if (!isTypeWord(word)) {
    const near = closest(word, [...Object.keys(SIMPLE), ...SPECIAL]);
    throw new StreamError('SQL_TYPE', `there is no type "${word}"`, {
      at,
      hint:
        near === undefined
          ? 'there are BIGINT, DECIMAL(p, s), DOUBLE PRECISION, VARCHAR, TIMESTAMP, JSONB … (docs/reference/sql.md, Types)'
          : `did you mean ${near.toUpperCase()}?`,
    });
  }
  cursor.next();
  switch (word) {
    case 'double':
      cursor.takeWord('precision');
      return DOUBLE;
    case 'float': {
      const [bits] = typeArguments(cursor, 1);
      if (bits === undefined || (bits >= 25 && bits <= 53)) return DOUBLE;
      if (bits >= 1 && bits <= 24) return REAL;
      throw new StreamError('SQL_TYPE', 'FLOAT takes 1 to 53 bits', { at });
    }
    case 'decimal':
    case 'numeric':
    case 'dec':
      return decimalType(cursor, at, declaring);
    case 'char':
    case 'character':
      if (!cursor.takeWord('varying')) throw cursor.unsupported('CHAR', 'use VARCHAR', at);
      return refuseLength(cursor, at);
    case 'varchar':
      return refuseLength(cursor, at);
    case 'time':
    case 'timestamp':
      return timeType(cursor, word, at, declaring);
    case 'row':
    case 'struct':
      return rowType(cursor, declaring);
    case 'map':
      return mapType(cursor, declaring);
    case 'timestamptz':
    case 'timestamp_ltz':
      timePrecision(cursor, at, declaring);
      return TIMESTAMPTZ;
    default:
      if (cursor.isSign('('))
        throw new StreamError('SQL_SYNTAX', `${word.toUpperCase()} takes no arguments`, { at: cursor.at });
      return SIMPLE[word];
  }
}

/** `ROW(a INTEGER, b TEXT)`. */
function rowType(cursor: Cursor, declaring: boolean): SqlType {
  refuseAngles(cursor, 'ROW(a INTEGER, b TEXT)');
  const fields = cursor.parenthesized(() =>
    cursor.nested(() =>
      cursor.list((): RowField => {
        const { token } = cursor;
        if (token.kind !== 'word' && token.kind !== 'quoted') throw cursor.expected('the name of a field');
        cursor.next();
        return { name: token.text, type: parseType(cursor, declaring) };
      }),
    ),
  );
  const twice = fields.find((field, i) => fields.findIndex((one) => one.name === field.name) < i);
  if (twice !== undefined)
    throw new StreamError('SQL_TYPE', `two fields have the name "${twice.name}"`, { at: cursor.at });
  return rowOf(fields);
}

/** `MAP(VARCHAR, BIGINT)`. */
function mapType(cursor: Cursor, declaring: boolean): SqlType {
  refuseAngles(cursor, 'MAP(VARCHAR, BIGINT)');
  return cursor.parenthesized(() =>
    cursor.nested(() => {
      const key = parseType(cursor, declaring);
      cursor.expectSign(',');
      return mapOf(key, parseType(cursor, declaring));
    }),
  );
}

function refuseAngles(cursor: Cursor, form: string): void {
  if (cursor.isSign('<')) throw cursor.unsupported('a type in angles', `write ${form}`);
}

/** What a cast to NUMERIC without digits gives where the value does not say better: it is known by being this object. */
export const PLAIN_NUMERIC: SqlType = decimal(MAX_DECIMAL_PRECISION, 16);

function decimalType(cursor: Cursor, at: Position, declaring: boolean): SqlType {
  const [precision, scale = 0] = typeArguments(cursor, 2);
  if (precision === undefined) {
    if (!declaring) return PLAIN_NUMERIC;
    throw new StreamError('SQL_TYPE', 'DECIMAL needs its number of digits', {
      at,
      hint: 'write DECIMAL(precision, scale), for example DECIMAL(18, 2)',
    });
  }
  if (precision < 1 || precision > MAX_DECIMAL_PRECISION || scale > precision) {
    throw new StreamError('SQL_TYPE', `DECIMAL(${precision}, ${scale}) is out of range`, {
      at,
      hint: `the precision is 1 to ${MAX_DECIMAL_PRECISION}, the scale 0 to the precision`,
    });
  }
  return decimal(precision, scale);
}

/** The length of VARCHAR(n) or CHARACTER VARYING(n), taken with it; null, and nothing taken, for any other type. */
export function parseLengthOfText(cursor: Cursor): number | null {
  const words = cursor.isWord('varchar') ? 1 : cursor.isWord('character', 'varying') ? 2 : 0;
  if (words === 0 || !cursor.isSign('(', words)) return null;
  const close = cursor.closingOf(cursor.pos + words);
  if (close !== undefined && cursor.tokens[close + 1].text === '[') return null;
  cursor.pos += words;
  const [length] = cursor.parenthesized(() => {
    const { token } = cursor;
    if (token.kind !== 'number' || !/^[1-9]\d{0,9}$/.test(token.text)) throw cursor.expected('a length from 1');
    cursor.next();
    return [Number(token.text)];
  });
  return Math.min(length, 2 ** 31 - 1);
}

function refuseLength(cursor: Cursor, at: Position): SqlType {
  if (cursor.isSign('(')) {
    throw cursor.unsupported(
      'a length for VARCHAR',
      'leave it out: a column takes any length, since records from elsewhere are not checked; CAST(x AS VARCHAR(n)) cuts',
      at,
    );
  }
  return VARCHAR;
}

function timeType(cursor: Cursor, word: string, at: Position, declaring: boolean): SqlType {
  timePrecision(cursor, at, declaring);
  if (cursor.isWord('with')) {
    if (cursor.isWord('with', 'local', 'time', 'zone')) cursor.pos += 4;
    else if (cursor.isWord('with', 'time', 'zone')) cursor.pos += 3;
    else return word === 'time' ? TIME : TIMESTAMP;
    if (word === 'time') throw cursor.unsupported('TIME WITH TIME ZONE', 'use TIMESTAMPTZ', at);
    return TIMESTAMPTZ;
  }
  cursor.takeWord('without', 'time', 'zone');
  return word === 'time' ? TIME : TIMESTAMP;
}

function timePrecision(cursor: Cursor, at: Position, declaring: boolean): void {
  const [digits] = typeArguments(cursor, 1);
  if (digits === undefined || digits === 6 || (digits === 3 && declaring)) return;
  throw cursor.unsupported(
    `a precision of ${digits} digits`,
    "times have microseconds: leave it out; date_trunc('milliseconds', t) cuts",
    at,
  );
}

function typeArguments(cursor: Cursor, most: number): number[] {
  if (!cursor.isSign('(')) return [];
  return cursor.parenthesized(() => {
    const numbers = cursor.list(() => {
      const { token } = cursor;
      if (token.kind !== 'number' || !/^\d{1,4}$/.test(token.text)) throw cursor.expected('a number');
      cursor.next();
      return Number(token.text);
    });
    if (numbers.length > most) throw cursor.expected(`at most ${most === 1 ? 'one number' : 'two numbers'}`);
    return numbers;
  });
}
