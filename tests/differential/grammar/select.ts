import type { Random } from '../random.ts';
import type { Kind } from '../relations.ts';
import { aggregate } from './aggregates.ts';
import { type From, fromClause } from './from.ts';
import { overCall, partition } from './over.ts';
import { scalarSubquery, subqueryTerm } from './subqueries.ts';
import { anyKind, type Column, columnsOf, predicate, value } from './values.ts';
import { windowCall } from './windows.ts';

/** A SELECT and the columns that it has. */
export interface Select {
  readonly sql: string;
  readonly columns: readonly Column[];
}

export function select(random: Random, depth: number): Select {
  if (random.chance(0.04)) return groupWindow(random);
  const from = fromClause(random, depth, select);
  const where = whereOf(random, from);
  const choice = random.next();
  if (choice < 0.45) return grouped(random, from, where);
  if (choice < 0.53) return topN(random, from, where);
  if (choice < 0.66) return over(random, from, where);
  if (choice < 0.71) return distinctOn(random, from, where);
  const rows = plain(random, from, where);
  return depth < 2 && random.chance(0.1) ? cut(random, rows) : rows;
}

/** The first rows, in a subquery. */
function cut(random: Random, { sql, columns }: Select): Select {
  const [{ kind }] = columns;
  if (kind === 'approx' || columns.length > 2 || ['json', 'row', 'map'].includes(kind)) return { sql, columns };
  return {
    sql: `${sql} ORDER BY ${columns.map((_, i) => i + 1).join(' DESC, ')} LIMIT ${1 + random.below(4)}`,
    columns,
  };
}

function whereOf(random: Random, { columns }: From): string {
  const terms = random.chance(0.45) ? [predicate(random, columns, 2)] : [];
  if (random.chance(0.2)) terms.push(subqueryTerm(random, columns));
  if (random.chance(0.03)) terms.push(...nowTerm(random, columns));
  const glue = terms.some((term) => term.includes('now()')) || random.chance(0.8) ? ' AND ' : ' OR ';
  return terms.length === 0
    ? ''
    : ` WHERE ${terms.map((term) => (glue === ' AND ' && term.includes(' OR ') ? `(${term})` : term)).join(glue)}`;
}

function nowTerm(random: Random, columns: readonly Column[]): string[] {
  const times = columns.filter(({ sql, kind }) => kind === 'ts' && /(^|\.)ts$/.test(sql));
  if (times.length === 0) return [];
  const { sql } = random.pick(times);
  return [
    random.pick([
      `${sql} > now() - INTERVAL '15 seconds'`,
      `${sql} <= now() + INTERVAL '5 seconds'`,
      `${sql} BETWEEN now() - INTERVAL '20 seconds' AND now()`,
    ]),
  ];
}

const aliased = (columns: readonly Column[], prefix: string): { items: string[]; out: Column[] } => ({
  items: columns.map(({ sql }, i) => `${sql} AS ${prefix}${i}`),
  out: columns.map(({ kind }, i) => ({ sql: `${prefix}${i}`, kind })),
});

function plain(random: Random, from: From, where: string): Select {
  const picked = Array.from({ length: 1 + random.below(4) }, (): Column => {
    const kind = anyKind(random, from.columns);
    if (random.chance(0.06)) return scalarSubquery(random, from.columns);
    return { sql: value(random, from.columns, kind, 2), kind };
  });
  const { items, out } = aliased(picked, 'c');
  return {
    sql: `SELECT ${random.chance(0.2) ? 'DISTINCT ' : ''}${items.join(', ')} FROM ${from.sql}${where}`,
    columns: out,
  };
}

function grouped(random: Random, from: From, where: string): Select {
  const windows = random.chance(0.85) ? (from.windows ?? []) : [];
  const keys: Column[] = windows.map((sql) => ({ sql, kind: 'ts' }));
  for (let left = random.below(3); left > 0; left--) {
    const kind = anyKind(random, from.columns);
    const sql = value(random, from.columns, kind, 1);
    // A constant is no key.
    if (from.columns.some((column) => sql.includes(column.sql)) && !/^\d+$/.test(sql)) keys.push({ sql, kind });
  }
  const aggregates = Array.from({ length: 1 + random.below(3) }, () => aggregate(random, from.columns));
  const sets = keys.length >= 2 && random.chance(0.3);
  if (sets && random.chance(0.5))
    aggregates.push({ sql: `grouping(${keys.map(({ sql }) => sql).join(', ')})`, kind: 'int' });
  if (keys.length > 0 && !sets && random.chance(0.08))
    aggregates.push({ sql: `sum(count(*)) OVER (ORDER BY ${keys[0].sql} ROWS 1 PRECEDING)`, kind: 'dec' });
  const named = aliased(keys, 'g');
  const computed = aliased(aggregates, 'm');
  const tests = [
    `count(*) ${random.pick(['>', '>=', '<'])} ${random.below(4)}`,
    "max('x') IS NOT NULL",
    'count(*) = (SELECT max(m) FROM t)',
  ];
  const having = random.chance(0.25) ? ` HAVING ${random.pick(tests)}` : '';
  const by = keys.length === 0 ? '' : ` GROUP BY ${sets ? groupingSets(random, keys) : groupKeys(random, keys)}`;
  return {
    sql: `SELECT ${[...named.items, ...computed.items].join(', ')} FROM ${from.sql}${where}${by}${having}`,
    columns: [...named.out, ...computed.out],
  };
}

/** By themselves or by their places in the list. */
const groupKeys = (random: Random, keys: readonly Column[]): string =>
  random.chance(0.15) ? keys.map((_, i) => i + 1).join(', ') : keys.map(({ sql }) => sql).join(', ');

function groupingSets(random: Random, keys: readonly Column[]): string {
  const [first, ...rest] = keys.map(({ sql }) => sql);
  return random.pick([
    `ROLLUP (${[first, ...rest].join(', ')})`,
    `CUBE (${[first, ...rest].join(', ')})`,
    `${first}, ROLLUP (${rest.join(', ')})`,
    `GROUPING SETS ((${[first, ...rest].join(', ')}), (${rest[0]}), ())`,
    `GROUPING SETS (${first}, (${rest.join(', ')}))`,
  ]);
}

/** The older form: the window among the keys. */
function groupWindow(random: Random): Select {
  const relation = random.pick(['a', 'g', 'f', 'h']);
  const columns = columnsOf(relation);
  const { name, intervals } = windowCall(random);
  const args = `ts, ${intervals.join(', ')}`;
  const { sql, kind } = aggregate(random, columns);
  const key = random.chance(0.6) ? 'k' : null;
  const bounds = random.chance(0.5)
    ? [`${name}_START(${args}) AS g0`, `${name}_END(${args}) AS g1`]
    : [`${name}_END(${args}) AS g1`];
  return {
    sql: `SELECT ${[...(key === null ? [] : ['k AS g2']), ...bounds, `${sql} AS m0`].join(', ')} FROM ${relation} GROUP BY ${[...(key === null ? [] : [key]), `${name}(${args})`].join(', ')}`,
    columns: [
      { sql: 'g1', kind: 'ts' },
      { sql: 'm0', kind },
    ],
  };
}

function over(random: Random, from: From, where: string): Select {
  const kept = { kind: anyKind(random, from.columns), sql: '' };
  const calls = Array.from({ length: 1 + random.below(2) }, () => overCall(random, from.columns));
  const { items, out } = aliased([{ ...kept, sql: value(random, from.columns, kept.kind, 1) }, ...calls], 'c');
  const qualify = random.chance(0.3)
    ? ` QUALIFY ${random.pick(['row_number()', 'rank()', 'dense_rank()', 'count(*)'])} OVER (PARTITION BY ${partition(random, from.columns)} ORDER BY ${value(random, from.columns, 'int', 0)}, ${value(random, from.columns, 'text', 0)} DESC) <= 2`
    : '';
  if (random.chance(0.1)) {
    const keys = `PARTITION BY ${partition(random, from.columns)} ORDER BY ${value(random, from.columns, 'int', 0)}`;
    return {
      sql: `SELECT ${items[0]}, count(*) OVER w AS c1, max(${value(random, from.columns, 'int', 0)}) OVER (w ROWS 2 PRECEDING) AS c2 FROM ${from.sql}${where} WINDOW w AS (${keys})`,
      columns: [out[0], { sql: 'c1', kind: 'int' }, { sql: 'c2', kind: 'int' }],
    };
  }
  return { sql: `SELECT ${items.join(', ')} FROM ${from.sql}${where}${qualify}`, columns: out };
}

/** Ordered by all that is shown, so that the first row is one. */
function distinctOn(random: Random, from: From, where: string): Select {
  const key = value(random, from.columns, random.pick<Kind>(['int', 'text', 'date']), 1);
  const shown = value(random, from.columns, random.pick<Kind>(['int', 'ts', 'dec']), 0);
  const direction = random.pick(['', ' DESC', ' NULLS FIRST']);
  return {
    sql: `SELECT x, o FROM (SELECT DISTINCT ON (x) x, o FROM (SELECT ${key} AS x, ${shown} AS o FROM ${from.sql}${where}) AS i ORDER BY x, o${direction}) AS f`,
    columns: [],
  };
}

/** The patterns that become a Top-N: the first rows of each group by number or by rank, their number shown or not. */
function topN(random: Random, from: From, where: string): Select {
  const part = partition(random, from.columns);
  const orderKind = random.pick<Kind>(['int', 'dec', 'ts', 'text']);
  const order = value(random, from.columns, orderKind, 0);
  const direction = random.pick([' ASC', ' DESC', '', ' DESC NULLS LAST']);
  const shown = value(random, from.columns, 'text', 0);
  const by = random.chance(0.85) ? `PARTITION BY ${part} ` : '';
  const fn = random.pick(['ROW_NUMBER()', 'ROW_NUMBER()', 'ROW_NUMBER()', 'RANK()', 'DENSE_RANK()']);
  const bound = random.pick([
    `rn <= ${1 + random.below(3)}`,
    'rn = 1',
    'rn < 3',
    `rn <= 3 AND ${random.pick(['o', 'z'])} IS NOT NULL`,
    'rn BETWEEN 2 AND 3',
  ]);
  return {
    sql:
      `SELECT p, o, z${random.chance(0.3) ? ', rn' : ''} FROM (SELECT ${part} AS p, ${order} AS o, ${shown} AS z, ` +
      `${fn} OVER (${by}ORDER BY ${order}${direction}, ${shown} ASC) AS rn FROM ${from.sql}${where}) AS r WHERE ${bound}`,
    columns: [
      { sql: 'o', kind: orderKind },
      { sql: 'z', kind: 'text' },
    ],
  };
}
