import { assert } from '../../../src/lib/assert.ts';
import { type Batch, gatherBatch } from '../../../src/values/batch.ts';
import { keysOf, plainSide, sharableSides, sideOf } from '../../plan/join-side.ts';
import type { Scan } from '../../plan/plan.ts';
import { residualSelector } from '../operators/join-residual.ts';
import { ViewStore } from '../operators/view-store.ts';
import type { LoadedCheckpoint, ObjectEntry } from '../runtime/checkpoint-store.ts';
import type { GraphNode } from '../runtime/graph.ts';
import type { QueryNode } from '../runtime/query-node.ts';
import { TableStore } from '../runtime/table-store.ts';
import { shardsOf } from './place.ts';

const SILENT = { emit: () => undefined, onError: () => undefined };

/**
 * Sides of joins that were shared when the checkpoint was taken and are not any more, since there are more shards now: their rows are those that the
 * relation had. `ownerOf` names the object of a relation.
 */
export function fillSides(
  node: QueryNode,
  entry: ObjectEntry,
  checkpoint: LoadedCheckpoint,
  place: { readonly index: number; readonly count: number },
  ownerOf: (relation: string) => GraphNode,
): void {
  // Until it follows what it reads it has no rows of it, but for those it looks up in.
  if (entry.backfill !== undefined && entry.held === undefined) return;
  for (const { operator, plan } of node.pipeline.joins) {
    for (const port of sharableSides(plan)) {
      const table = operator.tableOf(port);
      if (table === null || entry.tables.some(({ id }) => id === table.id)) continue;
      const side = plainSide(sideOf(plan, port));
      assert(side !== null, `the rows of ${table.id} are in the checkpoint`);
      const { scan, outputs, predicate } = side;
      let rows = rowsOf(ownerOf(scan.relation), scan, checkpoint);
      if (predicate !== null) {
        const keeps = residualSelector(
          predicate,
          scan.schema.map(({ type }) => type),
          SILENT,
        );
        const kept = keeps(rows);
        rows = gatherBatch(rows, kept.rows, kept.count);
      }
      operator.fill(
        port,
        mine({ ...rows, columns: outputs.map((column) => rows.columns[column]) }, keysOf(plan, port), place),
      );
    }
  }
}

function rowsOf(owner: GraphNode, { columns }: Scan, checkpoint: LoadedCheckpoint): Batch {
  const { spec } = owner;
  const saved = checkpoint.manifest.objects.find(({ id }) => id === spec.id);
  const pieces = (table: string): Buffer[] =>
    (saved?.tables ?? [])
      .filter(({ id, shard = 0 }) => id === table && shard === 0)
      .flatMap(({ pieces: refs }) => refs.map((ref) => checkpoint.piece(ref)));
  if (spec.kind === 'source') {
    const store = new TableStore(spec.columns, spec.primaryKey!);
    for (const piece of pieces(store.table.id)) store.table.load(piece);
    return store.scan(columns);
  }
  assert(spec.kind === 'view', 'rows are in tables and views');
  const store = new ViewStore('view', spec.columns, spec.key);
  for (const piece of pieces('view')) store.state.load(piece);
  return store.scan(columns);
}

function mine(batch: Batch, keys: readonly number[], { index, count }: { index: number; count: number }): Batch {
  if (count === 1) return batch;
  const shards = new Int32Array(batch.length);
  shardsOf(
    keys.map((column) => batch.columns[column]),
    batch.length,
    count,
    shards,
  );
  const rows = Int32Array.from(shards.keys()).filter((row) => shards[row] === index);
  return gatherBatch(batch, rows, rows.length);
}
