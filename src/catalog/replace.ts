import type { CreateView } from '../../streamql/parser/ast.ts';
import { relationTimeOf } from '../../streamql/plan/event-time.ts';
import { asStreamError, StreamError } from '../lib/errors.ts';
import type { RelationCatalog } from '../ports/relations.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { sameType, typeName } from '../values/types.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';
import { viewObject } from './ddl.ts';
import { engineObject } from './engine-object.ts';
import { carriedIndexes } from './indexes.ts';
import { objectNamed } from './object-named.ts';
import { type CatalogObject, deadLetterRelation, relationOf } from './objects.ts';
import { bindStored, parseStoredQuery } from './stored-query.ts';

/**
 * CREATE OR REPLACE MATERIALIZED VIEW: the new view, and anew every view that reads the old one, is built beside them under ids of its own. When
 * all have caught up the catalogue changes from the old ids to the new in one step, subscribers are told the difference, and the old
 * ones go. Until that step nothing that can be seen has changed; what a crash before it leaves is let go at the next start.
 * Building holds up no other statement; `serial` is for the step.
 */
export async function replaceView(
  context: SqlContext,
  statement: CreateView,
  sql: string,
  options: { readonly timeoutMs: number; readonly serial: <T>(run: () => Promise<T>) => Promise<T> },
): Promise<SqlResult> {
  const { catalog, engine } = context;
  const old = objectNamed(context, 'view', statement.name);
  const dependants = readersBelow(context, old);
  const group = [old, ...dependants];
  const sink = dependants.find((object) => object.kind === 'sink');
  if (sink !== undefined) {
    throw new StreamError(
      'IN_USE',
      `sink "${sink.name}" follows the changes of "${old.name}" and cannot go over to another view`,
      {
        at: statement.name.at,
        hint: 'make the new view under another name with a sink of its own, or DROP the sink first',
      },
    );
  }
  const fresh = new Map<string, CatalogObject>();
  const { object: first } = viewObject(context, statement, sql);
  const loop = group.find((object) => first.reads.some((read) => read.split('$')[0] === object.id));
  if (loop !== undefined) {
    throw new StreamError('IN_USE', `the new "${old.name}" would read "${loop.name}", which reads the old`, {
      at: statement.name.at,
      hint: 'write the query over what the view reads',
    });
  }
  if (dependants.length > 0) checkFits(old, first.columns, statement);
  fresh.set(old.id, { ...first, ...carriedIndexes(old, first.columns), createdAtMs: old.createdAtMs });
  for (const dependant of dependants) fresh.set(dependant.id, rebound(context, dependant, fresh, statement));

  const added: string[] = [];
  try {
    const overlay = { catalog: withObjects(context, fresh) };
    for (const object of fresh.values()) {
      await engine.add(engineObject(overlay, object));
      added.push(object.id);
    }
    await engine.caughtUp(added, options.timeoutMs);
    await options.serial(async () => {
      const now = [old, ...readersBelow(context, old)];
      if (
        now.length !== group.length ||
        now.some((object) => !group.includes(object) || catalog.byId(object.id) !== object)
      ) {
        throw new StreamError('IN_USE', `"${old.name}", or what reads it, changed while its successor was built`, {
          hint: 'run the statement again',
        });
      }
      await engine.checkpoint();
      await catalog.change((objects) => objects.map((object) => fresh.get(object.id) ?? object));
      added.length = 0;
      await engine.handOver([...fresh].map(([from, { id }]) => [from, id] as const));
      for (const { id } of [...group].reverse()) await engine.remove(id);
    });
  } catch (thrown) {
    for (const id of added.reverse()) await engine.remove(id);
    throw thrown;
  }
  return ok('CREATE MATERIALIZED VIEW', `"${old.name}" was replaced`);
}

/** Views and sinks that read the object, directly or not, in the order of the catalogue. */
function readersBelow({ catalog }: SqlContext, object: CatalogObject): CatalogObject[] {
  const found = new Set<CatalogObject>();
  const visit = (one: CatalogObject): void => {
    for (const reader of catalog.readersOf(one.id)) {
      if (found.has(reader)) continue;
      found.add(reader);
      visit(reader);
    }
  };
  visit(object);
  return catalog.list().filter((one) => found.has(one));
}

/** A view that reads what is replaced, under a new id and over the new objects. */
function rebound(
  context: SqlContext,
  object: CatalogObject,
  fresh: ReadonlyMap<string, CatalogObject>,
  statement: CreateView,
): CatalogObject {
  const relations: RelationCatalog = {
    relation(name) {
      const id = object.names?.[name] ?? context.catalog.relation(name)?.id;
      if (id === undefined) return undefined;
      return withObjects(context, fresh).relationById(id, name);
    },
    userFunction: (name) => context.catalog.userFunction(name),
    relationNames: () => Object.keys(object.names ?? {}),
  };
  let bound: ReturnType<typeof bindStored>;
  try {
    const options = object.kind === 'view' ? object.options : {};
    bound = bindStored(relations, parseStoredQuery(object.query as string), options);
  } catch (thrown) {
    throw new StreamError(
      'IN_USE',
      `"${object.name}" reads "${statement.name.text}" and would not fit: ${asStreamError(thrown).message}`,
      {
        at: statement.name.at,
        hint: `keep what it needs, or DROP "${object.name}" first`,
      },
    );
  }
  const columns = bound.columns.map((column, i) => ({ ...column, name: object.columns[i]?.name ?? column.name }));
  checkFits(object, columns, statement);
  const { time: _, indexes: __, ...rest } = object;
  const time = relationTimeOf(bound.plan);
  return {
    ...rest,
    id: context.newId(),
    names: bound.names,
    ...carriedIndexes(object, columns),
    columns,
    key: bound.key,
    changelog: bound.changelog,
    reads: [...new Set(Object.values(bound.names))],
    ...(time === undefined ? {} : { time }),
  };
}

/** As in Postgres: columns stay, more may come after them. */
function checkFits(old: CatalogObject, columns: readonly ColumnSchema[], statement: CreateView): void {
  old.columns.forEach((column, i) => {
    const now = columns[i];
    if (now?.name === column.name && sameType(now.type, column.type)) return;
    throw new StreamError(
      'IN_USE',
      `column ${i + 1} of "${old.name}" is "${column.name}" ${typeName(column.type)} and would be ${now === undefined ? 'gone' : `"${now.name}" ${typeName(now.type)}`}`,
      {
        at: statement.name.at,
        hint: 'other views read it: keep its columns and add new ones behind them',
      },
    );
  });
}

/** The catalogue as it will be: each old id stands for its successor. */
function withObjects({ catalog }: SqlContext, fresh: ReadonlyMap<string, CatalogObject>) {
  const successors = new Map([...fresh.values()].map((object) => [object.id, object]));
  return {
    relationById(id: string, name: string) {
      const object = fresh.get(id) ?? successors.get(id);
      if (object !== undefined) return { ...relationOf(object), name };
      const [owner] = id.split('$');
      const successor = fresh.get(owner) ?? successors.get(owner);
      if (successor === undefined) return catalog.relationById(id, name);
      return { ...deadLetterRelation(successor, '$errors'), name };
    },
    relation: (name: string) => catalog.relation(name),
    userFunction: (name: string) => catalog.userFunction(name),
    relationNames: () => catalog.relationNames(),
  };
}
