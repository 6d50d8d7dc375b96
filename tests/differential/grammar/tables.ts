import type { Random } from '../random.ts';
import type { From } from './from.ts';
import { columnsOf, predicate } from './values.ts';

/** What stands right may name the columns of the left side. */
export function lateral(random: Random): From {
  const left = random.pick(['a', 'g', 't', 'f']);
  const join = random.chance(0.5) ? 'CROSS JOIN' : 'LEFT JOIN';
  const on = join === 'CROSS JOIN' ? '' : ' ON TRUE';
  const columns = columnsOf(left, 'l');
  const choice = random.next();
  if (choice < 0.3) {
    const series = `generate_series(1, least(l.k, 3))${random.chance(0.5) ? ' WITH ORDINALITY' : ''}`;
    return {
      sql: `${left} AS l ${join} LATERAL ${series} AS r(n)${on}`,
      columns: [...columns, { sql: 'r.n', kind: 'int' }],
    };
  }
  const right = random.pick(['a', 'g', 'h']);
  const own = columnsOf(right, 'i');
  const where = `${random.chance(0.8) ? 'i.k = l.k' : 'i.k > l.k'}${random.chance(0.4) ? ` AND ${predicate(random, [...own, ...columns], 1)}` : ''}`;
  const inner =
    choice < 0.45
      ? `SELECT count(*) AS n, max(i.ts) AS m FROM ${right} AS i WHERE ${where}`
      : choice < 0.55
        ? `SELECT i.k AS n, max(i.ts) AS m FROM ${right} AS i WHERE ${where} GROUP BY i.k HAVING count(*) > 1`
        : choice < 0.75
          ? `SELECT i.k AS n, i.ts AS m FROM ${right} AS i WHERE ${where}`
          : `SELECT i.k AS n, i.ts AS m FROM ${right} AS i WHERE ${where} ORDER BY i.ts${random.pick(['', ' DESC'])}, i.k LIMIT 2`;
  return {
    sql: `${left} AS l ${join} LATERAL (${inner}) AS r${on}`,
    columns: [...columns, { sql: 'r.n', kind: 'int' }, { sql: 'r.m', kind: 'ts' }],
  };
}

/** Functions of many rows over columns. */
export function unnested(random: Random): From {
  const columns = columnsOf('c', 'l');
  const [call, ...added] = random.pick([
    ['unnest(l.ns) AS r(n)', { sql: 'r.n', kind: 'int' }],
    ['unnest(l.ss) WITH ORDINALITY AS r(n, o)', { sql: 'r.n', kind: 'text' }, { sql: 'r.o', kind: 'int' }],
    ['unnest(l.ns, l.ss) AS r(n, o)', { sql: 'r.n', kind: 'int' }, { sql: 'r.o', kind: 'text' }],
    ["jsonb_array_elements(CASE WHEN jsonb_typeof(l.j) = 'array' THEN l.j END) AS r(n)", { sql: 'r.n', kind: 'json' }],
    [
      "jsonb_each_text(CASE WHEN jsonb_typeof(l.j) = 'object' THEN l.j END) AS r(n, o)",
      { sql: 'r.n', kind: 'text' },
      { sql: 'r.o', kind: 'text' },
    ],
    ["string_to_table(array_to_string(l.ss, 'b'), 'b') AS r(n)", { sql: 'r.n', kind: 'text' }],
    [
      "generate_series(l.dt::TIMESTAMP, l.dt + INTERVAL '1 day', INTERVAL '9 hours') AS r(n)",
      { sql: 'r.n', kind: 'ts' },
    ],
  ] as const);
  const form = random.pick([`c AS l, ${call}`, `c AS l CROSS JOIN ${call}`, `c AS l LEFT JOIN ${call} ON TRUE`]);
  return { sql: form, columns: [...columns, ...added, ...added] };
}

export function pivoted(random: Random): From {
  const relation = random.pick(['a', 'g', 'f']);
  const measure = relation === 'g' ? 'w' : 'v';
  if (random.chance(0.3)) {
    return {
      sql: `(SELECT s, k, ${measure} FROM ${relation}) UNPIVOT (n FOR c IN (k, ${measure})) AS q`,
      columns: [
        { sql: 'q.s', kind: 'text' },
        { sql: 'q.n', kind: 'int' },
        { sql: 'q.c', kind: 'text' },
      ],
    };
  }
  const call = random.pick([`sum(${measure})`, 'count(*)', `max(${measure})`]);
  return {
    sql: `(SELECT k, s, ${measure} FROM ${relation}) PIVOT (${call} FOR s IN ('a' AS pa, 'b' AS pb, 'ab' AS pc)) AS q`,
    columns: [
      ...(call.includes('*') ? [{ sql: `q.${measure}`, kind: 'int' as const }] : []),
      { sql: 'q.k', kind: 'int' },
      ...['pa', 'pb', 'pc'].map((name) => ({
        sql: `q.${name}`,
        kind: call.startsWith('sum') ? ('dec' as const) : ('int' as const),
      })),
    ],
  };
}
