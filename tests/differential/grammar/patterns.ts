import type { Random } from '../random.ts';
import type { From } from './from.ts';

/** MATCH_RECOGNIZE; tests/streamql/engine/operators/match.test.ts has far more of it. */
export function match(random: Random): From {
  const relation = random.pick(['a', 'g', 'f']);
  const measure = relation === 'g' ? 'w' : 'v';
  const pattern = random.pick(['x y+ z', 'x y* z?', 'x (y | z)', 'x{2} y', 'x y+?']);
  const skip = random.pick(['', ' AFTER MATCH SKIP TO NEXT ROW', ' AFTER MATCH SKIP PAST LAST ROW']);
  const within = random.chance(0.3) ? " WITHIN INTERVAL '20 seconds'" : '';
  const names = new Set(pattern.match(/[xyz]/g));
  const defines = [`y AS ${measure} >= PREV(${measure})`, `z AS ${measure} < 3`, `x AS ${measure} < 5`].filter((text) =>
    names.has(text[0]),
  );
  return {
    sql:
      `(SELECT * FROM ${relation} WHERE ts IS NOT NULL) MATCH_RECOGNIZE (PARTITION BY k ORDER BY ts, ${measure} ` +
      `MEASURES count(*) AS n, last(${measure}) AS z, first(x.ts) AS b ` +
      `ONE ROW PER MATCH${skip} PATTERN (${pattern})${within} DEFINE ${defines.join(', ')}) AS q`,
    columns: [
      { sql: 'q.k', kind: 'int' },
      { sql: 'q.n', kind: 'int' },
      { sql: 'q.z', kind: 'int' },
      { sql: 'q.b', kind: 'ts' },
    ],
  };
}
