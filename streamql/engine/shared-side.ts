import { gatherBatch } from '../../src/values/batch.ts';
import { keysOf, neverFails, plainSide, sharableSides, sideOf } from '../plan/join-side.ts';
import type { Join } from '../plan/plan.ts';
import type { OperatorContext } from './operators/base.ts';
import type { SharedSide } from './operators/join.ts';
import { residualSelector } from './operators/join-residual.ts';
import { isShared } from './sharing.ts';
import type { StoredRows } from './state/join-rows.ts';

/** What a pipeline's joins may read instead of keeping it. */
export interface Stores {
  /** Rows of a relation by these of its columns, if it has them so. */
  by(relation: string, columns: readonly number[]): StoredRows | null;
  /** Whether the query has the rows of what it reads, and follows their changes. */
  isFollowed(): boolean;
}

/** The side of a join whose rows a relation keeps by the join's keys, as the join reads it there. */
export function sharedSideOf(plan: Join, stores: Stores, context: OperatorContext): SharedSide | null {
  const sides = sharableSides(plan).flatMap((port) => {
    const side = plainSide(sideOf(plan, port));
    return side === null || side.scan.dropsLate === true ? [] : [{ port, ...side }];
  });
  // A side that was made to be shared is no other way in the plan, nor in the checkpoint.
  const made = sides.filter(({ scan }) => isShared(scan.relation));
  for (const { port, scan, outputs, predicate } of [...made, ...sides]) {
    if (predicate !== null && !neverFails(predicate)) continue;
    const position = (output: number): number => scan.columns[outputs[output]];
    const stored = stores.by(scan.relation, keysOf(plan, port).map(position));
    if (stored === null) continue;
    const keeps =
      predicate === null
        ? null
        : residualSelector(
            predicate,
            scan.schema.map(({ type }) => type),
            context,
          );
    const columns = scan.columns.map((column) => stored.columns[column]);
    return {
      port,
      rows: {
        columns: outputs.map((column) => columns[column]),
        get weights() {
          return stored.weights;
        },
        get chains() {
          return stored.chains;
        },
        probe: (batch, keyColumns, keySlots) => stored.probe(batch, keyColumns, keySlots),
      },
      filter: keeps === null ? null : { columns, keeps },
      isFollowed: () => stores.isFollowed(),
      scan: () => {
        const all = stored.scan(scan.columns);
        const kept = keeps?.(all) ?? null;
        const some = kept === null ? all : gatherBatch(all, kept.rows, kept.count);
        return { ...some, columns: outputs.map((column) => some.columns[column]) };
      },
    };
  }
  return null;
}
