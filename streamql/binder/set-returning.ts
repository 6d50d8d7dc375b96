import { StreamError } from '../../src/lib/errors.ts';
import { functionsNamed } from '../functions/functions.ts';
import { TABLE_FUNCTIONS } from '../functions/table-functions.ts';
import type { Name, Select, SelectItem } from '../parser/ast.ts';
import { Scope } from './scope.ts';

/** The table that a function of the SELECT list becomes. */
const SET = '$set';

type ExprItem = Extract<SelectItem, { kind: 'expr' }>;

const isSet = (item: SelectItem): item is ExprItem =>
  item.kind === 'expr' &&
  item.expr.kind === 'call' &&
  TABLE_FUNCTIONS.has(item.expr.name.text) &&
  functionsNamed(item.expr.name.text).length === 0;

/** The item of the SELECT list that is a function of several rows, such as unnest(tags); undefined when there is none. SQL_UNSUPPORTED for more. */
export function setItemOf(select: Select): ExprItem | undefined {
  const [item, second] = select.items.filter(isSet);
  if (second !== undefined) {
    throw new StreamError('SQL_UNSUPPORTED', 'several functions of many rows in one SELECT list are not supported', {
      at: second.at,
      hint: 'write them in FROM: … FROM t, unnest(a, b) AS u(x, y)',
    });
  }
  if (item !== undefined && (select.groupBy.length > 0 || select.having !== null)) throw notGrouped(item);
  return item;
}

export const notGrouped = (item: ExprItem): StreamError =>
  new StreamError(
    'SQL_UNSUPPORTED',
    'a function of many rows does not stand in a SELECT list beside groups, aggregates and window functions',
    {
      at: item.at,
      hint: 'write it in FROM: SELECT tag, count(*) FROM t, unnest(t.tags) AS tag GROUP BY tag',
    },
  );

/** The same with the function in FROM, after what it refers to. Rows of which it makes none are not there, as in Postgres. */
export function withSetInFrom(select: Select, item: ExprItem): Select {
  const { expr, at } = item;
  if (expr.kind !== 'call') return select;
  const name = (text: string): Name => ({ text, quoted: true, at });
  const table = {
    kind: 'function',
    name: expr.name,
    args: expr.args,
    ordinality: false,
    alias: { name: name(SET), columnNames: [name(SET)] },
    at,
  } as const;
  const column: ExprItem = {
    kind: 'expr',
    expr: { kind: 'column', path: [name(SET), name(SET)], at },
    alias: item.alias ?? expr.name,
    at,
  };
  return {
    ...select,
    from: [...select.from, table],
    items: select.items.map((one) => (one === item ? column : one)),
  };
}

/** Of FROM's columns that of the function is not among those of `*`. */
export const withoutSet = (scope: Scope): Scope =>
  new Scope(scope.columns.map((column) => (column.table === SET ? { ...column, hidden: true } : column)));
