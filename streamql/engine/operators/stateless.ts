import type { ErrorCode } from '../../../src/lib/errors.ts';
import { type Batch, rowAt, weightAt } from '../../../src/values/batch.ts';
import type { RecordOrigin } from '../operator.ts';
import { OperatorBase, type OperatorContext, type OperatorInfo } from './base.ts';

/** One filter with the projection after it, compiled. */
export type Stage = (batch: Batch) => {
  readonly batch: Batch;
  readonly kept: Int32Array | null;
  readonly errors: readonly { readonly row: number; readonly code: ErrorCode; readonly reason: string }[] | null;
};

/** A chain of filters and projections. A row that one of them cannot compute is reported when it comes, and left out. */
export class StatelessOperator extends OperatorBase {
  readonly #stages: readonly Stage[];

  constructor(info: OperatorInfo, context: OperatorContext, stages: readonly Stage[]) {
    super(info, context);
    this.#stages = stages;
  }

  push(_port: number, batch: Batch): void {
    let rows = batch;
    const passed: Int32Array[] = [];
    for (const stage of this.#stages) {
      const { batch: out, kept, errors } = stage(rows);
      if (errors !== null) {
        for (const { row, code, reason } of errors) {
          // The same row fails again when it is taken back: that is no news.
          if (weightAt(rows, row) > 0)
            this.context.onError(code, reason, rowAt(rows, row), originOf(batch, passed, row));
        }
      }
      if (kept !== null) passed.push(kept);
      rows = out;
      if (rows.length === 0) return;
    }
    this.emit(rows);
  }
}

/** `row` counts what the stages before let through: `passed`, from the first on. */
function originOf({ origin }: Batch, passed: readonly Int32Array[], row: number): RecordOrigin | null {
  if (origin === undefined) return null;
  const at = passed.reduceRight((index, kept) => kept[index], row);
  const { topic, partition, offsets, timestampsMs } = origin;
  return { topic, partition, offset: offsets[at], timestampMs: timestampsMs[at] };
}
