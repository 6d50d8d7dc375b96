import type { StateTable } from '../operator.ts';
import type { SpillFile } from './spill-file.ts';

/** Puts texts of these tables out of memory until about `bytes` fewer are in it, what was used longest ago first. Answers how many. */
export function spill(tables: readonly StateTable[], file: SpillFile, bytes: number): number {
  const blocks = tables
    .flatMap((table) => table.pageable ?? [])
    .flatMap((column) => {
      const pages = column.pagedInto(file);
      return pages === null ? [] : [...pages.inMemory()].map((block) => ({ pages, ...block }));
    })
    .sort((a, b) => a.used - b.used);
  let freed = 0;
  for (const { pages, block, bytes: size } of blocks) {
    if (freed >= bytes) break;
    pages.putOut(block);
    freed += size;
  }
  return freed;
}
