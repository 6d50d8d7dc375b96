import { type Position, StreamError } from '../../src/lib/errors.ts';

/** A token of another dialect, or of the StreamQL that it becomes. `text` of names and strings is without quotes. */
export interface DialectToken {
  readonly kind: 'word' | 'name' | 'string' | 'other';
  readonly text: string;
  readonly at: Position;
}

/** How a dialect writes names, strings and comments. */
export interface Writing {
  readonly nameQuotes: string;
  readonly stringQuotes: string;
  /** A backslash in a string begins an escape. */
  readonly backslashes: boolean;
  /** # begins a comment. */
  readonly hashComments: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0', b: '\b', Z: '\x1a' };
const SIGNS =
  /(?:<=>|->>|\|\||&&|<>|!=|<=|>=|::|->|=>|!~\*|!~|~\*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\$\d+|.)/suy;

const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;

/** SQL_SYNTAX for what does not end. */
export function scan(text: string, writing: Writing): DialectToken[] {
  const tokens: DialectToken[] = [];
  let line = 1;
  let lineStart = 0;
  let i = 0;
  const move = (to: number): void => {
    for (let at = text.indexOf('\n', i); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) {
      line++;
      lineStart = at + 1;
    }
    i = to;
  };
  while (i < text.length) {
    const at = { line, column: i - lineStart + 1 };
    const unended = (what: string): StreamError =>
      new StreamError('SQL_SYNTAX', `${what} does not end`, { at, hint: 'close it' });
    const char = text[i];
    if (/\s/.test(char)) move(i + 1);
    else if (text.startsWith('--', i) || (writing.hashComments && char === '#')) {
      const end = text.indexOf('\n', i);
      move(end < 0 ? text.length : end);
    } else if (text.startsWith('/*', i)) {
      const end = text.indexOf('*/', i + 2);
      if (end < 0) throw unended('a comment');
      move(end + 2);
    } else if (writing.nameQuotes.includes(char) || writing.stringQuotes.includes(char)) {
      const isName = writing.nameQuotes.includes(char);
      const { value, end } = quoted(text, i, !isName && writing.backslashes);
      if (end < 0) throw unended(isName ? 'a quoted name' : 'a string');
      tokens.push({ kind: isName ? 'name' : 'string', text: value, at });
      move(end);
    } else {
      WORD.lastIndex = i;
      SIGNS.lastIndex = i;
      const word = WORD.exec(text);
      const found = (word ?? SIGNS.exec(text)!)[0];
      tokens.push({ kind: word === null ? 'other' : 'word', text: found, at });
      move(i + found.length);
    }
  }
  return tokens;
}

/** What stands between two quotes, which are doubled within; `end` −1 when there is no second. */
function quoted(text: string, start: number, backslashes: boolean): { value: string; end: number } {
  const quote = text[start];
  let value = '';
  for (let i = start + 1; i < text.length; i++) {
    if (backslashes && text[i] === '\\' && i + 1 < text.length) value += ESCAPES[text[++i]] ?? text[i];
    else if (text[i] !== quote) value += text[i];
    else if (text[i + 1] === quote) value += text[i++];
    else return { value, end: i + 1 };
  }
  return { value, end: -1 };
}
