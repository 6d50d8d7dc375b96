import { divideDecimal, type Exact } from '../../src/values/decimal.ts';
import { BIGINT, DOUBLE, decimal, MAX_DECIMAL_PRECISION, type SqlType } from '../../src/values/types.ts';
import type { AggregateCall } from '../plan/plan.ts';

export type AggregateName = AggregateCall['fn'];

/** Digits after the point of an average or quotient of exact numbers: at least as many as Postgres promises. */
export const QUOTIENT_SCALE = 16;

/** The result type of an aggregate over an argument type; undefined when it does not take that type. */
export function aggregateType(fn: AggregateName, arg: SqlType): SqlType | undefined {
  if (fn === 'count') return BIGINT;
  if (fn === 'min' || fn === 'max')
    return arg.kind === 'array' || arg.kind === 'jsonb' || arg.kind === 'bytea' ? undefined : arg;
  switch (arg.kind) {
    case 'smallint':
    case 'integer':
      return fn === 'sum' ? BIGINT : decimal(MAX_DECIMAL_PRECISION, QUOTIENT_SCALE);
    case 'bigint':
      return decimal(MAX_DECIMAL_PRECISION, fn === 'sum' ? 0 : QUOTIENT_SCALE);
    case 'decimal':
      return decimal(MAX_DECIMAL_PRECISION, fn === 'sum' ? arg.scale : Math.max(QUOTIENT_SCALE, arg.scale));
    case 'real':
    case 'double':
      return DOUBLE;
    default:
      return undefined;
  }
}

/** avg from the sum of the unscaled argument values and their count (not 0), as the result type's unscaled value. */
export function finishAverage(sum: Exact, argScale: number, count: number, resultScale: number): Exact {
  return divideDecimal(sum, argScale, count, 0, resultScale);
}
