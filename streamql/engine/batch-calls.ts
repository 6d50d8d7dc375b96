import type { Batch } from '../../src/values/batch.ts';
import type { Column } from '../../src/values/column.ts';
import { PlainColumn } from '../../src/values/column.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import type { Expr } from '../plan/plan.ts';

type Call = Expr & { readonly op: 'call' };

/** Expressions whose calls that every row makes read columns in place of calling; `calls[n]` is column `width + n`. */
export interface Hoisted {
  readonly exprs: readonly Expr[];
  readonly calls: readonly Call[];
}

/**
 * Calls of functions that take whole batches, taken out of expressions where every row makes them: not behind CASE, COALESCE, AND and OR, which choose.
 * `width`: how many columns the input has.
 */
export function hoisted(exprs: readonly Expr[], width: number): Hoisted {
  const calls: Call[] = [];
  const known = new Map<string, number>();
  const visit = (expr: Expr): Expr => {
    switch (expr.op) {
      case 'call': {
        const row = FUNCTIONS.get(expr.fn);
        if (row?.batch === undefined || row.nullAware) return { ...expr, args: expr.args.map(visit) };
        const key = JSON.stringify(expr, (_, part: unknown) =>
          typeof part === 'bigint' ? { bigint: `${part}` } : part,
        );
        let at = known.get(key);
        if (at === undefined) {
          at = calls.push(expr) - 1;
          known.set(key, at);
        }
        return { op: 'column', index: width + at, type: expr.type };
      }
      case 'cast':
      case 'not':
      case 'isNull':
      case 'in':
        return { ...expr, arg: visit(expr.arg) };
      case 'compare':
        return { ...expr, left: visit(expr.left), right: visit(expr.right) };
      default:
        return expr;
    }
  };
  return { exprs: exprs.map(visit), calls };
}

/** The column of a call over all rows; null when some row has no value. A row with a NULL argument is NULL and not called for. */
export function callBatch({ fn }: Call, args: Batch): Column | null {
  const call = FUNCTIONS.get(fn)?.batch as NonNullable<ReturnType<typeof FUNCTIONS.get>>['batch'];
  const { length, columns } = args;
  const marks = columns.map(({ nulls }) => nulls).filter((nulls) => nulls !== null);
  if (marks.length === 0) return call!(columns, length);
  const rows = new Int32Array(length);
  const place = new Int32Array(length);
  const nulls = new Uint8Array(length);
  let count = 0;
  for (let i = 0; i < length; i++) {
    if (marks.some((mark) => mark[i] === 1)) nulls[i] = 1;
    else {
      place[i] = count;
      rows[count++] = i;
    }
  }
  const found = call!(
    columns.map((column) => column.gather(rows, count)),
    count,
  );
  if (found === null) return null;
  if (count === 0) {
    return new PlainColumn(found.type, length, new Array(length).fill(null), nulls);
  }
  const spread = found.gather(place, length);
  if (spread.nulls !== null) for (let i = 0; i < length; i++) nulls[i] |= spread.nulls[i];
  return new PlainColumn(spread.type, length, spread.values, nulls);
}
