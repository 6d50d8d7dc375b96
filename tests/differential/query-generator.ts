/**
 * Random queries of the grammar that views support, as text. Every query is well typed; what it computes may still
 * have no value for some row (the comparison then leaves that query out).
 */
export interface Random {
  /** [0, 1) */
  next(): number;
  below(bound: number): number;
  pick<T>(from: readonly T[]): T;
  chance(probability: number): boolean;
}

export function randomFrom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return { next, below, pick: (from) => from[below(from.length)], chance: (probability) => next() < probability };
}

type Kind = 'int' | 'dec' | 'dbl' | 'text' | 'bool' | 'ts';

interface Column {
  readonly sql: string;
  readonly kind: Kind;
}

/** The relations that the harness feeds: `a` append-only, `g` with retractions, `t` keyed by k. */
export const RELATIONS: Readonly<Record<string, readonly (readonly [name: string, kind: Kind])[]>> = {
  a: [
    ['k', 'int'],
    ['v', 'int'],
    ['d', 'dec'],
    ['x', 'dbl'],
    ['s', 'text'],
    ['b', 'bool'],
    ['ts', 'ts'],
  ],
  g: [
    ['k', 'int'],
    ['w', 'int'],
    ['e', 'dec'],
    ['s', 'text'],
    ['ts', 'ts'],
  ],
  t: [
    ['k', 'int'],
    ['n', 'text'],
    ['m', 'int'],
  ],
};

export function generateQuery(random: Random): string {
  return random.chance(0.15) ? setOperation(random) : random.chance(0.12) ? withCte(random) : select(random, 2).sql;
}

function setOperation(random: Random): string {
  const [relation, other] = [random.pick(['a', 'g']), random.pick(['a', 'g'])];
  const columns = random.pick(['k, s, ts', 'k, s', 'k']);
  const side = (name: string): string =>
    `SELECT ${columns} FROM ${name}${random.chance(0.5) ? ` WHERE ${predicate(random, columnsOf(name), 1)}` : ''}`;
  const operation = `${random.pick(['UNION', 'UNION', 'INTERSECT', 'EXCEPT'])}${random.chance(0.6) ? ' ALL' : ''}`;
  const inner = `${side(relation)} ${operation} ${side(other)}`;
  return random.chance(0.5) ? inner : `SELECT k, count(*) AS n, count(DISTINCT k) AS d FROM (${inner}) AS u GROUP BY k`;
}

function withCte(random: Random): string {
  const inner = select(random, 1);
  const key = inner.columns.find((column) => column.kind === 'int');
  const tail =
    key === undefined
      ? 'SELECT count(*) AS n FROM c'
      : `SELECT l.${key.sql} AS k1, count(*) AS n FROM c AS l JOIN c AS r ON l.${key.sql} = r.${key.sql} GROUP BY l.${key.sql}`;
  return `WITH c AS (${inner.sql}) ${tail}`;
}

interface Select {
  readonly sql: string;
  readonly columns: readonly Column[];
}

function select(random: Random, depth: number): Select {
  const from = fromClause(random, depth);
  const terms = random.chance(0.5) ? [predicate(random, from.columns, 2)] : [];
  if (random.chance(0.2)) terms.push(subquery(random, from.columns));
  const where = terms.length === 0 ? '' : ` WHERE ${terms.join(random.chance(0.8) ? ' AND ' : ' OR ')}`;
  const choice = random.next();
  if (choice < 0.5) return grouped(random, from, where);
  if (choice < 0.56) return topN(random, from, where);
  if (choice < 0.68) return over(random, from, where);
  if (choice < 0.73) return distinctOn(random, from, where);
  return plain(random, from, where);
}

/** A condition with a subquery; correlated only by columns that name their relation, which the inner one cannot hide. */
function subquery(random: Random, columns: readonly Column[]): string {
  const relation = random.pick(['a', 'g', 't']);
  const inner = columnsOf(relation, 'y');
  const outer = columns.filter((column) => column.kind === 'int' && column.sql.includes('.'));
  const terms = random.chance(0.5) ? [predicate(random, inner, 1)] : [];
  if (outer.length > 0 && random.chance(0.8)) {
    const { sql } = random.pick(outer);
    terms.push(random.pick([`y.k = ${sql}`, `y.k = ${sql}`, `y.k + 1 = ${sql}`, `y.k < ${sql}`, `y.k <> ${sql}`]));
  }
  const where = terms.length === 0 ? '' : ` WHERE ${terms.join(' AND ')}`;
  const left = value(random, columns, 'int', 0);
  return random.pick([
    () => `${random.pick(['', 'NOT '])}EXISTS (SELECT 1 FROM ${relation} AS y${where})`,
    () =>
      `${left} ${random.pick(['', 'NOT '])}IN (SELECT ${value(random, inner, 'int', 0)} FROM ${relation} AS y${where})`,
    () =>
      `${left} ${random.pick(['=', '<', '>='])} (SELECT ${random.pick(['count(*)', 'max(y.k)', 'min(y.k) + 1'])} FROM ${relation} AS y${where})`,
    () => `EXISTS (SELECT y.k FROM ${relation} AS y${where} GROUP BY y.k HAVING count(*) > 1)`,
  ])();
}

function over(random: Random, from: From, where: string): Select {
  const part = random.chance(0.7)
    ? `PARTITION BY ${value(random, from.columns, random.pick(['int', 'text']), 0)} `
    : '';
  const order = value(random, from.columns, random.pick(['int', 'ts', 'dec']), 0);
  const direction = random.pick(['ASC', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST']);
  const arg = value(random, from.columns, 'int', 0);
  const edge = random.pick(['UNBOUNDED PRECEDING', '2 PRECEDING', 'CURRENT ROW']);
  const end = random.pick(['CURRENT ROW', '1 FOLLOWING', 'UNBOUNDED FOLLOWING']);
  const sorted = `${part}ORDER BY ${order} ${direction}`;
  const call = random.pick([
    () => `${random.pick(['rank()', 'dense_rank()'])} OVER (${sorted})`,
    () =>
      `${random.pick(['sum', 'count', 'min', 'max'])}(${arg}) OVER (${sorted} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`,
    () => `${random.pick(['sum', 'count', 'min', 'max'])}(${arg}) OVER (${part})`,
    () => `count(*) OVER (${sorted} ROWS BETWEEN ${edge} AND ${end})`,
  ])();
  const keep = value(random, from.columns, 'int', 0);
  const items = `${keep} AS c0, CAST(${call} AS BIGINT) AS c1`;
  const qualify = random.chance(0.3) ? ` QUALIFY ${call} <= 2` : '';
  return {
    sql: `SELECT ${items} FROM ${from.sql}${where}${qualify}`,
    columns: [
      { sql: 'c0', kind: 'int' },
      { sql: 'c1', kind: 'int' },
    ],
  };
}

/** Ordered by all that is shown, so that the first row is one. */
function distinctOn(random: Random, from: From, where: string): Select {
  const key = value(random, from.columns, random.pick(['int', 'text']), 0);
  const shown = value(random, from.columns, random.pick(['int', 'ts', 'dec']), 0);
  const direction = random.pick(['', ' DESC', ' NULLS FIRST']);
  return {
    sql: `SELECT x, o FROM (SELECT DISTINCT ON (x) x, o FROM (SELECT ${key} AS x, ${shown} AS o FROM ${from.sql}${where}) AS i ORDER BY x, o${direction}) AS f`,
    columns: [],
  };
}

interface From {
  readonly sql: string;
  readonly columns: readonly Column[];
}

const columnsOf = (relation: string, alias?: string): Column[] =>
  RELATIONS[relation].map(([name, kind]) => ({ sql: alias === undefined ? name : `${alias}.${name}`, kind }));

function fromClause(random: Random, depth: number): From {
  const choice = random.next();
  if (choice < 0.2) {
    const relation = random.pick(['a', 'g']);
    const hop = random.chance(0.5);
    const call = hop
      ? `HOP(${relation}, ts, INTERVAL '5 seconds', INTERVAL '${random.pick([10, 15])} seconds')`
      : `TUMBLE(${relation}, ts, INTERVAL '10 seconds')`;
    return {
      sql: call,
      columns: [...columnsOf(relation), { sql: 'window_start', kind: 'ts' }, { sql: 'window_end', kind: 'ts' }],
    };
  }
  if (choice < 0.5) {
    const [left, right] = [random.pick(['a', 'g', 't']), random.pick(['a', 'g', 't'])];
    const kind = random.pick(['', '', 'LEFT ', 'LEFT ', 'RIGHT ', 'FULL ', 'SEMI ', 'ANTI ']);
    const both = [...columnsOf(left, 'l'), ...columnsOf(right, 'r')];
    const columns = kind === 'SEMI ' || kind === 'ANTI ' ? columnsOf(left, 'l') : both;
    if (random.chance(0.15)) return { sql: `${left} AS l ${kind}JOIN ${right} AS r USING (k)`, columns };
    const terms = ['l.k = r.k'];
    if (random.chance(0.3)) terms.push(predicate(random, both, 1));
    if (left !== 't' && right !== 't' && random.chance(0.2))
      terms.push(`l.ts BETWEEN r.ts - INTERVAL '5 seconds' AND r.ts + INTERVAL '${random.pick([0, 3, 10])} seconds'`);
    return { sql: `${left} AS l ${kind}JOIN ${right} AS r ON ${terms.join(' AND ')}`, columns };
  }
  if (choice < 0.56) {
    const [left, right] = [random.pick(['a', 'g']), random.pick(['a', 'g'])];
    const [x, y] = random.chance(0.5) ? ['l', 'r'] : ['r', 'l'];
    const times = `${x}.ts ${random.pick(['>=', '>', '<=', '<'])} ${y}.ts`;
    const keys = random.chance(0.8) ? `l.k = r.k${random.chance(0.2) ? ' AND l.s = r.s' : ''}` : 'TRUE';
    const outer = random.chance(0.5) ? 'LEFT ' : '';
    const join = random.chance(0.5)
      ? `ASOF ${outer}JOIN ${right} AS r ON ${keys} AND ${times}`
      : `${outer}ASOF JOIN ${right} AS r MATCH_CONDITION (${times}) ON ${keys}`;
    return { sql: `${left} AS l ${join}`, columns: [...columnsOf(left, 'l'), ...columnsOf(right, 'r')] };
  }
  if (choice < 0.62) return lateral(random);
  if (choice < 0.74 && depth > 0) {
    const inner = select(random, depth - 1);
    return { sql: `(${inner.sql}) AS q`, columns: inner.columns };
  }
  const relation = random.pick(['a', 'a', 'g', 't']);
  return random.chance(0.5)
    ? { sql: `${relation} AS q`, columns: columnsOf(relation, 'q') }
    : { sql: relation, columns: columnsOf(relation) };
}

/** What stands right may name the columns of the left side. */
function lateral(random: Random): From {
  const left = random.pick(['a', 'g', 't']);
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
  const right = random.pick(['a', 'g']);
  const own = columnsOf(right, 'i');
  const where = `${random.chance(0.8) ? 'i.k = l.k' : 'i.k > l.k'}${random.chance(0.4) ? ` AND ${predicate(random, [...own, ...columns], 1)}` : ''}`;
  const inner =
    choice < 0.5
      ? `SELECT count(*) AS n, max(i.ts) AS m FROM ${right} AS i WHERE ${where}`
      : choice < 0.75
        ? `SELECT i.k AS n, i.ts AS m FROM ${right} AS i WHERE ${where}`
        : `SELECT i.k AS n, i.ts AS m FROM ${right} AS i WHERE ${where} ORDER BY i.ts, i.k LIMIT 2`;
  return {
    sql: `${left} AS l ${join} LATERAL (${inner}) AS r${on}`,
    columns: [...columns, { sql: 'r.n', kind: 'int' }, { sql: 'r.m', kind: 'ts' }],
  };
}

function plain(random: Random, from: From, where: string): Select {
  const items: string[] = [];
  const columns: Column[] = [];
  const count = 1 + random.below(4);
  for (let i = 0; i < count; i++) {
    const kind = random.pick<Kind>(['int', 'int', 'dec', 'text', 'bool', 'ts', 'dbl']);
    items.push(`${value(random, from.columns, kind, 2)} AS c${i}`);
    columns.push({ sql: `c${i}`, kind });
  }
  return {
    sql: `SELECT ${random.chance(0.2) ? 'DISTINCT ' : ''}${items.join(', ')} FROM ${from.sql}${where}`,
    columns,
  };
}

function grouped(random: Random, from: From, where: string): Select {
  const windows = from.columns.filter((column) => column.sql.startsWith('window_'));
  const keys = [...windows.map((column) => column.sql)];
  const columns: Column[] = windows.map((column) => ({ sql: column.sql, kind: 'ts' }));
  const items = windows.map((column) => column.sql);
  const groupCount = random.below(3);
  for (let i = 0; i < groupCount; i++) {
    const kind = random.pick<Kind>(['int', 'text', 'bool']);
    const expr = value(random, from.columns, kind, 1);
    if (!from.columns.some((column) => expr.includes(column.sql))) continue;
    keys.push(expr);
    items.push(`${expr} AS g${i}`);
    columns.push({ sql: `g${i}`, kind });
  }
  const aggregateCount = 1 + random.below(3);
  for (let i = 0; i < aggregateCount; i++) {
    const { sql, kind } = aggregate(random, from.columns);
    items.push(`${sql} AS m${i}`);
    columns.push({ sql: `m${i}`, kind });
  }
  const sets = keys.length >= 2 && windows.length === 0 && random.chance(0.3);
  const having = random.chance(0.25) ? ` HAVING count(*) ${random.pick(['>', '>=', '<'])} ${random.below(4)}` : '';
  const by = sets ? `${random.pick(['ROLLUP', 'CUBE'])} (${keys.join(', ')})` : keys.join(', ');
  const groupBy = keys.length === 0 ? '' : ` GROUP BY ${by}`;
  return { sql: `SELECT ${items.join(', ')} FROM ${from.sql}${where}${groupBy}${having}`, columns };
}

function aggregate(random: Random, columns: readonly Column[]): Column {
  const filter = random.chance(0.25) ? ` FILTER (WHERE ${predicate(random, columns, 1)})` : '';
  const distinct = random.chance(0.2) ? 'DISTINCT ' : '';
  const choice = random.next();
  if (choice < 0.2) return { sql: `count(*)${filter}`, kind: 'int' };
  if (choice < 0.35)
    return {
      sql: `count(${distinct}${value(random, columns, random.pick(['int', 'text']), 1)})${filter}`,
      kind: 'int',
    };
  if (choice < 0.55)
    return { sql: `sum(${distinct}${value(random, columns, random.pick(['int', 'dec']), 1)})${filter}`, kind: 'dec' };
  if (choice < 0.65)
    return { sql: `avg(${value(random, columns, random.pick(['int', 'dec']), 1)})${filter}`, kind: 'dec' };
  const kind = random.pick<Kind>(['int', 'dec', 'text', 'ts', 'dbl']);
  return { sql: `${random.pick(['min', 'max'])}(${value(random, columns, kind, 1)})${filter}`, kind };
}

function topN(random: Random, from: From, where: string): Select {
  const part = value(random, from.columns, 'int', 0);
  const order = value(random, from.columns, random.pick(['int', 'dec', 'ts']), 0);
  const direction = random.pick(['ASC', 'DESC']);
  const shown = value(random, from.columns, 'text', 0);
  return {
    sql:
      `SELECT p, o, z FROM (SELECT ${part} AS p, ${order} AS o, ${shown} AS z, ` +
      `ROW_NUMBER() OVER (PARTITION BY ${part} ORDER BY ${order} ${direction}, ${shown} ASC) AS rn FROM ${from.sql}${where}) AS r WHERE rn <= ${1 + random.below(3)}`,
    columns: [{ sql: 'p', kind: 'int' }],
  };
}

function predicate(random: Random, columns: readonly Column[], depth: number): string {
  const choice = random.next();
  if (depth > 0 && choice < 0.3) {
    return `(${predicate(random, columns, depth - 1)} ${random.pick(['AND', 'OR'])} ${predicate(random, columns, depth - 1)})`;
  }
  if (depth > 0 && choice < 0.38) return `NOT ${predicate(random, columns, depth - 1)}`;
  const kind = random.pick<Kind>(['int', 'int', 'dec', 'text', 'ts', 'dbl']);
  const left = value(random, columns, kind, depth);
  if (choice < 0.5) return `${left} IS ${random.pick(['', 'NOT '])}NULL`;
  if (choice < 0.58 && kind === 'text')
    return `${left} ${random.pick(['', 'NOT '])}LIKE '${random.pick(['a%', '%b', '_', '%'])}'`;
  if (choice < 0.66 && kind === 'int') return `${left} ${random.pick(['', 'NOT '])}IN (1, 2, 5)`;
  if (choice < 0.74 && kind === 'int') return `${left} BETWEEN ${random.below(4)} AND ${random.below(8)}`;
  if (choice < 0.8) return `${left} IS ${random.pick(['', 'NOT '])}DISTINCT FROM ${value(random, columns, kind, 0)}`;
  return `${left} ${random.pick(['=', '<>', '<', '<=', '>', '>='])} ${value(random, columns, kind, 0)}`;
}

function value(random: Random, columns: readonly Column[], kind: Kind, depth: number): string {
  const fitting = columns.filter((column) => column.kind === kind);
  if (depth === 0 || random.chance(0.55)) {
    return fitting.length > 0 && random.chance(0.9) ? random.pick(fitting).sql : literal(random, kind);
  }
  const inner = (of: Kind = kind): string => value(random, columns, of, depth - 1);
  const common = random.next();
  if (common < 0.12) return `CASE WHEN ${predicate(random, columns, 0)} THEN ${inner()} ELSE ${inner()} END`;
  if (common < 0.2) return `COALESCE(${inner()}, ${inner()})`;
  switch (kind) {
    case 'int':
      return random.pick([
        () => `(${inner()} ${random.pick(['+', '-', '*'])} ${inner()})`,
        () => `abs(${inner()})`,
        () => `(${inner()} % 3)`,
        () => `(${inner()} / 2)`,
        () => `length(${inner('text')})`,
        () => `CAST(extract(second FROM ${inner('ts')}) AS BIGINT)`,
        () => `CAST(${inner('dec')} AS BIGINT)`,
      ])();
    case 'dec':
      return random.pick([
        () => `(${inner()} ${random.pick(['+', '-'])} ${inner()})`,
        () => `(${inner('int')} * 0.5)`,
        () => `round(${inner()}, 1)`,
        () => `abs(${inner()})`,
      ])();
    case 'dbl':
      return random.pick([
        () => `(${inner()} + ${inner()})`,
        () => `abs(${inner()})`,
        () => `CAST(${inner('int')} AS DOUBLE PRECISION)`,
      ])();
    case 'text':
      return random.pick([
        () => `upper(${inner()})`,
        () => `(${inner()} || ${inner()})`,
        () => `substr(${inner()}, 1, 2)`,
        () => `CAST(${inner('int')} AS VARCHAR)`,
      ])();
    case 'bool':
      return `(${predicate(random, columns, 0)})`;
    case 'ts':
      return random.pick([() => `(${inner()} + INTERVAL '3 seconds')`, () => `date_trunc('minute', ${inner()})`])();
  }
}

function literal(random: Random, kind: Kind): string {
  switch (kind) {
    case 'int':
      return String(random.below(9));
    case 'dec':
      return `${random.below(9)}.${random.below(100)}`.padEnd(3, '0');
    case 'dbl':
      return `CAST(${random.below(9)}.5 AS DOUBLE PRECISION)`;
    case 'text':
      return `'${random.pick(['a', 'b', 'ab', ''])}'`;
    case 'bool':
      return random.pick(['TRUE', 'FALSE']);
    case 'ts':
      return `TIMESTAMP '2026-01-01 00:00:${String(random.below(60)).padStart(2, '0')}'`;
  }
}
