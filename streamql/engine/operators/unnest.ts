import { assert } from '../../../src/lib/assert.ts';
import { StreamError } from '../../../src/lib/errors.ts';
import { type Batch, gatherBatch, rowAt, weightAt } from '../../../src/values/batch.ts';
import { ColumnBuilder, datumAt } from '../../../src/values/column.ts';
import type { SqlType } from '../../../src/values/types.ts';
import { TABLE_FUNCTIONS, type TableColumns, type TableFunction, tableRows } from '../../functions/table-functions.ts';
import type { Unnest } from '../../plan/plan.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** Rows per emitted batch, about. */
const CHUNK = 8192;

/** A function in FROM: each row once per row that the function makes of it. Stateless. */
export class UnnestOperator extends OperatorBase {
  readonly #plan: Unnest;
  readonly #fn: TableFunction;
  readonly #argTypes: readonly SqlType[];
  readonly #ownTypes: readonly SqlType[];

  constructor(info: OperatorInfo, context: OperatorContext, plan: Unnest) {
    super(info, context);
    const fn = TABLE_FUNCTIONS.get(plan.fn);
    assert(fn !== undefined, `there is no table function ${plan.fn}`);
    this.#plan = plan;
    this.#fn = fn;
    this.#argTypes = plan.args.map((column) => plan.input.schema[column].type);
    this.#ownTypes = plan.schema.slice(plan.input.schema.length).map((column) => column.type);
  }

  push(_port: number, batch: Batch): void {
    const { args, outer, ordinality } = this.#plan;
    const columns = args.map((column) => batch.columns[column]);
    let rows: number[] = [];
    let builders = this.#builders();
    const flush = (): void => {
      if (rows.length === 0) return;
      const input = gatherBatch(batch, Int32Array.from(rows), rows.length);
      this.emit({ ...input, columns: [...input.columns, ...builders.map((builder) => builder.finish())] });
      rows = [];
      builders = this.#builders();
    };
    for (let row = 0; row < batch.length; row++) {
      const made = this.#rowsOf(
        batch,
        row,
        columns.map((column) => datumAt(column, row)),
      );
      if (made === null) continue;
      const count = made[0].length;
      for (let i = 0; i < count; i++) {
        rows.push(row);
        for (let c = 0; c < made.length; c++) builders[c].push(made[c][i]);
        if (ordinality) builders[made.length].push(i + 1);
      }
      if (count === 0 && outer) {
        rows.push(row);
        for (const builder of builders) builder.push(null);
      }
      if (rows.length >= CHUNK) flush();
    }
    flush();
  }

  /** Null for a row of which the function has no value. */
  #rowsOf(batch: Batch, row: number, args: Parameters<typeof tableRows>[1]): TableColumns | null {
    try {
      return tableRows(this.#fn, args, this.#argTypes);
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
      if (weightAt(batch, row) > 0) this.context.onError(thrown.code, thrown.message, rowAt(batch, row));
      return null;
    }
  }

  #builders(): ColumnBuilder[] {
    return this.#ownTypes.map((type) => new ColumnBuilder(type));
  }
}
