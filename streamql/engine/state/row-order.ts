import type { Column } from '../../../src/values/column.ts';
import type { Datum, Interval } from '../../../src/values/types.ts';
import type { SortKey } from '../../plan/plan.ts';

/** Order of non-NULL datums of one type, as Postgres: NaN above all numbers, text by code point, false before true. */
export function orderDatums(a: Datum, b: Datum): number {
  if (a === b) return 0;
  if (typeof a === 'string') return orderText(a, b as string);
  if (typeof a === 'number' || typeof a === 'bigint') {
    if ((a as number) < (b as number)) return -1;
    if ((a as number) > (b as number)) return 1;
    return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : 0;
  }
  if (typeof a === 'boolean') return a ? 1 : -1;
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  if (Array.isArray(a)) return orderArrays(a, b as readonly Datum[]);
  return intervalMicros(a as Interval) - intervalMicros(b as Interval);
}

function intervalMicros(interval: Interval): number {
  return (interval.months * 30 + interval.days) * 86_400_000_000 + interval.micros;
}

function orderArrays(a: readonly Datum[], b: readonly Datum[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order =
      a[i] === null || b[i] === null ? Number(a[i] === null) - Number(b[i] === null) : orderDatums(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** UTF-16 units compare as code points do but for surrogates, which stand above U+E000..U+FFFF. */
function orderText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) {
      if (x >= 0xe000) x -= 0x800;
      else x += 0x2000;
      if (y >= 0xe000) y -= 0x800;
      else y += 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** Orders row `i` of columns `a` against row `j` of columns `b`. */
export type RowOrder = (a: readonly Column[], i: number, b: readonly Column[], j: number) => number;

/** The sort keys, then every other column ascending with NULLs last, so that only equal rows tie. */
export function totalOrder(width: number, orderBy: readonly SortKey[]): RowOrder {
  const keys: SortKey[] = [...orderBy];
  for (let column = 0; column < width; column++) {
    if (!orderBy.some((key) => key.column === column)) keys.push({ column, descending: false, nullsFirst: false });
  }
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
      const order = orderDatums(x.values[i] as Datum, y.values[j] as Datum);
      if (order !== 0) return key.descending ? -order : order;
    }
    return 0;
  };
}
