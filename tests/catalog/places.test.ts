import { afterAll, beforeAll, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { StreamError } from '../../src/lib/errors.ts';
import { SqlRig } from './sql-rig.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 * 2 ** 20 });
let rig: SqlRig;

beforeAll(async () => {
  rig = await SqlRig.open(analytics);
  await rig.run(`
    CREATE TABLE t (id INT PRIMARY KEY, k TEXT, v BIGINT NOT NULL);
    CREATE TABLE t2 (id INT PRIMARY KEY, v BIGINT);
    CREATE SOURCE o (k TEXT, at TIMESTAMP) WITH (topic = 'o');
    CREATE MATERIALIZED VIEW w AS SELECT k, count(*) AS n FROM t GROUP BY k;
    CREATE SINK into_t2 AS SELECT id, v FROM t INTO TABLE t2;
    INSERT INTO t VALUES (1, 'a', 9223372036854775807); FLUSH`);
});
afterAll(async () => {
  await rig.close();
  await analytics.close();
});

/** `»` stands before what the error points at; without it there is no one place. */
test.each([
  ['OPTION_INVALID', "CREATE SOURCE s (a INT) WITH (topic = 's', »idle_timeout = 'soon')", /is not a duration/],
  ['OPTION_INVALID', "CREATE SOURCE s (a INT) WITH (topic = 's', »max_drift = '1s')", /WATERMARK/],
  ['OPTION_INVALID', "CREATE TABLE s (a INT PRIMARY KEY) WITH (topic = 's', »partitions = 'many')", /whole number/],
  ['OPTION_INVALID', "CREATE MATERIALIZED VIEW x WITH (»max_state = 'big') AS SELECT * FROM t", /is not a size/],
  ['OPTION_INVALID', "CREATE SINK x FROM o INTO TOPIC y WITH (format = 'json', »mode = 'sideways')", /mode/],
  ['SQL_BIND', 'CREATE SINK x AS SELECT id, »k FROM t INTO TABLE t2', /no column "k"/],
  ['SQL_BIND', 'CREATE SINK x FROM w INTO TABLE »t2', /no column "k"/],
  ['SQL_UNSUPPORTED', 'CREATE SINK x FROM w INTO »NOWHERE', /no sink INTO NOWHERE/],
  ['VALUE_DOMAIN', "INSERT INTO t VALUES (2, 'x', 1), (3, 'x', »NULL)", /"v" of "t" is NOT NULL/],
  ['VALUE_DOMAIN', 'INSERT INTO t (v, id) VALUES (1, »NULL)', /"id" of "t" is NOT NULL/],
  ['VALUE_DOMAIN', "INSERT INTO »t (id, k) VALUES (3, 'x')", /"v" of "t" is NOT NULL/],
  ['VALUE_DOMAIN', 'INSERT INTO t (id, k, »v) SELECT id + 5, k, NULL FROM t', /"v" of "t" is NOT NULL/],
  ['VALUE_DOMAIN', 'UPDATE t SET k = NULL, v = »NULL', /"v" of "t" is NOT NULL/],
  ['SQL_BIND', 'CREATE FUNCTION f(x INT) RETURNS INT LANGUAGE js AS »$$ return ( $$', /does not run/],
  ['SQL_UNSUPPORTED', 'CREATE FUNCTION f(x INT) RETURNS »MAP(VARCHAR, INT) LANGUAGE js AS $$ return x $$', /map/],
  ['SQL_UNSUPPORTED', "CREATE FUNCTION f(»x DATE) RETURNS INT LANGUAGE wasm AS 'AA=='", /date/],
  ['SQL_UNSUPPORTED', 'SELECT * FROM w AS OF »12345', /keeps no history/],
  ['SQL_UNSUPPORTED', 'VERIFY VIEW »t', /is a table: only views can be verified/],
  ['SQL_UNSUPPORTED', 'VERIFY VIEW »into_t2', /is a sink: only views can be verified/],
  ['IN_USE', 'DROP TABLE »t2', /^"t2" is written by the sink "into_t2"$/],
  ['IN_USE', 'DROP TABLE »t', /^"t" is read by "w", "into_t2"$/],
  [
    'SQL_SYNTAX',
    'SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY k »MEASURES A.v AS x PATTERN (A) DEFINE A AS v > 1)',
    /ORDER BY/,
  ],
  ['SQL_BIND', "SELECT * FROM t PIVOT (sum(v) FOR k IN ('a', 'b', »'a'))", /two columns the name "a"/],
  ['SQL_BIND', "SELECT * FROM t PIVOT (sum(v) FOR k IN ('a', »'b' AS id))", /two columns the name "id"/],
  ['SQL_UNSUPPORTED', 'CREATE MATERIALIZED VIEW x AS SELECT »current_user AS u, k FROM t', /is of a session/],
  ['OPTION_INVALID', "SELECT »current_setting('nothing')", /no setting/],
  ['VALUE_OVERFLOW', 'SELECT v + 1 FROM t', /^the result is out of range for bigint$/],
  ['VALUE_OVERFLOW', 'SELECT v::smallint FROM t', /^9223372036854775807 is out of range for smallint$/],
  ['VALUE_OVERFLOW', 'SELECT v::numeric(5,2) FROM t', /^9223372036854775807 is out of range for numeric\(5,2\)$/],
  ['VALUE_DOMAIN', "SELECT * FROM t WHERE k »~ '('", /missing closing \): `\(`$/],
])('%s: %s', async (code, marked, message) => {
  const place = marked.indexOf('»');
  const thrown = await rig.run(marked.replace('»', '')).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(StreamError);
  const { code: its, message: said, at } = thrown as StreamError;
  expect([its, at === undefined ? -1 : at.column - 1]).toEqual([code, place]);
  expect(said).toMatch(message);
});

test('what a session is can be asked for anywhere in a query', async () => {
  const facts =
    "version() AS a, current_user AS b, pg_catalog.current_schema() AS c, current_schema AS d, current_setting('search_path') AS e";
  const [row] = await rig.rows(`SELECT ${facts}, count(*) AS n FROM t WHERE current_database() = 'streamline'`);
  expect(row).toMatchObject({ b: 'streamline', c: 'public', d: 'public', e: 'public', n: 1 });
  expect(row['a']).toMatch(/^PostgreSQL 15\.0 \(Streamline /);
});

test('the warning of a lookup join names the stream', async () => {
  const result = await rig.run(
    'CREATE MATERIALIZED VIEW seen AS SELECT o.k, t.v FROM o JOIN t FOR SYSTEM_TIME AS OF PROCTIME() ON o.k = t.k',
  );
  expect(result.kind === 'ok' && result.warnings?.map((one) => one.message)).toEqual([
    'state without bound: the view keeps a row for every row of o',
  ]);
});
