import { consolidate } from '../../streamql/engine/runtime/consolidate.ts';
import type { VerifyView } from '../../streamql/parser/ast.ts';
import type { Expr, Moment, Plan } from '../../streamql/plan/plan.ts';
import { columnRef, filterBy, inputsOf, withInputs } from '../../streamql/plan/walk.ts';
import { StreamError } from '../lib/errors.ts';
import { type Batch, type ColumnSchema, rowAt, weightAt } from '../values/batch.ts';
import { PlainColumn } from '../values/column.ts';
import { datumToText } from '../values/text.ts';
import { BIGINT, BOOLEAN, type Datum, VARCHAR } from '../values/types.ts';
import type { ScanData, SqlContext, SqlResult, StatementOptions } from './context.ts';
import { objectNamed } from './object-named.ts';
import type { CatalogObject } from './objects.ts';
import { isFromLog, runOver, scansOf } from './pull.ts';
import { table } from './show.ts';
import { storedPlan } from './stored-query.ts';

/** Differing rows that are shown when the statement does not say. */
const SHOWN = 20;
/** What DuckDB may answer; a view of more rows is not verified. */
const MOST_ROWS = 50_000_000;
/** Significant digits in which floating-point columns are compared: sums in another order may differ beyond. */
const DIGITS = 12;

/**
 * VERIFY VIEW v: runs the view's definition in DuckDB over what the view has taken in by one epoch, and compares. One row that says whether they
 * are equal, then the first rows that differ: `missing` from the view, or `extra` in it.
 */
export async function verifyView(
  context: SqlContext,
  statement: VerifyView,
  options: StatementOptions,
): Promise<SqlResult> {
  const named = context.catalog.get(statement.name.text);
  if (named !== undefined && named.kind !== 'view') {
    throw new StreamError('SQL_UNSUPPORTED', `"${named.name}" is a ${named.kind}: only views can be verified`, {
      at: statement.name.at,
      hint:
        named.kind === 'sink'
          ? 'make a view of its query, and verify that'
          : 'it has no definition to compare with; verify the views that read it (SHOW VIEWS lists them)',
    });
  }
  const view = objectNamed(context, 'view', statement.name);
  if (
    view.paused ||
    scansOf(storedPlan(context, view)).some(({ relation }) => context.catalog.byId(relation)?.paused)
  ) {
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `"${view.name}", or what it reads, is paused: it has no epoch in common with its input`,
      {
        at: statement.name.at,
        hint: 'RESUME it first',
      },
    );
  }
  const plan = storedPlan(context, view);
  if (has(plan, 'lookup')) {
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `what "${view.name}" holds depends on when rows came: it has a processing-time join`,
      {
        at: statement.name.at,
        hint: 'a view that equals the batch answer can be verified; join FOR SYSTEM_TIME AS OF a time column for that',
      },
    );
  }
  if (has(plan, 'close') || has(plan, 'expire')) {
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `what "${view.name}" holds depends on ${has(plan, 'close') ? 'when its windows closed' : 'what has expired'}`,
      {
        at: statement.name.at,
        hint: 'a view of the same query without EMIT ON WINDOW CLOSE, ttl and expire can be verified',
      },
    );
  }
  const { epoch, held, scans } = await inputsAtEpoch(context, view, plan, options);
  // After the snapshot: what is over by now was let go of at that epoch, or is about to be.
  const present = presentOf(plan, context.clock.nowMs() * 1000, scans);
  const computed = await runOver(context, present, scans, { ...options, maxRows: MOST_ROWS }).catch((thrown) => {
    if (!(thrown instanceof StreamError) || !thrown.code.startsWith('VALUE_')) throw thrown;
    throw new StreamError(thrown.code, `the definition has no value for some row: ${thrown.message}`, {
      hint: `such rows are left out of the view and stand in ${view.name}$errors; a view with any cannot be verified`,
    });
  });
  const difference = consolidate(
    view.columns.map(({ type }) => type),
    [...computed.map((batch) => comparable(batch, view.columns, 1)), comparable(held, view.columns, -1)],
  );
  const rows = differing(view.columns, difference);
  const copies = rows.reduce((sum, row) => sum + Number(row[1]), 0);
  const verdict: Datum[] =
    rows.length === 0 ? ['equal', held.length, `at epoch ${epoch}`] : ['different', copies, `at epoch ${epoch}`];
  return table(
    [
      ['result', VARCHAR],
      ['rows', BIGINT],
      ['row', VARCHAR],
    ],
    [verdict, ...rows.slice(0, statement.limit ?? SHOWN)],
  );
}

const has = (plan: Plan, op: Plan['op']): boolean => plan.op === op || inputsOf(plan).some((input) => has(input, op));

/** The plan with filters by now() as ones by a moment. Scans are kept as they are, since rows are given by them. */
function presentOf(plan: Plan, nowMicros: number, scans: ReadonlyMap<Plan, ScanData>): Plan {
  if (scans.has(plan)) return plan;
  const [...inputs] = inputsOf(plan).map((input) => presentOf(input, nowMicros, scans));
  if (plan.op !== 'nowFilter') return withInputs(plan, inputs);
  const compare = ({ column, plusMicros }: Moment, cmp: '<=' | '>'): Expr => {
    const left = columnRef(plan.schema, column);
    const right: Expr = { op: 'literal', value: nowMicros - plusMicros, type: left.type };
    return { op: 'compare', cmp, left, right, type: BOOLEAN };
  };
  const isMoment = ({ column }: Moment): boolean => plan.schema[column].type.kind.startsWith('timestamp');
  if (![...plan.from, ...plan.until].every(isMoment)) return withInputs(plan, inputs);
  return filterBy(inputs[0], [
    ...plan.from.map((moment) => compare(moment, '<=')),
    ...plan.until.map((moment) => compare(moment, '>')),
  ]);
}

/** The view's rows, and those of everything that its plan reads, as of one epoch. */
async function inputsAtEpoch(
  context: SqlContext,
  view: CatalogObject,
  plan: Plan,
  options: StatementOptions,
): Promise<{ epoch: number; held: Batch; scans: Map<Plan, ScanData> }> {
  const all = scansOf(plan);
  const stored = all.filter((scan) => !isFromLog(context, scan));
  const sources = [...new Set(all.filter((scan) => isFromLog(context, scan)).map(({ relation }) => relation))];
  const wants = [
    { id: view.id, columns: view.columns.map((_, i) => i) },
    ...stored.map(({ relation: id, columns }) => ({ id, columns })),
  ];
  const { epoch, batches, offsets } = await context.engine.snapshot(wants, sources);
  const scans = new Map<Plan, ScanData>(stored.map((scan, i) => [scan, [batches[i + 1]]]));
  for (const scan of all) {
    if (scans.has(scan)) continue;
    refuseTrimmed(context, scan.relation);
    const rows: Batch[] = [];
    await context.engine.readSource(
      scan.relation,
      scan.columns,
      async (batch) => {
        if (options.signal?.aborted) throw new StreamError('CANCELLED', 'the client went away');
        rows.push(batch);
        return true;
      },
      offsets[sources.indexOf(scan.relation)],
    );
    scans.set(scan, rows);
  }
  return { epoch, held: batches[0], scans };
}

/** What retention took from the log is in the view still, and cannot be read again. */
function refuseTrimmed({ catalog, log }: SqlContext, relation: string): void {
  const topic = catalog.byId(relation.split('$')[0])!.topic!;
  const partitions = log.describeTopic(topic)?.partitions ?? 0;
  for (let partition = 0; partition < partitions; partition++) {
    const { logStart } = log.bounds(topic, partition);
    if (logStart === 0) continue;
    throw new StreamError(
      'SQL_UNSUPPORTED',
      `topic "${topic}" begins at offset ${logStart}: what was before is in the view but cannot be read again`,
      {
        hint: 'views over topics that keep all their records can be verified',
      },
    );
  }
}

/** Floating-point columns rounded, and every row with the weight. */
function comparable(batch: Batch, columns: readonly ColumnSchema[], weight: number): Batch {
  const rounded = batch.columns.map((column, c) => {
    const { type } = columns[c];
    if (type.kind !== 'double' && type.kind !== 'real') return column;
    const values = Float64Array.from({ length: batch.length }, (_, i) =>
      Number(Number(column.values[i]).toPrecision(DIGITS)),
    );
    return new PlainColumn(type, batch.length, values, column.nulls);
  });
  return { length: batch.length, columns: rounded, weights: new Int32Array(batch.length).fill(weight) };
}

/** `missing` or `extra`, how many copies, and the row by column. */
function differing(columns: readonly ColumnSchema[], difference: Batch | null): Datum[][] {
  if (difference === null) return [];
  return Array.from({ length: difference.length }, (_, i) => {
    const weight = weightAt(difference, i);
    const values = rowAt(difference, i).map((datum, c) => [
      columns[c].name,
      datum === null ? null : datumToText(datum, columns[c].type),
    ]);
    return [weight > 0 ? 'missing' : 'extra', Math.abs(weight), JSON.stringify(Object.fromEntries(values))];
  });
}
