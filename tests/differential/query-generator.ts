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
  return random.chance(0.15) ? unionAll(random) : random.chance(0.12) ? withCte(random) : select(random, 2).sql;
}

function unionAll(random: Random): string {
  const [relation, other] = [random.pick(['a', 'g']), random.pick(['a', 'g'])];
  const side = (name: string): string =>
    `SELECT k, s, ts FROM ${name}${random.chance(0.5) ? ` WHERE ${predicate(random, columnsOf(name), 1)}` : ''}`;
  const all = random.chance(0.7) ? 'UNION ALL' : 'UNION';
  const inner = `${side(relation)} ${all} ${side(other)}`;
  return random.chance(0.5) ? inner : `SELECT k, count(*) AS n, max(ts) AS last FROM (${inner}) AS u GROUP BY k`;
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
  const where = random.chance(0.5) ? ` WHERE ${predicate(random, from.columns, 2)}` : '';
  return random.chance(0.55)
    ? grouped(random, from, where)
    : random.chance(0.15)
      ? topN(random, from, where)
      : plain(random, from, where);
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
    const kind = random.pick(['JOIN', 'LEFT JOIN']);
    const residual = random.chance(0.3)
      ? ` AND ${predicate(random, [...columnsOf(left, 'l'), ...columnsOf(right, 'r')], 1)}`
      : '';
    return {
      sql: `${left} AS l ${kind} ${right} AS r ON l.k = r.k${residual}`,
      columns: [...columnsOf(left, 'l'), ...columnsOf(right, 'r')],
    };
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
  if (choice < 0.68 && depth > 0) {
    const inner = select(random, depth - 1);
    return { sql: `(${inner.sql}) AS q`, columns: inner.columns };
  }
  const relation = random.pick(['a', 'a', 'g', 't']);
  return { sql: relation, columns: columnsOf(relation) };
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
  const having = random.chance(0.25) ? ` HAVING count(*) ${random.pick(['>', '>=', '<'])} ${random.below(4)}` : '';
  const groupBy = keys.length === 0 ? '' : ` GROUP BY ${keys.join(', ')}`;
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
