import { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { type Batch, batchOfRows, rowAt } from '../../src/values/batch.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import { BIGINT } from '../../src/values/types.ts';
import type { Expr, Plan, Scan } from '../../streamql/plan/plan.ts';
import { inputsOf } from '../../streamql/plan/walk.ts';
import type { Row, Tables } from '../streamql/reference.ts';

export const LIMITS = { timeoutMs: 60_000, maxRows: 1_000_000 };

export const newAnalytics = (memoryMb = 512): DuckDbAnalytics =>
  new DuckDbAnalytics({ memoryLimitBytes: memoryMb * 2 ** 20 });

export function scanOf(types: readonly SqlType[]): Scan {
  return {
    op: 'scan',
    relation: 'r',
    name: 'r',
    columns: types.map((_, i) => i),
    changelog: 'append',
    schema: types.map((type, i) => ({ name: `c${i}`, type, nullable: true })),
  };
}

export function projectOf(input: Plan, exprs: readonly Expr[]): Plan {
  return {
    op: 'project',
    input,
    exprs,
    schema: exprs.map(({ type }, i) => ({ name: `c${i}`, type, nullable: true })),
  };
}

export function scansOf(plan: Plan): Scan[] {
  return plan.op === 'scan' ? [plan] : inputsOf(plan).flatMap(scansOf);
}

export const rowsOfBatches = (batches: readonly Batch[]): Datum[][] =>
  batches.flatMap((batch) => Array.from({ length: batch.length }, (_, row) => rowAt(batch, row)));

/** A plan over rows, cut into batches of `batchRows`. */
export async function runOver(
  analytics: DuckDbAnalytics,
  plan: Plan,
  tables: Tables,
  batchRows = 1000,
): Promise<Datum[][]> {
  const scans = new Map<Plan, Batch[]>();
  for (const scan of scansOf(plan)) {
    const types = scan.schema.map((column) => column.type);
    const rows: Row[] = tables(scan.relation).map((row) => scan.columns.map((column) => row[column]));
    const batches: Batch[] = [];
    for (let at = 0; at < rows.length; at += batchRows)
      batches.push(batchOfRows(types, rows.slice(at, at + batchRows)));
    // A batch without rows and one without columns are batches too.
    batches.push(batchOfRows(types, []));
    scans.set(scan, batches);
  }
  return rowsOfBatches(await analytics.run(plan, scans, LIMITS));
}

/** Rows 0 … n − 1 of one bigint column. */
export const numbers = (n: number): { plan: Scan; scans: Map<Plan, Batch[]> } => {
  const plan = scanOf([BIGINT]);
  return {
    plan,
    scans: new Map([
      [
        plan,
        [
          batchOfRows(
            [BIGINT],
            Array.from({ length: n }, (_, i) => [i]),
          ),
        ],
      ],
    ]),
  };
};
