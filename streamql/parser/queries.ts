import type { AstExpr, CommonTable, Name, NamedWindow, Query, QueryBody, Select, SelectItem } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { parseFrom, startsAsOf } from './from.ts';
import { NOT_A_BARE_ALIAS, RESERVED, RESERVED_BUT_FUNCTION } from './keywords.ts';
import { parseOrderBy, parseWindowSpec } from './primaries.ts';

/** WITH … SELECT … UNION … ORDER BY … LIMIT …; stops at what does not belong to it. */
export function parseQuery(cursor: Cursor): Query {
  const { at } = cursor;
  const commons = cursor.takeWord('with') ? parseCommons(cursor) : [];
  const body = parseUnion(cursor);
  const orderBy = parseOrderBy(cursor);
  let limit: AstExpr | null = null;
  let offset: AstExpr | null = null;
  for (;;) {
    const place = cursor.at;
    if (cursor.isWord('limit')) {
      if (limit !== null) throw cursor.expected('one LIMIT');
      cursor.next();
      limit = cursor.takeWord('all') ? { kind: 'null', at: place } : parseExpr(cursor);
    } else if (cursor.isWord('offset')) {
      if (offset !== null) throw cursor.expected('one OFFSET');
      cursor.next();
      offset = parseExpr(cursor);
      if (!cursor.takeWord('rows')) cursor.takeWord('row');
    } else if (cursor.isWord('fetch')) {
      if (limit !== null) throw cursor.expected('one LIMIT');
      limit = parseFetch(cursor);
    } else break;
  }
  if (cursor.isWord('for')) throw cursor.unsupported('FOR UPDATE', 'leave it out: reads take no locks');
  return { with: commons, body, orderBy, limit, offset, emit: null, at };
}

/** FETCH FIRST n ROWS ONLY. */
function parseFetch(cursor: Cursor): AstExpr {
  const { at } = cursor.next();
  if (!cursor.takeWord('first') && !cursor.takeWord('next')) throw cursor.expected('FIRST or NEXT', ['first', 'next']);
  const isOne = cursor.isWord('row') || cursor.isWord('rows');
  const limit: AstExpr = isOne ? { kind: 'number', text: '1', at } : parseExpr(cursor);
  if (!cursor.takeWord('rows') && !cursor.takeWord('row')) throw cursor.expected('ROWS', ['rows', 'row']);
  if (cursor.isWord('with')) throw cursor.unsupported('WITH TIES', 'use ONLY');
  cursor.expectWord('only');
  return limit;
}

function parseCommons(cursor: Cursor): CommonTable[] {
  const recursive = cursor.isWord('recursive') && !cursor.isSign('(', 1) && !cursor.isWord('recursive', 'as');
  if (recursive) cursor.next();
  return cursor.list(() => {
    const { at } = cursor;
    const name = cursor.name('a name after WITH');
    const columnNames = cursor.isSign('(') ? parseNames(cursor) : [];
    cursor.expectWord('as');
    // Both hints are about speed only: a common table is computed once or inlined, with the same answer.
    if (!cursor.takeWord('materialized')) cursor.takeWord('not', 'materialized');
    const query = cursor.parenthesized(() => cursor.nested(() => parseQuery(cursor)));
    return { name, columnNames, query, recursive, at };
  });
}

export function parseNames(cursor: Cursor): Name[] {
  return cursor.parenthesized(() => cursor.list(() => cursor.name('a column name')));
}

function parseUnion(cursor: Cursor): QueryBody {
  let left = parseIntersect(cursor);
  for (let chain = 1; cursor.isWord('union') || cursor.isWord('except'); chain++) {
    cursor.checkChain(chain, cursor.at);
    left = parseSetOp(cursor, left, parseIntersect);
  }
  return left;
}

function parseIntersect(cursor: Cursor): QueryBody {
  let left = parseTerm(cursor);
  for (let chain = 1; cursor.isWord('intersect'); chain++) {
    cursor.checkChain(chain, cursor.at);
    left = parseSetOp(cursor, left, parseTerm);
  }
  return left;
}

function parseSetOp(cursor: Cursor, left: QueryBody, parseRight: (cursor: Cursor) => QueryBody): QueryBody {
  const { at, text } = cursor.next();
  const all = cursor.takeWord('all');
  if (!all) cursor.takeWord('distinct');
  return { kind: 'setOp', op: text as 'union' | 'intersect' | 'except', all, left, right: parseRight(cursor), at };
}

function parseTerm(cursor: Cursor): QueryBody {
  const { at } = cursor;
  if (cursor.isSign('(')) {
    return { kind: 'nested', query: cursor.parenthesized(() => cursor.nested(() => parseQuery(cursor))), at };
  }
  if (cursor.takeWord('values')) {
    const rows = cursor.list(() =>
      cursor.parenthesized(() =>
        cursor.list(() => {
          if (cursor.isWord('default')) throw cursor.unsupported('DEFAULT', 'leave the column out: it is NULL then');
          return parseExpr(cursor);
        }),
      ),
    );
    return { kind: 'values', rows, at };
  }
  if (cursor.isWord('select')) return parseSelect(cursor);
  if (cursor.isWord('table')) throw cursor.unsupported('TABLE as a query', 'write SELECT * FROM …');
  throw cursor.expected('SELECT', ['select', 'with', 'values']);
}

function parseSelect(cursor: Cursor): Select {
  const { at } = cursor.next();
  let distinct = cursor.takeWord('distinct');
  let distinctOn: AstExpr[] = [];
  if (distinct && cursor.takeWord('on')) {
    distinctOn = cursor.parenthesized(() => cursor.list(() => parseExpr(cursor)));
    distinct = false;
  } else if (!distinct) cursor.takeWord('all');
  const items = cursor.list(() => parseItem(cursor));
  const from = cursor.takeWord('from') ? cursor.list(() => parseFrom(cursor)) : [];
  cursor.checkChain(from.length, at);
  const where = cursor.takeWord('where') ? parseExpr(cursor) : null;
  const { groupBy, groupingSets } = parseGroupBy(cursor);
  const having = cursor.takeWord('having') ? parseExpr(cursor) : null;
  const windows = cursor.takeWord('window') ? cursor.list(() => parseNamedWindow(cursor)) : [];
  const qualify = cursor.takeWord('qualify') ? parseExpr(cursor) : null;
  return {
    kind: 'select',
    distinct,
    distinctOn,
    items,
    from,
    where,
    groupBy,
    groupingSets,
    having,
    windows,
    qualify,
    at,
  };
}

const KSQL_WINDOWS = new Set(['tumbling', 'hopping', 'session']);

function parseNamedWindow(cursor: Cursor): NamedWindow {
  const name = cursor.name('a name for the window');
  if (cursor.isSign('(') && KSQL_WINDOWS.has(name.text))
    throw cursor.unsupported(
      `WINDOW ${name.text.toUpperCase()} (…)`,
      "that is ksqlDB's: SET dialect = 'ksql' before it, or write FROM TUMBLE(t, ts, INTERVAL '10 seconds')",
      name.at,
    );
  cursor.expectWord('as');
  return { name, spec: parseWindowSpec(cursor) };
}

/** More sets than these are refused. */
const MAX_GROUPING_SETS = 64;

type Sets = readonly (readonly AstExpr[])[];

/** `a, ROLLUP (b, c)` and its like: what each element stands for, multiplied out. */
function parseGroupBy(cursor: Cursor): Pick<Select, 'groupBy' | 'groupingSets'> {
  const { at } = cursor;
  if (!cursor.takeWord('group')) return { groupBy: [], groupingSets: null };
  cursor.expectWord('by');
  if (!cursor.takeWord('all')) cursor.takeWord('distinct');
  const elements = cursor.list(() => parseGrouping(cursor));
  if (elements.every((sets) => sets.length === 1 && sets[0].length === 1)) {
    return { groupBy: elements.map(([[expr]]) => expr), groupingSets: null };
  }
  let sets: Sets = [[]];
  for (const element of elements) {
    sets = sets.flatMap((left) => element.map((right) => [...left, ...right]));
    if (sets.length > MAX_GROUPING_SETS) {
      throw cursor.unsupported(`more than ${MAX_GROUPING_SETS} grouping sets`, 'name those that are needed', at);
    }
  }
  if (sets.length === 1 && sets[0].length > 0) return { groupBy: sets[0], groupingSets: null };
  const groupBy = [...new Set(sets.flat())];
  return { groupBy, groupingSets: sets.map((set) => [...new Set(set.map((expr) => groupBy.indexOf(expr)))]) };
}

function parseGrouping(cursor: Cursor): Sets {
  if (cursor.isWord('grouping') && cursor.peek(1).kind === 'word') {
    cursor.expectWord('grouping', 'sets');
    return cursor.parenthesized(() => cursor.list(() => cursor.nested(() => parseGrouping(cursor))).flat());
  }
  if (cursor.isWord('rollup') && cursor.isSign('(', 1)) {
    cursor.next();
    const parts = parseParts(cursor);
    return Array.from({ length: parts.length + 1 }, (_, i) => parts.slice(0, parts.length - i).flat());
  }
  if (cursor.isWord('cube') && cursor.isSign('(', 1)) {
    const { at } = cursor.next();
    const parts = parseParts(cursor);
    if (2 ** parts.length > MAX_GROUPING_SETS) {
      throw cursor.unsupported(`CUBE of ${parts.length} columns`, 'name the sets that are needed: GROUPING SETS', at);
    }
    const chosen = (set: number): AstExpr[] => parts.filter((_, i) => (set & (1 << i)) === 0).flat();
    return Array.from({ length: 2 ** parts.length }, (_, set) => chosen(set));
  }
  if (cursor.isSign('(') && cursor.isSign(')', 1)) {
    cursor.parenthesized(() => {});
    return [[]];
  }
  return [parsePart(cursor)];
}

const parseParts = (cursor: Cursor): AstExpr[][] => cursor.parenthesized(() => cursor.list(() => parsePart(cursor)));

/** `a`, or `(a, b)` for several that go together. */
function parsePart(cursor: Cursor): AstExpr[] {
  if (!cursor.isSign('(') || !holdsList(cursor)) return [parseExpr(cursor)];
  return cursor.parenthesized(() => cursor.list(() => parseExpr(cursor)));
}

/** Whether a comma stands in the parenthesis that begins here, outside of inner ones and of brackets. */
function holdsList(cursor: Cursor): boolean {
  let depth = 0;
  for (let i = 0; cursor.peek(i).kind !== 'end'; i++) {
    if (cursor.isSign('(', i) || cursor.isSign('[', i)) depth++;
    else if (cursor.isSign(')', i) || cursor.isSign(']', i)) depth--;
    else if (depth === 1 && cursor.isSign(',', i)) return true;
    if (depth === 0) return false;
  }
  return false;
}

function parseItem(cursor: Cursor): SelectItem {
  const { at } = cursor;
  if (cursor.isSign('*')) {
    cursor.next();
    return star(cursor, null, at);
  }
  const isName = cursor.token.kind === 'quoted' || (cursor.token.kind === 'word' && !RESERVED.has(cursor.token.text));
  if (isName && cursor.isSign('.', 1) && cursor.isSign('*', 2)) {
    const table = cursor.name('a table name');
    cursor.pos += 2;
    return star(cursor, table, at);
  }
  const expr = parseExpr(cursor);
  if (!startsAsOf(cursor) && cursor.takeWord('as')) {
    const { token } = cursor;
    // After AS any word names a column in Postgres.
    if (token.kind !== 'word' && token.kind !== 'quoted') throw cursor.expected('a name after AS');
    cursor.next();
    return { kind: 'expr', expr, alias: { text: token.text, quoted: token.kind === 'quoted', at: token.at }, at };
  }
  return { kind: 'expr', expr, alias: bareAlias(cursor), at };
}

/** `*`, `t.*`, and either with EXCEPT or EXCLUDE and columns that it does not stand for. */
function star(cursor: Cursor, table: Name | null, at: Select['at']): SelectItem {
  if (cursor.isWord('replace')) throw cursor.unsupported('* REPLACE', 'name the columns');
  // SELECT * EXCEPT (SELECT …) takes rows away.
  const takesRows = cursor.isSign('(', 2) || /^(?:select|with|values)$/.test(cursor.peek(2).text);
  const isList = cursor.isSign('(', 1) && !takesRows && (cursor.isWord('except') || cursor.isWord('exclude'));
  if (!isList) return { kind: 'star', table, except: [], at };
  cursor.next();
  const except = cursor.parenthesized(() =>
    cursor.list(() => {
      const first = cursor.name('a column name');
      return cursor.takeSign('.') ? [first, cursor.name('a column name')] : [first];
    }),
  );
  return { kind: 'star', table, except, at };
}

function bareAlias(cursor: Cursor): Name | null {
  const { token } = cursor;
  if (token.kind === 'quoted') {
    cursor.next();
    return { text: token.text, quoted: true, at: token.at };
  }
  const isAlias =
    token.kind === 'word' &&
    !RESERVED.has(token.text) &&
    !RESERVED_BUT_FUNCTION.has(token.text) &&
    !NOT_A_BARE_ALIAS.has(token.text);
  if (!isAlias) return null;
  cursor.next();
  return { text: token.text, quoted: false, at: token.at };
}
