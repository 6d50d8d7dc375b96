import { afterAll, expect, test } from 'vitest';
import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { runTestFile } from '../../src/cli/sql-test/run-file.ts';
import { WAYS } from '../../src/cli/sql-test/ways.ts';

const analytics = new DuckDbAnalytics({ memoryLimitBytes: 256 * 2 ** 20 });
afterAll(() => analytics.close());

/** Lookup joins depend on the order of arrival, so no crash may bring rows again: one way only. */
test.each(WAYS.filter(({ crashes }) => !crashes))(
  'a lookup join shows what the table had when the row came: $name',
  async (way) => {
    const text = `
CREATE TABLE product (id BIGINT PRIMARY KEY, price BIGINT);
CREATE TABLE sale (id BIGINT PRIMARY KEY, product BIGINT);
CREATE MATERIALIZED VIEW sold AS
  SELECT s.id, p.price FROM sale s LEFT JOIN product FOR SYSTEM_TIME AS OF PROCTIME() AS p ON s.product = p.id;
INSERT INTO product VALUES (1, 10);
INSERT INTO sale VALUES (1, 1), (2, 2);
INSERT INTO product VALUES (1, 11), (2, 20);
INSERT INTO sale VALUES (3, 1);
DELETE FROM product WHERE id = 2;
DELETE FROM sale WHERE id = 1;
INSERT INTO sale VALUES (4, 2), (2, 1);

query
SELECT * FROM sold
----
2 | 11
3 | 11
4 | NULL

deltas sold
----
+ 1 | 10
+ 2 | NULL
+ 3 | 11
- 1 | 10
- 2 | NULL
+ 2 | 11
+ 4 | NULL
`;
    expect((await runTestFile(text, analytics, way)).failures).toEqual([]);
  },
);
