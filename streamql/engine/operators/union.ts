import type { Batch } from '../../../src/values/batch.ts';
import { OperatorBase } from './base.ts';

/** UNION ALL: every port's rows, as they come. Stateless. */
export class UnionOperator extends OperatorBase {
  push(_port: number, batch: Batch): void {
    this.emit(batch);
  }
}
