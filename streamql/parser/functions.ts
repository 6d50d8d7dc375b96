import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { SqlType } from '../../src/values/types.ts';
import type { CreateFunction, DropFunction, Name } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { parseIfNotExists } from './statements.ts';
import { isTypeWord, parseType } from './types.ts';

/** Postgres's words about a function that say what is so anyway, or what need not be said. */
const SAID_ANYWAY = new Set(['immutable', 'strict', 'deterministic']);

/** FUNCTION name (…) RETURNS type | TABLE (…) LANGUAGE l AS $$…$$ | RETURN expression; AGGREGATE alike. */
export function parseCreateFunction(cursor: Cursor, at: Position, orReplace: boolean): CreateFunction {
  const isAggregate = cursor.next().text === 'aggregate';
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.name('the name of the function');
  const params = cursor.parenthesized(() => (cursor.isSign(')') ? [] : cursor.list(() => parseParameter(cursor))));
  cursor.expectWord('returns');
  const returnsAt = cursor.at;
  let returns: SqlType | null = null;
  let columns: CreateFunction['columns'] = [];
  if (!isAggregate && cursor.takeWord('table')) {
    columns = cursor.parenthesized(() =>
      cursor.list(() => ({ name: cursor.name('a column name'), type: parseType(cursor, true) })),
    );
  } else {
    returns = parseType(cursor, true);
  }
  let language: Name | null = null;
  let source: string | null = null;
  let sourceAt = at;
  let strictAt: Position | null = null;
  for (;;) {
    if (cursor.takeWord('language')) language = cursor.name('js, sql or wasm');
    else if (cursor.takeWord('as')) {
      const { token } = cursor;
      if (token.kind !== 'string') throw cursor.expected('the code between $$ and $$');
      sourceAt = cursor.at;
      source = cursor.next().text;
    } else if (cursor.takeWord('return')) {
      const first = cursor.pos;
      sourceAt = cursor.at;
      parseExpr(cursor);
      source = `SELECT ${cursor.textSince(first)}`;
      language ??= { text: 'sql', quoted: false, at };
    } else if (cursor.isOneOf(SAID_ANYWAY)) {
      if (cursor.isWord('strict')) strictAt = cursor.at;
      cursor.next();
    } else break;
  }
  if (language === null) throw cursor.expected('LANGUAGE', ['language']);
  if (strictAt !== null && language.text === 'sql')
    throw cursor.unsupported(
      'STRICT for a SQL function',
      'say what NULL gives in the expression: CASE WHEN x IS NOT NULL THEN …',
      strictAt,
    );
  if (source === null) throw cursor.expected('AS and the code between $$ and $$', ['as', 'return']);
  return {
    kind: 'createFunction',
    name,
    orReplace,
    ifNotExists,
    isAggregate,
    params,
    returns,
    returnsAt,
    columns,
    language,
    source,
    sourceAt,
    at,
  };
}

/** `x INT`, or `INT` alone. */
function parseParameter(cursor: Cursor): CreateFunction['params'][number] {
  const { at } = cursor;
  const isBare = cursor.token.kind === 'word' && isTypeWord(cursor.token.text) && /^[,()[]$/.test(cursor.peek(1).text);
  const name = isBare ? null : cursor.name('the name of a parameter');
  const type = parseType(cursor, true);
  if (cursor.isWord('default') || cursor.isSign('='))
    throw new StreamError('SQL_UNSUPPORTED', 'a default for a parameter is not supported', {
      at: cursor.at,
      hint: 'give every argument',
    });
  return { name, type, at };
}

/** After DROP: FUNCTION | AGGREGATE [IF EXISTS] name, … */
export function parseDropFunction(cursor: Cursor, at: Position): DropFunction {
  cursor.next();
  const ifExists = cursor.takeWord('if');
  if (ifExists) cursor.expectWord('exists');
  const names = cursor.list(() => {
    const name = cursor.name('the name of a function');
    // Postgres lets the types follow; there is one function of a name.
    if (cursor.isSign('(')) cursor.pos = (cursor.closingOf(cursor.pos) ?? cursor.pos) + 1;
    return name;
  });
  cursor.takeWord('restrict');
  if (cursor.isWord('cascade')) throw cursor.unsupported('CASCADE here', 'drop what uses the function first');
  return { kind: 'dropFunction', ifExists, names, at };
}
