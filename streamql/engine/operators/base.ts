import type { ErrorCode } from '../../../src/lib/errors.ts';
import type { Batch } from '../../../src/values/batch.ts';
import type { Datum } from '../../../src/values/types.ts';
import type { ChangelogKind } from '../../plan/plan.ts';
import type { StateGrowth } from '../../plan/state-growth.ts';
import type { Emit, Operator, OperatorCounters, RecordOrigin, StateTable } from '../operator.ts';

/** What every operator is told about its place in the plan. */
export interface OperatorInfo {
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly inputs: readonly string[];
  readonly changelog: ChangelogKind;
  readonly growth: StateGrowth | null;
}

/** Where an operator's output and its failing rows go. */
export interface OperatorContext {
  readonly emit: Emit;
  readonly onError: (code: ErrorCode, reason: string, row: readonly Datum[], origin?: RecordOrigin | null) => void;
}

/** The plain part of the contract; `build.ts` counts rows and time where operators meet. */
export abstract class OperatorBase implements Operator {
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly inputs: readonly string[];
  readonly changelog: ChangelogKind;
  readonly growth: StateGrowth | null;
  readonly stats: OperatorCounters = { rowsIn: 0, rowsOut: 0, busyMs: 0 };
  protected readonly context: OperatorContext;

  constructor(info: OperatorInfo, context: OperatorContext) {
    this.id = info.id;
    this.name = info.name;
    this.detail = info.detail;
    this.inputs = info.inputs;
    this.changelog = info.changelog;
    this.growth = info.growth;
    this.context = context;
  }

  get state(): readonly StateTable[] {
    return [];
  }

  abstract push(port: number, batch: Batch): void;

  endEpoch(): void {}

  protected emit(batch: Batch): void {
    if (batch.length > 0) this.context.emit(batch);
  }
}

/** `count` weights, all the same; null stands for +1. */
export function allWeights(count: number, weight: number): Int32Array | null {
  return weight === 1 ? null : new Int32Array(count).fill(weight);
}

/** Stands in for an operator that works in another shard only: nothing comes here, and nothing goes out. */
export class SilentOperator extends OperatorBase {
  push(): void {}
}
