import { TABLE_FUNCTIONS, tableRows } from '../../streamql/functions/table-functions.ts';
import type { Unnest } from '../../streamql/plan/plan.ts';
import { assert } from '../lib/assert.ts';
import { arrayOf, type Datum, type SqlType, typeName } from '../values/types.ts';
import type { ForeignCall } from './duckdb-expr.ts';

/** A function in FROM: per column our own code gives a list, and DuckDB unnests them side by side. */
export function printUnnest(plan: Unnest, input: string, scope: { foreign(call: ForeignCall): string }): string {
  const fn = TABLE_FUNCTIONS.get(plan.fn);
  assert(fn !== undefined, `there is no table function ${plan.fn}`);
  const types = plan.args.map((column): SqlType => plan.input.schema[column].type);
  const width = plan.input.schema.length;
  const args = plan.args.map((column) => `t.c${column}`).join(', ');
  const lists = plan.schema.slice(width).map(({ type }, i) => {
    const run = (values: readonly Datum[]): Datum => {
      const columns = tableRows(fn, values, types);
      const rows = columns[0].length;
      if (rows === 0) return plan.outer ? [null] : [];
      return i < columns.length ? columns[i] : Array.from({ length: rows }, (_, row) => row + 1);
    };
    const key = `${plan.fn}(${types.map(typeName).join(', ')})${plan.outer ? ' outer' : ''} ${i}`;
    const name = scope.foreign({ key, args: types, type: arrayOf(type), run });
    return `unnest(${name}(${args})) AS c${width + i}`;
  });
  return `SELECT ${[...plan.input.schema.map((_, i) => `t.c${i}`), ...lists].join(', ')} FROM (${input}) AS t`;
}
