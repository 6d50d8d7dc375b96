import { ColumnBuilder } from '../../../src/values/column.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import type { StateChanges } from '../aggregate-table.ts';

/** Rows that come to one state, or go (`times` below 0). No argument is null. */
export function changesOf(
  rows: readonly (readonly [args: readonly Datum[], times: number])[],
  types: readonly SqlType[],
): StateChanges {
  const builders = types.map((type) => new ColumnBuilder(type, rows.length));
  for (const [args] of rows) for (let i = 0; i < types.length; i++) builders[i].push(args[i]);
  return {
    args: builders.map((builder) => builder.finish()),
    rows: Int32Array.from(rows, (_, i) => i),
    groups: new Int32Array(rows.length),
    times: Int32Array.from(rows, ([, times]) => times),
    count: rows.length,
  };
}
