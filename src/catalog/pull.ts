import { buildPipeline } from '../../streamql/engine/build.ts';
import { compileFilterProject } from '../../streamql/engine/compile-expr.ts';
import type { Expr, Filter, Plan, Project, Scan } from '../../streamql/plan/plan.ts';
import { inputsOf, withInputs } from '../../streamql/plan/walk.ts';
import { StreamError } from '../lib/errors.ts';
import type { Unreadable } from '../ports/engine.ts';
import type { Batch } from '../values/batch.ts';
import type { Datum } from '../values/types.ts';
import type { QueryOptions, ScanData, SqlContext, Warning } from './context.ts';
import { isStored } from './objects.ts';
import { KEY_COLUMN, readTopic, TOPIC_RELATION_PREFIX } from './topic-relation.ts';

/** Rows answered by a pull query, at one epoch over all views it reads. */
export interface PullAnswer {
  readonly batches: readonly Batch[];
  readonly epoch: number | undefined;
  /** Rows that each scan had. */
  readonly scanned: ReadonlyMap<Plan, number>;
  readonly warnings: readonly Warning[];
}

/**
 * Answers a bound, optimised pull query. Equality on a leading part of a view's key goes straight to the view store;
 * everything else is DuckDB's, over a copy of just the columns that the plan reads (DESIGN D12).
 */
export async function runPull(context: SqlContext, plan: Plan, options: QueryOptions): Promise<PullAnswer> {
  const point = asPointLookup(context, plan);
  if (point !== undefined) return runPointLookup(context, point, options);
  const { scans, epoch, warnings } = await fetchScans(context, plan, options);
  const scanned = new Map([...scans].map(([scan, rows]) => [scan, rows.reduce((sum, batch) => sum + batch.length, 0)]));
  return { batches: await runOver(context, plan, scans, options), epoch, scanned, warnings };
}

/** The plan's answer over these rows of its scans. */
export async function runOver(
  context: SqlContext,
  plan: Plan,
  scans: Map<Plan, ScanData>,
  options: QueryOptions,
): Promise<readonly Batch[]> {
  return context.analytics.run(await withoutOwn(context, plan, scans, options), scans, options);
}

/** Nodes that DuckDB has no words for are answered by the engine's own operators, each over DuckDB's answer to what is below it. */
async function withoutOwn(
  context: SqlContext,
  plan: Plan,
  scans: Map<Plan, ScanData>,
  options: QueryOptions,
): Promise<Plan> {
  const inputs: Plan[] = [];
  for (const input of inputsOf(plan)) inputs.push(await withoutOwn(context, input, scans, options));
  if (plan.op !== 'match') return withInputs(plan, inputs);
  const [input] = inputs;
  const rows = await context.analytics.run(input, scans, { ...options, maxRows: Number.MAX_SAFE_INTEGER - 1 });
  const scan: Scan = {
    op: 'scan',
    relation: `own-${scans.size}`,
    name: plan.op,
    columns: plan.schema.map((_, i) => i),
    changelog: 'append',
    schema: plan.schema,
  };
  scans.set(
    scan,
    runOwn(withInputs(plan, [{ ...scan, schema: input.schema, columns: input.schema.map((_, i) => i) }]), rows),
  );
  return scan;
}

function runOwn(plan: Plan, rows: readonly Batch[]): Batch[] {
  const answer: Batch[] = [];
  const pipeline = buildPipeline(plan, {
    onOutput: (batch) => answer.push(batch),
    onError: ({ code, reason }) => {
      throw new StreamError(code, reason);
    },
  });
  for (const batch of rows) pipeline.push(0, batch);
  pipeline.endEpoch();
  return answer;
}

interface PointLookup {
  readonly scan: Scan;
  readonly key: readonly Datum[];
  /** The columns of the index that is used; absent: the key's. */
  readonly columns?: readonly number[];
  /** As EXPLAIN says it. */
  readonly way: string;
  /** Filters and projections above the scan, innermost first. */
  readonly chain: readonly (Filter | Project)[];
}

function asPointLookup(context: SqlContext, plan: Plan): PointLookup | undefined {
  const chain: (Filter | Project)[] = [];
  let node = plan;
  while (node.op === 'filter' || node.op === 'project') {
    chain.push(node);
    node = node.input;
  }
  if (node.op !== 'scan') return undefined;
  const scan = node;
  // The indexes are of the present.
  if (scan.asOf !== undefined) return undefined;
  const object = context.catalog.byId(scan.relation);
  if (object === undefined || !isStored(object)) return undefined;
  chain.reverse();
  const first = chain[0];
  if (first?.op !== 'filter') return undefined;
  const equal = new Map<number, Datum>();
  collectEqualities(first.predicate, equal);
  const valuesOf = (columns: readonly number[]): Datum[] | null => {
    const values = columns.map((column) => equal.get(scan.columns.indexOf(column)));
    return values.length === 0 || values.includes(undefined) ? null : (values as Datum[]);
  };
  const names = (columns: readonly number[]): string => columns.map((column) => object.columns[column].name).join(', ');
  // A prefix would still visit every row of the store; only the whole key is a hash lookup.
  const key = object.key === null ? null : valuesOf(object.key);
  if (key !== null) return { scan, key, chain, way: `lookup in ${object.name} by its key (${names(object.key!)})` };
  const widestFirst = [...(object.indexes ?? [])].sort((a, b) => b.columns.length - a.columns.length);
  for (const { name, columns } of widestFirst) {
    const values = valuesOf(columns);
    if (values === null) continue;
    return { scan, key: values, columns, chain, way: `lookup in ${object.name} by index ${name} (${names(columns)})` };
  }
  return undefined;
}

/** How a pull query is answered. */
export function wayOf(context: SqlContext, plan: Plan): string {
  const point = asPointLookup(context, plan);
  if (point !== undefined) return point.way;
  const scans = [...new Set(scansOf(plan).map((scan) => scan.name))];
  return scans.length === 0 ? 'DuckDB' : `DuckDB over a copy of ${scans.join(', ')}`;
}

/** Adds `column = constant` found under ANDs. A NULL constant matches nothing, so it is left to the filter. */
function collectEqualities(predicate: Expr, into: Map<number, Datum>): void {
  if (predicate.op === 'and') {
    for (const arg of predicate.args) collectEqualities(arg, into);
  } else if (predicate.op === 'compare' && predicate.cmp === '=') {
    const [a, b] = [predicate.left, predicate.right];
    if (a.op === 'column' && b.op === 'literal' && b.value !== null) into.set(a.index, b.value);
    if (b.op === 'column' && a.op === 'literal' && a.value !== null) into.set(b.index, a.value);
  }
}

async function runPointLookup(context: SqlContext, point: PointLookup, options: QueryOptions): Promise<PullAnswer> {
  const { epoch, batch } = await context.engine.lookup(
    point.scan.relation,
    point.key,
    options.maxRows + 1,
    point.columns,
    options.timeoutMs,
  );
  let rows: Batch = {
    length: batch.length,
    columns: point.scan.columns.map((column) => batch.columns[column]),
    weights: null,
  };
  let types = point.scan.schema.map((column) => column.type);
  for (const step of point.chain) {
    const exprs: Expr[] =
      step.op === 'project' ? [...step.exprs] : types.map((type, index) => ({ op: 'column', index, type }));
    const run = compileFilterProject(step.op === 'filter' ? step.predicate : null, exprs, types);
    const { batch: out, errors } = run(rows);
    if (errors !== null && errors.length > 0) throw new StreamError(errors[0].code, errors[0].reason);
    rows = out;
    types = step.schema.map((column) => column.type);
  }
  if (rows.length > options.maxRows) throw tooManyRows(options.maxRows);
  return { batches: [rows], epoch, scanned: new Map([[point.scan, batch.length]]), warnings: [] };
}

function tooManyRows(maxRows: number): StreamError {
  return new StreamError('TOO_LARGE', `the answer has more than ${maxRows} rows`, {
    hint: 'add a LIMIT, or raise maxRows',
  });
}

/** The rows of every scan: views, tables and dead letters as one consistent copy, sources and topics from the log. */
async function fetchScans(
  context: SqlContext,
  plan: Plan,
  options: QueryOptions,
): Promise<{ scans: Map<Plan, ScanData>; epoch: number | undefined; warnings: Warning[] }> {
  const scans = scansOf(plan);
  const data = new Map<Plan, ScanData>();
  const kept = scans.filter((scan) => !isFromLog(context, scan));
  const warnings: Warning[] = [];
  let epoch: number | undefined;
  if (kept.length > 0) {
    const snapshot = await context.engine.snapshot(
      kept.map(({ relation: id, columns, asOf }) => ({ id, columns, ...(asOf === undefined ? {} : { asOf }) })),
      [],
      options.timeoutMs,
    );
    epoch = snapshot.epoch;
    kept.forEach((scan, i) => {
      data.set(scan, [snapshot.batches[i]]);
    });
  }
  for (const scan of scans) {
    if (data.has(scan)) continue;
    const batches: Batch[] = [];
    const onBatch = async (batch: Batch): Promise<boolean> => {
      batches.push(batch);
      if (options.signal?.aborted) throw new StreamError('CANCELLED', 'the client went away');
      return true;
    };
    if (scan.relation.startsWith(TOPIC_RELATION_PREFIX))
      await readTopic(context.log, scan, keyWanted(plan, scan), onBatch);
    else {
      const unreadable = await context.engine.readSource(scan.relation, scan.columns, onBatch);
      if (unreadable !== null) warnings.push(leftOut(scan.name, unreadable));
    }
    data.set(scan, batches);
  }
  return { scans: data, epoch, warnings };
}

/** A source keeps dead letters for what follows it; one that is only asked says what it left out of the answer. */
function leftOut(name: string, { records, first: { partition, offset, reason } }: Unreadable): Warning {
  const what = records === 1 ? '1 record is' : `${records} records are`;
  return {
    message: `${what} left out, not being what "${name}" declares: first partition ${partition}, offset ${offset}: ${reason}`,
    hint: `views over "${name}" put them into "${name}$errors"; a column declared VARCHAR or JSONB takes what does not fit its type`,
  };
}

/** The one key of a topic's records that the filter over its scan lets through; undefined when it may be several. */
function keyWanted(plan: Plan, scan: Scan): string | undefined {
  if (plan.op === 'filter' && plan.input === scan) {
    const equal = new Map<number, Datum>();
    collectEqualities(plan.predicate, equal);
    const key = equal.get(scan.columns.indexOf(KEY_COLUMN));
    return typeof key === 'string' ? key : undefined;
  }
  for (const input of inputsOf(plan)) {
    const key = keyWanted(input, scan);
    if (key !== undefined) return key;
  }
  return undefined;
}

/** Whether its rows are read from the log rather than held by the engine. */
export function isFromLog(context: SqlContext, scan: Scan): boolean {
  if (scan.relation.startsWith(TOPIC_RELATION_PREFIX) || scan.relation.endsWith('$history')) return true;
  const object = context.catalog.byId(scan.relation);
  return object?.kind === 'source' && object.key === null;
}

export function scansOf(plan: Plan): Scan[] {
  switch (plan.op) {
    case 'scan':
      return [plan];
    case 'values':
      return [];
    case 'join':
    case 'asof':
    case 'lookup':
    case 'setOp':
      return [...scansOf(plan.left), ...scansOf(plan.right)];
    case 'union':
      return plan.inputs.flatMap(scansOf);
    case 'recursive':
      return [plan.base, ...plan.inputs].flatMap(scansOf);
    default:
      return scansOf(plan.input);
  }
}
