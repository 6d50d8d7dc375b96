import { StreamError } from '../../src/lib/errors.ts';
import type { AstExpr, Name, TableAlias, TableRef } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr, startsQuery } from './expressions.ts';
import { inForm, WINDOW_FORMS } from './forms.ts';
import { NOT_A_BARE_ALIAS, RESERVED, RESERVED_BUT_FUNCTION } from './keywords.ts';
import { parseMatch } from './match.ts';
import { isPivot, parsePivot } from './pivot.ts';
import { parseNames } from './queries.ts';

type WindowKind = Extract<TableRef, { kind: 'window' }>['window'];

/** The intervals of each window by name, in the order of the call with positions. */
const WINDOWS: Readonly<Record<WindowKind, readonly string[]>> = {
  tumble: ['size', 'offset'],
  hop: ['slide', 'size', 'offset'],
  cumulate: ['step', 'size', 'offset'],
  session: ['gap'],
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

const JOIN_FORMS =
  'the form is: a JOIN b ON a.k = b.k, a JOIN b USING (k), a NATURAL JOIN b, or a CROSS JOIN b for all pairs';
const ASOF_FORMS =
  'the form is: a ASOF [LEFT] JOIN b ON a.k = b.k AND a.ts >= b.ts, or with MATCH_CONDITION (a.ts >= b.ts) before ON or USING (k)';

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
  throw cursor.expected('ON or USING', ['on', 'using'], JOIN_FORMS);
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
  throw cursor.expected('ON or MATCH_CONDITION', ['on', 'match_condition'], ASOF_FORMS);
}

const NO_ASOF = new Set(['right', 'full', 'semi', 'anti']);

function parseTable(cursor: Cursor): TableRef {
  let table = parseTableItem(cursor);
  if (isPivot(cursor)) table = parsePivot(cursor, table, () => parseAlias(cursor));
  return cursor.isWord('match_recognize') ? parseMatch(cursor, table, () => parseAlias(cursor)) : table;
}

function parseTableItem(cursor: Cursor): TableRef {
  const { at } = cursor;
  const lateral = cursor.takeWord('lateral');
  if (cursor.isSign('(')) {
    if (startsQuery(cursor)) {
      const query = cursor.parenthesized(() => cursor.nested(() => cursor.query(cursor)));
      return { kind: 'subquery', query, alias: parseAlias(cursor), ...(lateral ? { lateral } : {}), at };
    }
    const inner = cursor.parenthesized(() => cursor.nested(() => parseFrom(cursor)));
    if (inner.kind !== 'join') throw cursor.expected('a join inside the parentheses');
    if (parseAlias(cursor) !== null) throw cursor.unsupported('an alias for a join', 'name the tables inside it', at);
    return inner;
  }
  if (cursor.isWord('table') && cursor.isSign('(', 1)) {
    cursor.next();
    const call = cursor.parenthesized(() => parseCall(cursor));
    return { ...call, alias: parseAlias(cursor) };
  }
  if (cursor.token.kind === 'word' && cursor.isSign('(', 1)) {
    const call = parseCall(cursor);
    return { ...call, alias: parseAlias(cursor) };
  }
  if (lateral) throw cursor.expected('a subquery or a function after LATERAL');
  const name = parseTableName(cursor);
  const early = parseAsOf(cursor);
  const alias = parseAlias(cursor);
  const asOf = early ?? parseAsOf(cursor);
  if (cursor.isWord('tablesample')) throw cursor.unsupported('TABLESAMPLE', 'filter on a column instead');
  return { kind: 'table', name, alias, ...(asOf === null ? {} : { asOf }), at };
}

/** Whether AS OF and a moment come, rather than the alias "of": behind that no constant can stand. */
export function startsAsOf(cursor: Cursor): boolean {
  if (!cursor.isWord('as', 'of')) return false;
  const { kind, text } = cursor.peek(2);
  if (kind === 'number' || kind === 'string' || kind === 'parameter') return true;
  return kind === 'word' && (cursor.peek(3).kind === 'string' || text === 'now' || text === 'cast');
}

/** FOR SYSTEM_TIME AS OF, before or after the alias. */
function parseAsOf(cursor: Cursor): AstExpr | null {
  if (!cursor.isWord('for', 'system_time')) return null;
  inForm('table FOR SYSTEM_TIME AS OF time', () => cursor.expectWord('for', 'system_time', 'as', 'of'));
  return parseExpr(cursor);
}

const parseTableName = (cursor: Cursor): Name => cursor.objectName('a table, view, source or subquery');

/** A window, or any other function: f(x, …) [WITH ORDINALITY]. */
function parseCall(cursor: Cursor): WindowRef | Extract<TableRef, { kind: 'function' }> {
  const { at } = cursor;
  if (Object.hasOwn(WINDOWS, cursor.token.text) || !cursor.isSign('(', 1)) return parseWindow(cursor);
  const name = cursor.name('a function');
  const args: AstExpr[] = [];
  cursor.parenthesized(() => {
    if (cursor.isSign(')')) return;
    do args.push(parseExpr(cursor));
    while (cursor.takeSign(','));
  });
  const ordinality = cursor.takeWord('with');
  if (ordinality) cursor.expectWord('ordinality');
  return { kind: 'function', name, args, ordinality, alias: null, at };
}

type WindowRef = Extract<TableRef, { kind: 'window' }>;

/**
 * TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) and its like, without TABLE and DESCRIPTOR, or with names:
 * TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => size).
 */
function parseWindow(cursor: Cursor): WindowRef {
  const { at, text, kind } = cursor.token;
  const names = Object.keys(WINDOWS);
  if (kind !== 'word' || !cursor.isSign('(', 1)) throw cursor.expected('TUMBLE, HOP, CUMULATE or SESSION', names);
  if (!names.includes(text)) {
    throw cursor.unsupported(
      `the function "${text}" in FROM`,
      'TUMBLE, HOP, CUMULATE and SESSION are the table functions there are',
    );
  }
  cursor.next();
  const window = text as WindowKind;
  const parts = inForm(WINDOW_FORMS[window], () =>
    cursor.parenthesized(() =>
      cursor.isSign('=>', 1) ? parseNamedArguments(cursor, window) : parseArguments(cursor, window),
    ),
  );
  return { kind: 'window', window, ...parts, alias: null, at };
}

type WindowParts = Pick<WindowRef, 'input' | 'time' | 'partitionBy' | 'intervals'>;

function parseArguments(cursor: Cursor, window: WindowKind): WindowParts {
  const { input, partitionBy } = parseWindowInput(cursor, window);
  cursor.expectSign(',', '"," and the time column');
  const time = parseTimeColumn(cursor);
  const intervals: AstExpr[] = [];
  let keys = partitionBy;
  while (cursor.takeSign(',')) {
    // Calcite's SESSION(t, DESCRIPTOR(ts), DESCRIPTOR(key), gap).
    if (window === 'session' && cursor.isWord('descriptor') && cursor.isSign('(', 1)) {
      cursor.next();
      keys = parseNames(cursor);
    } else intervals.push(parseExpr(cursor));
  }
  return { input, time, partitionBy: keys, intervals };
}

function parseNamedArguments(cursor: Cursor, window: WindowKind): WindowParts {
  const { at } = cursor;
  const names = WINDOWS[window];
  const intervals = new Map<string, AstExpr>();
  let data: Pick<WindowParts, 'input' | 'partitionBy'> | undefined;
  let time: Name | undefined;
  cursor.list(() => {
    const name = argumentName(cursor);
    cursor.expectSign('=>', '"=>" and the argument');
    if ((name.text === 'data' && data) || (name.text === 'timecol' && time) || intervals.has(name.text)) {
      throw new StreamError('SQL_SYNTAX', `the argument ${name.text.toUpperCase()} comes twice`, { at: name.at });
    }
    if (name.text === 'data') data = parseWindowInput(cursor, window);
    else if (name.text === 'timecol') time = parseTimeColumn(cursor);
    else if (names.includes(name.text)) intervals.set(name.text, parseExpr(cursor));
    else {
      throw new StreamError('SQL_SYNTAX', `${window.toUpperCase()} has no argument ${name.text.toUpperCase()}`, {
        at: name.at,
        hint: `it has ${['data', 'timecol', ...names].map((known) => known.toUpperCase()).join(', ')}`,
      });
    }
    return name;
  });
  const missing = ['data', 'timecol', ...names.filter((name) => name !== 'offset')].find((name) =>
    name === 'data' ? data === undefined : name === 'timecol' ? time === undefined : !intervals.has(name),
  );
  if (missing !== undefined || data === undefined || time === undefined) {
    throw new StreamError('SQL_SYNTAX', `the argument ${missing?.toUpperCase()} is missing`, { at });
  }
  const given = names.flatMap((name) => intervals.get(name) ?? []);
  return { ...data, time, intervals: given };
}

/** OFFSET is one, though no name elsewhere. */
function argumentName(cursor: Cursor): Name {
  const { text, at } = cursor.token;
  if (!cursor.isWord('offset') || !cursor.isSign('=>', 1)) return cursor.name('the name of an argument');
  cursor.next();
  return { text, quoted: false, at };
}

function parseWindowInput(cursor: Cursor, window: WindowKind): Pick<WindowParts, 'input' | 'partitionBy'> {
  const input = parseWindowTable(cursor);
  const { at } = cursor;
  if (!cursor.takeWord('partition')) return { input, partitionBy: [] };
  if (window !== 'session') {
    throw cursor.unsupported(`PARTITION BY in ${window.toUpperCase()}`, 'group by the column', at);
  }
  cursor.expectWord('by');
  if (cursor.isSign('(')) return { input, partitionBy: parseNames(cursor) };
  const partitionBy = [cursor.name('a column')];
  while (isColumnAhead(cursor)) {
    cursor.next();
    partitionBy.push(cursor.name('a column'));
  }
  return { input, partitionBy };
}

/** Whether a comma is followed by one more column of PARTITION BY: the last name of all is the time column, or the next is an argument. */
function isColumnAhead(cursor: Cursor): boolean {
  if (!cursor.isSign(',') || !cursor.isSign(',', 2)) return false;
  const after = cursor.peek(3);
  if (after.kind === 'word' && after.text === 'descriptor') return true;
  return (
    (after.kind === 'word' || after.kind === 'quoted') &&
    (cursor.isSign(',', 4) || cursor.isSign('=>', 4)) &&
    after.text !== 'interval'
  );
}

function parseWindowTable(cursor: Cursor): TableRef {
  const { at } = cursor;
  const hasTable = cursor.takeWord('table');
  if (cursor.isSign('(')) return cursor.nested(() => parseTable(cursor));
  if (!hasTable && cursor.token.kind === 'word' && cursor.isSign('(', 1))
    return cursor.nested(() => parseTable(cursor));
  return { kind: 'table', name: parseTableName(cursor), alias: null, at };
}

function parseTimeColumn(cursor: Cursor): Name {
  if (cursor.isWord('descriptor') && cursor.isSign('(', 1)) {
    cursor.next();
    return cursor.parenthesized(() => cursor.name('a time column'));
  }
  if (cursor.isWord('interval') && cursor.peek(1).kind === 'string')
    throw new StreamError('SQL_SYNTAX', 'the time column comes before the interval', { at: cursor.at });
  const name = cursor.name('a time column');
  if (!cursor.isSign('.')) return name;
  throw cursor.unsupported('a table before the time column', 'name the column alone', name.at);
}

function parseAlias(cursor: Cursor): TableAlias | null {
  const { token } = cursor;
  // PARTITION BY of SESSION stands right behind a subquery.
  if (isPivot(cursor) || startsAsOf(cursor) || cursor.isWord('partition', 'by')) return null;
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
