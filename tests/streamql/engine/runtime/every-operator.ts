import type { EngineObject, StreamEngine } from '../../../../src/ports/engine.ts';
import type { Relation } from '../../../../src/ports/relations.ts';
import { HIDDEN_COLUMNS, historyColumns } from '../../../../src/values/hidden-columns.ts';
import type { Datum } from '../../../../src/values/types.ts';
import { bindQuery } from '../../../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../../../streamql/parser/ast.ts';
import { parseStatements } from '../../../../streamql/parser/parser.ts';
import { optimize } from '../../../../streamql/rules/optimize.ts';
import { FakeLog, ORDERS, rowsIn, source } from './support.ts';

/** One view per kind of state, over one source and one table, and a sink. What checkpoints of releases were written with; more is in MORE_QUERIES. */
export const QUERIES: Readonly<Record<string, string>> = {
  plain: 'SELECT id, grp, at FROM orders WHERE n <> 3',
  groups: 'SELECT grp, count(*) AS c, sum(n) AS s, min(n) AS lo, max(n) AS hi, avg(n) AS a FROM orders GROUP BY grp',
  values_of:
    "SELECT grp, count(DISTINCT n) AS d, string_agg(CAST(n AS VARCHAR), ',' ORDER BY id) AS t FROM orders GROUP BY grp",
  filtered_values:
    'SELECT grp, count(DISTINCT n) AS d, count(DISTINCT n) FILTER (WHERE id % 2 = 0) AS e, sum(DISTINCT n) FILTER (WHERE id % 3 = 0) AS s FROM orders GROUP BY grp',
  filtered_values_of_table:
    'SELECT grp, count(DISTINCT n) AS d, count(DISTINCT n) FILTER (WHERE id % 2 = 0) AS e, sum(DISTINCT n) FILTER (WHERE id % 3 = 0) AS s FROM product GROUP BY grp',
  spread: 'SELECT grp, stddev(n) AS d, percentile_cont(0.5) WITHIN GROUP (ORDER BY n) AS m FROM product GROUP BY grp',
  extremes: 'SELECT grp, min(n) AS lo, max(n) AS hi FROM product GROUP BY grp',
  joined: 'SELECT o.id, p.grp FROM orders o LEFT JOIN product p ON p.id = o.n',
  full_joined: 'SELECT o.id, p.id AS other FROM orders o FULL JOIN product p ON p.n = o.n AND o.id > p.id',
  semi: 'SELECT id FROM product WHERE EXISTS (SELECT 1 FROM orders o WHERE o.n = product.n)',
  anti: 'SELECT id FROM product WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.n = product.n AND o.id < product.id)',
  top: 'SELECT * FROM (SELECT id, grp, n, ROW_NUMBER() OVER (PARTITION BY grp ORDER BY n DESC) AS k FROM orders) q WHERE k <= 2',
  top_of_table: 'SELECT id, n FROM product ORDER BY n DESC LIMIT 3',
  running: 'SELECT id, sum(n) OVER (PARTITION BY grp ORDER BY id ROWS 2 PRECEDING) AS s FROM product',
  distincts: 'SELECT DISTINCT grp, n FROM orders',
  distinct_of_table: 'SELECT DISTINCT grp FROM product',
  difference: 'SELECT n FROM orders EXCEPT SELECT n FROM product',
  common: 'SELECT n FROM orders INTERSECT ALL SELECT n FROM product',
  windows:
    "SELECT window_start, count(*) AS c FROM HOP(orders, at, INTERVAL '1 second', INTERVAL '3 seconds') GROUP BY window_start",
  sessions:
    "SELECT grp, window_start, window_end, count(*) AS c FROM SESSION(orders PARTITION BY grp, at, INTERVAL '2 seconds') GROUP BY grp, window_start, window_end",
  failing: 'SELECT id, 10 / (n - 5) AS q FROM orders',
  above: 'SELECT c, count(*) AS groups FROM groups GROUP BY c',
};

/** The other operators, and plans that use those above in another way. */
export const MORE_QUERIES: Readonly<Record<string, string>> = {
  right_joined: 'SELECT o.id, p.id AS other FROM orders o RIGHT JOIN product p ON p.id = o.n AND o.id > 2',
  crossed: 'SELECT p.id, q.id AS other FROM product p CROSS JOIN product q WHERE p.n < q.n',
  near_in_time:
    "SELECT a.id, b.id AS other FROM orders a JOIN orders b ON a.grp = b.grp AND b.at BETWEEN a.at - INTERVAL '4 seconds' AND a.at - INTERVAL '1 second'",
  newest_before: 'SELECT o.id, p.n FROM orders o ASOF JOIN product p ON p.grp = o.grp AND p.at <= o.at',
  as_it_was: 'SELECT o.id, p.n FROM orders o LEFT JOIN product FOR SYSTEM_TIME AS OF o.at AS p ON p.id = o.n',
  per_row: 'SELECT o.id, (SELECT max(p.n) FROM product p WHERE p.id <= o.n) AS best FROM orders o',
  not_among: 'SELECT id FROM orders WHERE n NOT IN (SELECT n FROM product)',
  over_stream:
    'SELECT id, rank() OVER (PARTITION BY grp ORDER BY n) AS r, lag(n) OVER (PARTITION BY grp ORDER BY id) AS l FROM orders',
  newest_of: 'SELECT DISTINCT ON (grp) grp, id, n FROM product ORDER BY grp, id DESC',
  cubed: 'SELECT grp, n, count(*) AS c FROM product GROUP BY CUBE (grp, n)',
  apart: 'SELECT grp FROM orders UNION SELECT grp FROM product',
  all_but: 'SELECT grp FROM orders EXCEPT ALL SELECT grp FROM product',
  series: 'SELECT id, x FROM product, generate_series(1, id) AS t(x)',
  grown:
    "SELECT window_start, window_end, sum(n) AS s FROM CUMULATE(orders, at, INTERVAL '2 seconds', INTERVAL '6 seconds') GROUP BY window_start, window_end",
  best_of_window:
    "SELECT * FROM (SELECT window_end, id, n, ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY n DESC, id) AS k FROM TUMBLE(orders, at, INTERVAL '3 seconds')) q WHERE k <= 2",
  closed:
    "SELECT window_end, grp, count(*) AS c, max(n) AS hi FROM TUMBLE(orders, at, INTERVAL '2 seconds') GROUP BY window_end, grp EMIT ON WINDOW CLOSE",
  closed_sessions:
    "SELECT grp, window_start, window_end, count(*) AS c FROM SESSION(orders PARTITION BY grp, at, INTERVAL '1 second') GROUP BY grp, window_start, window_end EMIT ON WINDOW CLOSE",
  lately: "SELECT grp, count(*) AS c FROM orders WHERE at > now() - INTERVAL '36500 days' GROUP BY grp",
  reached:
    'WITH RECURSIVE r(id, n) AS (SELECT id, n FROM product UNION SELECT r.id, p.n FROM r JOIN product p ON p.id = r.n) SELECT id, count(*) AS c FROM r GROUP BY id',
  pairs:
    'SELECT * FROM orders MATCH_RECOGNIZE (PARTITION BY grp ORDER BY at MEASURES a.id AS first, LAST(b.id) AS last PATTERN (a b+) DEFINE b AS n > PREV(n))',
  sketched:
    'SELECT grp, approx_count_distinct(n) AS d, mode() WITHIN GROUP (ORDER BY n) AS m, max_by(id, n) AS b FROM product GROUP BY grp',
};

/** Specs as the catalogue would make them; plain data. */
export function everyObject(queries: Readonly<Record<string, string>> = QUERIES): EngineObject[] {
  const relations = new Map<string, Relation>();
  const objects: EngineObject[] = [];
  const add = (object: EngineObject, relation: Omit<Relation, 'id' | 'name'>): void => {
    objects.push(object);
    relations.set(object.id, { id: object.id, name: object.id, ...relation });
  };
  const columns = [...ORDERS, ...HIDDEN_COLUMNS];
  const time = ORDERS.findIndex(({ name }) => name === 'at');
  const orders = source('orders', { watermark: { column: time, delayMicros: 0 } });
  add(orders, {
    kind: 'source',
    columns,
    key: null,
    changelog: 'append',
    time: { columns: [{ column: time, lagMicros: 0, ofWindow: false }], firm: false, idleTimeoutMs: 0 },
  });
  add(source('product', { primaryKey: [0] }), { kind: 'table', columns, key: [0], changelog: 'upsert' });
  const history = { columns: historyColumns(columns, [0]), key: null, changelog: 'append' } as const;
  relations.set('product$history', { id: 'product$history', name: 'product$history', kind: 'source', ...history });
  const catalog = { relation: (name: string) => relations.get(name), relationNames: () => [...relations.keys()] };
  for (const [id, sql] of Object.entries(queries)) {
    const { query } = parseStatements(sql)[0] as QueryStatement;
    const bound = bindQuery(query, catalog, { mode: 'view' });
    const common = { id, name: id, columns: bound.columns, plan: optimize(bound.plan) };
    const { key, changelog } = bound;
    add({ kind: 'view', ...common, key, ephemeral: false }, { kind: 'view', columns: bound.columns, key, changelog });
    if (id !== 'plain') continue;
    objects.push({
      kind: 'sink',
      ...common,
      id: 'out',
      name: 'out',
      sinkKind: 'recording',
      appendOnly: true,
      options: {},
    });
  }
  return objects;
}

export async function makeTopics(): Promise<FakeLog> {
  const log = new FakeLog();
  await log.createTopic('orders', { partitions: 2 });
  await log.createTopic('product', { partitions: 1 });
  return log;
}

/** The same records every time: step `n` of a history with nulls, failing and malformed records, updates and deletes. */
export async function produceStep(log: FakeLog, n: number): Promise<void> {
  const order = (id: number) => ({
    id,
    grp: id % 7 === 0 ? null : `g${id % 4}`,
    n: (id * 5) % 11,
    at: new Date(1_700_000_000_000 + id * 700).toISOString().slice(0, -1),
  });
  for (let partition = 0; partition < 2; partition++) {
    const ids = [0, 1, 2].map((i) => n * 6 + partition * 3 + i);
    await log.produce(
      'orders',
      partition,
      ids.map((id) => (id % 13 === 12 ? '{"id": oops' : order(id))),
    );
  }
  const keys = [n % 6, (n * 3) % 6];
  const rows = keys.map((id, i) => (n % 4 === 3 && i === 1 ? null : { ...order(id + n), id }));
  await log.produce('product', 0, rows, keys.map(String));
}

/** All views' rows, and what went to the dead letters. */
export async function contentOf(
  engine: StreamEngine,
  objects: readonly EngineObject[],
): Promise<Record<string, Datum[][]>> {
  const content: Record<string, Datum[][]> = {};
  for (const object of objects) {
    if (object.kind === 'view') content[object.id] = await rowsIn(engine, object.id, object.columns.length);
  }
  content['orders$errors'] = (await rowsIn(engine, 'orders$errors', 5)).map((row) => row.slice(2));
  if (content['failing'] !== undefined)
    content['failing$errors'] = (await rowsIn(engine, 'failing$errors', 5)).map((row) => row.slice(2));
  return content;
}
