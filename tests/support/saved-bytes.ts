import type { StateTable } from '../../streamql/engine/operator.ts';

/** As `table.save`, in one array. */
export function savedBytes(table: StateTable, full: true): Buffer;
export function savedBytes(table: StateTable, full: boolean): Buffer | null;
export function savedBytes(table: StateTable, full: boolean): Buffer | null {
  const parts = table.save(full);
  return parts === null ? null : Buffer.concat(parts);
}
