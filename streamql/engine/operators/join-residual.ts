import { rowAt, weightAt } from '../../../src/values/batch.ts';
import { PlainColumn } from '../../../src/values/column.ts';
import { INTEGER, type SqlType } from '../../../src/values/types.ts';
import type { Expr } from '../../plan/plan.ts';
import { compileFilterProject } from '../compile-expr.ts';
import { identity } from '../state/state-column.ts';
import type { OperatorContext } from './base.ts';
import type { Selector } from './join.ts';

/** The part of an ON condition that is no equality of keys, over joined rows. A pair it cannot decide does not match. */
export function residualSelector(residual: Expr, types: readonly SqlType[], context: OperatorContext): Selector {
  const position: Expr = { op: 'column', index: types.length, type: INTEGER };
  const run = compileFilterProject(residual, [position], [...types, INTEGER]);
  return (batch) => {
    const positions = new PlainColumn(INTEGER, batch.length, identity(batch.length), null);
    const { batch: passed, errors } = run({ ...batch, columns: [...batch.columns, positions] });
    if (errors !== null) {
      for (const { row, code, reason } of errors) {
        if (weightAt(batch, row) > 0) context.onError(code, reason, rowAt(batch, row));
      }
    }
    return { rows: passed.columns[0].values as Int32Array, count: passed.length };
  };
}
