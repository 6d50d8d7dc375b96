import { type Position, StreamError } from '../../src/lib/errors.ts';
import { call, word } from './calls.ts';
import { DIALECTS, type Dialect } from './dialects.ts';
import { ksqlTokens } from './ksql.ts';
import { type DialectToken, scan } from './scan.ts';

/**
 * `SET dialect`: SQL of another system as StreamQL text, token by token, so that our own parser decides on precedence and refuses what it does not know.
 * Differences that would go unnoticed are made right (division, where NULL sorts, what quotes mean) or refused; differences of functions are a table.
 */
export interface Translated {
  readonly sql: string;
  /** Where what stands at a place of `sql` was written. */
  positionOf(at: Position): Position;
  /** A string goes over several lines. */
  readonly hasLongTokens: boolean;
}

export const DIALECT_NAMES: readonly string[] = ['streamql', ...Object.keys(DIALECTS), 'ksql'];

/** Parentheses within each other; a call is translated within the one around it. */
const MOST_DEPTH = 100;

function checkDepth(tokens: readonly DialectToken[]): void {
  let depth = 0;
  for (const token of tokens) {
    if (lower(token) === '(') depth++;
    else if (lower(token) === ')') depth--;
    if (depth > MOST_DEPTH) {
      throw new StreamError('SQL_LIMIT', `more than ${MOST_DEPTH} parentheses are within each other`, {
        at: token.at,
        hint: 'split the statement',
      });
    }
  }
}

export function translate(text: string, name: string): Translated {
  if (name === 'ksql')
    return printed(
      ksqlTokens(scan(text, { nameQuotes: '"`', stringQuotes: "'", backslashes: false, hashComments: false })),
    );
  const dialect = DIALECTS[name];
  const tokens = scan(text, dialect.writing);
  checkDepth(tokens);
  // SET is ours in every dialect, or there would be no way back.
  const isSet = tokens[0]?.text.toLowerCase() === 'set';
  return printed(isSet ? tokens : withNulls(new Translation(dialect).run(tokens), dialect));
}

/** The statements of a script, by semicolons outside of quotes of any kind, with how many lines, and columns of its first line, stand before each. */
export function statementsOf(
  text: string,
): { readonly text: string; readonly line: number; readonly column: number }[] {
  const parts: { text: string; line: number; column: number }[] = [];
  let start = 0;
  let line = 0;
  const pieces = /--[^\n]*|\/\*.*?\*\/|(['"`])(?:\\.|(?!\1).)*\1|;/gs;
  const add = (end: number): void => {
    const part = text.slice(start, end);
    const column = start - (text.lastIndexOf('\n', start - 1) + 1);
    if (/\S/.test(part)) parts.push({ text: part, line, column });
    line += part.split('\n').length - 1;
    start = end;
  };
  for (const match of text.matchAll(pieces)) {
    if (match[0] !== ';') continue;
    add(match.index);
    start = match.index + 1;
  }
  add(text.length);
  return parts;
}

const lower = (token: DialectToken | undefined): string =>
  token === undefined || token.kind === 'string' || token.kind === 'name' ? '' : token.text.toLowerCase();

class Translation {
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  run(tokens: readonly DialectToken[]): DialectToken[] {
    const out: DialectToken[] = [];
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i];
      const text = lower(token);
      if (token.kind === 'name') {
        out.push(...this.#name(token));
        continue;
      }
      const { refused, operators, fractions } = this.#dialect;
      if (text !== '' && Object.hasOwn(refused, text))
        throw new StreamError('SQL_UNSUPPORTED', `${token.text.toUpperCase()} is not translated`, {
          at: token.at,
          hint: refused[text],
        });
      if (token.kind === 'word' && lower(tokens[i + 1]) === '(') {
        const end = closing(tokens, i + 1);
        if (end < 0) {
          out.push(token);
          continue;
        }
        const inner = tokens.slice(i + 2, end);
        const rewritten = this.#call(token, inner);
        if (rewritten !== null) {
          out.push(...rewritten);
          i = end;
          continue;
        }
      }
      if (text === '::') out.push(token, ...this.#type(tokens[++i]));
      else if (text === 'not' && operators[lower(tokens[i + 1])] === '~') {
        out.push({ ...token, kind: 'other', text: '!~' });
        i++;
      } else if (text !== '' && Object.hasOwn(operators, text))
        out.push(...operators[text].split(' ').map((one) => ({ ...word(one, token), kind: 'other' as const })));
      else if (text === '/' && fractions) out.push(...['*', '1.0', '/'].map((one) => ({ ...token, text: one })));
      else if (text === 'limit' && lower(tokens[i + 2]) === ',') {
        const [offset, , count] = tokens.slice(i + 1, i + 4);
        out.push(token, count, word('offset', token), offset);
        i += 3;
      } else out.push(token);
    }
    return out;
  }

  /** Null when the call stays as it is. */
  #call(name: DialectToken, inner: readonly DialectToken[]): DialectToken[] | null {
    const text = name.text.toLowerCase();
    if (text === 'cast' || text === 'try_cast' || text === 'safe_cast') {
      const as = topLevel(inner, 'as');
      if (as < 0) return null;
      const type = inner.slice(as + 1);
      const arg = [...this.run(inner.slice(0, as)), inner[as], ...this.#type(type[0]), ...type.slice(1)];
      return call(text === 'cast' ? name : word('try_cast', name), [arg]);
    }
    if (!Object.hasOwn(this.#dialect.calls, text)) return null;
    return this.#dialect.calls[text](
      split(inner).map((arg) => this.run(arg)),
      name,
    );
  }

  #type(token: DialectToken | undefined): DialectToken[] {
    if (token === undefined) return [];
    const known = this.#dialect.types[lower(token)];
    const { refused } = this.#dialect;
    if (Object.hasOwn(refused, lower(token)))
      throw new StreamError('SQL_UNSUPPORTED', `${token.text} is not translated`, {
        at: token.at,
        hint: refused[lower(token)],
      });
    return known === undefined ? [token] : known.split(' ').map((one) => word(one, token));
  }

  /** BigQuery puts a whole path into one pair of quotes. */
  #name(token: DialectToken): DialectToken[] {
    const folds = this.#dialect.foldsQuoted || token.text === token.text.toUpperCase();
    const parts = this.#dialect.writing.nameQuotes === '`' ? token.text.split('.') : [token.text];
    return parts.flatMap((part, i) => {
      const name = { ...token, text: folds ? part.toLowerCase() : part };
      return i === 0 ? [name] : [{ ...token, kind: 'other' as const, text: '.' }, name];
    });
  }
}

/** The index of the parenthesis that closes the one at `open`; −1. */
export function closing(tokens: readonly DialectToken[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    if (lower(tokens[i]) === '(') depth++;
    else if (lower(tokens[i]) === ')' && --depth === 0) return i;
  }
  return -1;
}

function topLevel(tokens: readonly DialectToken[], text: string): number {
  let depth = 0;
  return tokens.findIndex((token) => {
    if (lower(token) === '(') depth++;
    else if (lower(token) === ')') depth--;
    return depth === 0 && lower(token) === text;
  });
}

export function split(tokens: readonly DialectToken[]): DialectToken[][] {
  const parts: DialectToken[][] = [];
  let rest = tokens;
  while (rest.length > 0) {
    const comma = topLevel(rest, ',');
    parts.push(rest.slice(0, comma < 0 ? rest.length : comma));
    rest = comma < 0 ? [] : rest.slice(comma + 1);
  }
  return parts;
}

const AFTER_ORDER = new Set([
  'limit',
  'offset',
  'fetch',
  'rows',
  'range',
  'groups',
  'union',
  'intersect',
  'except',
  'emit',
  'for',
  ';',
  ')',
]);

/** Says in every item of ORDER BY where NULL stands, as the dialect has it. */
function withNulls(tokens: readonly DialectToken[], { nulls }: Dialect): DialectToken[] {
  if (nulls === 'largest') return [...tokens];
  const out: DialectToken[] = [];
  for (let i = 0; i < tokens.length; i++) {
    out.push(tokens[i]);
    if (lower(tokens[i]) !== 'by' || lower(tokens[i - 1]) !== 'order') continue;
    let end = i + 1;
    for (let depth = 0; end < tokens.length; end++) {
      const text = lower(tokens[end]);
      if (depth === 0 && AFTER_ORDER.has(text)) break;
      if (text === '(') depth++;
      if (text === ')') depth--;
    }
    split(tokens.slice(i + 1, end)).forEach((given, n) => {
      const item = withNulls(given, { nulls } as Dialect);
      const last = item[item.length - 1] ?? tokens[i];
      if (n > 0) out.push({ ...last, kind: 'other', text: ',' });
      out.push(...item);
      if (topLevel(item, 'nulls') >= 0) return;
      const first = nulls === 'smallest' && lower(last) !== 'desc';
      out.push(word('nulls', last), word(first ? 'first' : 'last', last));
    });
    i = end - 1;
  }
  return out;
}

/** A token per line, so that a line tells the token. */
function printed(tokens: readonly DialectToken[]): Translated {
  const lines: DialectToken[] = [];
  const texts = tokens.map((token) => {
    const quote = token.kind === 'string' ? "'" : token.kind === 'name' ? '"' : '';
    const text = quote === '' ? token.text : quote + token.text.replaceAll(quote, quote + quote) + quote;
    for (let line = text.split('\n').length; line > 0; line--) lines.push(token);
    return text;
  });
  return {
    hasLongTokens: lines.length > tokens.length,
    sql: texts.join('\n'),
    positionOf: ({ line }) => (lines[line - 1] ?? lines[lines.length - 1])?.at ?? { line: 1, column: 1 },
  };
}
