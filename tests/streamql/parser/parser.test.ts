import { describe, expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import type { CreateSink, CreateSource, CreateTable, CreateView, Subscribe } from '../../../streamql/parser/ast.ts';
import { parseExpression, parseScript, parseStatements } from '../../../streamql/parser/parser.ts';

function failure(text: string): { code: string; at: string; detail: string; hint: string } {
  try {
    parseStatements(text);
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    return {
      code: thrown.code,
      at: `${thrown.at?.line}:${thrown.at?.column}`,
      detail: thrown.message,
      hint: thrown.hint ?? '',
    };
  }
  throw new Error(`accepted: ${text}`);
}

describe('statements', () => {
  test('CREATE SOURCE with all its clauses', () => {
    const [source] =
      parseStatements(`create source "Bid" (a bigint not null, b varchar, ts timestamp(3), d decimal(10, 2)[],
      watermark for ts as ts - interval '4' second) with (topic = 'bid', format = json, 'scan.max' = -5, idle_timeout = '30s');`) as CreateSource[];
    expect(source.kind).toBe('createSource');
    expect(source.name.text).toBe('Bid');
    expect(source.columns.map((c) => [c.name.text, c.type.kind, c.notNull])).toEqual([
      ['a', 'bigint', true],
      ['b', 'varchar', false],
      ['ts', 'timestamp', false],
      ['d', 'array', false],
    ]);
    expect(source.watermark?.column.text).toBe('ts');
    expect(source.options.map((o) => `${o.name}=${o.value}`)).toEqual([
      'topic=bid',
      'format=json',
      'scan.max=-5',
      'idle_timeout=30s',
    ]);
  });

  test('CREATE TABLE takes one primary key, in either place', () => {
    const [a, b] = parseStatements(
      'CREATE TABLE a (x INT PRIMARY KEY, y TEXT); CREATE TABLE b (x INT, y TEXT, PRIMARY KEY (y, x))',
    ) as CreateTable[];
    expect(a.primaryKey.map((k) => k.text)).toEqual(['x']);
    expect(b.primaryKey.map((k) => k.text)).toEqual(['y', 'x']);
    expect(failure('CREATE TABLE a (x INT PRIMARY KEY, PRIMARY KEY (x))')).toMatchObject({
      code: 'SQL_SYNTAX',
      at: '1:36',
    });
  });

  test('a view and a sink know the text of their query', () => {
    const [view, sink, from] = parseStatements(
      `CREATE MATERIALIZED VIEW IF NOT EXISTS v (p, q) AS SELECT a, /* c */ b FROM t ; CREATE SINK k AS SELECT 1 AS x INTO ICEBERG w.bids WITH (mode = 'append');
       CREATE SINK k2 FROM v INTO ICEBERG`,
    ) as [CreateView, CreateSink, CreateSink];
    expect(view.queryText).toBe('SELECT a, /* c */ b FROM t');
    expect(view.columnNames.map((n) => n.text)).toEqual(['p', 'q']);
    expect([sink.queryText, sink.into, sink.target.map((n) => n.text)]).toEqual([
      'SELECT 1 AS x',
      'iceberg',
      ['w', 'bids'],
    ]);
    expect([from.queryText, from.target]).toEqual(['SELECT * FROM "v"', []]);
  });

  test('SUBSCRIBE in its forms', () => {
    const forms = parseStatements(
      `SUBSCRIBE v; SUBSCRIBE TO v WITH (SNAPSHOT = false); SUBSCRIBE TO (SELECT 1); SUBSCRIBE (SELECT 1 AS a)`,
    );
    expect(forms.map((s) => [(s as Subscribe).name?.text ?? null, (s as Subscribe).options.length])).toEqual([
      ['v', 0],
      ['v', 1],
      [null, 0],
      [null, 0],
    ]);
    expect(parseStatements('SELECT a FROM t EMIT CHANGES')).toMatchObject([
      { kind: 'query', emitChanges: true, queryText: 'SELECT a FROM t' },
    ]);
  });

  test('the other heads', () => {
    const kinds =
      parseStatements(`;; DROP MATERIALIZED VIEW IF EXISTS a, b CASCADE; SHOW VIEWS; show materialized views; DESCRIBE t; EXPLAIN ANALYZE SELECT 1;
      FLUSH; INSERT INTO t (a) VALUES (1), (2); INSERT INTO t SELECT * FROM s; UPDATE t SET a = a + 1 WHERE b; DELETE FROM t; VALUES (1); (SELECT 1)
      UNION ALL SELECT 2 ORDER BY 1 LIMIT 5 OFFSET 2 ROWS`).map((s) => s.kind);
    expect(kinds).toEqual([
      'drop',
      'show',
      'show',
      'describe',
      'explain',
      'flush',
      'insert',
      'insert',
      'update',
      'delete',
      'query',
      'query',
    ]);
  });

  test('parseScript gives each statement its own text', () => {
    expect(parseScript(" SELECT ';' ; -- c\n FLUSH").map(({ text }) => text)).toEqual(["SELECT ';'", 'FLUSH']);
  });

  test.each([
    "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) AS w",
    "SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND) w",
    "SELECT * FROM TUMBLE(t, ts, INTERVAL '10 seconds') w",
    "SELECT * FROM TUMBLE(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => INTERVAL '10' SECOND) w",
    "SELECT * FROM TABLE(TUMBLE(SIZE => INTERVAL '10' SECOND, TIMECOL => ts, DATA => t)) w",
  ])('windows in each call form: %s', (text) => {
    const expr = {
      kind: 'window',
      window: 'tumble',
      input: { kind: 'table', name: { text: 't' } },
      time: { text: 'ts' },
      alias: { name: { text: 'w' } },
    };
    expect(parseStatements(text)).toMatchObject([{ query: { body: { from: [expr] } } }]);
  });

  test.each([
    ["SESSION(TABLE t PARTITION BY a, b, DESCRIPTOR(ts), INTERVAL '1' MINUTE)", ['a', 'b']],
    ["SESSION(t PARTITION BY (a, b), ts, INTERVAL '1 minute')", ['a', 'b']],
    ["SESSION(t PARTITION BY a, b, ts, INTERVAL '1 minute')", ['a', 'b']],
    ["SESSION(t PARTITION BY a, ts, INTERVAL '1 minute')", ['a']],
    ["SESSION(t, DESCRIPTOR(ts), DESCRIPTOR(a), INTERVAL '1 minute')", ['a']],
    ["SESSION(t, ts, INTERVAL '1 minute')", []],
    ["SESSION(DATA => TABLE t PARTITION BY a, b, TIMECOL => DESCRIPTOR(ts), GAP => INTERVAL '1' MINUTE)", ['a', 'b']],
  ])('the keys of a session: %s', (call, keys) => {
    expect(parseStatements(`SELECT * FROM ${call}`)).toMatchObject([
      {
        query: {
          body: {
            from: [
              { window: 'session', partitionBy: keys.map((text) => ({ text })), time: { text: 'ts' }, intervals: [{}] },
            ],
          },
        },
      },
    ]);
  });

  test.each([
    ['CREATE MATERIALIZED VIEW v AS SELECT a FROM t EMIT ON WINDOW CLOSE', false, false],
    [
      "CREATE SINK k AS SELECT a FROM t EMIT AFTER WINDOW CLOSE WITH DELAY INTERVAL '1 s' INTO ICEBERG WITH (table = 'x')",
      true,
      false,
    ],
    [
      "SUBSCRIBE (SELECT a FROM t EMIT AFTER WINDOW CLOSE WITH DELAY INTERVAL '1 s' AND TIMEOUT INTERVAL '1 m')",
      true,
      true,
    ],
    ['CREATE SINK k AS SELECT a FROM t EMIT FINAL INTO ICEBERG', false, false],
  ])('what is emitted on close: %s', (text, delays, times) => {
    const some = (is: boolean) => (is ? {} : null);
    const [statement] = parseStatements(text);
    expect(statement).toMatchObject({ query: { emit: { delay: some(delays), timeout: some(times) } } });
    // The text that is stored says it too.
    expect((statement as { queryText: string }).queryText).toMatch(/EMIT/);
  });

  test('windows over a subquery, and HOP', () => {
    expect(parseStatements(`SELECT 1 FROM HOP((SELECT * FROM t), ts, INTERVAL '2 s', INTERVAL '10 s')`)).toMatchObject([
      { query: { body: { from: [{ window: 'hop', input: { kind: 'subquery' }, intervals: [{}, {}] }] } } },
    ]);
  });
});

describe('what is wrong has a place and a hint', () => {
  test.each([
    ['SELCT a FROM t', 'SQL_SYNTAX', '1:1', 'did you mean SELECT'],
    ['SELECT a FORM t', 'SQL_SYNTAX', '1:15', 'did you mean FROM'],
    ['SELECT a FROM t WEHRE a = 1', 'SQL_SYNTAX', '1:23', 'did you mean WHERE'],
    ['SELECT a\nFROM t GRUOP BY a', 'SQL_SYNTAX', '2:14', 'did you mean GROUP'],
    ['SELECT a, FROM t', 'SQL_SYNTAX', '1:11', 'remove the comma'],
    ["SELECT 'abc FROM t", 'SQL_SYNTAX', '1:8', "add a '"],
    ['SELECT (a + b FROM t', 'SQL_SYNTAX', '1:15', 'line 1, column 8'],
    ['SELECT a FROM t)', 'SQL_SYNTAX', '1:16', 'has no "("'],
    ['SELECT a FROM t; garbage', 'SQL_SYNTAX', '1:18', ''],
    ['SELECT `a` FROM t', 'SQL_SYNTAX', '1:8', 'double quotes'],
    ['SELECT a FROM order', 'SQL_SYNTAX', '1:15', 'reserved word'],
    ['SELECT 1a', 'SQL_SYNTAX', '1:8', ''],
    ['SELECT /* x', 'SQL_SYNTAX', '1:8', '*/'],
    ['SELECT a FROM t WHERE a < b < c', 'SQL_SYNTAX', '1:29', 'parentheses'],
    ['CREATE TABLE t (a BIGNT)', 'SQL_TYPE', '1:19', 'did you mean BIGINT'],
    ['CREATE TABLE t (a DECIMAL)', 'SQL_TYPE', '1:19', 'DECIMAL(18, 2)'],
    ['CREATE TABLE t (a VARCHAR(20))', 'SQL_UNSUPPORTED', '1:19', 'leave it out'],
    ['SELECT a::timestamp(3) FROM t', 'SQL_UNSUPPORTED', '1:11', 'date_trunc'],
    ['SELECT a FROM t EMIT BATCHED 5', 'SQL_UNSUPPORTED', '1:17', 'EMIT ON WINDOW CLOSE'],
    ['CREATE MATERIALIZED VIEW v AS SELECT a FROM t EMIT PERIODIC 5', 'SQL_UNSUPPORTED', '1:47', 'SUBSCRIBE'],
    ['SELECT a FROM (SELECT a FROM t EMIT FINAL) x', 'SQL_SYNTAX', '1:32', ''],
    ["SELECT * FROM TUMBLE(t PARTITION BY a, ts, INTERVAL '2 s')", 'SQL_UNSUPPORTED', '1:24', 'group by'],
    ["SELECT * FROM TUMBLE(DATA => TABLE t, SIZE => INTERVAL '1 s')", 'SQL_SYNTAX', '1:22', ''],
    ["SELECT * FROM TUMBLE(DATA => TABLE t, GAP => INTERVAL '1 s')", 'SQL_SYNTAX', '1:39', 'TIMECOL, SIZE'],
    ['SELECT * FROM t MATCH_RECOGNIZE (x)', 'SQL_SYNTAX', '1:34', ''],
    ['SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a) DEFIN a AS x)', 'SQL_SYNTAX', '1:46', 'DEFINE'],
    ['SELECT * FROM t MATCH_RECOGNIZE (PATTERN (a +*))', 'SQL_SYNTAX', '1:46', ''],
    ['SELECT * FROM a ASOF FULL JOIN b ON true', 'SQL_UNSUPPORTED', '1:22', ''],
    ['SELECT * FROM t FOR UPDATE', 'SQL_UNSUPPORTED', '1:17', 'locks'],
    ['CREATE VIEW v AS SELECT 1', 'SQL_UNSUPPORTED', '1:8', 'MATERIALIZED'],
    ['ALTER TABLE t ADD x INT', 'SQL_UNSUPPORTED', '1:15', 'DROP'],
    ['', 'none', '', ''],
  ])('%s', (text, code, at, hint) => {
    if (code === 'none') return expect(parseStatements(text)).toEqual([]);
    const found = failure(text);
    expect([found.code, found.at]).toEqual([code, at]);
    expect(found.hint).toContain(hint);
  });
});

describe('limits', () => {
  test('long chains of AND are fine, deep nesting is refused, nothing overflows', () => {
    const chain = (n: number, op: string) => Array.from({ length: n }, (_, i) => `a = ${i}`).join(op);
    expect(parseStatements(`SELECT 1 FROM t WHERE ${chain(4000, ' AND ')}`)).toHaveLength(1);
    for (const text of [
      `SELECT ${'('.repeat(200)}1${')'.repeat(200)}`,
      `SELECT ${'('.repeat(30_000)}`,
      `SELECT ${'- '.repeat(20_000)}1`,
      `SELECT ${'NOT '.repeat(15_000)}a`,
      `SELECT a${'+a'.repeat(20_000)}`,
      `SELECT a${'::int'.repeat(5000)}`,
      `SELECT ${'f('.repeat(10_000)}`,
      `SELECT ${'CASE WHEN '.repeat(5000)}`,
      `${'EXPLAIN '.repeat(5000)} SELECT 1`,
      `SELECT 1${' UNION SELECT 1'.repeat(4000)}`,
      `SELECT * FROM ${'('.repeat(30_000)}`,
      `SELECT * FROM a${' JOIN a'.repeat(9000)}`,
      `SELECT ${'('.repeat(90)}a${`${'+a'.repeat(300)})`.repeat(90)}`,
      ' '.repeat(70_000),
    ]) {
      expect(failure(text).code).toMatch(/^SQL_(?:LIMIT|SYNTAX|UNSUPPORTED)$/);
    }
  });

  test('time is linear: nested calls and CASEs', () => {
    const nested = (open: string, close: string) => `${open.repeat(40)}1${close.repeat(40)}`;
    expect(parseExpression(nested('f(', ')')).kind).toBe('call');
    expect(parseExpression(nested('CASE WHEN a THEN ', ' END')).kind).toBe('case');
  });
});

test('numbers keep their digits', () => {
  expect(parseExpression('0.1000000000000000000001')).toMatchObject({
    kind: 'number',
    text: '0.1000000000000000000001',
  });
});
