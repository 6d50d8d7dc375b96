import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { AstExpr, ColumnDef, Name, Statement, WatermarkDef } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';
import { parseCreateFunction } from './functions.ts';
import { parseOptions } from './options.ts';
import { parseNames } from './queries.ts';
import { parseIfNotExists, parseQueryWithText, queryOfName, refuseEmit } from './statements.ts';
import { parseType } from './types.ts';

const UNSUPPORTED: Readonly<Record<string, string>> = {
  view: 'use CREATE MATERIALIZED VIEW: views here are kept up to date',
  feature: 'use CREATE MATERIALIZED VIEW and look rows up by key',
  temporary: 'leave TEMPORARY out',
  temp: 'leave TEMP out',
  unique: 'use PRIMARY KEY',
  connector: 'produce to a topic and use CREATE SOURCE',
  database: 'there is one database',
  type: 'use JSONB for nested values',
  connection: 'give the options in WITH (…)',
  stream: "SET dialect = 'ksql' before it takes ksqlDB's statements; otherwise use CREATE SOURCE",
};

export function parseCreate(cursor: Cursor, at: Position): Statement {
  cursor.next();
  const replaceAt = cursor.at;
  const orReplace = cursor.takeWord('or', 'replace');
  const { token } = cursor;
  if (token.kind === 'word' && Object.hasOwn(UNSUPPORTED, token.text)) {
    throw cursor.unsupported(`CREATE ${token.text.toUpperCase()}`, UNSUPPORTED[token.text]);
  }
  if (cursor.takeWord('materialized')) {
    cursor.expectWord('view');
    return parseCreateView(cursor, at, orReplace);
  }
  if (cursor.isWord('function') || cursor.isWord('aggregate')) return parseCreateFunction(cursor, at, orReplace);
  if (orReplace) throw cursor.unsupported('OR REPLACE here', 'DROP it first', replaceAt);
  if (cursor.takeWord('subscription')) return parseCreateSubscription(cursor, at);
  if (cursor.takeWord('index')) return parseCreateIndex(cursor, at);
  if (cursor.takeWord('schema')) {
    const ifNotExists = parseIfNotExists(cursor);
    return { kind: 'createSchema', ifNotExists, name: cursor.name('the name of the schema'), at };
  }
  if (cursor.takeWord('source')) return parseCreateSource(cursor, at);
  if (cursor.takeWord('table')) return parseCreateTable(cursor, at);
  if (cursor.takeWord('sink')) return parseCreateSink(cursor, at);
  throw cursor.expected('SOURCE, TABLE, MATERIALIZED VIEW or SINK', ['source', 'table', 'materialized', 'sink']);
}

/** CREATE INDEX [[IF NOT EXISTS] name] ON object (column, …). */
function parseCreateIndex(cursor: Cursor, at: Position): Statement {
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.isWord('on') && !ifNotExists ? null : cursor.name('the name of the index');
  cursor.expectWord('on');
  const on = cursor.objectName('a view or table');
  if (cursor.isWord('using')) throw cursor.unsupported('USING', 'leave it out: indexes find equal values');
  const columns = parseNames(cursor);
  for (const word of ['include', 'where', 'with', 'tablespace'])
    if (cursor.isWord(word)) throw cursor.unsupported(`${word.toUpperCase()} of an index`, 'leave it out');
  return { kind: 'createIndex', name, ifNotExists, on, columns, at };
}

const COMPUTE =
  'leave it out, and compute it in a view; TIMESTAMP columns read texts and whole milliseconds since 1970, and _timestamp, _key and _headers are there without being declared';

interface Columns {
  readonly columns: ColumnDef[];
  primaryKey: Name[];
  /** Where the key was declared. */
  primaryKeyAt: Position | null;
  watermark: WatermarkDef | null;
}

function parseColumns(cursor: Cursor): Columns {
  const found: Columns = { columns: [], primaryKey: [], primaryKeyAt: null, watermark: null };
  if (cursor.isSign('(')) cursor.parenthesized(() => cursor.list(() => parseColumnItem(cursor, found)));
  return found;
}

function parseColumnItem(cursor: Cursor, found: Columns): void {
  const { at } = cursor;
  if (cursor.takeWord('watermark', 'for')) {
    if (found.watermark !== null) throw new StreamError('SQL_SYNTAX', 'there are two WATERMARK clauses', { at });
    const column = cursor.name('the watermark column');
    const itself = (): AstExpr => ({ kind: 'column', path: [column], at: column.at });
    found.watermark = { column, expr: cursor.takeWord('as') ? parseExpr(cursor) : itself(), at };
    return;
  }
  if (cursor.takeWord('primary')) {
    cursor.expectWord('key');
    setPrimaryKey(found, parseNames(cursor), at);
    takeNotEnforced(cursor);
    return;
  }
  for (const word of ['constraint', 'unique', 'check', 'foreign', 'exclude', 'like', 'period']) {
    if (cursor.isWord(word)) throw cursor.unsupported(`${word.toUpperCase()} in a column list`, 'leave it out');
  }
  const name = cursor.name('a column name');
  if (cursor.isWord('as')) throw cursor.unsupported('a computed column', COMPUTE);
  const type = parseType(cursor, true);
  found.columns.push({ name, type, notNull: parseConstraints(cursor, found, name), at });
}

function parseConstraints(cursor: Cursor, found: Columns, name: Name): boolean {
  let notNull = false;
  for (;;) {
    const { at } = cursor;
    if (cursor.takeWord('not', 'null')) notNull = true;
    else if (cursor.takeWord('primary')) {
      cursor.expectWord('key');
      setPrimaryKey(found, [name], at);
      takeNotEnforced(cursor);
    } else if (!cursor.takeWord('null')) break;
  }
  const { token } = cursor;
  if (
    token.kind === 'word' &&
    /^(?:default|check|unique|references|generated|as|metadata|collate|constraint)$/.test(token.text)
  ) {
    throw cursor.unsupported(`${token.text.toUpperCase()} on a column`, COMPUTE);
  }
  return notNull;
}

function setPrimaryKey(found: Columns, names: Name[], at: Position): void {
  if (found.primaryKeyAt !== null) {
    throw new StreamError('SQL_SYNTAX', 'there are two PRIMARY KEY clauses', {
      at,
      hint: 'for a key of more columns write PRIMARY KEY (a, b) once, after the columns',
    });
  }
  found.primaryKey = names;
  found.primaryKeyAt = at;
}

/** What a table does anyway: nothing is refused, a row replaces the one with the same key. */
function takeNotEnforced(cursor: Cursor): void {
  cursor.takeWord('not', 'enforced');
}

function parseCreateSource(cursor: Cursor, at: Position): Statement {
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.objectName('the name of the source');
  const { columns, primaryKey, watermark } = parseColumns(cursor);
  return { kind: 'createSource', name, ifNotExists, columns, primaryKey, watermark, options: parseOptions(cursor), at };
}

function parseCreateTable(cursor: Cursor, at: Position): Statement {
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.objectName('the name of the table');
  if (cursor.isWord('as')) throw cursor.unsupported('CREATE TABLE AS', 'use CREATE MATERIALIZED VIEW');
  if (!cursor.isSign('(')) throw cursor.expected('"(" and the columns');
  const { columns, primaryKey, watermark } = parseColumns(cursor);
  return { kind: 'createTable', name, ifNotExists, columns, primaryKey, watermark, options: parseOptions(cursor), at };
}

function parseCreateView(cursor: Cursor, at: Position, orReplace: boolean): Statement {
  if (orReplace && cursor.isWord('if'))
    throw cursor.unsupported('IF NOT EXISTS with OR REPLACE', 'say what you want when it exists: one of the two');
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.objectName('the name of the view');
  const columnNames = cursor.isSign('(') ? parseNames(cursor) : [];
  const options = parseOptions(cursor);
  cursor.expectWord('as');
  const parsed = parseQueryWithText(cursor);
  refuseEmit(cursor);
  // CHANGES says what a view does anyway, as in ksqlDB.
  cursor.takeWord('emit', 'changes');
  if (cursor.isWord('with')) throw cursor.unsupported('WITH after the query', 'put WITH (…) before AS');
  return {
    kind: 'createView',
    name,
    orReplace,
    ifNotExists,
    columnNames,
    ...parsed,
    options,
    at,
  };
}

/** CREATE SUBSCRIPTION name FROM view | AS query [WITH (…)]. */
function parseCreateSubscription(cursor: Cursor, at: Position): Statement {
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.objectName('the name of the subscription');
  let parsed: ReturnType<typeof queryOfName>;
  if (cursor.takeWord('from')) parsed = queryOfName(cursor.objectName('a view, table or source'));
  else if (cursor.takeWord('as')) parsed = parseQueryWithText(cursor);
  else throw cursor.expected('FROM a view, or AS a query', ['from', 'as']);
  const options = parseOptions(cursor);
  return {
    kind: 'createSink',
    name,
    ifNotExists,
    ...parsed,
    into: 'subscription',
    intoAt: at,
    target: [],
    options,
    at,
  };
}

const targetOf = (table: Name): Name[] => {
  const { schema, text, quoted, at } = table;
  const local = { text: schema === undefined ? text : text.slice(schema.length + 1), quoted, at };
  return schema === undefined ? [local] : [{ text: schema, quoted: false, at }, local];
};

/** CREATE SINK name FROM view | AS query INTO kind [target] [WITH (…)]. */
function parseCreateSink(cursor: Cursor, at: Position): Statement {
  const ifNotExists = parseIfNotExists(cursor);
  const name = cursor.objectName('the name of the sink');
  let parsed: ReturnType<typeof queryOfName>;
  // RisingWave's INTO table AS SELECT.
  const early = cursor.isWord('into') ? { into: cursor.next(), table: cursor.objectName('the table') } : null;
  if (cursor.takeWord('from')) parsed = queryOfName(cursor.objectName('a view, table or source'));
  else if (cursor.takeWord('as')) parsed = parseQueryWithText(cursor);
  else throw cursor.expected('FROM a view, or AS a query', ['from', 'as']);
  refuseEmit(cursor);
  if (early !== null) {
    const target = targetOf(early.table);
    const into = { into: 'table', intoAt: early.into.at, target };
    return { kind: 'createSink', name, ifNotExists, ...parsed, ...into, options: parseOptions(cursor), at };
  }
  cursor.expectWord('into');
  const into = cursor.token;
  if (into.kind !== 'word') throw cursor.expected('the kind of sink, such as ICEBERG');
  cursor.next();
  const target: Name[] = [];
  if (cursor.token.kind === 'word' || cursor.token.kind === 'quoted') {
    if (!cursor.isWord('with')) {
      target.push(cursor.name('the target'));
      while (cursor.takeSign('.')) target.push(cursor.name('the rest of the target'));
    }
  }
  return {
    kind: 'createSink',
    name,
    ifNotExists,
    ...parsed,
    into: into.text,
    intoAt: into.at,
    target,
    options: parseOptions(cursor),
    at,
  };
}
