import type { Position } from '../../src/lib/errors.ts';
import type { AstExpr, Envelope, Name, Query, Statement } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseOptions } from './options.ts';
import { parseOrderBy, parsePrimary } from './primaries.ts';
import { parseNames } from './queries.ts';
import { parseQueryWithText, queryOfName } from './statements.ts';

/** SUBSCRIBE [TO] name | (query) [ENVELOPE … | WITHIN TIMESTAMP ORDER BY …] [WITH (…)] [AS OF e] [UP TO e] [EMIT PERIODIC i]. */
export function parseSubscribe(cursor: Cursor, at: Position): Statement {
  cursor.next();
  cursor.takeWord('to');
  let name: Name | null = null;
  let parsed: { query: Query; queryText: string };
  if (cursor.isSign('(')) parsed = cursor.parenthesized(() => parseQueryWithText(cursor));
  else if (cursor.isWord('select') || cursor.isWord('with')) parsed = parseQueryWithText(cursor);
  else {
    name = cursor.objectName('a view, table or source, or a query in parentheses');
    parsed = queryOfName(name);
  }
  const early = parseEnvelope(cursor);
  const options = parseOptions(cursor);
  const asOf = cursor.takeWord('as', 'of') ? parseEpoch(cursor) : null;
  const upTo = cursor.takeWord('up', 'to') ? parseEpoch(cursor) : null;
  const envelope = early ?? parseEnvelope(cursor);
  const periodic = parsePeriodic(cursor);
  return { kind: 'subscribe', name, ...parsed, envelope, options, asOf, upTo, periodic, at };
}

function parseEnvelope(cursor: Cursor): Envelope | null {
  const { at } = cursor;
  if (cursor.takeWord('within', 'timestamp')) {
    if (!cursor.isWord('order')) throw cursor.expected('ORDER BY', ['order']);
    return { kind: 'order', orderBy: parseOrderBy(cursor), at };
  }
  if (!cursor.takeWord('envelope')) return null;
  const kind = cursor.takeWord('upsert') ? 'upsert' : cursor.takeWord('debezium') ? 'debezium' : null;
  if (kind === null) throw cursor.expected('UPSERT or DEBEZIUM', ['upsert', 'debezium']);
  return { kind, key: cursor.parenthesized(() => parseKey(cursor)), at };
}

function parseKey(cursor: Cursor): readonly Name[] {
  cursor.expectWord('key');
  return parseNames(cursor);
}

function parseEpoch(cursor: Cursor): number {
  const { kind, text } = cursor.token;
  if (kind !== 'number' || !/^\d{1,15}$/.test(text)) throw cursor.expected('the number of an epoch');
  cursor.next();
  return Number(text);
}

export const parsePeriodic = (cursor: Cursor): AstExpr | null =>
  cursor.takeWord('emit', 'periodic') ? parsePrimary(cursor) : null;
