import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { PatternAst } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { RESERVED } from './keywords.ts';
import type { Token } from './lexer.ts';

/** A token of a pattern: `*?` and its like are one operator to the lexer and two here. */
type Piece = Pick<Token, 'kind' | 'text' | 'at'>;

const MAX_DEPTH = 50;
/** How far a bound of `{n, m}` may go. */
const MAX_TIMES = 1000;
/** n! sequences come of PERMUTE. */
const MAX_PERMUTED = 5;

/**
 * The parentheses after PATTERN: variables, sequence, `|`, `( )`, the quantifiers `* + ? {n} {n,} {,m} {n,m}` with `?` behind them for
 * reluctant ones, `^`, `$`, PERMUTE (…) and `{- … -}`.
 */
export function parsePattern(cursor: Cursor): PatternAst {
  if (!cursor.isSign('(')) throw cursor.expected('"(" and the pattern');
  const close = cursor.closingOf(cursor.pos);
  if (close === undefined)
    throw new StreamError('SQL_SYNTAX', 'the pattern is not closed', { at: cursor.at, hint: 'add )' });
  const pieces = cursor.tokens.slice(cursor.pos + 1, close).flatMap(piecesOf);
  const pattern = new PatternParser(pieces, cursor.tokens[close].at).parse();
  cursor.pos = close + 1;
  return pattern;
}

function piecesOf({ kind, text, at }: Token): Piece[] {
  if (kind !== 'operator') return [{ kind, text, at }];
  return [...text].map((sign, i) => ({ kind, text: sign, at: { ...at, column: at.column + i } }));
}

class PatternParser {
  readonly #pieces: readonly Piece[];
  /** Of the closing parenthesis. */
  readonly #end: Position;
  #pos = 0;
  #depth = 0;

  constructor(pieces: readonly Piece[], end: Position) {
    this.#pieces = pieces;
    this.#end = end;
  }

  parse(): PatternAst {
    const pattern = this.#choice();
    if (this.#pos < this.#pieces.length) throw this.#error('expected a variable, "|", a quantifier or ")"');
    return pattern;
  }

  get #at(): Position {
    return this.#pieces[this.#pos]?.at ?? this.#end;
  }

  #is(sign: string, ahead = 0): boolean {
    const piece = this.#pieces[this.#pos + ahead];
    return piece?.kind === 'operator' && piece.text === sign;
  }

  #take(sign: string): boolean {
    if (!this.#is(sign)) return false;
    this.#pos++;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw this.#error(`expected "${sign}"`);
  }

  #error(message: string): StreamError {
    const piece = this.#pieces[this.#pos];
    const found = piece === undefined ? 'the end of the pattern' : `"${piece.text}"`;
    return new StreamError('SQL_SYNTAX', `${message} in the pattern, found ${found}`, { at: this.#at });
  }

  #choice(): PatternAst {
    const at = this.#at;
    if (++this.#depth > MAX_DEPTH) {
      throw new StreamError('SQL_LIMIT', `a pattern nested more than ${MAX_DEPTH} deep`, { at });
    }
    const items = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    this.#depth--;
    return items.length === 1 ? items[0] : { kind: 'choice', items, at };
  }

  #sequence(): PatternAst {
    const at = this.#at;
    const items: PatternAst[] = [];
    for (let item = this.#factor(); item !== null; item = this.#factor()) items.push(item);
    if (items.length === 0) throw this.#error('expected a variable or "("');
    return items.length === 1 ? items[0] : { kind: 'sequence', items, at };
  }

  /** One item with its quantifier; null where the sequence ends. */
  #factor(): PatternAst | null {
    const at = this.#at;
    const item = this.#primary();
    if (item === null) return null;
    const bounds = this.#bounds();
    if (bounds === null) return item;
    const [min, max] = bounds;
    if (max !== null && max < Math.max(min, 1)) {
      throw new StreamError('SQL_SYNTAX', `the quantifier {${min},${max}} allows no match`, { at });
    }
    const repeat: PatternAst = { kind: 'repeat', item, min, max, reluctant: this.#take('?'), at };
    if (this.#is('*') || this.#is('+') || this.#is('?') || (this.#is('{') && !this.#is('-', 1))) {
      throw this.#error('expected one quantifier; put the item in parentheses for another');
    }
    return repeat;
  }

  #primary(): PatternAst | null {
    const piece = this.#pieces[this.#pos];
    if (piece === undefined) return null;
    const { kind, text, at } = piece;
    if (kind === 'word' && text === 'permute' && this.#is('(', 1)) return this.#permute(at);
    if (kind === 'quoted' || (kind === 'word' && !RESERVED.has(text))) {
      this.#pos++;
      return { kind: 'variable', name: { text, quoted: kind === 'quoted', at }, at };
    }
    if (this.#take('^')) return { kind: 'start', at };
    if (this.#take('$')) return { kind: 'end', at };
    if (this.#is('{') && this.#is('-', 1)) {
      this.#pos += 2;
      const item = this.#choice();
      this.#expect('-');
      this.#expect('}');
      return { kind: 'exclude', item, at };
    }
    if (!this.#take('(')) return null;
    if (this.#take(')')) return { kind: 'empty', at };
    const inner = this.#choice();
    this.#expect(')');
    return inner;
  }

  #permute(at: Position): PatternAst {
    this.#pos += 2;
    const items = [this.#choice()];
    while (this.#take(',')) items.push(this.#choice());
    this.#expect(')');
    if (items.length > MAX_PERMUTED) {
      throw new StreamError('SQL_LIMIT', `PERMUTE of more than ${MAX_PERMUTED}`, {
        at,
        hint: 'write the orders that you mean with |',
      });
    }
    return { kind: 'permute', items, at };
  }

  #bounds(): readonly [min: number, max: number | null] | null {
    if (this.#take('*')) return [0, null];
    if (this.#take('+')) return [1, null];
    if (this.#take('?')) return [0, 1];
    if (!this.#is('{') || this.#is('-', 1)) return null;
    this.#pos++;
    const min = this.#number();
    if (this.#take('}')) {
      if (min === null) throw this.#error('expected a number');
      return [min, min];
    }
    this.#expect(',');
    const max = this.#number();
    this.#expect('}');
    return [min ?? 0, max];
  }

  #number(): number | null {
    const piece = this.#pieces[this.#pos];
    if (piece?.kind !== 'number') return null;
    const times = Number(piece.text);
    if (!Number.isInteger(times) || times > MAX_TIMES) {
      throw new StreamError('SQL_LIMIT', `a pattern repeats at most ${MAX_TIMES} times by number`, { at: piece.at });
    }
    this.#pos++;
    return times;
  }
}
