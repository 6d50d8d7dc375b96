import fc from 'fast-check';

/** A relation with n, m and v, whose m a window function made, over another. Orders are total where the function tells peers apart. */
export const overRelation = (inner: string): fc.Arbitrary<string> => {
  const direction = fc.constantFrom('', ' DESC NULLS FIRST', ' NULLS FIRST', ' DESC NULLS LAST');
  const total = fc.tuple(direction, direction).map(([x, y]) => `ORDER BY m${x}, n${y}, v`);
  const partition = fc.constantFrom('', 'PARTITION BY n ', 'PARTITION BY v ');
  const edge = fc.constantFrom('UNBOUNDED PRECEDING', '2 PRECEDING', '1 PRECEDING', 'CURRENT ROW');
  const end = fc.constantFrom('CURRENT ROW', '1 FOLLOWING', '2 FOLLOWING', 'UNBOUNDED FOLLOWING');
  const frame = fc.tuple(edge, end).map(([s, e]) => `BETWEEN ${s} AND ${e}`);
  const aggregate = fc.constantFrom(
    'count(*)',
    'count(m)',
    'sum(m)',
    'min(n)',
    'max(m)',
    'sum(m) FILTER (WHERE n > 1)',
  );
  const call = fc.oneof(
    fc
      .tuple(fc.constantFrom('row_number()', 'ntile(3)', 'lag(m)', 'lead(n, 2, 7)', 'lag(n, 0)'), partition, total)
      .map(([f, p, o]) => `${f} OVER (${p}${o})`),
    fc
      .tuple(fc.constantFrom('rank()', 'dense_rank()', '10 * percent_rank()', '10 * cume_dist()'), partition, direction)
      .map(([f, p, d]) => `${f} OVER (${p}ORDER BY m${d})`),
    fc.tuple(aggregate, partition, total, frame).map(([f, p, o, r]) => `${f} OVER (${p}${o} ROWS ${r})`),
    fc
      .tuple(fc.constantFrom('first_value(m)', 'last_value(n)', 'nth_value(m, 2)'), partition, total, frame)
      .map(([f, p, o, r]) => `${f} OVER (${p}${o} ROWS ${r})`),
    fc.tuple(aggregate, partition, direction, frame).map(([f, p, d, r]) => `${f} OVER (${p}ORDER BY m${d} RANGE ${r})`),
    fc.tuple(aggregate, partition, direction).map(([f, p, d]) => `${f} OVER (${p}ORDER BY m${d})`),
    fc.tuple(aggregate, partition).map(([f, p]) => `${f} OVER (${p})`),
  );
  return fc.oneof(
    call.map((c) => `(SELECT n, CAST(${c} AS BIGINT) AS m, v FROM ${inner} w)`),
    fc
      .tuple(call, call)
      .map(([c, d]) => `(SELECT n, CAST(coalesce(${c}, 0) + coalesce(${d}, 1) AS BIGINT) AS m, v FROM ${inner} w)`),
    call.map((c) => `(SELECT n, m, v FROM ${inner} w QUALIFY CAST(${c} AS BIGINT) <= 2)`),
    total.map((o) => `(SELECT n, m, v FROM ${inner} w QUALIFY row_number() OVER (PARTITION BY n ${o}) <= 2)`),
    partition.map(
      (p) =>
        `(SELECT n, CAST(sum(count(*)) OVER (${p}ORDER BY n, v ROWS 1 PRECEDING) AS BIGINT) AS m, v FROM ${inner} w GROUP BY n, v)`,
    ),
    total.map((o) => `(SELECT DISTINCT ON (n) n, m, v FROM ${inner} w ${o.replace('ORDER BY', 'ORDER BY n,')})`),
    fc
      .constantFrom('ROLLUP (n, v)', 'CUBE (n, v)', 'GROUPING SETS ((n, v), (v), ())', 'n, ROLLUP (v)')
      .map(
        (sets) => `(SELECT n, CAST(count(*) + 10 * grouping(n, v) AS BIGINT) AS m, v FROM ${inner} w GROUP BY ${sets})`,
      ),
  );
};
