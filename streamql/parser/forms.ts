import { StreamError } from '../../src/lib/errors.ts';
import type { Cursor } from './cursor.ts';

/** The form of each statement by its first words, the hint of a syntax error that has no better one. The longest beginning counts. */
export const FORMS: Readonly<Record<string, string>> = {
  '': 'SELECT, SUBSCRIBE, CREATE, ALTER, DROP, INSERT, UPDATE, DELETE, SHOW, DESCRIBE, EXPLAIN and FLUSH begin statements; ";" ends them',
  select:
    'SELECT … FROM … [WHERE …] [GROUP BY …] [HAVING …] [QUALIFY …] [UNION | INTERSECT | EXCEPT …] [ORDER BY …] [LIMIT n] [AS OF moment]',
  with: 'WITH name AS (SELECT …) SELECT … FROM name',
  values: 'VALUES (1, …), (2, …)',
  'create source':
    "CREATE SOURCE name (column type, …, WATERMARK FOR column AS column - INTERVAL '5 seconds') WITH (topic = '…', format = 'json')",
  'create table': "CREATE TABLE name (column type PRIMARY KEY, column type, …) [WITH (topic = '…')]",
  'create materialized': 'CREATE MATERIALIZED VIEW name AS SELECT …',
  'create or': 'CREATE OR REPLACE MATERIALIZED VIEW name AS SELECT …',
  'create sink':
    'CREATE SINK name FROM view INTO kind [WITH (…)], or CREATE SINK name AS SELECT … INTO kind [WITH (…)]',
  create: 'CREATE SOURCE | TABLE | MATERIALIZED VIEW | SINK name …',
  drop: 'DROP SOURCE | TABLE | MATERIALIZED VIEW | SINK [IF EXISTS] name [CASCADE]',
  show: 'SHOW SOURCES | TABLES | VIEWS | SINKS | TOPICS | PIPELINES | FUNCTIONS',
  describe: 'DESCRIBE name',
  desc: 'DESCRIBE name',
  explain: 'EXPLAIN [ANALYZE | STATE] SELECT …',
  flush: 'FLUSH',
  subscribe:
    'SUBSCRIBE [TO] view, or SUBSCRIBE (SELECT …) [ENVELOPE UPSERT | DEBEZIUM (KEY (column, …))] [WITH (SNAPSHOT = false, PROGRESS = true)] [AS OF epoch] [UP TO epoch] [EMIT PERIODIC interval]',
  insert: 'INSERT INTO table [(column, …)] VALUES (1, …), (2, …)',
  update: 'UPDATE table SET column = value, … [WHERE …]',
  delete: 'DELETE FROM table [WHERE …]',
};

/** Runs `parse` for a statement; a syntax error without a hint gets the form of what the statement begins as. No cursor: the text has no tokens. */
export function withForm<T>(cursor: Cursor | null, parse: () => T): T {
  const first = cursor?.pos ?? 0;
  try {
    return parse();
  } catch (thrown) {
    if (!(thrown instanceof StreamError) || thrown.code !== 'SQL_SYNTAX' || thrown.hint !== undefined) throw thrown;
    throw new StreamError(thrown.code, thrown.message, {
      at: thrown.at,
      hint: `the form is: ${formOf(cursor, first)}`,
    });
  }
}

function formOf(cursor: Cursor | null, first: number): string {
  const words: string[] = [];
  for (const token of cursor?.tokens.slice(first, first + 2) ?? []) if (token.kind === 'word') words.push(token.text);
  for (; words.length > 0; words.pop()) {
    const form = FORMS[words.join(' ')];
    if (form !== undefined) return form;
  }
  return FORMS[''];
}
