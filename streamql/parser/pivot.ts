import type { Name, PivotValue, SelectItem, TableAlias, TableRef } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpr } from './expressions.ts';

type PivotRef = Extract<TableRef, { kind: 'pivot' | 'unpivot' }>;

export const isPivot = (cursor: Cursor): boolean =>
  (cursor.isWord('pivot') || cursor.isWord('unpivot')) && cursor.isSign('(', 1);

/** t PIVOT (sum(x) [AS s], … FOR c IN ('a' [AS n], …)) and t UNPIVOT (value FOR name IN (c [AS 'n'], …)). */
export function parsePivot(cursor: Cursor, input: TableRef, parseAlias: () => TableAlias | null): PivotRef {
  const { at, text } = cursor.next();
  const parts = cursor.parenthesized(() => (text === 'pivot' ? pivotParts(cursor) : unpivotParts(cursor)));
  return { ...parts, input, alias: parseAlias(), at };
}

function pivotParts(cursor: Cursor) {
  const aggregates = cursor.list((): Extract<SelectItem, { kind: 'expr' }> => {
    const { at } = cursor;
    const expr = parseExpr(cursor);
    return { kind: 'expr', expr, alias: takeAlias(cursor), at };
  });
  cursor.expectWord('for');
  const column = cursor.name('the column whose values become columns');
  cursor.expectWord('in');
  const values = cursor.parenthesized(() =>
    cursor.list((): PivotValue => {
      const value = parseExpr(cursor);
      return { value, alias: takeAlias(cursor) };
    }),
  );
  return { kind: 'pivot', aggregates, column, values } as const;
}

function unpivotParts(cursor: Cursor) {
  const value = cursor.name('a name for the values');
  cursor.expectWord('for');
  const name = cursor.name('a name for the column names');
  cursor.expectWord('in');
  const columns = cursor.parenthesized(() => cursor.list(() => cursor.name('a column')));
  return { kind: 'unpivot', value, name, columns } as const;
}

function takeAlias(cursor: Cursor): Name | null {
  return cursor.takeWord('as') ? cursor.name('a name') : null;
}
