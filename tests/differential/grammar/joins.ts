import type { Random } from '../random.ts';
import { RELATIONS } from '../relations.ts';
import type { From, Subselect } from './from.ts';
import { subqueryTerm } from './subqueries.ts';
import { type Column, columnsOf, predicate, value } from './values.ts';

const KINDS = ['', 'INNER ', 'LEFT ', 'LEFT ', 'RIGHT ', 'FULL ', 'SEMI ', 'ANTI '];
const ANY = ['a', 'g', 't', 'f', 'h', 'c'];
/** Those with a column ts. */
const TIMED = ['a', 'g', 'f', 'h'];

export function join(random: Random, depth: number, subselect: Subselect): From {
  const choice = random.next();
  if (choice < 0.14) return asof(random);
  if (choice < 0.22) return temporal(random);
  if (choice < 0.34) return interval(random);
  if (choice < 0.4) return named(random);
  if (choice < 0.46) return cross(random);
  if (choice < 0.54) return three(random);
  if (choice < 0.62 && depth > 0) return withSubquery(random, depth, subselect);
  return two(random);
}

/** Semi and anti joins show their left side only. */
const shown = (kind: string, left: readonly Column[], right: readonly Column[]): readonly Column[] =>
  kind === 'SEMI ' || kind === 'ANTI ' ? left : [...left, ...right];

function two(random: Random): From {
  const [left, right] = [random.pick(ANY), random.pick(ANY)];
  const kind = random.pick(KINDS);
  const [l, r] = [columnsOf(left, 'l'), columnsOf(right, 'r')];
  return { sql: `${left} AS l ${kind}JOIN ${right} AS r ON ${condition(random, l, r)}`, columns: shown(kind, l, r) };
}

/** Equalities of columns and of expressions, what has none, and what is further to be true. */
function condition(random: Random, l: readonly Column[], r: readonly Column[]): string {
  const both = [...l, ...r];
  const terms = [
    random.pick([
      () => 'l.k = r.k',
      () => 'l.k = r.k',
      () => 'l.k = r.k',
      () => `l.k + 1 = r.k`,
      () => 'l.k IS NOT DISTINCT FROM r.k',
      () => `${value(random, l, 'int', 1)} = ${value(random, r, 'int', 1)}`,
      () => `${value(random, l, 'text', 1)} = ${value(random, r, 'text', 1)}`,
      () => `l.k = r.k AND ${value(random, l, 'text', 0)} = ${value(random, r, 'text', 0)}`,
      () => `l.k ${random.pick(['<', '<>', '>='])} r.k`,
    ])(),
  ];
  if (random.chance(0.35)) terms.push(predicate(random, both, 1));
  if (random.chance(0.06)) terms.push(subqueryTerm(random, both));
  return terms.join(random.chance(0.93) ? ' AND ' : ' OR ');
}

/** USING and NATURAL. */
function named(random: Random): From {
  const [left, right] = [random.pick(ANY), random.pick(ANY)];
  const kind = random.pick(KINDS);
  const common = RELATIONS[left].filter(([name]) => RELATIONS[right].some(([other]) => other === name));
  const using = random.chance(0.4) ? common.map(([name]) => name) : ['k'];
  const natural = random.chance(0.4);
  const sql = natural
    ? `${left} AS l NATURAL ${kind}JOIN ${right} AS r`
    : `${left} AS l ${kind}JOIN ${right} AS r USING (${using.join(', ')})`;
  const merged: Column[] = (natural ? common.map(([name]) => name) : using).map((name) => ({
    sql: name,
    kind: common.find(([other]) => other === name)![1],
  }));
  const columns = shown(kind, columnsOf(left, 'l'), columnsOf(right, 'r'));
  return { sql, columns: [...merged, ...merged, ...columns] };
}

function cross(random: Random): From {
  const left = random.pick(ANY);
  const columns = columnsOf(left, 'l');
  const small = random.pick([
    '(SELECT count(*) AS n, max(ts) AS m FROM g)',
    '(SELECT max(k) AS n, min(ts) AS m FROM f WHERE v > 1)',
    "(VALUES (1, TIMESTAMP '2026-01-01'), (2, NULL))",
  ]);
  const alias = small.startsWith('(VALUES') ? 'r(n, m)' : 'r';
  return {
    sql: random.chance(0.5) ? `${left} AS l CROSS JOIN ${small} AS ${alias}` : `${left} AS l, ${small} AS ${alias}`,
    columns: [...columns, { sql: 'r.n', kind: 'int' }, { sql: 'r.m', kind: 'ts' }],
  };
}

function three(random: Random): From {
  const names = [random.pick(ANY), random.pick(ANY), random.pick(ANY)];
  const [l, r, m] = ['l', 'r', 'm'].map((alias, i) => columnsOf(names[i], alias));
  const [first, second] = [random.pick(KINDS.slice(0, 6)), random.pick(KINDS)];
  const on = random.pick(['m.k = l.k', 'm.k = r.k', 'm.k = l.k AND m.k = r.k', 'm.k = COALESCE(l.k, r.k)']);
  const sql = `${names[0]} AS l ${first}JOIN ${names[1]} AS r ON ${condition(random, l, r)} ${second}JOIN ${names[2]} AS m ON ${on}`;
  return { sql, columns: shown(second, [...l, ...r], m) };
}

function withSubquery(random: Random, depth: number, subselect: Subselect): From {
  const left = random.pick(ANY);
  const inner = subselect(random, depth - 1);
  const r = inner.columns.map(({ sql, kind }): Column => ({ sql: `r.${sql}`, kind }));
  const l = columnsOf(left, 'l');
  const kind = random.pick(KINDS);
  const on = `${value(random, l, 'int', 0)} = ${value(random, r, 'int', 0)}`;
  const sql = random.chance(0.6)
    ? `${left} AS l ${kind}JOIN (${inner.sql}) AS r ON ${on}`
    : `(${inner.sql}) AS r ${kind}JOIN ${left} AS l ON ${on}`;
  return { sql, columns: sql.startsWith('(') ? shown(kind, r, l) : shown(kind, l, r) };
}

/** Bounds of the distance of two times, on both ends or one, or equal times; the streams without late rows let rows go by them. */
function interval(random: Random): From {
  const [left, right] = [random.pick(TIMED), random.pick(TIMED)];
  const kind = random.pick(KINDS);
  const [l, r] = [columnsOf(left, 'l'), columnsOf(right, 'r')];
  const seconds = random.pick([0, 3, 10]);
  const terms = [
    random.pick([
      `l.ts BETWEEN r.ts - INTERVAL '5 seconds' AND r.ts + INTERVAL '${seconds} seconds'`,
      `r.ts BETWEEN l.ts AND l.ts + INTERVAL '${seconds} seconds'`,
      `l.ts >= r.ts AND l.ts < r.ts + INTERVAL '${seconds} seconds'`,
      `l.ts > r.ts - INTERVAL '${seconds} seconds'`,
      'l.ts = r.ts',
      "date_trunc('minute', l.ts) = date_trunc('minute', r.ts)",
    ]),
  ];
  if (random.chance(0.7)) terms.unshift('l.k = r.k');
  if (random.chance(0.2)) terms.push(predicate(random, [...l, ...r], 1));
  return { sql: `${left} AS l ${kind}JOIN ${right} AS r ON ${terms.join(' AND ')}`, columns: shown(kind, l, r) };
}

function asof(random: Random): From {
  const [left, right] = [random.pick(TIMED), random.pick(TIMED)];
  const r = columnsOf(right, 'r');
  const [x, y] = random.chance(0.5) ? ['l', 'r'] : ['r', 'l'];
  const times = `${x}.ts ${random.pick(['>=', '>', '<=', '<'])} ${y}.ts`;
  const keys = random.pick(['l.k = r.k', 'l.k = r.k', 'l.k = r.k', 'l.k = r.k + 1', 'TRUE']);
  const more = random.chance(0.25) ? ` AND ${predicate(random, r, 0)}` : '';
  const outer = random.chance(0.5) ? 'LEFT ' : '';
  const sql = random.chance(0.5)
    ? `${left} AS l ASOF ${outer}JOIN ${right} AS r ON ${keys} AND ${times}${more}`
    : `${left} AS l ${outer}ASOF JOIN ${right} AS r MATCH_CONDITION (${times}) ON ${keys}${more}`;
  return { sql, columns: [...columnsOf(left, 'l'), ...r] };
}

/** With the table's row as it was at a time. */
function temporal(random: Random): From {
  const left = random.pick(TIMED);
  const [l, r] = [columnsOf(left, 'l'), columnsOf('t', 'r')];
  const kind = random.pick(['', 'LEFT ']);
  const more = random.chance(0.3) ? ` AND ${predicate(random, [...l, ...r], 0)}` : '';
  const key = random.pick(['l.k', 'l.k', 'l.k + 1']);
  return {
    sql: `${left} AS l ${kind}JOIN t FOR SYSTEM_TIME AS OF l.ts AS r ON ${key} = r.k${more}`,
    columns: [...l, ...r],
  };
}
