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
  'create function':
    'CREATE FUNCTION name (parameter type, …) RETURNS type | TABLE (column type, …) LANGUAGE js | wasm | sql AS $$ … $$',
  'create aggregate': 'CREATE AGGREGATE name (parameter type) RETURNS type LANGUAGE js | wasm AS $$ … $$',
  'create subscription': "CREATE SUBSCRIPTION name FROM view | AS SELECT … [WITH (retention = '1d')]",
  'create index': 'CREATE INDEX [name] ON view (column, …)',
  'create schema': 'CREATE SCHEMA [IF NOT EXISTS] name',
  create:
    'CREATE SOURCE | TABLE | MATERIALIZED VIEW | SINK | SUBSCRIPTION | FUNCTION | AGGREGATE | INDEX | SCHEMA name …',
  alter:
    'ALTER SOURCE | TABLE | MATERIALIZED VIEW | SINK name RENAME TO other, or ALTER MATERIALIZED VIEW name SWAP WITH other | SET (option = value)',
  pause: 'PAUSE SOURCE | TABLE | MATERIALIZED VIEW | SINK | SUBSCRIPTION name',
  resume: 'RESUME SOURCE | TABLE | MATERIALIZED VIEW | SINK | SUBSCRIPTION name',
  replay: 'REPLAY FROM view$errors',
  verify: 'VERIFY VIEW name [LIMIT n]',
  set: "SET search_path = schema, …, or SET dialect = 'name'",
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

/** Of constructs that are long enough to get lost in. */
export const MATCH_FORM =
  'MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts MEASURES a.x AS first, … [ONE ROW | ALL ROWS] PER MATCH AFTER MATCH SKIP … PATTERN (a b+) [WITHIN interval] DEFINE b AS …)';
export const WINDOW_FORMS = {
  tumble: "TUMBLE(t, ts, INTERVAL '10 seconds' [, offset])",
  hop: "HOP(t, ts, INTERVAL '2 seconds', INTERVAL '10 seconds' [, offset]): the slide, then the size",
  cumulate: "CUMULATE(t, ts, INTERVAL '10 seconds', INTERVAL '1 minute' [, offset]): the step, then the size",
  session: "SESSION(t PARTITION BY k, ts, INTERVAL '1 minute')",
} as const;

/** Runs `parse` for a construct; a syntax error within it that has no better hint gets its form. */
export function inForm<T>(form: string, parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    throw hinted(thrown, form);
  }
}

/** Runs `parse` for a statement; a syntax error without a hint gets the form of what the statement begins as. No cursor: the text has no tokens. */
export function withForm<T>(cursor: Cursor | null, parse: () => T): T {
  const first = cursor?.pos ?? 0;
  try {
    return parse();
  } catch (thrown) {
    throw hinted(thrown, formOf(cursor, first));
  }
}

function hinted(thrown: unknown, form: string): unknown {
  if (!(thrown instanceof StreamError) || thrown.code !== 'SQL_SYNTAX' || thrown.hint !== undefined) return thrown;
  return new StreamError(thrown.code, thrown.message, { at: thrown.at, hint: `the form is: ${form}` });
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
