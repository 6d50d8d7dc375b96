import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { EmitOnClose, Name, ObjectKind, OnConflict, Query, QueryStatement, Statement, Update } from './ast.ts';
import { parseCreate } from './create.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { startsAsOf } from './from.ts';
import { parseDropFunction } from './functions.ts';
import { STATEMENT_WORDS } from './keywords.ts';
import { parseOptionList } from './options.ts';
import { parsePrimary } from './primaries.ts';
import { parseNames, parseQuery } from './queries.ts';
import { parsePeriodic, parseSubscribe } from './subscribe.ts';

type Head = (cursor: Cursor, at: Position) => Statement;

const HEADS: Readonly<Record<string, Head>> = {
  select: parseQueryStatement,
  with: parseQueryStatement,
  values: parseQueryStatement,
  create: parseCreate,
  drop: parseDrop,
  set: parseSet,
  alter: parseAlter,
  pause: parsePause,
  resume: parsePause,
  show: parseShow,
  describe: parseDescribe,
  desc: parseDescribe,
  explain: parseExplain,
  flush: (cursor, at) => {
    cursor.next();
    return { kind: 'flush', at };
  },
  subscribe: parseSubscribe,
  replay: parseReplay,
  verify: parseVerify,
  insert: parseInsert,
  update: parseUpdate,
  delete: parseDelete,
};

/** Statements that users of other databases will try. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  begin: 'each statement is a transaction of its own',
  start: 'each statement is a transaction of its own',
  commit: 'each statement is a transaction of its own',
  rollback: 'each statement is a transaction of its own',
  truncate: 'use DELETE FROM without WHERE',
  merge: 'INSERT into a table replaces the row with the same key',
  copy: 'produce the rows to the topic',
  grant: 'this server has one user',
  table: 'write SELECT * FROM …',
};

const isStatementWord = (word: string): boolean => Object.hasOwn(HEADS, word) || Object.hasOwn(UNSUPPORTED, word);

export function parseStatement(cursor: Cursor): Statement {
  const { token, at } = cursor;
  if (token.kind === 'operator' && token.text === '(') return parseQueryStatement(cursor, at);
  if (token.kind === 'word' && Object.hasOwn(HEADS, token.text)) return HEADS[token.text](cursor, at);
  if (token.kind === 'word' && Object.hasOwn(UNSUPPORTED, token.text)) {
    throw cursor.unsupported(token.text.toUpperCase(), UNSUPPORTED[token.text]);
  }
  throw cursor.expected('a statement (SELECT, CREATE, DROP, INSERT, SHOW …)', STATEMENT_WORDS);
}

/** A query and its own text. */
export function parseQueryWithText(cursor: Cursor): { query: Query; queryText: string } {
  const first = cursor.pos;
  const query = parseQuery(cursor);
  const emit = parseEmit(cursor);
  return { query: { ...query, emit }, queryText: cursor.textSince(first) };
}

function parseEmit(cursor: Cursor): EmitOnClose | null {
  const { at } = cursor;
  if (cursor.takeWord('emit', 'on', 'window', 'close') || cursor.takeWord('emit', 'final'))
    return { delay: null, timeout: null, at };
  if (!cursor.takeWord('emit', 'after', 'window', 'close')) return null;
  // A sink's options begin with WITH too.
  const delay = cursor.takeWord('with', 'delay') ? parsePrimary(cursor) : null;
  const timeout = cursor.takeWord('and', 'timeout') || cursor.takeWord('with', 'timeout') ? parsePrimary(cursor) : null;
  return { delay, timeout, at };
}

/** SELECT * FROM name, where the grammar lets a name stand for a query. */
export function queryOfName(name: Name): { query: Query; queryText: string } {
  const { at } = name;
  return {
    query: {
      with: [],
      body: {
        kind: 'select',
        distinct: false,
        items: [{ kind: 'star', table: null, except: [], at }],
        from: [{ kind: 'table', name, alias: null, at }],
        where: null,
        distinctOn: [],
        groupBy: [],
        groupingSets: null,
        windows: [],
        qualify: null,
        having: null,
        at,
      },
      orderBy: [],
      limit: null,
      offset: null,
      emit: null,
      at,
    },
    queryText: `SELECT * FROM ${quotedName(name)}`,
  };
}

/** What is left after the forms that are known: refused by name. */
/** EMIT CHANGES, EMIT PERIODIC interval: what makes a SELECT a push query. */
function parsePush(cursor: Cursor): Pick<QueryStatement, 'emitChanges' | 'periodic'> {
  const periodic = parsePeriodic(cursor);
  return { emitChanges: periodic !== null || cursor.takeWord('emit', 'changes'), periodic };
}

export function refuseEmit(cursor: Cursor): void {
  if (!cursor.isWord('emit') || cursor.isWord('emit', 'changes')) return;
  const words: string[] = [];
  for (let i = 0; i < 4 && cursor.peek(i).kind === 'word'; i++) words.push(cursor.peek(i).text.toUpperCase());
  throw cursor.unsupported(
    words.join(' '),
    cursor.isWord('emit', 'periodic')
      ? 'a view is current at every epoch: say it in SUBSCRIBE, which then gathers the changes'
      : 'write EMIT ON WINDOW CLOSE, or leave it out: the view shows each window as it grows',
  );
}

const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;

function quotedName({ text, schema }: Name): string {
  return schema === undefined ? quote(text) : `${quote(schema)}.${quote(text.slice(schema.length + 1))}`;
}

function parseQueryStatement(cursor: Cursor, at: Position): Statement {
  const { query, queryText } = parseQueryWithText(cursor);
  if (!cursor.isWord('emit', 'periodic')) refuseEmit(cursor);
  const asOf = startsAsOf(cursor) && cursor.takeWord('as', 'of') ? { asOf: parseExpr(cursor) } : {};
  return { kind: 'query', query, queryText, ...parsePush(cursor), ...asOf, at };
}

export function parseIfNotExists(cursor: Cursor): boolean {
  if (!cursor.takeWord('if')) return false;
  cursor.expectWord('not', 'exists');
  return true;
}

const OBJECTS: Readonly<Record<string, ObjectKind>> = {
  source: 'source',
  table: 'table',
  materialized: 'view',
  view: 'view',
  sink: 'sink',
  subscription: 'subscription',
};

function parseObjectKind(cursor: Cursor): ObjectKind {
  const { kind, text } = cursor.token;
  if (kind !== 'word' || !Object.hasOwn(OBJECTS, text))
    throw cursor.expected('SOURCE, TABLE, MATERIALIZED VIEW or SINK', Object.keys(OBJECTS));
  cursor.next();
  if (text === 'materialized') cursor.expectWord('view');
  return OBJECTS[text];
}

/** ALTER kind [IF EXISTS] name RENAME TO name | SWAP WITH name. */
function parseAlter(cursor: Cursor, at: Position): Statement {
  cursor.next();
  const object = parseObjectKind(cursor);
  const ifExists = cursor.takeWord('if');
  if (ifExists) cursor.expectWord('exists');
  const name = cursor.objectName('a name');
  if (cursor.takeWord('rename', 'to'))
    return { kind: 'alter', object, name, ifExists, action: 'rename', other: cursor.objectName('the new name'), at };
  if (cursor.isWord('swap', 'with')) {
    if (object !== 'view') throw cursor.unsupported('SWAP WITH here', 'it is for materialized views');
    cursor.next();
    cursor.next();
    return { kind: 'alter', object, name, ifExists, action: 'swap', other: cursor.objectName('the other view'), at };
  }
  if (object === 'view' && cursor.takeWord('set')) {
    const options = parseOptionList(cursor);
    return { kind: 'alter', object, name, ifExists, action: 'set', options, at };
  }
  if (cursor.token.kind === 'word') {
    throw cursor.unsupported(
      `ALTER … ${cursor.token.text.toUpperCase()}`,
      object === 'view' ? 'use CREATE OR REPLACE MATERIALIZED VIEW' : 'DROP it and CREATE it again',
    );
  }
  throw cursor.expected('RENAME TO or SWAP WITH', ['rename', 'swap']);
}

/** PAUSE kind name, RESUME kind name. */
function parsePause(cursor: Cursor, at: Position): Statement {
  const paused = cursor.token.text === 'pause';
  cursor.next();
  const object = parseObjectKind(cursor);
  return { kind: 'pause', object, name: cursor.objectName('a name'), paused, at };
}

function parseDrop(cursor: Cursor, at: Position): Statement {
  cursor.next();
  if (cursor.takeWord('schema')) return parseDropSchema(cursor, at);
  if (cursor.takeWord('index')) {
    const ifExists = cursor.takeWord('if');
    if (ifExists) cursor.expectWord('exists');
    return { kind: 'dropIndex', ifExists, names: cursor.list(() => cursor.objectName('the name of an index')), at };
  }
  if (cursor.isWord('function') || cursor.isWord('aggregate')) return parseDropFunction(cursor, at);
  const object = parseObjectKind(cursor);
  const ifExists = cursor.takeWord('if');
  if (ifExists) cursor.expectWord('exists');
  const names = cursor.list(() => cursor.objectName('a name'));
  const cascade = cursor.takeWord('cascade');
  if (!cascade) cursor.takeWord('restrict');
  return { kind: 'drop', object, ifExists, cascade, names, at };
}

function parseDropSchema(cursor: Cursor, at: Position): Statement {
  const ifExists = cursor.takeWord('if');
  if (ifExists) cursor.expectWord('exists');
  const name = cursor.name('the name of the schema');
  const cascade = cursor.takeWord('cascade');
  if (!cascade) cursor.takeWord('restrict');
  return { kind: 'dropSchema', name, ifExists, cascade, at };
}

/** SET [SESSION | LOCAL] name = | TO value, … | DEFAULT. */
function parseSet(cursor: Cursor, at: Position): Statement {
  cursor.next();
  if (!cursor.takeWord('session')) cursor.takeWord('local');
  const name = cursor.name('the name of a setting');
  if (!cursor.takeWord('to')) cursor.expectSign('=');
  if (cursor.takeWord('default')) return { kind: 'set', name, values: [], at };
  const values = cursor.list(() => {
    const { kind, text } = cursor.token;
    if (kind === 'string') {
      cursor.next();
      return text;
    }
    return cursor.name('a value').text;
  });
  return { kind: 'set', name, values, at };
}

function parseShow(cursor: Cursor, at: Position): Statement {
  cursor.next();
  if (cursor.isWord('create')) throw cursor.unsupported('SHOW CREATE', 'DESCRIBE shows the columns');
  if (cursor.isWord('materialized', 'views')) cursor.next();
  const { token } = cursor;
  if (token.kind !== 'word' && token.kind !== 'quoted')
    throw cursor.expected('what to show: SOURCES, TABLES, VIEWS, SINKS, TOPICS …');
  cursor.next();
  return { kind: 'show', what: { text: token.text, quoted: token.kind === 'quoted', at: token.at }, at };
}

function parseDescribe(cursor: Cursor, at: Position): Statement {
  cursor.next();
  return { kind: 'describe', name: cursor.objectName('the name of a source, table, view or sink'), at };
}

function parseExplain(cursor: Cursor, at: Position): Statement {
  cursor.next();
  const analyze = cursor.takeWord('analyze') || cursor.takeWord('analyse');
  const what = analyze ? 'analyze' : cursor.takeWord('state') ? 'state' : 'plan';
  if (cursor.isSign('(')) throw cursor.unsupported('EXPLAIN with options', 'write EXPLAIN [ANALYZE] statement');
  if (cursor.isWord('explain')) throw cursor.expected('a statement to explain');
  const { token } = cursor;
  const named = token.kind === 'quoted' || (token.kind === 'word' && !isStatementWord(token.text));
  if (!named) return { kind: 'explain', what, target: cursor.nested(() => parseStatement(cursor)), at };
  const name = cursor.name('a statement, or the name of a view, table, source or sink');
  return { kind: 'explain', what, target: { kind: 'name', name, at: name.at }, at };
}

/** VERIFY [MATERIALIZED] VIEW name [LIMIT n]. */
function parseVerify(cursor: Cursor, at: Position): Statement {
  cursor.next();
  cursor.takeWord('materialized');
  cursor.expectWord('view');
  const name = cursor.name('the name of a view');
  let limit: number | null = null;
  if (cursor.takeWord('limit')) {
    const { token } = cursor;
    if (token.kind !== 'number' || !/^\d{1,9}$/.test(token.text))
      throw cursor.expected('how many differing rows to show');
    cursor.next();
    limit = Number(token.text);
  }
  return { kind: 'verify', name, limit, at };
}

function parseReplay(cursor: Cursor, at: Position): Statement {
  cursor.next();
  cursor.expectWord('from');
  return { kind: 'replay', from: cursor.name('the dead letters of a view, sink or source, as v$errors'), at };
}

function parseInsert(cursor: Cursor, at: Position): Statement {
  cursor.next();
  cursor.expectWord('into');
  const table = cursor.objectName('a table name');
  const columns = cursor.isSign('(') && !/^(?:select|with|values)$/.test(cursor.peek(1).text) ? parseNames(cursor) : [];
  if (cursor.isWord('default', 'values')) throw cursor.unsupported('DEFAULT VALUES', 'name the values');
  if (cursor.isWord('overriding')) throw cursor.unsupported('OVERRIDING', 'leave it out');
  const query = parseQuery(cursor);
  const onConflict = parseOnConflict(cursor);
  refuseReturning(cursor);
  return { kind: 'insert', table, columns, query, onConflict, at };
}

/** ON CONFLICT [(column, …)] DO NOTHING | UPDATE SET … [WHERE …], and Flink's DO ERROR. */
function parseOnConflict(cursor: Cursor): OnConflict | null {
  const { at } = cursor;
  if (!cursor.takeWord('on', 'conflict')) return null;
  if (cursor.isWord('on'))
    throw cursor.unsupported('ON CONSTRAINT', 'name the columns of the primary key in parentheses');
  const target = cursor.isSign('(') ? parseNames(cursor) : [];
  cursor.expectWord('do');
  const found = (['nothing', 'error', 'update'] as const).find((word) => cursor.takeWord(word));
  if (found === undefined) throw cursor.expected('NOTHING, ERROR or UPDATE SET', ['nothing', 'error', 'update']);
  if (found !== 'update') return { target, action: found, set: [], where: null, at };
  cursor.expectWord('set');
  const set = parseAssignments(cursor);
  return { target, action: 'update', set, where: cursor.takeWord('where') ? parseExpr(cursor) : null, at };
}

function parseUpdate(cursor: Cursor, at: Position): Statement {
  cursor.next();
  const table = cursor.objectName('a table name');
  refuseTableAlias(cursor, 'set');
  cursor.expectWord('set');
  const set = parseAssignments(cursor);
  if (cursor.isWord('from'))
    throw cursor.unsupported('UPDATE … FROM', 'INSERT the new rows from a SELECT: they replace the old');
  const where = cursor.takeWord('where') ? parseExpr(cursor) : null;
  refuseReturning(cursor);
  return { kind: 'update', table, set, where, at };
}

function parseAssignments(cursor: Cursor): Update['set'] {
  return cursor.list(() => {
    if (cursor.isSign('(')) throw cursor.unsupported('SET (…) = (…)', 'write column = value, …');
    const column = cursor.name('a column name');
    cursor.expectSign('=');
    if (cursor.isWord('default')) throw cursor.unsupported('DEFAULT', 'write NULL');
    return { column, value: parseExpr(cursor) };
  });
}

function parseDelete(cursor: Cursor, at: Position): Statement {
  cursor.next();
  cursor.expectWord('from');
  const table = cursor.objectName('a table name');
  if (cursor.isWord('using')) throw cursor.unsupported('DELETE … USING', 'use WHERE key IN (…)');
  refuseTableAlias(cursor, 'where');
  const where = cursor.takeWord('where') ? parseExpr(cursor) : null;
  refuseReturning(cursor);
  return { kind: 'delete', table, where, at };
}

function refuseTableAlias(cursor: Cursor, follows: string): void {
  const { token } = cursor;
  if (cursor.isWord('as') || (token.kind === 'word' && cursor.peek(1).text === follows && token.text !== follows)) {
    throw cursor.unsupported('an alias here', 'name the columns without it');
  }
}

function refuseReturning(cursor: Cursor): void {
  if (cursor.isWord('returning')) throw cursor.unsupported('RETURNING', 'SELECT the rows afterwards');
}

/** Says that the statement ends here, or what is too much. */
export function expectEnd(cursor: Cursor): void {
  if (cursor.token.kind === 'end' || cursor.takeSign(';')) return;
  const error = cursor.expected('the end of the statement');
  if (cursor.isSign(')')) {
    throw new StreamError(error.code, error.message, { at: error.at, hint: 'this ")" has no "("' });
  }
  throw error;
}
