import { recursion } from './grammar/recursion.ts';
import { type Select, select } from './grammar/select.ts';
import { type Column, columnsOf, predicate } from './grammar/values.ts';
import { BOUNDS, windowCall } from './grammar/windows.ts';
import type { Random } from './random.ts';

/**
 * Random queries of the grammar that views support, as text (grammar/ has one file per part of it). Every query is well typed; what it
 * computes may still have no value for some row (the comparison then leaves that query out).
 */
export function generateQuery(random: Random): string {
  const choice = random.next();
  if (choice < 0.1) return setOperation(random);
  if (choice < 0.2) return withCommon(random);
  if (choice < 0.24) return recursion(random);
  if (choice < 0.28) return limited(random);
  if (choice < 0.31) return onClose(random);
  return select(random, 2).sql;
}

function side(random: Random, columns: string): string {
  // One type is found for what stands in one column.
  if (columns === 'k') columns = random.pick(['k', 'k', 'k', 'k + 0.5 AS k', 'CAST(k % 9 AS SMALLINT) AS k', '1 AS k']);
  const relation = random.pick(columns.includes('s') ? ['a', 'g', 'f'] : ['a', 'g', 'f', 'h', 't', 'c']);
  return `SELECT ${random.chance(0.1) ? 'DISTINCT ' : ''}${columns} FROM ${relation}${random.chance(0.5) ? ` WHERE ${predicate(random, columnsOf(relation), 1)}` : ''}`;
}

function setOperation(random: Random): string {
  const columns = random.pick(['k, s, ts', 'k, s', 'k', 'k']);
  const operation = (): string =>
    `${random.pick(['UNION', 'UNION', 'INTERSECT', 'EXCEPT'])}${random.chance(0.6) ? ' ALL' : ''}`;
  const two = `${side(random, columns)} ${operation()} ${side(random, columns)}`;
  const all = random.pick([
    () => two,
    () => `${two} ${operation()} ${side(random, columns)}`,
    () => `(${two}) ${operation()} (${side(random, columns)})`,
  ])();
  return random.pick([
    () => all,
    () => `SELECT k, count(*) AS n, count(DISTINCT k) AS d FROM (${all}) AS u GROUP BY k`,
    () => `${all} ORDER BY 1 DESC NULLS LAST LIMIT 3`,
    () => `SELECT g.w, u.k FROM g LEFT JOIN (${all}) AS u ON g.k = u.k`,
    () => `SELECT max(k) OVER (ORDER BY k ROWS 1 PRECEDING) AS m FROM (${all}) AS u`,
  ])();
}

function withCommon(random: Random): string {
  const inner = select(random, 1);
  const key = inner.columns.find((column) => column.kind === 'int');
  if (key === undefined) return `WITH c AS (${inner.sql}) SELECT count(*) AS n FROM c`;
  const { sql } = key;
  const tail = random.pick([
    `SELECT l.${sql} AS k1, count(*) AS n FROM c AS l JOIN c AS r ON l.${sql} = r.${sql} GROUP BY l.${sql}`,
    `SELECT * FROM c WHERE ${sql} = (SELECT max(${sql}) FROM c)`,
    `SELECT c.* FROM c LEFT JOIN t ON c.${sql} = t.k WHERE t.n IS NULL`,
    `SELECT ${sql} FROM c EXCEPT ALL SELECT k FROM g`,
    `, d AS (SELECT ${sql} AS z, count(*) AS n FROM c GROUP BY ${sql}) SELECT d.n, count(*) AS m FROM d JOIN g ON g.k = d.z GROUP BY d.n`,
  ]);
  return `WITH c AS (${inner.sql})${tail.startsWith(',') ? '' : ' '}${tail}`;
}

/** The first rows of all; what is equal in the order goes by the rest of the row. */
function limited(random: Random): string {
  const inner: Select = select(random, 1);
  if (inner.columns.length === 0) return inner.sql;
  const sorted = inner.columns.filter(
    ({ kind }) => kind !== 'approx' && kind !== 'json' && kind !== 'row' && kind !== 'map',
  );
  const column = sorted.length === 0 ? '1' : random.pick(sorted).sql;
  const direction = random.pick(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST']);
  const offset = random.pick(['', '', ' OFFSET 1']);
  const names = inner.columns.map(({ sql }) => sql).join(', ');
  if (inner.columns.some(({ kind }) => kind === 'approx')) return inner.sql;
  return `SELECT ${names} FROM (${inner.sql}) AS q ORDER BY ${column}${direction} LIMIT ${1 + random.below(4)}${offset}`;
}

/** Shown once the watermark has passed its end. */
function onClose(random: Random): string {
  const relation = random.pick(['f', 'h']);
  const columns: readonly Column[] = [...columnsOf(relation), ...BOUNDS];
  const { name, by, intervals } = windowCall(random);
  const where = random.chance(0.4) ? ` WHERE ${predicate(random, columnsOf(relation), 1)}` : '';
  const from = `${name}(${relation}${by}, ts, ${intervals.join(', ')})`;
  const key = by === '' ? random.pick(['', ', k']) : ', k';
  const call = random.pick(['count(*)', 'max(k)', 'min(ts)', 'sum(k)']);
  const other = relation === 'f' ? 'h' : 'f';
  const sides = [relation, other].map((name) => from.replace(`${relation}${by},`, `${name}${by},`));
  const kind = random.pick(['', 'LEFT ', 'FULL ', 'SEMI ', 'ANTI ']);
  const ends =
    kind === 'SEMI ' || kind === 'ANTI ' ? 'l.window_end, l.k' : 'l.window_end, r.window_end AS other, l.k, r.ts';
  const query = random.pick([
    `SELECT ${ends} FROM (SELECT * FROM ${sides[0]}) AS l ${kind}JOIN (SELECT * FROM ${sides[1]}) AS r ON l.window_start = r.window_start AND l.window_end = r.window_end AND l.k = r.k`,
    `SELECT l.ts, r.ts AS other, l.k FROM f AS l ${random.pick(['', 'LEFT '])}JOIN h AS r ON l.k = r.k AND l.ts BETWEEN r.ts - INTERVAL '3 seconds' AND r.ts + INTERVAL '5 seconds' WHERE l.ts IS NOT NULL`,
    `SELECT window_end, k, n FROM (SELECT window_start, window_end, k, count(*) AS n FROM ${from} GROUP BY window_start, window_end, k) AS q QUALIFY rank() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) <= 1`,
    `SELECT window_end${key}, ${call} AS m FROM ${from}${where} GROUP BY window_start, window_end${key}`,
    `SELECT window_end, k, ts FROM ${from}${where} QUALIFY row_number() OVER (PARTITION BY window_start, window_end${key} ORDER BY ts, k) <= 2`,
    `SELECT ${columns[0].sql}, window_end FROM ${from}${where}`,
  ]);
  return `${query} EMIT ON WINDOW CLOSE`;
}
