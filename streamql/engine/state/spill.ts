import type { StateTable } from '../operator.ts';
import type { SpillFile } from './spill-file.ts';
import { TextStateColumn } from './text-state-column.ts';

/** Puts texts of these tables out of memory until about `bytes` fewer are in it, what was used longest ago first. Answers how many. */
export function spill(tables: readonly StateTable[], file: SpillFile, bytes: number): number {
  const chunks = tables
    .flatMap((table) => table.columns ?? [])
    .flatMap((column) =>
      column instanceof TextStateColumn ? [...column.chunks()].map((chunk) => ({ column, ...chunk })) : [],
    )
    .sort((a, b) => a.used - b.used);
  let freed = 0;
  for (const { column, chunk, bytes: size } of chunks) {
    if (freed >= bytes) break;
    column.putOut(chunk, file);
    freed += size;
  }
  return freed;
}
