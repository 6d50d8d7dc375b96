import { bindQuery } from '../../streamql/binder/binder.ts';
import type { Explain, Name, Query } from '../../streamql/parser/ast.ts';
import { explainPlan } from '../../streamql/plan/explain.ts';
import { explainBounds } from '../../streamql/plan/explain-bounds.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { StreamError } from '../lib/errors.ts';
import type { ObjectStats, OperatorStats } from '../ports/engine.ts';
import type { RelationCatalog } from '../ports/relations.ts';
import { BIGINT, type Datum, DOUBLE, type SqlType, VARCHAR } from '../values/types.ts';
import { pullBinding, type SqlContext, type SqlResult, type StatementOptions } from './context.ts';
import { findingsOf } from './diagnosis.ts';
import { runPull, scansOf, wayOf } from './pull.ts';
import { table } from './show.ts';
import { storedPlan } from './stored-query.ts';
import { TOPIC_RELATION_PREFIX } from './topic-relation.ts';

/**
 * EXPLAIN, EXPLAIN ANALYZE and EXPLAIN STATE. Of something that runs the figures are those since it started; a SELECT is run for it as a view
 * of its own over all that is in the log, which is dropped again.
 */
export async function explain(
  context: SqlContext,
  relations: RelationCatalog,
  statement: Explain,
  options: StatementOptions,
): Promise<SqlResult> {
  const { what, target } = statement;
  if (target.kind === 'name') {
    if (what === 'plan') return explainRunning(context, target.name);
    return what === 'analyze'
      ? analyzed(await running(context, target.name))
      : stateOf(await running(context, target.name), 'running');
  }
  if (
    target.kind !== 'query' &&
    target.kind !== 'createView' &&
    target.kind !== 'createSink' &&
    target.kind !== 'subscribe'
  ) {
    throw new StreamError(
      'SQL_UNSUPPORTED',
      'EXPLAIN takes a query, CREATE MATERIALIZED VIEW, CREATE SINK, SUBSCRIBE or the name of one that runs',
      { at: target.at },
    );
  }
  const { query } = target;
  if (what === 'plan') {
    const mode = target.kind === 'query' && !target.emitChanges ? 'pull' : 'view';
    const asOf = target.kind === 'query' ? target.asOf : undefined;
    const binding = mode === 'pull' ? pullBinding(context, options) : { params: options.params };
    const bound = bindQuery(query, mode === 'pull' ? relations : context.catalog, { mode, ...binding, asOf });
    const plan = optimize(bound.plan);
    return planTable(
      plan,
      mode === 'pull' ? [`answered by: ${wayOf(context, plan)}`] : explainBounds(plan, target.kind !== 'createSink'),
    );
  }
  if (target.kind !== 'query') {
    throw new StreamError('SQL_UNSUPPORTED', `EXPLAIN ${what.toUpperCase()} takes a SELECT or the name of a view`, {
      at: target.at,
      hint: 'create it, and explain it by its name; or explain its SELECT',
    });
  }
  const bound = bindQuery(query, relations, { mode: 'view', ...pullBinding(context, options), asOf: target.asOf });
  const plan = optimize(bound.plan);
  if (scansOf(plan).some((scan) => scan.relation.startsWith(TOPIC_RELATION_PREFIX))) {
    if (what === 'analyze') return analyzedPull(context, relations, query, options);
    throw new StreamError('SQL_UNSUPPORTED', 'a query that reads a topic directly keeps no state', {
      at: query.at,
      hint: 'CREATE SOURCE over the topic, and explain a SELECT from that',
    });
  }
  const stats = await runOnce(context, { columns: bound.columns, key: bound.key, plan }, options);
  return what === 'analyze' ? analyzed(stats) : stateOf(stats, 'once');
}

/** Its plan, what bounds it, and what stands out as it runs. */
async function explainRunning(context: SqlContext, name: Name): Promise<SqlResult> {
  const plan = planOf(context, name);
  const { objects } = await context.engine.stats();
  const one = objects.find((object) => object.id === context.catalog.get(name.text)?.id);
  const found = one === undefined ? [] : findingsOf(objects, context.catalog, one);
  return planTable(plan, [
    ...explainBounds(plan, one?.kind !== 'sink'),
    ...found.map(({ kind, message, hint }) => `${kind}: ${message}${hint === '' ? '' : ` — ${hint}`}`),
  ]);
}

function planOf(context: SqlContext, name: Name): Plan {
  const object = context.catalog.get(name.text);
  if (object === undefined) throw unknown(name);
  if (object.query === null) {
    throw new StreamError('SQL_UNSUPPORTED', `"${name.text}" is a ${object.kind}: it has no plan`, {
      at: name.at,
      hint: 'EXPLAIN ANALYZE shows what it has read',
    });
  }
  return storedPlan(context, object);
}

async function running(context: SqlContext, name: Name): Promise<ObjectStats> {
  const found = (await context.engine.stats()).objects.find((one) => one.name === name.text);
  if (found === undefined) throw unknown(name);
  return found;
}

const unknown = (name: Name): StreamError =>
  new StreamError('NOT_FOUND', `"${name.text}" does not exist`, {
    at: name.at,
    hint: 'SHOW VIEWS, SHOW SOURCES, SHOW TABLES and SHOW SINKS list what there is',
  });

/** What the query's operators did by the time it had caught up with the log. */
async function runOnce(
  { engine, newId }: SqlContext,
  spec: { columns: Parameters<SqlContext['engine']['add']>[0]['columns']; key: readonly number[] | null; plan: Plan },
  options: StatementOptions,
): Promise<ObjectStats> {
  const id = `explain-${newId()}`;
  await engine.add({ kind: 'view', id, name: id, ...spec, ephemeral: true });
  try {
    await caughtUp(engine.snapshot([{ id, columns: [], limit: 0 }]), options);
    return (await engine.stats()).objects.find((one) => one.id === id)!;
  } finally {
    await engine.remove(id);
  }
}

/** TIMEOUT or CANCELLED as the statement's options say. */
function caughtUp(done: Promise<unknown>, { timeoutMs, signal }: StatementOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new StreamError('TIMEOUT', `the query was not through the log after ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal?.addEventListener('abort', () => reject(new StreamError('CANCELLED', 'the client went away')));
    done.then(resolve, reject).finally(() => clearTimeout(late));
  });
}

/** The plan, and what else there is to say. */
function planTable(plan: Plan, more: readonly string[]): SqlResult {
  const lines = [...explainPlan(plan).split('\n'), ...more];
  return table(
    [['plan', VARCHAR]],
    lines.map((line) => [line]),
  );
}

const ANALYZED: readonly (readonly [string, SqlType])[] = [
  ['operator', VARCHAR],
  ['changelog', VARCHAR],
  ['rows_in', BIGINT],
  ['rows_out', BIGINT],
  ['time_ms', DOUBLE],
  ['state_rows', BIGINT],
  ['state_bytes', BIGINT],
  ['busy', DOUBLE],
];

function analyzed(stats: ObjectStats): SqlResult {
  return table(
    ANALYZED,
    asTree(stats.operators).map(({ operator, depth }) => [
      `${'  '.repeat(depth)}${titleOf(operator)}`,
      operator.changelog,
      operator.rowsIn,
      operator.rowsOut,
      round(operator.busyMs, 100),
      operator.stateRows,
      operator.stateBytes,
      round(operator.rates.busyShare, 1000),
    ]),
  );
}

/** For what the engine does not run: rows that each scan had, and the answer of DuckDB. */
async function analyzedPull(
  context: SqlContext,
  relations: RelationCatalog,
  query: Query,
  options: StatementOptions,
): Promise<SqlResult> {
  const plan = optimize(bindQuery(query, relations, { mode: 'pull', ...pullBinding(context, options) }).plan);
  const beganMs = performance.now();
  const { batches, scanned } = await runPull(context, plan, options);
  const rows = batches.reduce((sum, batch) => sum + batch.length, 0);
  const scans = scansOf(plan).map((scan): Datum[] => [
    `  Scan ${scan.name}`,
    scan.changelog,
    null,
    scanned.get(scan) ?? null,
    null,
    null,
    null,
    null,
  ]);
  const all = [...scanned.values()].reduce((sum, one) => sum + one, 0);
  return table(ANALYZED, [
    ['DuckDB', null, all, rows, round(performance.now() - beganMs, 100), null, null, null],
    ...scans,
  ]);
}

/** `once`: growth is told per row that was read; `running`: also per hour, as it goes now. */
function stateOf(stats: ObjectStats, how: 'once' | 'running'): SqlResult {
  const kept = asTree(stats.operators).filter(({ operator }) => operator.growth !== null);
  const read = Math.max(0, ...stats.operators.slice(0, 1).map((operator) => operator.rowsIn));
  return table(
    [
      ['operator', VARCHAR],
      ['state_rows', BIGINT],
      ['state_bytes', BIGINT],
      ['spilled_bytes', BIGINT],
      ['bytes_per_row', DOUBLE],
      ['bytes_per_row_read', DOUBLE],
      ['bytes_per_hour', DOUBLE],
      ['bound', VARCHAR],
      ['reason', VARCHAR],
      ['fix', VARCHAR],
    ],
    kept.map(({ operator }) => [
      titleOf(operator),
      operator.stateRows,
      operator.stateBytes,
      operator.spilledBytes,
      operator.stateRows === 0 ? null : round(operator.stateBytes / operator.stateRows, 10),
      read === 0 ? null : round(operator.stateBytes / read, 10),
      how === 'once' ? null : Math.round(operator.rates.stateBytesPerHour),
      operator.growth!.bound,
      operator.growth!.reason,
      operator.growth!.fix === '' ? null : operator.growth!.fix,
    ]),
  );
}

const titleOf = ({ name, detail }: OperatorStats): string => (detail === '' ? name : `${name} ${detail}`);
const round = (value: number, parts: number): number => Math.round(value * parts) / parts;

/** Consumers before what feeds them; one that feeds several stands under the first. */
function asTree(operators: readonly OperatorStats[]): { operator: OperatorStats; depth: number }[] {
  const byId = new Map(operators.map((operator) => [operator.id, operator]));
  const rows: { operator: OperatorStats; depth: number }[] = [];
  const visit = (operator: OperatorStats, depth: number): void => {
    if (!byId.delete(operator.id)) return;
    rows.push({ operator, depth });
    for (const input of operator.inputs) {
      const below = byId.get(input);
      if (below !== undefined) visit(below, depth + 1);
    }
  };
  for (const operator of [...operators].reverse()) visit(operator, 0);
  return rows;
}
