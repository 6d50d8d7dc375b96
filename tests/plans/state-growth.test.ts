import { expect, test } from 'vitest';
import { bindQuery } from '../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import { unboundedStates } from '../../streamql/plan/state-growth.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { catalogOf, NEXMARK_DDL } from '../streamql/catalog.ts';

const catalog = catalogOf(`${NEXMARK_DDL}; CREATE TABLE product (id BIGINT, name VARCHAR, PRIMARY KEY (id))`);

const reasons = (sql: string): string[] => {
  const { query } = parseStatements(sql)[0] as QueryStatement;
  const plan = optimize(bindQuery(query, catalog, { mode: 'view' }).plan);
  return unboundedStates(plan, true).map(({ reason, fix }) => {
    expect(fix).not.toBe('');
    return reason;
  });
};

test.each([
  ['SELECT count(*) FROM bid', []],
  ['SELECT auction, max(price) FROM bid GROUP BY auction', []],
  ['SELECT name, count(*) FROM product GROUP BY name', []],
  ['SELECT * FROM product', []],
  ['SELECT p.name, q.id FROM product p JOIN product q ON p.id = q.id', []],
  ['SELECT auction, price FROM bid ORDER BY price DESC LIMIT 10', []],
  ['SELECT price FROM bid', ['the view keeps a row for every row of bid']],
  [
    'SELECT b.price, a.id FROM bid b JOIN auction a ON a.id = b.auction',
    ['keeps every row of bid and of auction: the join has no time bound'],
  ],
  [
    "SELECT b.price FROM bid b JOIN auction a ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL '1 hour'",
    ['keeps every row of bid and of auction: late rows may still meet any of them'],
  ],
  ["SELECT price FROM bid WHERE date_time > now() - INTERVAL '1 hour'", []],
  ["SELECT price FROM bid WHERE date_time < now() - INTERVAL '1 hour'", ['the view keeps a row for every row of bid']],
  [
    'SELECT b.price FROM bid b JOIN product p ON p.id = b.auction',
    ['keeps every row of bid: the join has no time bound'],
  ],
  ['SELECT DISTINCT bidder, auction FROM bid', ['keeps every distinct row of bid']],
  ['SELECT count(DISTINCT bidder) FROM bid', ['keeps every distinct value of count(DISTINCT …) in each group']],
  ['SELECT auction, array_agg(price) FROM bid GROUP BY auction', ['keeps every value that array_agg sees']],
  [
    'SELECT price, sum(price) OVER (PARTITION BY auction ORDER BY date_time) FROM bid',
    ['keeps every row of bid for its window functions'],
  ],
  [
    "SELECT date_trunc('minute', date_time), count(*) FROM bid GROUP BY 1",
    ['keeps one entry for every "expr_0", which ever new values come for'],
  ],
  ['SELECT count(*) FROM product p CROSS JOIN (SELECT max(id) AS top FROM product) m', []],
  ['SELECT count(*) FROM product p, generate_series(1, 12) AS n', []],
  ['SELECT count(*) FROM product p JOIN (VALUES (1), (2)) AS v(n) ON p.id > v.n', []],
  [
    'SELECT count(*) FROM product p, product q',
    [
      'pairs every row of product with every row of product: no equality says which, and neither side is known to have few rows',
    ],
  ],
  [
    'SELECT count(*) FROM product p LEFT JOIN product q ON p.id > q.id',
    [
      'pairs every row of product with every row of product: no equality says which, and neither side is known to have few rows',
    ],
  ],
  ['SELECT price FROM bid INTERSECT SELECT id FROM auction', ['keeps every distinct row of bid, auction']],
])('%s', (sql, expected) => {
  expect(reasons(sql)).toEqual(expected);
});
