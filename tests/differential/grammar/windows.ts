import type { Random } from '../random.ts';
import type { From, Subselect } from './from.ts';
import { type Column, columnsOf } from './values.ts';

/** What a window call is given, and how it may be written. */
interface Call {
  readonly name: string;
  /** Of SESSION. */
  readonly by: string;
  readonly intervals: readonly string[];
  /** Names of the intervals where arguments are named. */
  readonly named: readonly string[];
}

const seconds = (random: Random, from: readonly number[]): string => `INTERVAL '${random.pick(from)} seconds'`;

export function windowCall(random: Random): Call {
  const name = random.pick(['TUMBLE', 'TUMBLE', 'HOP', 'HOP', 'CUMULATE', 'SESSION']);
  const offset = random.chance(0.2) ? [seconds(random, [1, 3, -2])] : [];
  switch (name) {
    case 'TUMBLE':
      return { name, by: '', intervals: [seconds(random, [10, 7]), ...offset], named: ['SIZE', 'OFFSET'] };
    case 'HOP':
      return {
        name,
        by: '',
        intervals: [seconds(random, [5, 4]), seconds(random, [10, 15, 5]), ...offset],
        named: ['SLIDE', 'SIZE', 'OFFSET'],
      };
    case 'CUMULATE':
      return {
        name,
        by: '',
        intervals: ["INTERVAL '5 seconds'", seconds(random, [15, 20]), ...offset],
        named: ['STEP', 'SIZE', 'OFFSET'],
      };
    default:
      return { name, by: random.pick(['', ' PARTITION BY k']), intervals: [seconds(random, [3, 8])], named: ['GAP'] };
  }
}

const FORMS: readonly ((call: Call, table: string) => string)[] = [
  ({ name, by, intervals }, table) => `${name}(${table}${by}, ts, ${intervals.join(', ')})`,
  ({ name, by, intervals }, table) => `TABLE(${name}(${tableOf(table)}${by}, DESCRIPTOR(ts), ${intervals.join(', ')}))`,
  ({ name, by, intervals }, table) => `${name}(${tableOf(table)}${by}, DESCRIPTOR(ts), ${intervals.join(', ')})`,
  ({ name, by, intervals, named }, table) =>
    `TABLE(${name}(DATA => ${tableOf(table)}${by}, TIMECOL => DESCRIPTOR(ts), ${intervals.map((text, i) => `${named[i]} => ${text}`).join(', ')}))`,
];
const tableOf = (table: string): string => (table.startsWith('(') ? table : `TABLE ${table}`);

export const BOUNDS: readonly Column[] = ['window_start', 'window_end', 'window_time'].map((sql) => ({
  sql,
  kind: 'ts',
}));

export function window(random: Random, depth: number, subselect: Subselect): From {
  const [sql, columns] = windowed(random);
  if (random.chance(0.12)) return windowJoin(random);
  if (random.chance(0.1) && depth > 0) {
    const inner = subselect(random, depth - 1);
    const time = inner.columns.find(({ kind }) => kind === 'ts');
    const key = inner.columns.find(({ kind }) => kind === 'int');
    if (time !== undefined) {
      const input = `(SELECT ${time.sql} AS ts, ${key?.sql ?? '1'} AS k FROM (${inner.sql}) AS i)`;
      const call = windowCall(random);
      return {
        sql: FORMS[0](call, input),
        columns: [{ sql: 'ts', kind: 'ts' }, ...(key ? [{ sql: 'k', kind: 'int' as const }] : []), ...BOUNDS],
        windows: ['window_start', 'window_end'],
      };
    }
  }
  return { sql, columns: [...columns, ...BOUNDS], windows: ['window_start', 'window_end'] };
}

function windowed(random: Random): [sql: string, columns: readonly Column[]] {
  const relation = random.pick(['a', 'g', 'f', 'h']);
  const table = random.chance(0.15) ? `(SELECT * FROM ${relation} WHERE k > 0)` : relation;
  return [random.pick(FORMS)(windowCall(random), table), columnsOf(relation)];
}

/** Of the same windows of two streams. */
function windowJoin(random: Random): From {
  const [left, right] = [random.pick(['a', 'f']), random.pick(['g', 'h'])];
  const call = windowCall(random);
  const kind = random.pick(['', 'LEFT ', 'FULL ', 'SEMI ', 'ANTI ']);
  const side = (relation: string): string => `(SELECT * FROM ${FORMS[0](call, relation)})`;
  const named = (alias: string, columns: readonly Column[]): Column[] =>
    columns.map(({ sql, kind }) => ({ sql: `${alias}.${sql}`, kind }));
  const l = named('l', [...columnsOf(left), ...BOUNDS]);
  const r = named('r', [...columnsOf(right), ...BOUNDS]);
  return {
    sql: `${side(left)} AS l ${kind}JOIN ${side(right)} AS r ON l.window_start = r.window_start AND l.window_end = r.window_end${random.chance(0.6) ? ' AND l.k = r.k' : ''}`,
    columns: kind === 'SEMI ' || kind === 'ANTI ' ? l : [...l, ...r],
    windows: ['l.window_start', 'l.window_end'],
  };
}
