import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Plan } from './plan.ts';

/** Equal for parts of a plan that yield the same rows; what columns are called does not matter. */
export function planKey(plan: Plan): string {
  return exactJson(plan, (key, value) =>
    key === 'schema' ? (value as readonly ColumnSchema[]).map((column) => [column.type, column.nullable]) : value,
  );
}

/** Plain data as JSON in which different datums stay different: bigints, bytes, −0, NaN and infinities too. `replace` sees all other values. */
export function exactJson(data: unknown, replace: (key: string, value: unknown) => unknown): string {
  return JSON.stringify(data, (key, value: unknown) => {
    if (typeof value === 'bigint') return { bigint: value.toString() };
    if (typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value)))
      return { number: Object.is(value, -0) ? '-0' : `${value}` };
    if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
    return replace(key, value);
  });
}
