import { createHash } from 'node:crypto';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { changelogOf } from '../plan/changelog.ts';
import { relationTimeOf } from '../plan/event-time.ts';
import { keysOf, plainSide, sideOf } from '../plan/join-side.ts';
import type { Join, Plan, Scan } from '../plan/plan.ts';
import { exactJson, planKey } from '../plan/plan-key.ts';
import { columnsUsed, filterBy, remap } from '../plan/walk.ts';
import type { Arranged } from './operators/arranged-store.ts';

/** A side of a join as something that other joins may have too, whichever columns each of them needs. */
export interface ArrangedSide {
  /** The same for sides of the same rows by the same keys. */
  readonly key: string;
  /** Positions in `relation`; of a side that is more than a selection, all of its own columns. */
  readonly needs: readonly number[];
  /** Which of them each column of the side is. */
  readonly outputs: readonly number[];
  /** What keeps these columns, a superset of the needed ones. */
  plan(columns: readonly number[]): { readonly plan: Plan; readonly arranged: Arranged };
  /** The side as a scan of what keeps these columns under this id. */
  scan(id: string, columns: readonly number[]): Scan;
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 24);

/** `columnsOf`: of a relation. */
export function arrangedSide(
  join: Join,
  port: 0 | 1,
  columnsOf: (relation: string) => readonly ColumnSchema[],
): ArrangedSide {
  const side = sideOf(join, port);
  const nullSafe = join.nullSafe === true;
  const plain = plainSide(side);
  if (plain === null) {
    const by = keysOf(join, port);
    const all = side.schema.map((_, column) => column);
    const plan = () => ({ plan: side, arranged: { by, nullSafe } });
    return { key: hashOf(`${planKey(side)} ${by} ${nullSafe}`), needs: all, outputs: all, plan, scan: scanOf };
  }
  const { scan: of, predicate } = plain;
  const outputs = plain.outputs.map((column) => of.columns[column]);
  const keys = keysOf(join, port).map((column) => outputs[column]);
  const condition = predicate && remap(predicate, (column) => of.columns[column]);
  const used = condition === null ? [] : columnsUsed(condition);
  const needs = [...new Set([...outputs, ...used])].sort((a, b) => a - b);
  const { relation, changelog, time, dropsLate } = of;
  const meaning = { relation, changelog, time, dropsLate, condition, keys, nullSafe };
  const plan = (columns: readonly number[]): { plan: Plan; arranged: Arranged } => {
    const place = (column: number): number => columns.indexOf(column);
    const known = columnsOf(relation);
    const scan: Scan = { ...of, columns, schema: columns.map((column) => known[column]) };
    return {
      plan: condition === null ? scan : filterBy(scan, [remap(condition, place)]),
      arranged: { by: keys.map(place), nullSafe },
    };
  };
  return { key: hashOf(exactJson(meaning, (_, value) => value)), needs, outputs, plan, scan: scanOf };

  function scanOf(id: string, columns: readonly number[]): Scan {
    const kept = plan(columns).plan;
    const time = relationTimeOf(kept);
    return {
      op: 'scan',
      relation: id,
      name: 'shared rows',
      columns: outputs.map((column) => columns.indexOf(column)),
      changelog: changelogOf(kept),
      schema: side.schema,
      ...(time === undefined ? {} : { time }),
    };
  }
}
