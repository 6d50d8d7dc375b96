import type { AstExpr, Name, TableAlias, TableRef } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr, startsQuery } from './expressions.ts';
import { NOT_A_BARE_ALIAS, RESERVED, RESERVED_BUT_FUNCTION } from './keywords.ts';
import { parseNames } from './queries.ts';

const WINDOWS = new Set(['tumble', 'hop']);
/** Windows that have a grammar but no operator in this release. */
const OTHER_WINDOWS: Readonly<Record<string, string>> = {
  cumulate: 'use TUMBLE with the smallest step, and add the steps up in a view over it',
  session: 'use TUMBLE or HOP',
};
const NOT_AN_ALIAS = new Set([
  'asof',
  'match_condition',
  'anti',
  'semi',
  'positional',
  'emit',
  'qualify',
  'match_recognize',
  'window',
]);

/** One item of FROM with the joins that follow it. */
export function parseFrom(cursor: Cursor): TableRef {
  let left = parseTable(cursor);
  for (let chain = 1; ; chain++) {
    const next = parseJoin(cursor, left);
    if (next === null) return left;
    cursor.checkChain(chain, cursor.at);
    left = next;
  }
}

const JOIN_KINDS = new Set(['inner', 'left', 'right', 'full', 'semi', 'anti']);

type JoinKind = Extract<TableRef, { kind: 'join' }>['join'];
const HALF_JOINS = new Set(['semi', 'anti']);

function parseJoin(cursor: Cursor, left: TableRef): TableRef | null {
  const { at } = cursor;
  if (cursor.isWord('asof') || cursor.isWord('left', 'asof') || cursor.isWord('inner', 'asof'))
    return parseAsof(cursor, left);
  if (cursor.isWord('positional', 'join')) throw cursor.unsupported('POSITIONAL JOIN', 'join on a column');
  if (cursor.takeWord('cross')) {
    cursor.expectWord('join');
    return { kind: 'join', join: 'cross', left, right: parseTable(cursor), on: null, using: [], natural: false, at };
  }
  const natural = cursor.takeWord('natural');
  let join = 'inner' as Exclude<JoinKind, 'cross'>;
  if (cursor.isOneOf(JOIN_KINDS)) {
    join = cursor.next().text as typeof join;
    // LEFT SEMI JOIN is Spark's SEMI JOIN.
    if (join === 'left' && cursor.isOneOf(HALF_JOINS)) join = cursor.next().text as typeof join;
    else if (join === 'left' || join === 'right' || join === 'full') cursor.takeWord('outer');
    cursor.expectWord('join');
  } else if (!cursor.takeWord('join')) {
    if (natural) throw cursor.expected('JOIN', ['join']);
    return null;
  }
  const right = parseTable(cursor);
  if (natural) return { kind: 'join', join, left, right, on: null, using: [], natural, at };
  if (cursor.takeWord('on')) return { kind: 'join', join, left, right, on: parseExpr(cursor), using: [], natural, at };
  if (cursor.takeWord('using'))
    return { kind: 'join', join, left, right, on: null, using: parseNames(cursor), natural, at };
  // a JOIN b JOIN c ON … ON …: the inner join comes first.
  const inner = cursor.nested(() => parseJoin(cursor, right));
  if (inner !== null && cursor.takeWord('on')) {
    return { kind: 'join', join, left, right: inner, on: parseExpr(cursor), using: [], natural, at };
  }
  throw cursor.expected('ON or USING', ['on', 'using']);
}

/** a ASOF [LEFT] JOIN b ON …, or a [LEFT] ASOF JOIN b MATCH_CONDITION (…) ON … */
function parseAsof(cursor: Cursor, left: TableRef): TableRef {
  const { at } = cursor;
  let join: 'inner' | 'left' = cursor.takeWord('left') ? 'left' : 'inner';
  cursor.takeWord('inner');
  cursor.expectWord('asof');
  if (cursor.takeWord('left')) join = 'left';
  else cursor.takeWord('inner');
  if (cursor.isOneOf(NO_ASOF)) {
    throw cursor.unsupported(`ASOF ${cursor.token.text.toUpperCase()} JOIN`, 'ASOF JOIN and ASOF LEFT JOIN are there');
  }
  if (join === 'left') cursor.takeWord('outer');
  cursor.expectWord('join');
  const right = parseTable(cursor);
  let match: AstExpr | null = null;
  if (cursor.takeWord('match_condition')) match = cursor.parenthesized(() => parseExpr(cursor));
  const base = { kind: 'join', join, left, right, on: null, using: [], natural: false, asof: { match }, at } as const;
  if (cursor.takeWord('on')) return { ...base, on: parseExpr(cursor) };
  if (match !== null) return cursor.takeWord('using') ? { ...base, using: parseNames(cursor) } : base;
  throw cursor.expected('ON or MATCH_CONDITION', ['on', 'match_condition']);
}

const NO_ASOF = new Set(['right', 'full', 'semi', 'anti']);

function parseTable(cursor: Cursor): TableRef {
  const { at } = cursor;
  if (cursor.isWord('lateral')) throw cursor.unsupported('LATERAL', 'join on a condition instead');
  if (cursor.isSign('(')) {
    if (startsQuery(cursor)) {
      const query = cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor)));
      return { kind: 'subquery', query, alias: parseAlias(cursor), at };
    }
    const inner = cursor.parenthesized(() => cursor.nested(() => parseFrom(cursor)));
    if (inner.kind !== 'join') throw cursor.expected('a join inside the parentheses');
    if (parseAlias(cursor) !== null) throw cursor.unsupported('an alias for a join', 'name the tables inside it', at);
    return inner;
  }
  if (cursor.isWord('table') && cursor.isSign('(', 1)) {
    cursor.next();
    const window = cursor.parenthesized(() => parseWindow(cursor));
    return { ...window, alias: parseAlias(cursor) };
  }
  if (cursor.token.kind === 'word' && cursor.isSign('(', 1)) {
    const window = parseWindow(cursor);
    return { ...window, alias: parseAlias(cursor) };
  }
  const name = parseTableName(cursor);
  const alias = parseAlias(cursor);
  if (cursor.isWord('for', 'system_time')) {
    throw cursor.unsupported('FOR SYSTEM_TIME AS OF', 'join the table itself: the view follows its present rows');
  }
  if (cursor.isWord('match_recognize'))
    throw cursor.unsupported('MATCH_RECOGNIZE', 'join the stream with itself on a time range');
  if (cursor.isWord('tablesample')) throw cursor.unsupported('TABLESAMPLE', 'filter on a column instead');
  return { kind: 'table', name, alias, at };
}

function parseTableName(cursor: Cursor): Name {
  const name = cursor.name('a table, view, source or subquery');
  if (cursor.isSign('.'))
    throw cursor.unsupported('a schema before a name', 'there is one schema: leave it out', name.at);
  return name;
}

type WindowRef = Extract<TableRef, { kind: 'window' }>;

/** TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]), HOP(…, slide, size [, offset]), and without TABLE and DESCRIPTOR. */
function parseWindow(cursor: Cursor): WindowRef {
  const { at, text, kind } = cursor.token;
  if (kind === 'word' && Object.hasOwn(OTHER_WINDOWS, text))
    throw cursor.unsupported(text.toUpperCase(), OTHER_WINDOWS[text]);
  if (kind !== 'word' || !cursor.isSign('(', 1)) throw cursor.expected('TUMBLE or HOP', ['tumble', 'hop']);
  if (!WINDOWS.has(text))
    throw cursor.unsupported(`the function "${text}" in FROM`, 'TUMBLE and HOP are the table functions there are');
  cursor.next();
  return cursor.parenthesized(() => {
    if (cursor.isSign('=>', 1))
      throw cursor.unsupported('a named argument', 'give table, time column and intervals in order');
    const input = parseWindowInput(cursor);
    cursor.expectSign(',', '"," and the time column');
    const time = parseTimeColumn(cursor);
    const intervals: AstExpr[] = [];
    while (cursor.takeSign(',')) intervals.push(parseExpr(cursor));
    return { kind: 'window', window: text as 'tumble' | 'hop', input, time, intervals, alias: null, at };
  });
}

function parseWindowInput(cursor: Cursor): TableRef {
  const { at } = cursor;
  const hasTable = cursor.takeWord('table');
  if (cursor.isSign('(')) return cursor.nested(() => parseTable(cursor));
  if (!hasTable && cursor.token.kind === 'word' && cursor.isSign('(', 1))
    return cursor.nested(() => parseTable(cursor));
  const name = parseTableName(cursor);
  if (cursor.isWord('partition')) throw cursor.unsupported('PARTITION BY in a window', 'group by the column');
  return { kind: 'table', name, alias: null, at };
}

function parseTimeColumn(cursor: Cursor): Name {
  if (cursor.isWord('descriptor') && cursor.isSign('(', 1)) {
    cursor.next();
    return cursor.parenthesized(() => cursor.name('a time column'));
  }
  const name = cursor.name('a time column');
  if (!cursor.isSign('.')) return name;
  throw cursor.unsupported('a table before the time column', 'name the column alone', name.at);
}

function parseAlias(cursor: Cursor): TableAlias | null {
  const { token } = cursor;
  if (!cursor.takeWord('as')) {
    const isAlias =
      token.kind === 'quoted' ||
      (token.kind === 'word' &&
        !RESERVED.has(token.text) &&
        !RESERVED_BUT_FUNCTION.has(token.text) &&
        !NOT_AN_ALIAS.has(token.text) &&
        !(NOT_A_BARE_ALIAS.has(token.text) && token.text === 'within'));
    if (!isAlias) return null;
  }
  const name = cursor.name('an alias');
  return { name, columnNames: cursor.isSign('(') ? parseNames(cursor) : [] };
}
