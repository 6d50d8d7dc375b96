import type { Random } from '../random.ts';
import type { Kind } from '../relations.ts';
import { type Column, predicate, value } from './values.ts';

const DIRECTIONS = ['', ' ASC', ' DESC', ' ASC NULLS FIRST', ' DESC NULLS LAST'];
const STARTS = ['UNBOUNDED PRECEDING', '2 PRECEDING', '1 PRECEDING', 'CURRENT ROW', '1 FOLLOWING'];
const ENDS = ['1 PRECEDING', 'CURRENT ROW', '1 FOLLOWING', '2 FOLLOWING', 'UNBOUNDED FOLLOWING'];

/** A call of a window function, with its window. */
export function overCall(random: Random, columns: readonly Column[]): Column {
  const by = random.chance(0.7) ? [`PARTITION BY ${partition(random, columns)}`] : [];
  const key = random.pick<Kind>(['int', 'int', 'ts', 'dec', 'text']);
  const order = `ORDER BY ${value(random, columns, key, random.below(2))}${random.pick(DIRECTIONS)}`;
  const more = random.chance(0.2) ? `, ${value(random, columns, 'text', 0)}${random.pick(DIRECTIONS)}` : '';
  const sorted = [...by, order + more].join(' ');
  const filter = random.chance(0.15) ? ` FILTER (WHERE ${predicate(random, columns, 0)})` : '';
  const of = random.pick<Kind>(['int', 'int', 'dec', 'text', 'ts']);
  const arg = value(random, columns, of, 1);
  const number = value(random, columns, random.pick(['int', 'dec']), 1);
  const call = random.pick([
    () => [random.pick(['row_number()', 'rank()', 'dense_rank()', 'ntile(3)']), sorted, 'int'],
    () => [random.pick(['rank()', 'percent_rank()', 'cume_dist()']), sorted, 'approx'],
    () => [random.pick([`lag(${arg})`, `lead(${arg}, 2)`, `lag(${arg}, 0)`]), sorted, of],
    () => [`lead(${arg}, 1, ${value(random, columns, of, 0)})`, sorted, of],
    () => [
      random.pick([`first_value(${arg})`, `last_value(${arg})`, `nth_value(${arg}, 2)`]),
      `${sorted}${rows(random)}`,
      of,
    ],
    () => [`count(${random.pick(['*', arg])})${filter}`, `${sorted}${rows(random)}`, 'int'],
    () => [`${random.pick(['sum', 'avg'])}(${number})${filter}`, `${sorted}${rows(random)}`, 'dec'],
    () => [`${random.pick(['min', 'max'])}(${arg})${filter}`, `${sorted}${rows(random)}`, of],
    () => [`${random.pick(['min', 'max'])}(${arg})${filter}`, sorted, of],
    () => [`sum(${number})${filter}`, `${[...by, order].join(' ')}${range(random, key)}`, 'dec'],
    () => [`count(*)${filter}`, `${[...by, order].join(' ')}${range(random, key)}`, 'int'],
    () => [`${random.pick(['sum', 'avg'])}(${number})${filter}`, by.join(' '), 'dec'],
    () => [`${random.pick(['count', 'max', 'min'])}(${arg})`, by.join(' '), 'approx'],
  ])();
  return { sql: `${call[0]} OVER (${call[1]})`, kind: call[2] as Column['kind'] };
}

export const partition = (random: Random, columns: readonly Column[]): string =>
  value(random, columns, random.pick<Kind>(['int', 'text', 'bool', 'date']), random.below(2));

function rows(random: Random): string {
  if (random.chance(0.2)) return ` ROWS ${random.pick(STARTS.slice(0, 4))}`;
  return ` ROWS BETWEEN ${inOrder(random, STARTS, ENDS)}`;
}

/** A frame does not end before it starts. */
function inOrder(random: Random, starts: readonly string[], ends: readonly string[]): string {
  const place = (text: string): number => {
    const by = text.startsWith('UNBOUNDED') ? 99 : (/\d+/.exec(text)?.[0] ?? 0);
    return text.endsWith('PRECEDING') ? -Number(by) : Number(by);
  };
  const start = random.pick(starts);
  const end = random.pick(ends.filter((text) => place(text) >= place(start)));
  return `${start} AND ${end}`;
}

function range(random: Random, key: Kind): string {
  const by = { int: '2', dec: '1.5', ts: "INTERVAL '10 seconds'" }[key as string];
  const starts = ['UNBOUNDED PRECEDING', 'CURRENT ROW', ...(by === undefined ? [] : [`${by} PRECEDING`])];
  const ends = ['CURRENT ROW', 'UNBOUNDED FOLLOWING', ...(by === undefined ? [] : [`${by} FOLLOWING`])];
  return ` RANGE BETWEEN ${random.pick(starts)} AND ${random.pick(ends)}`;
}
