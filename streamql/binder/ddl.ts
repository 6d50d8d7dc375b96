import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { SOURCE_HIDDEN_COLUMNS } from '../../src/values/hidden-columns.ts';
import { typeName } from '../../src/values/types.ts';
import type { ColumnDef, WatermarkDef } from '../parser/ast.ts';
import { BindContext } from './context.ts';
import { suggestion } from './scope.ts';
import { intervalMicros } from './windows.ts';

/** Declared columns; SQL_BIND for two of one name or the name of a hidden column. */
export function bindColumns(defs: readonly ColumnDef[]): ColumnSchema[] {
  const seen = new Set<string>();
  return defs.map(({ name, type, notNull, at }) => {
    if (seen.has(name.text))
      throw new StreamError('SQL_BIND', `two columns are named "${name.text}"`, {
        at,
        hint: 'give one of them another name',
      });
    if (SOURCE_HIDDEN_COLUMNS.some((column) => column.name === name.text)) {
      throw new StreamError('SQL_BIND', `"${name.text}" is the name of a hidden column`, {
        at,
        hint: 'take a name without the leading _',
      });
    }
    seen.add(name.text);
    return { name: name.text, type, nullable: !notNull };
  });
}

/** WATERMARK FOR c AS c, or AS c - INTERVAL '…': the column's position and how far the watermark stays behind. */
export function bindWatermark(
  { column, expr, at }: WatermarkDef,
  columns: readonly ColumnSchema[],
): { column: number; delayMicros: number } {
  const position = columns.findIndex((candidate) => candidate.name === column.text);
  if (position < 0) {
    throw new StreamError('SQL_BIND', `there is no column "${column.text}"`, {
      at: column.at,
      hint:
        suggestion(
          column.text,
          columns.map((c) => c.name),
        ) ?? `the columns are: ${columns.flatMap((c) => (c.hidden ? [] : [c.name])).join(', ')}`,
    });
  }
  const { type } = columns[position];
  if (type.kind !== 'timestamp' && type.kind !== 'timestamptz') {
    throw new StreamError('SQL_TYPE', `the watermark column "${column.text}" is ${typeName(type)}`, {
      at: column.at,
      hint: 'declare it TIMESTAMP or TIMESTAMPTZ',
    });
  }
  const isColumn = (e: typeof expr): boolean =>
    e.kind === 'column' && e.path.length === 1 && e.path[0].text === column.text;
  if (isColumn(expr)) return { column: position, delayMicros: 0 };
  if (expr.kind === 'binary' && expr.op === '-' && isColumn(expr.left)) {
    const context = new BindContext({ relation: () => undefined, relationNames: () => [] }, { mode: 'pull' });
    const delayMicros = intervalMicros(expr.right, context, false);
    if (delayMicros < 0)
      throw new StreamError('SQL_TYPE', 'the delay of a watermark may not be negative', { at: expr.right.at });
    return { column: position, delayMicros };
  }
  throw new StreamError('SQL_UNSUPPORTED', 'this form of watermark is not supported', {
    at,
    hint: `write WATERMARK FOR ${column.text} AS ${column.text} - INTERVAL '5 seconds'`,
  });
}
