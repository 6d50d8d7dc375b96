import fc from 'fast-check';

/** A term over n and m that holds a subquery over the relation r, which has n, m and v; whole terms and parts of others. */
export const subqueryTerm = (r: string): fc.Arbitrary<string> => {
  const correlation = fc.constantFrom(
    'y.n = q.m',
    'y.n = q.n AND y.m = q.m',
    'y.n + 1 = q.m',
    'y.n < q.m',
    'y.m <> 2',
    'y.v = q.v AND y.m >= q.n',
  );
  const value = fc.constantFrom('max(y.m)', 'count(*) + 1', 'count(y.m)', 'min(y.n) + max(y.m)');
  return fc.oneof(
    fc
      .tuple(fc.constantFrom('EXISTS', 'NOT EXISTS'), correlation)
      .map(([e, c]) => `${e} (SELECT 1 FROM ${r} y WHERE ${c})`),
    fc
      .tuple(fc.constantFrom('IN', 'NOT IN'), correlation)
      .map(([e, c]) => `q.n ${e} (SELECT y.m FROM ${r} y WHERE ${c})`),
    fc.constantFrom('q.n', 'q.m + 1', '2').map((x) => `${x} NOT IN (SELECT y.m FROM ${r} y)`),
    fc
      .tuple(value, correlation, fc.constantFrom('=', '<', '>='))
      .map(([v, c, o]) => `q.n ${o} (SELECT ${v} FROM ${r} y WHERE ${c})`),
    fc.tuple(value, correlation).map(([v, c]) => `(SELECT ${v} FROM ${r} y WHERE ${c} HAVING count(*) < 3) IS NULL`),
    correlation.map((c) => `(EXISTS (SELECT 1 FROM ${r} y WHERE ${c}) OR q.m = 1)`),
    correlation.map((c) => `(q.m IN (SELECT y.n FROM ${r} y WHERE ${c})) IS NOT TRUE`),
    correlation.map((c) => `EXISTS (SELECT y.n FROM ${r} y WHERE ${c} GROUP BY y.n HAVING count(*) > 1)`),
    correlation.map((c) => `q.n = (SELECT y.m FROM ${r} y WHERE ${c} ORDER BY y.m, y.n, y.v LIMIT 1)`),
    correlation.map(
      (c) =>
        `EXISTS (SELECT 1 FROM ${r} y WHERE ${c} AND NOT EXISTS (SELECT 1 FROM ${r} z WHERE z.n = y.m AND z.m = q.n))`,
    ),
    correlation.map((c) => `EXISTS (SELECT 1 FROM ${r} y LEFT JOIN ${r} z ON y.n = z.m WHERE ${c})`),
    correlation.map(
      (c) => `q.m IN (SELECT y.m FROM ${r} y WHERE ${c} UNION ALL SELECT z.n FROM ${r} z WHERE z.m = q.n)`,
    ),
    correlation.map((c) => `q.n >= (SELECT count(*) FROM (SELECT DISTINCT y.n FROM ${r} y WHERE ${c}) d)`),
  );
};
