import { expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { catalogOf } from '../catalog.ts';

const catalog = {
  ...catalogOf(`CREATE SOURCE sale (id BIGINT, currency VARCHAR, amount DECIMAL(10, 2), at TIMESTAMP);
    CREATE TABLE rate (currency VARCHAR PRIMARY KEY, factor DECIMAL(8, 4))`),
  functionNames: () => ['discounted'],
};

/** What a user who comes from elsewhere writes: the place of the error and the step that the hint names. */
test.each([
  ['SELECT cuont(*) FROM sale', '1:8', 'did you mean "count"?'],
  ['SELECT discountd(amount) FROM sale', '1:8', 'did you mean "discounted"?'],
  ["SELECT listagg(currency, ',') FROM sale", '1:8', 'write string_agg(text, delimiter ORDER BY …)'],
  ["SELECT id FROM sale WHERE currency == 'EUR'", '1:36', 'write a = b'],
  ['SELECT id FROM sale WHERE currency = "EUR"', '1:38', "a text is written in single quotes: 'EUR'"],
  [
    'SELECT amount * 2 AS twice FROM sale WHERE twice > 5',
    '1:44',
    '"twice" is named in the SELECT list, which comes after WHERE',
  ],
  ['SELECT currency, sum(id) AS s FROM sale GROUP BY currency HAVING s > 5', '1:66', 'comes after HAVING'],
  [
    'WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r',
    '1:52',
    'write WITH RECURSIVE r AS',
  ],
  ['SELECT currency FROM sale GROUP currency', '1:33', 'write GROUP BY'],
  ['SELECT currency FROM sale GROUP BY GROUPING SET ((currency), ())', '1:45', 'did you mean SETS'],
  ['SELECT * FROM sale s JOIN rate r WHERE s.currency = r.currency', '1:34', 'a JOIN b USING (k)'],
  [
    'SELECT * FROM sale s ASOF JOIN rate r USING (currency)',
    '1:39',
    'a ASOF [LEFT] JOIN b ON a.k = b.k AND a.ts >= b.ts',
  ],
  [
    'SELECT * FROM sale s JOIN rate FOR SYSTEM_TIME AS s.at r ON s.currency = r.currency',
    '1:51',
    'table FOR SYSTEM_TIME AS OF time',
  ],
  ["SELECT count(*) FROM TUMBLE(sale, INTERVAL '1 minute', at)", '1:35', 'TUMBLE(t, ts,'],
  ["SELECT count(*) FROM SESSION(sale PARTITION currency, at, INTERVAL '1 minute')", '1:45', 'write PARTITION BY'],
  [
    'SELECT currency, count(*) FROM sale WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY currency',
    '1:44',
    "SET dialect = 'ksql'",
  ],
  ['SELECT sum(id) OVER (ORDER BY at RANGE 5 PRECEDING) FROM sale', '1:40', "write INTERVAL '5 seconds'"],
  ["SELECT sum(id) OVER (ORDER BY at ROWS INTERVAL '5 seconds' PRECEDING) FROM sale", '1:39', 'write RANGE'],
  [
    'SELECT sum(id) OVER (ORDER BY at ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM sale',
    '1:34',
    'write the earlier end first',
  ],
  ["SELECT id FROM sale WHERE currency ~ '(a'", '1:36', 'RE2'],
  ["SELECT date_trunc('dya', at) FROM sale", '1:8', 'there are microsecond'],
  ["SELECT 'x'::int", '1:11', "one is written '42'"],
  ["SELECT * FROM TUMBLE(sale, at, INTERVAL '7 secnds')", '1:32', "one is written '10 seconds'"],
  [
    'SELECT * FROM sale MATCH_RECOGNIZE (ORDER BY at MEASURES a.id PATTERN (a b))',
    '1:63',
    'MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts',
  ],
  [
    'SELECT * FROM sale MATCH_RECOGNIZE (ORDER BY at PATTERN (a b) MEASURES a.id AS x)',
    '1:63',
    'MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts',
  ],
])('%s', (sql, at, hint) => {
  try {
    const [statement] = parseStatements(sql);
    if (statement?.kind === 'query') bindQuery(statement.query, catalog, { mode: 'view' });
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    expect({ at: `${thrown.at?.line}:${thrown.at?.column}`, hint: thrown.hint }).toEqual({
      at,
      hint: expect.stringContaining(hint),
    });
    return;
  }
  expect.unreachable('it was accepted');
});

/** Statements beside queries: the parser's words. */
test.each([
  ['PAUSE v', '1:7', 'PAUSE SOURCE | TABLE | MATERIALIZED VIEW'],
  ['CREATE FUNCTION f(x INT) LANGUAGE js AS $$ return x $$', '1:26', 'RETURNS type'],
  ['CREATE STREAM s (id INT)', '1:8', "SET dialect = 'ksql'"],
  [
    'CREATE SOURCE s (id BIGINT, ts AS to_timestamp(id))',
    '1:32',
    'TIMESTAMP columns read texts and whole milliseconds',
  ],
])('%s', (sql, at, hint) => {
  expect(() => parseStatements(sql)).toThrow(
    expect.objectContaining({
      hint: expect.stringContaining(hint),
      at: expect.objectContaining({ column: Number(at.split(':')[1]) }),
    }),
  );
});
