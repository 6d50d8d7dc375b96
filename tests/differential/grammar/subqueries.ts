import type { Random } from '../random.ts';
import { type Column, columnsOf, predicate, value } from './values.ts';

interface Inner {
  readonly relation: string;
  readonly columns: readonly Column[];
  readonly where: string;
}

/** A relation and a condition over it; correlated only by columns that name their relation, which the inner one cannot hide. */
function inner(random: Random, columns: readonly Column[], alias = 'y'): Inner {
  const relation = random.pick(['a', 'g', 't', 'f', 'c']);
  const own = columnsOf(relation, alias);
  const outer = columns.filter((column) => column.kind === 'int' && column.sql.includes('.'));
  const terms = random.chance(0.5) ? [predicate(random, own, 1)] : [];
  if (outer.length > 0 && random.chance(0.8)) {
    const { sql } = random.pick(outer);
    const key = `${alias}.k`;
    terms.push(
      random.pick([`${key} = ${sql}`, `${key} = ${sql}`, `${key} + 1 = ${sql}`, `${key} < ${sql}`, `${key} <> ${sql}`]),
    );
  }
  return { relation, columns: own, where: terms.length === 0 ? '' : ` WHERE ${terms.join(' AND ')}` };
}

const NUMBERS = ['count(*)', 'max(y.k)', 'min(y.k) + 1', 'count(DISTINCT y.k)', 'CAST(sum(y.k) AS BIGINT)'];

export function subqueryTerm(random: Random, columns: readonly Column[]): string {
  const { relation, columns: own, where } = inner(random, columns);
  const left = value(random, columns, 'int', 0);
  const from = `FROM ${relation} AS y${where}`;
  const also = where === '' ? ' WHERE' : `${where} AND`;
  return random.pick([
    () => `${random.pick(['', 'NOT '])}EXISTS (SELECT 1 ${from})`,
    () => `${left} ${random.pick(['', 'NOT '])}IN (SELECT ${value(random, own, 'int', 0)} ${from})`,
    () => `${value(random, columns, 'text', 0)} IN (SELECT ${value(random, own, 'text', 0)} ${from})`,
    () => `${left} ${random.pick(['=', '<', '>='])} (SELECT ${random.pick(NUMBERS)} ${from})`,
    () => `EXISTS (SELECT y.k ${from} GROUP BY y.k HAVING count(*) > 1)`,
    () => `(${left} IN (SELECT y.k ${from})) IS NOT TRUE`,
    () => `${left} = (SELECT y.k ${from} ORDER BY y.k DESC NULLS LAST LIMIT 1)`,
    () =>
      `EXISTS (SELECT 1 FROM ${relation} AS y${also} NOT EXISTS (SELECT 1 FROM g AS z WHERE z.k = y.k AND z.w > 1))`,
    () => `${left} IN (SELECT y.k ${from} UNION ALL SELECT z.k FROM g AS z WHERE z.w > 2)`,
    () => `${left} >= (SELECT count(*) FROM (SELECT DISTINCT y.k ${from}) AS d)`,
  ])();
}

/** As a value of the SELECT list. */
export function scalarSubquery(random: Random, columns: readonly Column[]): Column {
  const { relation, where } = inner(random, columns);
  const from = `FROM ${relation} AS y${where}`;
  return random.pick<Column>([
    { sql: `(SELECT ${random.pick(NUMBERS)} ${from})`, kind: 'int' },
    { sql: `EXISTS (SELECT 1 ${from})`, kind: 'bool' },
    { sql: `(${value(random, columns, 'int', 0)} NOT IN (SELECT y.k ${from}))`, kind: 'bool' },
    { sql: `COALESCE((SELECT max(y.k) ${from}), 0)`, kind: 'int' },
    { sql: `(SELECT array_agg(y.k) ${from})`, kind: 'ints' },
  ]);
}
