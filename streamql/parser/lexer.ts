import { type Position, StreamError } from '../../src/lib/errors.ts';

/** Bounds on what is parsed at all; SQL_LIMIT beyond. */
const MAX_SQL_CHARS = 64 * 1024;

export type TokenKind = 'word' | 'quoted' | 'number' | 'string' | 'parameter' | 'operator' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /**
   * word: folded to lower case; quoted, string: the content; number: decimal digits, as written but for `_`; operator: its sign
   * (`!=` is `<>`); parameter: the number.
   */
  readonly text: string;
  readonly at: Position;
  /** Offsets into the text. */
  readonly start: number;
  readonly end: number;
}

const OPERATOR_CHARS = new Set('+-*/<>=~!@#%^&|`?');
/** An operator may end in + or − only if it holds one of these (Postgres 4.1.3). */
const LETS_END_IN_SIGN = new Set('~!@#%^&|`?');
const SELF = new Set('()[]{},;');

const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isWordStart = (c: number): boolean => (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c >= 128;
const isWordPart = (c: number): boolean => isWordStart(c) || isDigit(c) || c === 36;
const isSpace = (c: number): boolean => c === 32 || (c >= 9 && c <= 13);

/** ASCII letters only, as Postgres folds in UTF-8 databases. */
export const foldCase = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** Splits text into tokens by Postgres's lexical rules; the last is `end`. SQL_SYNTAX with a position on anything malformed. */
export function tokenize(text: string): Token[] {
  if (text.length > MAX_SQL_CHARS) {
    throw new StreamError('SQL_LIMIT', `the statement has ${text.length} characters, the limit is ${MAX_SQL_CHARS}`, {
      hint: 'send it in parts, or load rows through a topic',
    });
  }
  return new Lexer(text).run();
}

class Lexer {
  readonly #text: string;
  readonly #tokens: Token[] = [];
  #pos = 0;
  /** Brackets that are open: a colon in them parts the bounds of a slice. */
  #brackets = 0;
  #line = 1;
  #lineStart = 0;
  /** Up to here `#line` has counted. */
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Token[] {
    const text = this.#text;
    while (this.#skipBlank()) {
      const start = this.#pos;
      const c = text.charCodeAt(start);
      const char = text[start];
      if (isWordStart(c)) this.#word(start);
      else if (isDigit(c) || (char === '.' && isDigit(text.charCodeAt(start + 1)))) this.#number(start);
      else if (char === "'") this.#push('string', this.#quotedString(start), start);
      else if (char === '"') this.#quotedName(start);
      else if (char === '$') this.#dollar(start);
      else if (SELF.has(char) || char === '.') this.#single(char, start);
      else if (char === ':') this.#colon(start);
      else if (OPERATOR_CHARS.has(char)) this.#operator(start);
      else if (char === '\u0000') throw this.#error('a statement may not hold a NUL character', start);
      else throw this.#error(`unexpected character ${JSON.stringify(char)}`, start);
    }
    this.#push('end', '', text.length);
    return this.#tokens;
  }

  #push(kind: TokenKind, text: string, start: number): void {
    this.#tokens.push({ kind, text, at: this.#position(start), start, end: this.#pos });
  }

  /** Called with rising offsets, so lines are counted once. */
  #position(offset: number): Position {
    for (; this.#counted < offset; this.#counted++) {
      if (this.#text.charCodeAt(this.#counted) === 10) {
        this.#line++;
        this.#lineStart = this.#counted + 1;
      }
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }

  #error(message: string, at: number, hint?: string): StreamError {
    return new StreamError('SQL_SYNTAX', message, { at: this.#position(at), ...(hint ? { hint } : {}) });
  }

  /** Skips white space and comments; false at the end. */
  #skipBlank(): boolean {
    const text = this.#text;
    for (;;) {
      const c = text.charCodeAt(this.#pos);
      if (isSpace(c)) this.#pos++;
      else if (c === 45 && text[this.#pos + 1] === '-') {
        const newline = text.indexOf('\n', this.#pos);
        this.#pos = newline < 0 ? text.length : newline;
      } else if (c === 47 && text[this.#pos + 1] === '*') this.#blockComment();
      else return this.#pos < text.length;
    }
  }

  #blockComment(): void {
    const start = this.#pos;
    let depth = 0;
    do {
      if (this.#pos >= this.#text.length) throw this.#error('this comment is not closed', start, 'add */');
      if (this.#text.startsWith('/*', this.#pos)) {
        depth++;
        this.#pos += 2;
      } else if (this.#text.startsWith('*/', this.#pos)) {
        depth--;
        this.#pos += 2;
      } else this.#pos++;
    } while (depth > 0);
  }

  #word(start: number): void {
    const text = this.#text;
    const next = text[start + 1];
    if (next === "'") {
      const prefix = text[start].toLowerCase();
      if (prefix === 'e') {
        this.#push('string', this.#escapeString(start + 1), start);
        return;
      }
      if (prefix === 'b' || prefix === 'x') {
        throw new StreamError('SQL_UNSUPPORTED', 'bit strings are not supported', {
          at: this.#position(start),
          hint: "write bytes as '\\x0aff'::bytea",
        });
      }
    }
    if (next === '&' && (text[start] === 'u' || text[start] === 'U') && /['"]/.test(text[start + 2] ?? '')) {
      throw new StreamError('SQL_UNSUPPORTED', "U&'…' strings are not supported", {
        at: this.#position(start),
        hint: "write the character itself, or E'\\u00e9'",
      });
    }
    let end = start + 1;
    while (end < text.length && isWordPart(text.charCodeAt(end))) end++;
    this.#pos = end;
    this.#push('word', foldCase(text.slice(start, end)), start);
  }

  #number(start: number): void {
    const rest = this.#text.slice(start, start + 4096);
    const radix = /^0(?:[xX](?:_?[0-9a-fA-F])+|[oO](?:_?[0-7])+|[bB](?:_?[01])+)/.exec(rest);
    const match =
      radix ?? /^(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?/.exec(rest);
    const written = (match as RegExpExecArray)[0];
    this.#pos = start + written.length;
    if (isWordPart(this.#text.charCodeAt(this.#pos)) || /[eE]$/.test(written)) {
      throw this.#error(
        `malformed number ${this.#text.slice(start, this.#pos + 1)}`,
        start,
        'separate it from what follows',
      );
    }
    const digits = written.replaceAll('_', '');
    this.#push('number', radix === null ? digits : BigInt(digits).toString(), start);
  }

  /** `'…'` with '' for a quote; strings parted only by white space with a newline are one. */
  #quotedString(open: number): string {
    const text = this.#text;
    let value = '';
    let pos = open;
    for (;;) {
      const from = pos + 1;
      const close = text.indexOf("'", from);
      if (close < 0)
        throw this.#error('this string is not closed', open, "add a ' at its end; write '' for a quote inside it");
      value += text.slice(from, close);
      pos = close + 1;
      if (text[pos] === "'") {
        value += "'";
        continue;
      }
      this.#pos = pos;
      const gap = /^[ \t\f\v\r]*\n\s*'/.exec(text.slice(pos, pos + 4096));
      if (gap === null) break;
      pos += gap[0].length - 1;
    }
    if (value.includes('\u0000')) throw this.#error('a string may not hold a NUL character', open);
    return value;
  }

  #escapeString(open: number): string {
    const text = this.#text;
    const parts: string[] = [];
    let pos = open + 1;
    for (;;) {
      const char = text[pos];
      if (char === undefined) throw this.#error('this string is not closed', open, "add a ' at its end");
      if (char === "'") {
        if (text[pos + 1] !== "'") break;
        parts.push("'");
        pos += 2;
      } else if (char === '\\') {
        const found = /^\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))/.exec(
          text.slice(pos, pos + 10),
        );
        if (found === null) throw this.#error('this string is not closed', open);
        const [whole, u4, u8, hex, octal, plain] = found;
        const code =
          u4 !== undefined || u8 !== undefined || hex !== undefined
            ? Number.parseInt(u4 ?? u8 ?? hex, 16)
            : octal !== undefined
              ? Number.parseInt(octal, 8) & 0xff
              : -1;
        if (plain === 'u' || plain === 'U') throw this.#error('\\u takes four hexadecimal digits, \\U eight', pos);
        if (code === 0 || code > 0x10ffff || ((hex !== undefined || octal !== undefined) && code > 0x7f)) {
          throw this.#error(`${whole} is not a character`, pos, 'write \\u and four hexadecimal digits');
        }
        parts.push(code > 0 ? String.fromCodePoint(code) : (ESCAPES[plain] ?? plain));
        pos += whole.length;
      } else {
        parts.push(char);
        pos++;
      }
    }
    this.#pos = pos + 1;
    return parts.join('');
  }

  #quotedName(open: number): void {
    const text = this.#text;
    let value = '';
    let pos = open;
    do {
      const close = text.indexOf('"', pos + 1);
      if (close < 0) throw this.#error('this quoted name is not closed', open, 'add a " at its end');
      value += (pos > open ? '"' : '') + text.slice(pos + 1, close);
      pos = close + 1;
    } while (text[pos] === '"');
    if (value === '') throw this.#error('a quoted name may not be empty', open);
    this.#pos = pos;
    this.#push('quoted', value, open);
  }

  #dollar(start: number): void {
    const text = this.#text;
    const parameter = /^\$(\d{1,6})/.exec(text.slice(start, start + 8));
    if (parameter !== null) {
      this.#pos = start + parameter[0].length;
      if (isWordPart(text.charCodeAt(this.#pos)))
        throw this.#error('malformed parameter', start, 'parameters are $1, $2 …');
      this.#push('parameter', String(Number(parameter[1])), start);
      return;
    }
    const tag = /^\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/.exec(text.slice(start, start + 128));
    // The end of a partition in a row pattern.
    if (tag === null && !isWordPart(text.charCodeAt(start + 1))) {
      this.#single('$', start);
      return;
    }
    if (tag === null) throw this.#error('unexpected character "$"', start, 'parameters are $1, $2 …');
    const close = text.indexOf(tag[0], start + tag[0].length);
    if (close < 0) throw this.#error(`this string is not closed`, start, `add ${tag[0]} at its end`);
    this.#pos = close + tag[0].length;
    this.#push('string', text.slice(start + tag[0].length, close), start);
  }

  #single(char: string, start: number): void {
    this.#pos = start + 1;
    if (char === '[') this.#brackets++;
    if (char === ']') this.#brackets--;
    this.#push('operator', char, start);
  }

  #colon(start: number): void {
    const isCast = this.#text[start + 1] === ':';
    if (!isCast && this.#brackets > 0) {
      this.#single(':', start);
      return;
    }
    if (!isCast)
      throw this.#error('unexpected character ":"', start, 'a cast is written ::type; parameters are $1, $2 …');
    this.#pos = start + 2;
    this.#push('operator', '::', start);
  }

  #operator(start: number): void {
    const text = this.#text;
    let end = start;
    while (end < text.length && OPERATOR_CHARS.has(text[end])) {
      if (end > start && (text.startsWith('--', end) || text.startsWith('/*', end))) break;
      end++;
    }
    const mayEndInSign = [...text.slice(start, end)].some((char) => LETS_END_IN_SIGN.has(char));
    while (!mayEndInSign && end - start > 1 && (text[end - 1] === '+' || text[end - 1] === '-')) end--;
    const sign = text.slice(start, end);
    if (sign[0] === '`')
      throw this.#error('unexpected character "`"', start, 'names are quoted with double quotes: "name"');
    this.#pos = end;
    this.#push('operator', sign === '!=' ? '<>' : sign, start);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
