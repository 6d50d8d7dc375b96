import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Plan } from './plan.ts';

/** Equal for parts of a plan that yield the same rows; what columns are called does not matter. */
export function planKey(plan: Plan): string {
  return JSON.stringify(plan, (key, value: unknown) => {
    if (key === 'schema') return (value as readonly ColumnSchema[]).map((column) => [column.type, column.nullable]);
    if (typeof value === 'bigint') return { bigint: value.toString() };
    if (typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value)))
      return { number: Object.is(value, -0) ? '-0' : `${value}` };
    if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
    return value;
  });
}
