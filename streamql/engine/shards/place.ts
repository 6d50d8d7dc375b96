import type { Batch } from '../../../src/values/batch.ts';
import type { Column } from '../../../src/values/column.ts';
import { hashText } from '../../../src/values/hash.ts';
import type { Spread } from '../../plan/partitioning.ts';
import { placingHashes } from '../state/row-hash.ts';

/** Which of `count` shards has a row: the upper bits of the hash decide, since hash tables go by the lower ones. */
const shardOfHash = (hash: number, count: number): number => ((hash >>> 16) * count) >>> 16;

/** Topics begin with different shards, so that those of one partition do not all meet in the first. */
export const ownerOfPartition = (topic: string, partition: number, count: number): number =>
  count === 1 ? 0 : ((hashText(topic) >>> 0) + partition) % count;

/** Sets `shards[row]` for the rows of a batch that is spread by these columns. */
export function shardsOf(columns: readonly Column[], length: number, count: number, shards: Int32Array): void {
  placingHashes(columns, length, shards);
  for (let row = 0; row < length; row++) shards[row] = shardOfHash(shards[row], count);
}

/** The batch cut into one per shard; null for a shard that gets nothing. */
export function splitByShard(batch: Batch, spread: Spread & { to: 'keys' }, count: number): (Batch | null)[] {
  const { length, columns, weights } = batch;
  const shards = new Int32Array(length);
  shardsOf(
    spread.columns.map((column) => columns[column]),
    length,
    count,
    shards,
  );
  const counts = new Int32Array(count);
  for (let row = 0; row < length; row++) counts[shards[row]]++;
  return Array.from(counts, (size, shard) => {
    if (size === 0) return null;
    if (size === length) return batch;
    const rows = new Int32Array(size);
    let at = 0;
    for (let row = 0; row < length; row++) if (shards[row] === shard) rows[at++] = row;
    return {
      length: size,
      columns: columns.map((column) => column.gather(rows, size)),
      weights: weights === null ? null : rows.map((row) => weights[row]),
    };
  });
}
