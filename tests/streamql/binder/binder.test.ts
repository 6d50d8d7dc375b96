import { describe, expect, test } from 'vitest';
import { StreamError } from '../../../src/lib/errors.ts';
import { typeName } from '../../../src/values/types.ts';
import { bindQuery } from '../../../streamql/binder/binder.ts';
import { bindColumns, bindWatermark } from '../../../streamql/binder/ddl.ts';
import { bindDelete, bindInsert, bindUpdate } from '../../../streamql/binder/dml.ts';
import type { CreateSource, Delete, Insert, QueryStatement, Update } from '../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../streamql/parser/parser.ts';
import { explainPlan } from '../../../streamql/plan/explain.ts';
import type { Plan } from '../../../streamql/plan/plan.ts';
import { optimize } from '../../../streamql/rules/optimize.ts';
import { catalogOf, NEXMARK_DDL } from '../catalog.ts';
import { type Row, runPlan } from '../reference.ts';

const catalog = catalogOf(`${NEXMARK_DDL};
  CREATE TABLE product (id BIGINT PRIMARY KEY, name VARCHAR, price DECIMAL(10, 2), made DATE);
  CREATE TABLE part (product BIGINT, no INT, ok BOOLEAN, PRIMARY KEY (product, no))`);
const hidden = ['t', 0, 0, 0, null, '[]'];
const product: Row[] = [
  [1, 'pen', 150, 10, ...hidden],
  [2, 'ink', 999, null, ...hidden],
  [3, null, null, 30, ...hidden],
];
const part: Row[] = [
  [1, 1, true, ...hidden],
  [1, 2, false, ...hidden],
  [3, 1, null, ...hidden],
];
const tables = (id: string): Row[] => (id === 'product' ? product : id === 'part' ? part : []);

const bind = (sql: string, mode: 'view' | 'pull' = 'pull', params: unknown[] = []) => {
  const [statement] = parseStatements(sql);
  return bindQuery((statement as QueryStatement).query, catalog, { mode, params });
};
const rows = (sql: string, mode: 'view' | 'pull' = 'pull', params: unknown[] = []) =>
  runPlan(optimize(bind(sql, mode, params).plan), tables);
const types = (sql: string) => bind(sql).columns.map(({ name, type }) => `${name} ${typeName(type)}`);

function failure(run: () => unknown): { code: string; at: string; detail: string; hint: string } {
  try {
    run();
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    return {
      code: thrown.code,
      at: `${thrown.at?.line}:${thrown.at?.column}`,
      detail: thrown.message,
      hint: thrown.hint ?? '',
    };
  }
  throw new Error('accepted');
}

describe('names', () => {
  test.each([
    ['SELECT pric FROM bid', 'SQL_BIND', '1:8', 'did you mean "price"'],
    ['SELECT price FROM bids', 'SQL_BIND', '1:19', 'did you mean "bid"'],
    ['SELECT x.price FROM bid b', 'SQL_BIND', '1:8', 'FROM has: b'],
    ['SELECT b.prices FROM bid b', 'SQL_BIND', '1:10', 'did you mean "price"'],
    ['SELECT date_time FROM bid, auction', 'SQL_BIND', '1:8', 'bid.date_time or auction.date_time'],
    ['SELECT 1 FROM bid, bid', 'SQL_BIND', '1:20', 'alias'],
    ['SELECT price FROM bid GROUP BY auction', 'SQL_BIND', '1:8', 'GROUP BY'],
    ['SELECT auction FROM bid WHERE count(*) > 1', 'SQL_BIND', '1:31', 'HAVING'],
    ['SELECT lenght(url) FROM bid', 'SQL_BIND', '1:8', 'length'],
    ['SELECT 1 ORDER BY 2', 'SQL_BIND', '1:19', '1 columns'],
    ["SELECT price + 'a' FROM bid", 'VALUE_CAST', '1:14', ''],
    ['SELECT price || 1 + true FROM bid', 'SQL_TYPE', '1:19', ''],
    ['SELECT 1 FROM bid WHERE price', 'SQL_TYPE', '1:25', '<> 0'],
    ['SELECT url = price FROM bid', 'SQL_TYPE', '1:12', 'CAST'],
    ['SELECT price FROM bid GROUP BY (SELECT 1)', 'SQL_UNSUPPORTED', '1:32', 'in FROM'],
    ['SELECT (SELECT 1, 2)', 'SQL_BIND', '1:9', ''],
    ['SELECT (SELECT sum(bid.price) FROM auction) FROM bid', 'SQL_UNSUPPORTED', '1:16', 'in FROM'],
    ['SELECT (SELECT nope FROM auction) FROM bid', 'SQL_BIND', '1:16', ''],
    ["SELECT * FROM TUMBLE(bid, price, INTERVAL '1 s')", 'SQL_TYPE', '1:27', ''],
    ["SELECT * FROM TUMBLE(bid, date_time, INTERVAL '1 month')", 'SQL_UNSUPPORTED', '1:38', 'days'],
    ["SELECT * FROM TUMBLE(bid, date_time, INTERVAL '0 s')", 'SQL_TYPE', '1:38', ''],
    ['WITH a AS (SELECT nope FROM bid) SELECT 1', 'SQL_BIND', '1:19', ''],
    ['SELECT $2', 'SQL_BIND', '1:8', 'params'],
  ])('%s', (sql, code, at, hint) => {
    const found = failure(() => bind(sql));
    expect([found.code, found.at]).toEqual([code, at]);
    expect(found.hint).toContain(hint);
  });

  test('views refuse what changes with time', () => {
    expect(failure(() => bind('SELECT now()', 'view')).code).toBe('SQL_UNSUPPORTED');
    expect(bind('SELECT now()').columns[0].name).toBe('now');
    expect(types('SELECT current_date, current_timestamp, localtimestamp')).toEqual([
      ...['current_date date', 'current_timestamp timestamptz', 'localtimestamp timestamp'],
    ]);
  });

  test('* leaves hidden columns out, names reach them, and an outer * then holds them', () => {
    expect(bind('SELECT * FROM bid').columns).toHaveLength(7);
    expect(bind('SELECT * FROM (SELECT auction, _offset FROM bid) x').columns.map((c) => c.name)).toEqual([
      'auction',
      '_offset',
    ]);
    expect(bind('SELECT b.*, a.id FROM bid b, auction a').columns).toHaveLength(8);
    expect(
      bind('SELECT * FROM product JOIN (SELECT product AS id, no FROM part) p USING (id)').columns.map((c) => c.name),
    ).toEqual([...['id', 'name', 'price', 'made', 'no']]);
  });
});

test('types of literals, operators and functions', () => {
  expect(
    types(`SELECT 1 a, 3000000000 b, 1.50 c, 1e2 d, 'x' e, NULL f, 1 + 3000000000 g, 1 = 1.5 h, DATE '2020-01-01' i,
    INTERVAL '1' DAY j, 1::smallint k, '2020-01-01'::timestamp - INTERVAL '1 day' l, count(*) m, sum(1) n, CASE WHEN true THEN 1 ELSE 2.5 END o`),
  ).toEqual([
    ...[
      'a integer',
      'b bigint',
      'c decimal(3,2)',
      'd decimal(3,0)',
      'e varchar',
      'f varchar',
      'g bigint',
      'h boolean',
      'i date',
      'j interval',
    ],
    ...['k smallint', 'l timestamp', 'm bigint', 'n bigint', 'o decimal(11,1)'],
  ]);
});

describe('answers', () => {
  test.each<[string, unknown[][]]>([
    ['SELECT 1 + 2 * 3', [[7]]],
    ['SELECT id FROM product WHERE name IS NULL OR price > 5 ORDER BY id DESC', [[3], [2]]],
    ['SELECT id FROM product ORDER BY price NULLS FIRST LIMIT 1 OFFSET 1', [[1]]],
    [
      'SELECT p.id, q.no FROM product p LEFT JOIN part q ON p.id = q.product AND q.ok ORDER BY 1',
      [
        [1, 1],
        [2, null],
        [3, null],
      ],
    ],
    [
      'SELECT q.no, p.id FROM part q RIGHT JOIN product p ON p.id = q.product ORDER BY p.id, no',
      [
        [1, 1],
        [2, 1],
        [null, 2],
        [1, 3],
      ],
    ],
    ['SELECT count(*), count(price), max(name), sum(price), avg(id) > 1.9 FROM product', [[3, 2, 'pen', 1149, true]]],
    ['SELECT product AS p, count(*) FILTER (WHERE ok) FROM part GROUP BY p HAVING count(*) > 1', [[1, 1]]],
    ['SELECT name FROM product WHERE id IN (SELECT product FROM part)', [['pen'], [null]]],
    ['SELECT id FROM product WHERE id IN (1, NULL) OR id NOT IN (1, 2)', [[1], [3]]],
    ['WITH a AS (SELECT id FROM product), b(x) AS (SELECT id + 1 FROM a) SELECT x FROM b WHERE x > 3', [[4]]],
    ['SELECT 1 UNION SELECT 1 UNION ALL SELECT NULL ORDER BY 1', [[1], [null]]],
    ["SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v (n, t) WHERE n = $1", [[2, null]]],
    ['SELECT id FROM product WHERE price = $2', [[1]]],
    ['SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS rn FROM product) x WHERE rn < 2', [[3]]],
    [
      'SELECT id, rn FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS rn FROM product) x WHERE rn = 2',
      [[2, 2]],
    ],
    ['SELECT id FROM (SELECT id FROM product ORDER BY id LIMIT 1 OFFSET 1) x', [[2]]],
    ['SELECT DISTINCT product FROM part ORDER BY product DESC', [[3], [1]]],
    [
      'SELECT nullif(id, 2), coalesce(name, $3), id BETWEEN 2 AND 3, ok IS NOT TRUE FROM product JOIN part ON id = product AND no = 2',
      [[1, 'pen', false, true]],
    ],
    [
      "SELECT extract(year FROM made), name LIKE 'p%', upper(name) FROM product WHERE made < '1970-01-20'",
      [[1970_000_000, true, 'PEN']],
    ],
    ['SELECT id FROM product LIMIT 0', []],
  ])('%s', (sql, wanted) => {
    expect(rows(sql, 'pull', [2, 1.5, 'none']).map((row) => [...row])).toEqual(wanted);
  });

  test('a view drops ORDER BY and keeps LIMIT as a TopN', () => {
    expect(explainPlan(optimize(bind('SELECT id FROM product ORDER BY id', 'view').plan))).toBe(
      'Scan product → (id) [upsert]',
    );
    expect(rows('SELECT name FROM product ORDER BY id DESC LIMIT 2', 'view')).toEqual([[null], ['ink']]);
  });
});

test('keys and changelog kinds', () => {
  const of = (sql: string) => {
    const { key, changelog } = bind(sql, 'view');
    return [key, changelog];
  };
  expect(of('SELECT name, id FROM product WHERE price > 1')).toEqual([[1], 'upsert']);
  expect(of('SELECT name FROM product')).toEqual([null, 'general']);
  expect(of('SELECT q.no, p.name, q.product FROM part q JOIN product p ON p.id = q.product')).toEqual([
    [2, 0],
    'general',
  ]);
  expect(of('SELECT count(*), auction, bidder FROM bid GROUP BY auction, bidder')).toEqual([[1, 2], 'upsert']);
  expect(of('SELECT auction FROM bid')).toEqual([null, 'append']);
  expect(of('SELECT DISTINCT auction FROM bid')).toEqual([[0], 'append']);
  expect(of('SELECT b.price FROM bid b JOIN auction a ON a.id = b.auction')).toEqual([null, 'append']);
  expect(of('SELECT b.price FROM bid b LEFT JOIN auction a ON a.id = b.auction')).toEqual([null, 'general']);
});

test('scans keep only used columns', () => {
  expect(
    explainPlan(
      optimize(
        bind(
          'SELECT a.seller, count(*) FROM bid b, auction a WHERE b.auction = a.id AND b.price > 5 AND a.category = 10 GROUP BY 1',
          'view',
        ).plan,
      ),
    ),
  ).toMatchSnapshot();
  expect(explainPlan(optimize(bind('SELECT count(*) FROM bid', 'view').plan))).toMatchSnapshot();
  expect(
    explainPlan(
      optimize(
        bind(
          "SELECT * FROM (SELECT bidder, window_end, count(*) AS n FROM TUMBLE(bid, date_time, INTERVAL '10 s') GROUP BY 1, 2) x WHERE bidder > 3 AND n > 2",
          'view',
        ).plan,
      ),
    ),
  ).toMatchSnapshot();
});

test('the deepest trees the parser lets through do not overflow', () => {
  for (const text of [
    `SELECT price${' + price'.repeat(450)} FROM bid WHERE ${Array.from({ length: 3000 }, (_, i) => `price = ${i}`).join(' OR ')}`,
    `SELECT ${'('.repeat(90)}price${' + 1)'.repeat(90)} FROM bid`,
    `SELECT 1${' UNION ALL SELECT 1'.repeat(450)}`,
  ]) {
    expect(explainPlan(optimize(bind(text).plan)).length).toBeGreaterThan(0);
  }
});

describe('DML and DDL', () => {
  const columns = (catalog.relation('product')?.columns ?? []).filter((column) => !column.hidden);
  const parse = <T>(sql: string) => parseStatements(sql)[0] as T;
  const answer = (plan: Plan) => runPlan(optimize(plan), tables);

  test('INSERT', () => {
    const insert = (sql: string, params: unknown[] = []) =>
      answer(bindInsert(parse<Insert>(sql), columns, catalog, { params }));
    expect(insert("INSERT INTO product VALUES (4, 'cap', 1.255, '1970-01-02'), ('5', NULL, 7, NULL)")).toEqual([
      [4, 'cap', 126, 1],
      [5, null, 700, null],
    ]);
    expect(insert('INSERT INTO product (name, id) VALUES ($1, $2)', ['cup', 6])).toEqual([[6, 'cup', null, null]]);
    expect(
      insert("INSERT INTO product (id, made, name) SELECT id + 10, '1970-01-03', name FROM product WHERE id = 1"),
    ).toEqual([[11, 'pen', null, 2]]);
    expect(failure(() => insert('INSERT INTO product (id, nam) VALUES (1, 2)'))).toMatchObject({
      code: 'SQL_BIND',
      at: '1:26',
      hint: 'did you mean "name"?',
    });
    expect(failure(() => insert('INSERT INTO product (id) VALUES (1, 2)')).code).toBe('SQL_BIND');
    expect(failure(() => insert("INSERT INTO product (id) VALUES ('x')")).code).toBe('VALUE_CAST');
  });

  test('UPDATE and DELETE', () => {
    const update = bindUpdate(
      parse<Update>("UPDATE product SET price = price * 2, name = 'new' WHERE id < 3"),
      'product',
      columns,
      catalog,
      {},
    );
    expect(answer(update)).toEqual([
      [1, 'new', 300, 10],
      [2, 'new', 1998, null],
    ]);
    const gone = bindDelete(parse<Delete>('DELETE FROM product WHERE made IS NULL'), 'product', columns, catalog, {});
    expect(answer(gone)).toEqual([[2, 'ink', 999, null]]);
  });

  test('columns and watermarks', () => {
    const source = (text: string) => parse<CreateSource>(`CREATE SOURCE s (a INT, ts TIMESTAMP, ${text})`);
    const watermark = (text: string) => {
      const { columns: defs, watermark: def } = source(text);
      return bindWatermark(def as NonNullable<typeof def>, bindColumns(defs));
    };
    expect(watermark("WATERMARK FOR ts AS ts - INTERVAL '4' SECOND")).toEqual({ column: 1, delayMicros: 4_000_000 });
    expect(watermark('WATERMARK FOR ts AS ts')).toEqual({ column: 1, delayMicros: 0 });
    expect(failure(() => watermark('WATERMARK FOR a AS a')).code).toBe('SQL_TYPE');
    expect(failure(() => watermark("WATERMARK FOR ts AS ts + INTERVAL '1 s'")).code).toBe('SQL_UNSUPPORTED');
    expect(failure(() => watermark("WATERMARK FOR ts AS ts - INTERVAL '1 month'")).code).toBe('SQL_UNSUPPORTED');
    expect(failure(() => bindColumns(source('A INT').columns)).code).toBe('SQL_BIND');
    expect(failure(() => bindColumns(source('_offset INT').columns)).code).toBe('SQL_BIND');
  });
});
