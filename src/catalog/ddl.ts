import type { CreateSink, CreateView, Drop, Name } from '../../streamql/parser/ast.ts';
import { relationTimeOf } from '../../streamql/plan/event-time.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { unboundedStates } from '../../streamql/plan/state-growth.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { ok, type SqlContext, type SqlResult, type Warning } from './context.ts';
import { engineObject } from './engine-object.ts';
import { objectNamed } from './object-named.ts';
import type { CatalogObject } from './objects.ts';
import { scansOf } from './pull.ts';
import { refuseLoop, sinkTarget } from './sink-target.ts';
import { bindStored } from './stored-query.ts';
import { isSubscription } from './subscriptions.ts';
import { viewOptions } from './view-options.ts';

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
export async function install(context: SqlContext, object: CatalogObject): Promise<void> {
  await context.engine.add(engineObject(context, object));
  try {
    await context.catalog.put(object);
  } catch (thrown) {
    await context.engine.remove(object.id);
    throw thrown;
  }
}

export function existing(context: SqlContext, name: Name, ifNotExists: boolean): boolean {
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

function checkDistinctNames(columns: readonly ColumnSchema[], owner: Name): void {
  const seen = new Set<string>();
  for (const column of columns) {
    if (seen.has(column.name)) {
      throw new StreamError('SQL_BIND', `two columns of "${owner.text}" are named "${column.name}"`, {
        at: owner.at,
        hint: `give one another name with AS; in place of * write * EXCEPT (t.${column.name}), or join USING (${column.name}), which keeps one`,
      });
    }
    seen.add(column.name);
  }
}
