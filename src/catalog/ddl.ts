import { bindQuery } from '../../streamql/binder/binder.ts';
import { bindColumns, bindWatermark } from '../../streamql/binder/ddl.ts';
import type {
  CreateSink,
  CreateSource,
  CreateTable,
  CreateView,
  Drop,
  Name,
  Query,
} from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import { relationTimeOf } from '../../streamql/plan/event-time.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { unboundedStates } from '../../streamql/plan/state-growth.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { HEADER_BYTES } from '../formats/confluent-header.ts';
import { createDecoder, formatColumns, formatOptions } from '../formats/formats.ts';
import { inferColumns } from '../formats/json/infer.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import type { EngineObject, SourceSpec } from '../ports/engine.ts';
import type { Relation, RelationCatalog } from '../ports/relations.ts';
import { RecordCursor } from '../protocol/records.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { HIDDEN_COLUMNS } from '../values/hidden-columns.ts';
import { ok, type SqlContext, type SqlResult, type Warning } from './context.ts';
import { objectNamed } from './object-named.ts';
import type { CatalogObject } from './objects.ts';
import { checkOptions, parseCount, parseDurationMs, SOURCE_OPTIONS } from './options.ts';
import { scansOf } from './pull.ts';
import { refuseLoop, sinkTarget } from './sink-target.ts';
import { isSubscription } from './subscriptions.ts';
import { refuseInternal } from './topic-relation.ts';
import { boundedPlan, retainHistoryMs, stateLimit, viewOptions } from './view-options.ts';

/** How many records, and bytes of log, CREATE SOURCE looks at to infer columns. */
const INFER_RECORDS = 1000;
const INFER_BYTES = 4 << 20;

export async function createSource(
  context: SqlContext,
  statement: CreateSource | CreateTable,
  sql: string,
): Promise<SqlResult> {
  const isTable = statement.kind === 'createTable';
  const tag = isTable ? 'CREATE TABLE' : 'CREATE SOURCE';
  const name = statement.name.text;
  if (existing(context, statement.name, statement.ifNotExists)) return ok(tag, `"${name}" exists already`);
  const options = checkOptions(statement.options, SOURCE_OPTIONS);
  const topic = options['topic'] ?? name;
  if (isTable) refuseInternal(topic);
  let declared = bindColumns(statement.columns);
  const format = formatsOf(options);
  if (declared.length === 0) {
    const given = formatColumns(format.format, format.formatOptions ?? {});
    declared =
      given === null
        ? await inferTopicColumns(context, topic, statement.name, options)
        : bindGiven(given, statement.name);
  }
  const key = keyPositions(statement, declared, options);
  // Rows that are only added may also go by the time when they were written.
  const timed = key === null ? [...declared, ...HIDDEN_COLUMNS] : declared;
  const watermark = statement.watermark === null ? null : bindWatermark(statement.watermark, timed);
  if (maxDriftOf({ options }).maxDriftMicros !== undefined && (watermark === null || key !== null)) {
    throw new StreamError('OPTION_INVALID', 'max_drift is for sources with a WATERMARK', {
      hint: 'leave it out, or declare WATERMARK FOR a column',
    });
  }
  if (key !== null) declared = declared.map((column, i) => (key.includes(i) ? { ...column, nullable: false } : column));
  checkDecoders(format, declared, key ?? []);
  const ownsTopic = await ensureTopic(context, topic, parseCount(options['partitions'], 'partitions', 10_000), isTable);
  const object: CatalogObject = {
    id: context.newId(),
    name,
    kind: isTable ? 'table' : 'source',
    sql,
    query: null,
    columns: [...declared, ...HIDDEN_COLUMNS],
    key,
    changelog: key === null ? 'append' : 'upsert',
    reads: [],
    createdAtMs: context.clock.nowMs(),
    topic,
    ownsTopic,
    watermark,
    late: options['late'] as CatalogObject['late'],
    idleTimeoutMs: parseDurationMs(options['idle_timeout'], 'idle_timeout'),
    sinkKind: null,
    options,
  };
  await install(context, object);
  return ok(tag);
}

/** What WITH says about the bytes of records. OPTION_INVALID. */
function formatsOf(
  options: Readonly<Record<string, string>>,
): Pick<SourceSpec, 'format' | 'formatOptions' | 'keyFormat'> {
  const format = options['format'] ?? 'json';
  const ofValues = formatOptions(format, options);
  const given = Object.entries(options).filter(([name]) => name.startsWith('key_') && name !== 'key_format');
  const keyName = options['key_format'] ?? 'json';
  if (format === 'debezium' && options['key_format'] !== undefined)
    throw new StreamError('OPTION_INVALID', 'the keys of debezium events are json: leave key_format out');
  if (keyName === 'json' && given.length > 0) {
    throw new StreamError('OPTION_INVALID', `option ${given[0][0]} means nothing for keys in json`, {
      hint: 'say key_format too',
    });
  }
  const ofKeys = formatOptions(keyName, Object.fromEntries(given.map(([name, value]) => [name.slice(4), value])));
  return {
    format,
    ...(Object.keys(ofValues).length > 0 && { formatOptions: ofValues }),
    ...(keyName !== 'json' && { keyFormat: { name: keyName, options: ofKeys } }),
  };
}

/** Columns that a schema gives may be named as it likes, but for hidden columns. */
function bindGiven(given: readonly ColumnSchema[], owner: Name): ColumnSchema[] {
  const taken = given.find(({ name }) => HIDDEN_COLUMNS.some((column) => column.name === name));
  if (taken === undefined) return [...given];
  throw new StreamError('SQL_BIND', `field "${taken.name}" of "${owner.text}" has the name of a hidden column`, {
    at: owner.at,
    hint: 'declare the columns that you need, without it',
  });
}

/** Null for rows without a key. */
function keyPositions(
  statement: CreateSource | CreateTable,
  columns: readonly ColumnSchema[],
  options: Readonly<Record<string, string>>,
): readonly number[] | null {
  const key = statement.primaryKey.map((column) => positionOf(columns, column));
  if (statement.kind === 'createTable') {
    if (key.length > 0) return key;
    throw new StreamError('SQL_BIND', `table "${statement.name.text}" has no PRIMARY KEY`, {
      at: statement.at,
      hint: 'add PRIMARY KEY to a column; for rows without a key use CREATE SOURCE',
    });
  }
  if (options['format'] === 'debezium') return key;
  if (key.length > 0) {
    throw new StreamError('SQL_UNSUPPORTED', 'PRIMARY KEY on a source is for format debezium', {
      at: statement.primaryKey[0].at,
      hint: 'use CREATE TABLE for rows with a key',
    });
  }
  if (options['key_format'] !== undefined) {
    throw new StreamError('OPTION_INVALID', 'key_format is for rows with a PRIMARY KEY', {
      at: statement.at,
      hint: 'the key of a source is its hidden column _key',
    });
  }
  return null;
}

/** Making the decoders finds what does not fit: options, the schema, the columns. */
function checkDecoders(
  { format, formatOptions: options, keyFormat }: Pick<SourceSpec, 'format' | 'formatOptions' | 'keyFormat'>,
  columns: readonly ColumnSchema[],
  key: readonly number[],
): void {
  createDecoder(format, { columns, wanted: columns.map((_, i) => i), key, options: options ?? {} });
  if (keyFormat === undefined) return;
  const keyColumns = key.map((position) => columns[position]);
  const wanted = keyColumns.map((_, i) => i);
  createDecoder(keyFormat.name, { columns: keyColumns, wanted, key: [], options: keyFormat.options });
}

export async function createView(context: SqlContext, statement: CreateView, sql: string): Promise<SqlResult> {
  const tag = 'CREATE MATERIALIZED VIEW';
  const name = statement.name.text;
  if (existing(context, statement.name, statement.ifNotExists)) return ok(tag, `"${name}" exists already`);
  const { object, plan } = viewObject(context, statement, sql);
  await install(context, object);
  // A limit is an answer to the warning.
  return ok(tag, undefined, object.options['max_state'] === undefined ? stateWarnings(plan, true) : []);
}

/** What CREATE MATERIALIZED VIEW would put into the catalogue. */
export function viewObject(
  context: SqlContext,
  statement: CreateView,
  sql: string,
): { object: CatalogObject; plan: Plan } {
  const options = viewOptions(statement.options);
  const bound = bindStored(context.catalog, statement.query, options);
  let columns = bound.columns;
  if (statement.columnNames.length > 0) {
    if (statement.columnNames.length !== columns.length) {
      throw new StreamError('SQL_BIND', `${statement.columnNames.length} column names for ${columns.length} columns`, {
        at: statement.at,
      });
    }
    columns = columns.map((column, i) => ({ ...column, name: statement.columnNames[i].text }));
  }
  checkDistinctNames(columns, statement.name);
  const time = relationTimeOf(bound.plan);
  const object: CatalogObject = {
    ...queryObject(context, statement.name.text, sql, statement.queryText, bound),
    kind: 'view',
    columns,
    options,
    key: bound.key,
    changelog: bound.changelog,
    ...(time === undefined ? {} : { time }),
  };
  return { object, plan: bound.plan };
}

/** What would grow for as long as rows come. */
const stateWarnings = (plan: Plan, keepsResult: boolean): Warning[] =>
  unboundedStates(plan, keepsResult).map(({ reason, fix }) => ({
    message: `state without bound: ${reason}`,
    hint: fix,
  }));

export async function createSink(context: SqlContext, statement: CreateSink, sql: string): Promise<SqlResult> {
  const tag = statement.into === 'subscription' ? 'CREATE SUBSCRIPTION' : 'CREATE SINK';
  const name = statement.name.text;
  if (existing(context, statement.name, statement.ifNotExists)) return ok(tag, `"${name}" exists already`);
  const kind = context.sinkKinds.find((candidate) => candidate.name === statement.into);
  if (kind === undefined) {
    throw new StreamError('SQL_UNSUPPORTED', `there is no sink INTO ${statement.into.toUpperCase()}`, {
      at: statement.intoAt,
      hint: `this release has: ${context.sinkKinds.map((candidate) => candidate.name.toUpperCase()).join(', ')}`,
    });
  }
  const bound = bindStored(context.catalog, statement.query);
  checkDistinctNames(bound.columns, statement.name);
  const target = sinkTarget(context, statement, kind, bound);
  const object = queryObject(context, name, sql, statement.queryText, bound);
  refuseLoop(context, object.reads, target.topic, statement.target[0]?.at ?? statement.intoAt);
  await install(context, {
    ...object,
    kind: 'sink',
    columns: bound.columns,
    key: bound.key,
    changelog: bound.changelog,
    sinkKind: kind.name,
    ownsTopic: kind.target === 'subscription',
    ...target,
  });
  return ok(tag, undefined, stateWarnings(bound.plan, false));
}

export async function drop(context: SqlContext, statement: Drop): Promise<SqlResult> {
  const tag = `DROP ${statement.object === 'view' ? 'MATERIALIZED VIEW' : statement.object.toUpperCase()}`;
  for (const name of statement.names) {
    if (statement.ifExists && context.catalog.get(name.text) === undefined) continue;
    await dropObject(context, objectNamed(context, statement.object, name), statement.cascade, name.at);
  }
  return ok(tag);
}

const usersText = (how: string, users: readonly CatalogObject[]): string[] =>
  users.length === 0 ? [] : [`${how} ${users.map(({ name }) => `"${name}"`).join(', ')}`];

export async function dropObject(
  context: SqlContext,
  object: CatalogObject,
  cascade: boolean,
  at?: Position,
): Promise<void> {
  const readers = context.catalog.readersOf(object.id);
  if (readers.length > 0 && !cascade) {
    throw new StreamError(
      'IN_USE',
      `"${object.name}" is ${[
        ...usersText(
          'read by',
          readers.filter(({ into }) => into !== object.id),
        ),
        ...usersText(
          'written by the sink',
          readers.filter(({ into }) => into === object.id),
        ),
      ].join(' and ')}`,
      {
        ...(at === undefined ? {} : { at }),
        hint: 'drop these first, or use CASCADE',
      },
    );
  }
  for (const reader of readers)
    if (context.catalog.byId(reader.id) !== undefined) await dropObject(context, reader, true);
  // The catalogue first: after a crash in between nothing starts the object again, and its state is let go.
  await context.catalog.delete(object.name);
  await context.engine.remove(object.id);
  if ((object.kind === 'table' || isSubscription(object)) && object.ownsTopic && object.topic !== null)
    await context.log.deleteTopic(object.topic);
}

function maxDriftOf({ options }: Pick<CatalogObject, 'options'>): Pick<SourceSpec, 'maxDriftMicros'> {
  const text = options['max_drift'];
  return text === undefined ? {} : { maxDriftMicros: parseDurationMs(text, 'max_drift') * 1000 };
}

/** What the engine runs for an object; views and sinks are bound anew from their text. */
export function engineObject(
  context: { readonly catalog: StoredRelations },
  object: CatalogObject,
  parseQuery: (text: string) => Query,
): EngineObject {
  if (object.kind === 'source' || object.kind === 'table') {
    return {
      kind: 'source',
      id: object.id,
      name: object.name,
      topic: object.topic as string,
      ...formatsOf(object.options),
      columns: object.columns,
      primaryKey: object.key,
      watermark: object.watermark,
      late: object.late,
      idleTimeoutMs: object.idleTimeoutMs,
      ...maxDriftOf(object),
      ...(object.paused && { paused: true }),
      ...indexesOf(object),
    };
  }
  const plan = storedPlan(context, object, parseQuery);
  const paused = object.paused && { paused: true };
  const common = { id: object.id, name: object.name, columns: object.columns, plan, ...paused };
  if (object.kind === 'view') {
    const rate = object.options['backfill_rate'];
    const limit = stateLimit(object.options);
    const past = retainHistoryMs(object.options);
    const more = {
      ...(rate !== undefined && { backfillRate: Number(rate) }),
      ...(limit !== null && { stateLimit: limit }),
      ...(past > 0 && { retainHistoryMs: past }),
      ...indexesOf(object),
    };
    return { kind: 'view', ...common, key: object.key, ephemeral: false, ...more };
  }
  return {
    kind: 'sink',
    ...common,
    sinkKind: object.sinkKind as string,
    appendOnly: object.changelog === 'append',
    options: object.options,
    ...(object.firstName === undefined ? {} : { firstName: object.firstName }),
  };
}

/** The plan that a view or sink runs. */
export function storedPlan(
  { catalog }: { readonly catalog: StoredRelations },
  { names, query, kind, options }: CatalogObject,
  parseQuery: (text: string) => Query = parseStoredQuery,
): Plan {
  const relations = names === undefined ? catalog : namedRelations(catalog, names);
  return bindStored(relations, parseQuery(query as string), kind === 'view' ? options : {}).plan;
}

const indexesOf = ({ indexes }: CatalogObject) =>
  indexes === undefined ? {} : { indexes: indexes.map(({ columns }) => columns) };

/** The catalogue, or what it is about to be. */
export interface StoredRelations extends RelationCatalog {
  relationById(id: string, name: string): Relation | undefined;
}

/** Names as they were meant when a query was stored. */
function namedRelations(catalog: StoredRelations, names: Readonly<Record<string, string>>): RelationCatalog {
  return {
    relation: (name) => (Object.hasOwn(names, name) ? catalog.relationById(names[name], name) : undefined),
    userFunction: (name) => catalog.userFunction?.(name),
    relationNames: () => Object.keys(names),
  };
}

/** Binds a query that is kept, and says what its names mean. */
export function bindStored(relations: RelationCatalog, query: Query, options: Readonly<Record<string, string>> = {}) {
  const names: Record<string, string> = {};
  const functions = new Set<string>();
  const recording: RelationCatalog = {
    relation(name) {
      const relation = relations.relation(name);
      if (relation !== undefined) names[name] = relation.id;
      return relation && { ...relation, name };
    },
    userFunction(name) {
      const fn = relations.userFunction?.(name);
      if (fn !== undefined) functions.add(name);
      return fn;
    },
    relationNames: () => relations.relationNames(),
  };
  const bound = bindQuery(query, recording, { mode: 'view' });
  return boundedPlan({ ...bound, plan: optimize(bound.plan), names, functions: [...functions] }, options);
}

function queryObject(
  context: SqlContext,
  name: string,
  sql: string,
  query: string,
  { plan, names, functions }: Pick<ReturnType<typeof bindStored>, 'plan' | 'names' | 'functions'>,
) {
  return {
    ...(functions.length > 0 && { functions }),
    names,
    id: context.newId(),
    name,
    sql,
    query,
    reads: [...new Set(scansOf(plan).map((scan) => scan.relation))],
    createdAtMs: context.clock.nowMs(),
    topic: null,
    ownsTopic: false,
    watermark: null,
    late: 'update' as const,
    idleTimeoutMs: 0,
    sinkKind: null,
    options: {},
  };
}

/** The engine first, since it may refuse; then the catalogue, which makes it last. */
async function install(context: SqlContext, object: CatalogObject): Promise<void> {
  await context.engine.add(engineObject(context, object, (text) => parseStoredQuery(text)));
  try {
    await context.catalog.put(object);
  } catch (thrown) {
    await context.engine.remove(object.id);
    throw thrown;
  }
}

export function parseStoredQuery(text: string): Query {
  const [statement] = parseStatements(text);
  if (statement.kind !== 'query') throw new StreamError('INVARIANT', 'a stored query is not a query');
  return statement.query;
}

function existing(context: SqlContext, name: Name, ifNotExists: boolean): boolean {
  if (ifNotExists && context.catalog.has(name.text)) return true;
  checkNewName(context, name);
  return false;
}

/** SQL_BIND for a name that nothing may have, ALREADY_EXISTS for one that something has. */
export function checkNewName(context: SqlContext, name: Name): void {
  if (name.text.includes('$')) {
    throw new StreamError('SQL_BIND', `a name may not contain $: ${name.text}`, {
      at: name.at,
      hint: '$ marks what belongs to a relation, such as bid$errors and rate$history',
    });
  }
  if (!context.catalog.has(name.text)) return;
  throw new StreamError('ALREADY_EXISTS', `"${name.text}" exists already`, {
    at: name.at,
    hint: 'drop it first, take another name, or add IF NOT EXISTS',
  });
}

function positionOf(columns: readonly ColumnSchema[], name: Name): number {
  const position = columns.findIndex((column) => column.name === name.text);
  if (position < 0) throw new StreamError('SQL_BIND', `there is no column "${name.text}"`, { at: name.at });
  return position;
}

function checkDistinctNames(columns: readonly ColumnSchema[], owner: Name): void {
  const seen = new Set<string>();
  for (const column of columns) {
    if (seen.has(column.name)) {
      throw new StreamError('SQL_BIND', `two columns of "${owner.text}" are named "${column.name}"`, {
        at: owner.at,
        hint: 'give one another name with AS',
      });
    }
    seen.add(column.name);
  }
}

/** Returns whether the topic was made now. A table's topic is compacted: the newest record of each key is the table. */
async function ensureTopic(
  context: SqlContext,
  topic: string,
  partitions: number,
  keepForever: boolean,
): Promise<boolean> {
  if (context.log.describeTopic(topic) !== undefined) return false;
  refuseInternal(topic);
  const config = keepForever ? { 'cleanup.policy': 'compact' } : undefined;
  await context.log.createTopic(topic, { partitions, ...(config ? { config } : {}) });
  return true;
}

async function inferTopicColumns(
  context: SqlContext,
  topic: string,
  owner: Name,
  options: Readonly<Record<string, string>>,
): Promise<ColumnSchema[]> {
  const header = options['header'] === 'confluent' ? HEADER_BYTES : 0;
  const info = context.log.describeTopic(topic);
  const values: Buffer[] = [];
  for (let partition = 0; partition < (info?.partitions ?? 0) && values.length < INFER_RECORDS; partition++) {
    const { logStart, highWatermark } = context.log.bounds(topic, partition);
    const before = values.length;
    // Mostly one read; what aborted transactions left holds no records.
    for (let offset = logStart; offset < highWatermark && values.length === before; ) {
      const cursor = new RecordCursor(await context.log.read(topic, partition, offset, INFER_BYTES));
      while (values.length < INFER_RECORDS && cursor.next()) {
        if (cursor.valueEnd >= cursor.valueStart + header)
          values.push(cursor.buffer.subarray(cursor.valueStart + header, cursor.valueEnd));
      }
      if (cursor.endOffset <= offset) break;
      offset = cursor.endOffset;
    }
  }
  if (values.length === 0) {
    throw new StreamError(
      'SQL_BIND',
      `columns of "${owner.text}" cannot be inferred: topic "${topic}" ${info ? 'has no records' : 'does not exist'}`,
      {
        at: owner.at,
        hint: 'declare the columns, or produce some records first',
      },
    );
  }
  const columns = inferColumns(values);
  if (columns.length === 0) {
    throw new StreamError(
      'SQL_BIND',
      `columns of "${owner.text}" cannot be inferred: no record of topic "${topic}" is a JSON object`,
      {
        at: owner.at,
        hint: 'declare the columns; records that are not JSON objects then appear in its $errors',
      },
    );
  }
  return columns;
}
