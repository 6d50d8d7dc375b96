import type { DuckDbAnalytics } from '../../src/analytics/analytics.ts';
import { scansOf } from '../../src/catalog/pull.ts';
import { StreamError } from '../../src/lib/errors.ts';
import { type Batch, batchOfRows, rowAt } from '../../src/values/batch.ts';
import type { Datum } from '../../src/values/types.ts';
import { bindQuery } from '../../streamql/binder/binder.ts';
import type { QueryStatement } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { inputsOf } from '../../streamql/plan/walk.ts';
import { runPlan } from '../streamql/reference.ts';
import { type Content, nowAt } from './case.ts';
import { catalog } from './relations.ts';

export const bind = (sql: string): ReturnType<typeof bindQuery> => {
  const statements = parseStatements(sql);
  if (statements.length !== 1 || statements[0].kind !== 'query')
    throw new StreamError('SQL_SYNTAX', 'not one query', { at: { line: 1, column: 1 } });
  return bindQuery((statements[0] as QueryStatement).query, catalog, { mode: 'view' });
};

const CLOSES = / EMIT ON WINDOW CLOSE$/;

/**
 * What the query answers over the content, as of the end of an epoch; undefined where it has no value for some row. DuckDB runs the plan
 * as it was bound, not the one that the rules made of it. It has no now(), which is a constant here, nor what the windows have closed, which
 * is what lies before the watermark, nor patterns, for which there is a reference of ours.
 */
export async function batchAnswer(
  duckdb: DuckDbAnalytics,
  sql: string,
  content: Content,
  epoch: number,
): Promise<readonly (readonly Datum[])[] | undefined> {
  const micros = nowAt(epoch);
  const then = `TIMESTAMPTZ '${new Date(micros / 1000).toISOString()}'`;
  const { plan } = bind(sql.replaceAll('now()', then).replace(CLOSES, ''));
  try {
    const rows = holds(plan, 'match')
      ? runPlan(plan, (relation) => content.rows[relation] ?? [])
      : await askDuckdb(duckdb, plan, content);
    return CLOSES.test(sql) ? rows.filter((row) => isFinal(bind(sql).plan, row, content)) : rows;
  } catch (thrown) {
    if (thrown instanceof StreamError && thrown.code.startsWith('VALUE_')) return undefined;
    throw thrown;
  }
}

const holds = (plan: Plan, op: Plan['op']): boolean => plan.op === op || inputsOf(plan).some((one) => holds(one, op));

async function askDuckdb(duckdb: DuckDbAnalytics, plan: Plan, content: Content): Promise<Datum[][]> {
  const scans = new Map<Plan, readonly Batch[]>();
  for (const scan of scansOf(plan)) {
    const rows = (content.rows[scan.relation] ?? []).map((row) => scan.columns.map((column) => row[column]));
    const types = scan.schema.map(({ type }) => type);
    scans.set(scan, [batchOfRows(types, rows)]);
  }
  const batches = await duckdb.run(plan, scans, { timeoutMs: 30_000, maxRows: 1_000_000 });
  return batches.flatMap((batch) => Array.from({ length: batch.length }, (_, i) => rowAt(batch, i)));
}

function isFinal(plan: Plan, row: readonly Datum[], content: Content): boolean {
  if (plan.op !== 'close') throw new Error('there is no EMIT ON WINDOW CLOSE in the plan');
  const watermarks = scansOf(plan).map(({ relation }) => content.watermark(relation));
  if (watermarks.includes(undefined)) return false;
  const watermark = Math.min(...(watermarks as number[]));
  // The first of the columns that is not NULL says it.
  const time = plan.times.find(({ column }) => row[column] !== null);
  return time !== undefined && Number(row[time.column]) < watermark - time.lagMicros;
}
