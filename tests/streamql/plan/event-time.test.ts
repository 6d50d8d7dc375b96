import { expect, test } from 'vitest';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import type { CreateView } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { timeBoundsOf } from '../../../streamql/plan/event-time.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalogOf } from '../catalog.ts';

const CATALOG = catalogOf(`
  CREATE SOURCE bid (auction BIGINT, price BIGINT, at TIMESTAMP, WATERMARK FOR at AS at - INTERVAL '4 seconds') WITH (late = 'drop');
  CREATE SOURCE sale (auction BIGINT, price BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts);
  CREATE SOURCE plain (auction BIGINT, price BIGINT, at TIMESTAMP);
  CREATE TABLE product (id BIGINT PRIMARY KEY, at TIMESTAMP)`);

/** `column lag in seconds`, with ? where late rows may break it. */
function bounds(sql: string): string {
  const [statement] = parseStatements(`CREATE MATERIALIZED VIEW v AS ${sql}`) as CreateView[];
  const plan = optimize(bindQuery(statement.query, CATALOG, { mode: 'view' }).plan);
  return [...timeBoundsOf(plan)]
    .map(([column, { lagMicros, firm }]) => `${plan.schema[column].name} ${lagMicros / 1e6}${firm ? '' : '?'}`)
    .join(', ');
}

const TUMBLE = "TUMBLE(bid, at, INTERVAL '10 seconds')";
const SALES = "TUMBLE(sale, ts, INTERVAL '10 seconds')";

test.each([
  ['SELECT at, price FROM bid WHERE price > 1', 'at 0'],
  ['SELECT ts FROM sale', 'ts 0?'],
  ['SELECT at FROM plain', ''],
  ['SELECT at FROM product', ''],
  ['SELECT price FROM bid', ''],
  [
    "SELECT at - INTERVAL '1 minute' AS a, INTERVAL '1 second' + at AS b, at - INTERVAL '1 month' AS c FROM bid",
    'a 60, b -1',
  ],
  [
    "SELECT CAST(at AS TIMESTAMPTZ) AS a, CAST(at AS DATE) AS b, date_trunc('minute', at) AS c FROM bid",
    'a 0, c 59.999999',
  ],
  [`SELECT * FROM ${TUMBLE}`, 'at 0, window_start 9.999999, window_end -0.000001, window_time 0.000999'],
  [`SELECT window_end, count(*) FROM ${TUMBLE} GROUP BY window_end`, 'window_end -0.000001'],
  ['SELECT auction, max(at) FROM bid GROUP BY auction', ''],
  ['SELECT DISTINCT at, auction FROM bid', 'at 0'],
  ['SELECT at, sum(price) OVER (PARTITION BY auction ORDER BY at) AS s FROM bid', 'at 0'],
  ['SELECT at, lag(price) OVER (ORDER BY at, price), row_number() OVER (ORDER BY at, price) FROM bid', 'at 0'],
  [
    "SELECT at, count(*) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND INTERVAL '5 seconds' FOLLOWING) AS n FROM bid",
    'at 5',
  ],
  ['SELECT at, count(*) OVER (ORDER BY at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS n FROM bid', ''],
  ['SELECT at, lead(price) OVER (PARTITION BY auction ORDER BY at) AS l FROM bid', ''],
  ['SELECT at, ntile(2) OVER (ORDER BY at) AS l FROM bid', ''],
  ['SELECT at, sum(price) OVER (PARTITION BY auction) AS s FROM bid', ''],
  ['SELECT at, rank() OVER (ORDER BY at DESC) AS r FROM bid', ''],
  ['SELECT at, rank() OVER (ORDER BY at NULLS FIRST) AS r FROM bid', ''],
  ['SELECT at, rank() OVER (ORDER BY price, at) AS r FROM bid', ''],
  ['SELECT DISTINCT ON (auction) auction, at FROM bid ORDER BY auction, at', 'at 0'],
  ['SELECT DISTINCT ON (auction) auction, at FROM bid ORDER BY auction, at DESC', ''],
  ['SELECT at, auction FROM bid UNION ALL SELECT ts, price FROM sale', 'at 0?'],
  ['SELECT at, auction FROM bid UNION ALL SELECT at, price FROM plain', ''],
  ['SELECT at FROM bid EXCEPT SELECT ts FROM sale', 'at 0?'],
  ['SELECT b.at, s.ts FROM bid b JOIN sale s ON b.auction = s.auction', ''],
  ['SELECT b.at FROM bid b JOIN product p ON b.auction = p.id', ''],
  [
    `SELECT b.window_end AS a, s.window_start AS b FROM ${TUMBLE} b JOIN ${SALES} s
      ON b.window_start = s.window_start AND b.window_end = s.window_end AND b.auction = s.auction`,
    'a -0.000001?, b 9.999999?',
  ],
  [`SELECT b.window_end AS a FROM ${TUMBLE} b LEFT JOIN ${SALES} s ON b.window_end = s.window_end`, 'a -0.000001?'],
  [
    `SELECT b.at, s.ts FROM bid b JOIN sale s ON b.auction = s.auction
      AND s.ts BETWEEN b.at - INTERVAL '5 seconds' AND b.at + INTERVAL '1 hour'`,
    'at 3600?, ts 5?',
  ],
  ['SELECT b.at, s.ts FROM bid b JOIN sale s ON b.auction = s.auction AND s.ts >= b.at', 'ts 0?'],
  [
    `SELECT window_end, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY price) AS n FROM ${TUMBLE})
      WHERE n <= 3`,
    'window_end -0.000001',
  ],
  [`SELECT window_end, price FROM ${TUMBLE} ORDER BY price LIMIT 3`, ''],
])('%s', (sql, expected) => {
  expect(bounds(sql)).toBe(expected);
});
