import type { Random } from '../random.ts';
import { join } from './joins.ts';
import { match } from './patterns.ts';
import type { Select } from './select.ts';
import { lateral, pivoted, unnested } from './tables.ts';
import { type Column, columnsOf } from './values.ts';
import { window } from './windows.ts';

/** What stands in FROM, and the columns that it has. */
export interface From {
  readonly sql: string;
  readonly columns: readonly Column[];
  /** Columns that a grouping has to have among its keys, if it is to be by window. */
  readonly windows?: readonly string[];
}

/** Makes a SELECT for a subquery; handed down, since FROM and SELECT contain each other. */
export type Subselect = (random: Random, depth: number) => Select;

export function fromClause(random: Random, depth: number, subselect: Subselect): From {
  const choice = random.next();
  if (choice < 0.16) return window(random, depth, subselect);
  if (choice < 0.5) return join(random, depth, subselect);
  if (choice < 0.57) return lateral(random);
  if (choice < 0.61) return unnested(random);
  if (choice < 0.64) return pivoted(random);
  if (choice < 0.66) return match(random);
  if (choice < 0.78 && depth > 0) {
    const inner = subselect(random, depth - 1);
    return { sql: `(${inner.sql}) AS q`, columns: inner.columns.map(({ sql, kind }) => ({ sql: `q.${sql}`, kind })) };
  }
  return relation(random);
}

/** One of the relations, under a name or not. */
export function relation(random: Random): From {
  const name = random.pick(['a', 'a', 'g', 'g', 't', 'f', 'h', 'c', 'c']);
  return random.chance(0.5)
    ? { sql: `${name} AS q`, columns: columnsOf(name, 'q') }
    : { sql: name, columns: columnsOf(name) };
}
