import type { Random } from '../random.ts';

/** Over data with cycles, so that UNION ends by itself and UNION ALL by counting its steps. */
export function recursion(random: Random): string {
  const edges = random.pick([
    'SELECT k AS x, w AS y FROM g',
    'SELECT k AS x, m AS y FROM t',
    'SELECT k AS x, v AS y FROM a WHERE v < 6',
    'SELECT DISTINCT k AS x, v AS y FROM f',
  ]);
  const head = `WITH RECURSIVE e AS (${edges}), `;
  const tails = [
    'SELECT * FROM r',
    'SELECT x, count(*) AS n FROM r GROUP BY x',
    'SELECT r.y, t.n FROM r LEFT JOIN t ON t.k = r.y',
  ];
  return random.pick([
    () => `${head}r AS (SELECT x, y FROM e UNION SELECT r.x, e.y FROM r JOIN e ON e.x = r.y) ${random.pick(tails)}`,
    () =>
      `${head}r AS (SELECT x, y FROM e WHERE x = 1 UNION SELECT e.x, e.y FROM r JOIN e ON e.x = r.y WHERE e.y IS NOT NULL) ${random.pick(tails)}`,
    () =>
      `${head}r AS (SELECT x, y, 1 AS z FROM e UNION ALL SELECT r.x, e.y, r.z + 1 FROM r JOIN e ON e.x = r.y AND r.z < 3) SELECT x, y, z FROM r`,
    () =>
      `${head}r AS (SELECT x, y FROM e UNION SELECT r.y, r.x FROM r WHERE EXISTS (SELECT 1 FROM t WHERE t.k = r.x)) ${random.pick(tails)}`,
    () =>
      `WITH RECURSIVE r AS (SELECT k AS x, 0 AS y FROM g UNION SELECT x, y + 1 FROM r WHERE y < 3 AND x > y) ${random.pick(tails)}`,
  ])();
}
