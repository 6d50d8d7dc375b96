import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './root.ts';

const folder = join(root, 'tests/nexmark');

export const TOPICS = ['person', 'auction', 'bid'] as const;
export type Topic = (typeof TOPICS)[number];
export const QUERIES = [
  'q0',
  'q1',
  'q2',
  'q3',
  'q4',
  'q5',
  'q6',
  'q7',
  'q8',
  'q9',
  'q10',
  'q11',
  'q12',
  'q13',
  'q14',
  'q15',
  'q16',
  'q17',
  'q18',
  'q19',
  'q20',
  'q21',
  'q22',
] as const;
/** Those whose rows are known from elsewhere. */
export const EXPECTED = ['q0', 'q1', 'q2', 'q3', 'q4', 'q5', 'q7', 'q8', 'q9', 'q17', 'q18'] as const;

/** The streams, and the table that q13 looks up. */
export const SOURCES = `
CREATE SOURCE person (id BIGINT, name VARCHAR, email_address VARCHAR, credit_card VARCHAR, city VARCHAR, state VARCHAR,
  date_time TIMESTAMP, extra VARCHAR, WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'person', format = 'json');
CREATE SOURCE auction (id BIGINT, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP,
  expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'auction', format = 'json');
CREATE SOURCE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') WITH (topic = 'bid', format = 'json');
CREATE TABLE side_input (key BIGINT PRIMARY KEY, value VARCHAR);
INSERT INTO side_input SELECT k, 'value ' || k FROM generate_series(0, 9999) AS side(k);`;

export const records = (topic: Topic): string[] =>
  readFileSync(join(folder, 'data', `${topic}.ndjson`), 'utf8')
    .trim()
    .split('\n');

export const queryText = (query: string): string =>
  readFileSync(join(folder, 'queries', `${query}.sql`), 'utf8')
    .trim()
    .replace(/;$/, '');

/** The expected rows as sorted lines, numbers in their shortest form. */
export const expectedLines = (query: string): string[] =>
  readFileSync(join(folder, 'expected', `${query}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => normal(line))
    .sort();

/** Rows as POST /api/v1/sql gives them, in the same form as the expected lines. */
export const actualLines = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => normal(row.map((value) => isoToSql(String(value))).join(' '))).sort();

const isoToSql = (text: string): string => text.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)Z$/, '$1 $2');

/** White space folded; trailing zeros of decimals and of fractions of a second dropped, and digits after the point beyond the tenth, of which engines give more or fewer. */
export const normal = (line: string): string =>
  line
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/(\.\d{10})\d+/g, '$1')
    .replace(/(\d+\.\d*?)0+(?=\s|$)/g, '$1')
    .replace(/(\d)\.(?=\s|$)/g, '$1');
