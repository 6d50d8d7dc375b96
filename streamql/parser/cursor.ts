import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { Name, Query } from './ast.ts';
import { QUERY_WORDS, RESERVED, RESERVED_BUT_FUNCTION } from './keywords.ts';
import { type Token, tokenize } from './lexer.ts';
import { closest } from './suggest.ts';

/** How deep parentheses, subqueries and prefix operators may nest. */
const MAX_DEPTH = 100;

/** How long a chain of one kind may be where each link nests the syntax tree: a + b + c …, joins, UNIONs. AND and OR are free. */
const MAX_CHAIN = 500;

/** A place in the token list, with what every part of the grammar needs: looking, taking, nesting, failing well. */
export class Cursor {
  readonly text: string;
  readonly tokens: readonly Token[];
  /** Expressions hold queries and queries hold expressions; parser.ts ties the knot. */
  readonly query: (cursor: Cursor) => Query;
  pos = 0;
  /** Inside MEASURES and DEFINE, where `FINAL f(x)`, `RUNNING f(x)` and `count(a.*)` are expressions too. */
  inMatch = false;
  #depth = 0;
  /** For each `(` the index of its `)`; absent when it has none. */
  readonly #closing = new Map<number, number>();

  constructor(text: string, query: (cursor: Cursor) => Query) {
    this.text = text;
    this.tokens = tokenize(text);
    this.query = query;
    const open: number[] = [];
    this.tokens.forEach((token, i) => {
      if (token.kind !== 'operator') return;
      if (token.text === '(') open.push(i);
      else if (token.text === ')' && open.length > 0) this.#closing.set(open.pop() as number, i);
    });
  }

  get token(): Token {
    return this.tokens[this.pos];
  }

  get at(): Position {
    return this.token.at;
  }

  peek(ahead: number): Token {
    return this.tokens[Math.min(this.pos + ahead, this.tokens.length - 1)];
  }

  next(): Token {
    const token = this.token;
    if (token.kind !== 'end') this.pos++;
    return token;
  }

  closingOf(index: number): number | undefined {
    return this.#closing.get(index);
  }

  /** Whether the coming tokens are these words, in a row. */
  isWord(...words: readonly string[]): boolean {
    for (let i = 0; i < words.length; i++) {
      const token = this.peek(i);
      if (token.kind !== 'word' || token.text !== words[i]) return false;
    }
    return true;
  }

  isOneOf(words: ReadonlySet<string>): boolean {
    return this.token.kind === 'word' && words.has(this.token.text);
  }

  isSign(sign: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'operator' && token.text === sign;
  }

  takeWord(...words: readonly string[]): boolean {
    if (!this.isWord(...words)) return false;
    this.pos += words.length;
    return true;
  }

  takeSign(sign: string): boolean {
    if (!this.isSign(sign)) return false;
    this.pos++;
    return true;
  }

  expectWord(...words: readonly string[]): void {
    for (const word of words)
      if (!this.takeWord(word)) throw this.expected(word.toUpperCase(), [word], this.#pairOf(word));
  }

  /** What to write where a keyword lacks the word that goes with it: GROUP BY. */
  #pairOf(word: string): string | undefined {
    const before = this.tokens[this.pos - 1];
    if (word !== 'by' || before?.kind !== 'word') return undefined;
    return `write ${before.text.toUpperCase()} BY`;
  }

  expectSign(sign: string, what = `"${sign}"`): void {
    if (!this.takeSign(sign)) throw this.expected(what);
  }

  /** Runs `parse` for the inside of parentheses; a missing `)` names the `(`. */
  parenthesized<T>(parse: () => T): T {
    const open = this.at;
    this.expectSign('(');
    const value = parse();
    if (!this.takeSign(')')) {
      const error = this.expected('")"');
      if (error.hint !== undefined) throw error;
      throw new StreamError(error.code, error.message, {
        at: error.at,
        hint: `the parenthesis opened at line ${open.line}, column ${open.column} is not closed before this`,
      });
    }
    return value;
  }

  nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) {
      throw new StreamError('SQL_LIMIT', `nested more than ${MAX_DEPTH} deep`, {
        at: this.at,
        hint: 'split it with WITH',
      });
    }
    try {
      return parse();
    } finally {
      this.#depth--;
    }
  }

  checkChain(length: number, at: Position): void {
    if (length > MAX_CHAIN) {
      throw new StreamError('SQL_LIMIT', `more than ${MAX_CHAIN} operators in one chain`, {
        at,
        hint: 'split it with WITH',
      });
    }
  }

  /** Comma-separated, at least one. */
  list<T>(parse: () => T): T[] {
    const items = [parse()];
    while (this.takeSign(',')) items.push(parse());
    return items;
  }

  /** A column, table or alias name. */
  /** The name of an object, with its schema or without. */
  objectName(what: string): Name {
    const first = this.name(what);
    if (!this.takeSign('.')) return first;
    const { text, quoted } = this.name('the name after the schema');
    return { text: `${first.text}.${text}`, schema: first.text, quoted, at: first.at };
  }

  name(what: string): Name {
    const token = this.token;
    if (
      token.kind === 'quoted' ||
      (token.kind === 'word' && !RESERVED.has(token.text) && !RESERVED_BUT_FUNCTION.has(token.text))
    ) {
      this.pos++;
      return { text: token.text, quoted: token.kind === 'quoted', at: token.at };
    }
    const error = this.expected(what);
    if (token.kind !== 'word' || error.hint !== undefined) throw error;
    throw new StreamError(error.code, error.message, {
      at: error.at,
      hint: `${token.text.toUpperCase()} is a reserved word; quote it to use it as a name: "${token.text}"`,
    });
  }

  /** The text from a token to the last one taken. */
  textSince(firstToken: number): string {
    return this.text.slice(this.tokens[firstToken].start, this.tokens[this.pos - 1].end);
  }

  /** `otherwise` is the hint when no slip of the pen explains it. */
  expected(what: string, words: readonly string[] = QUERY_WORDS, otherwise?: string): StreamError {
    const hint = this.#slip(words) ?? otherwise;
    return new StreamError('SQL_SYNTAX', `expected ${what}, found ${this.found()}`, {
      at: this.at,
      ...(hint ? { hint } : {}),
    });
  }

  found(): string {
    const { kind, text, start, end } = this.token;
    if (kind === 'end') return 'the end of the statement';
    if (kind === 'operator' && text === ';') return 'the end of the statement (";")';
    const written = this.text.slice(start, end);
    return kind === 'string' ? `the string ${shorten(written)}` : `"${shorten(written)}"`;
  }

  unsupported(what: string, hint: string, at: Position = this.at): StreamError {
    return new StreamError('SQL_UNSUPPORTED', `${what} is not supported`, { at, hint });
  }

  /** A likely cause: a comma too many, a misspelt keyword here, or one just before that was taken for an alias. */
  #slip(words: readonly string[]): string | undefined {
    const { token } = this;
    const before = this.tokens[this.pos - 1];
    if (
      before?.kind === 'operator' &&
      before.text === ',' &&
      (token.kind === 'end' || /^[);]$/.test(token.text) || (token.kind === 'word' && RESERVED.has(token.text)))
    ) {
      return `remove the comma before ${token.kind === 'end' ? 'the end' : `"${token.text.toUpperCase()}"`}`;
    }
    for (const candidate of [token, before]) {
      if (candidate?.kind !== 'word' || RESERVED.has(candidate.text)) continue;
      const word =
        closest(candidate.text, words) ?? (words === QUERY_WORDS ? undefined : closest(candidate.text, QUERY_WORDS));
      if (word !== undefined) return `did you mean ${word.toUpperCase()} instead of ${candidate.text.toUpperCase()}?`;
    }
    return undefined;
  }
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
