import { type Batch, batchOfRows } from '../../../src/values/batch.ts';
import type { Values } from '../../plan/plan.ts';
import type { StateTable } from '../operator.ts';
import { RowTable } from '../state/row-table.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** Constant rows, emitted once, at the end of the first epoch; that it happened is state. */
export class ValuesOperator extends OperatorBase {
  readonly #rows: Batch;
  /** Has its one row once the constants were emitted. */
  readonly #emitted: RowTable;

  constructor(info: OperatorInfo, context: OperatorContext, plan: Values) {
    super(info, context);
    this.#rows = batchOfRows(
      plan.schema.map((column) => column.type),
      plan.rows,
    );
    this.#emitted = new RowTable(`${this.id}.emitted`, [], []);
  }

  override get state(): readonly StateTable[] {
    return [this.#emitted];
  }

  push(): void {}

  override endEpoch(): void {
    if (this.#emitted.rows > 0) return;
    this.#emitted.touch(this.#emitted.single());
    this.emit(this.#rows);
  }
}
