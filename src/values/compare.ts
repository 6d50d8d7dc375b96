import { intervalMicros } from './interval.ts';
import type { Datum, Interval, SqlType } from './types.ts';

/** Ordering and equality as Postgres has them: NaN is greatest and equals itself, text goes by code point. */

/** Code point order, which is the order of the UTF-8 bytes; JavaScript's `<` goes by UTF-16 units. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const xSurrogate = x >= 0xd800 && x <= 0xdfff;
    const ySurrogate = y >= 0xd800 && y <= 0xdfff;
    // Surrogates stand for code points above every other unit.
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return a.length - b.length < 0 ? -1 : 1;
}

export function compareDouble(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  const aIsNan = a !== a;
  const bIsNan = b !== b;
  return aIsNan === bIsNan ? 0 : aIsNan ? 1 : -1;
}

/** Neither is NULL and both are of the type. Negative, zero or positive. */
export function compareDatums(a: Datum, b: Datum, type: SqlType): number {
  switch (type.kind) {
    case 'varchar':
    case 'uuid':
    case 'jsonb':
    case 'row':
    case 'map':
      return compareText(a as string, b as string);
    case 'real':
    case 'double':
      return compareDouble(a as number, b as number);
    case 'bytea':
      return Buffer.compare(a as Uint8Array, b as Uint8Array);
    case 'interval': {
      const x = intervalMicros(a as Interval);
      const y = intervalMicros(b as Interval);
      return x < y ? -1 : x > y ? 1 : 0;
    }
    case 'array': {
      const [x, y] = [a as readonly Datum[], b as readonly Datum[]];
      for (let i = 0; i < Math.min(x.length, y.length); i++) {
        const order = compareNullable(x[i], y[i], type.element);
        if (order !== 0) return order;
      }
      return x.length - y.length;
    }
    default:
      return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0;
  }
}

/** NULL is greatest and equals itself: Postgres's order when nothing else is said. */
export function compareNullable(a: Datum, b: Datum, type: SqlType): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return compareDatums(a, b, type);
}

/** Whether two datums, NULLs too, are one value in the sense of GROUP BY. */
export function equalDatums(a: Datum, b: Datum, type: SqlType): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  switch (type.kind) {
    case 'real':
    case 'double':
      return a !== a && b !== b;
    case 'bytea':
    case 'interval':
    case 'array':
      return compareDatums(a, b, type) === 0;
    default:
      return false;
  }
}
