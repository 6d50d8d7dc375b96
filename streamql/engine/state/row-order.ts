import type { Column } from '../../../src/values/column.ts';
import { compareDatums } from '../../../src/values/compare.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { SortKey } from '../../plan/plan.ts';
import { TextStateColumn } from './text-state-column.ts';

/** Orders row `i` of columns `a` against row `j` of columns `b`. */
export type RowOrder = (a: readonly Column[], i: number, b: readonly Column[], j: number) => number;

/** The sort keys, then every other column ascending with NULLs last, so that only equal rows tie. */
export function totalOrder(width: number, orderBy: readonly SortKey[]): RowOrder {
  const keys: SortKey[] = [...orderBy];
  for (let column = 0; column < width; column++) {
    if (!orderBy.some((key) => key.column === column)) keys.push({ column, descending: false, nullsFirst: false });
  }
  return sortKeyOrder(keys);
}

/** By the sort keys alone: rows that tie are peers. */
export function sortKeyOrder(keys: readonly SortKey[]): RowOrder {
  return (a, i, b, j) => {
    for (let k = 0; k < keys.length; k++) {
      const key = keys[k];
      const x = a[key.column];
      const y = b[key.column];
      const xNull = x.nulls !== null && x.nulls[i] === 1;
      const yNull = y.nulls !== null && y.nulls[j] === 1;
      if (xNull || yNull) {
        if (xNull && yNull) continue;
        return xNull === key.nullsFirst ? -1 : 1;
      }
      const order = compareAt(x, i, y, j);
      if (order !== 0) return key.descending ? -order : order;
    }
    return 0;
  };
}

/** Of two values of one type, of state or of a batch; neither is NULL. */
export function compareAt(x: Column, i: number, y: Column, j: number): number {
  if (x instanceof TextStateColumn) return x.compareWith(i, y, j);
  if (y instanceof TextStateColumn) return 0 - y.compareWith(j, x, i);
  return compareDatums(x.values[i] as Datum, y.values[j] as Datum, x.type);
}
