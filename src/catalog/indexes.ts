import { suggestion } from '../../streamql/binder/scope.ts';
import type { CreateIndex, DropIndex } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import { PUBLIC_SCHEMA } from './catalog.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';
import { type CatalogObject, isStored } from './objects.ts';

/** An index lives in the schema of its object. The engine makes it from the rows that are there, at once. */
export async function createIndex(context: SqlContext, statement: CreateIndex): Promise<SqlResult> {
  const tag = 'CREATE INDEX';
  const { catalog } = context;
  const { on } = statement;
  const object = catalog.get(on.text);
  if (object === undefined) {
    throw new StreamError('NOT_FOUND', `there is no view or table "${on.text}"`, {
      at: on.at,
      hint: 'SHOW VIEWS and SHOW TABLES list them',
    });
  }
  if (!isStored(object)) {
    throw new StreamError('SQL_UNSUPPORTED', `"${on.text}" is a ${object.kind}: its rows are not kept`, {
      at: on.at,
      hint: 'make a view of what is to be looked up',
    });
  }
  const columns = statement.columns.map(({ text, at }) => {
    const position = object.columns.findIndex((column) => column.name === text);
    if (position >= 0) return position;
    const names = object.columns.map((column) => column.name);
    throw new StreamError('SQL_BIND', `"${object.name}" has no column "${text}"`, {
      at,
      hint: suggestion(text, names) ?? `its columns are: ${names.join(', ')}`,
    });
  });
  if (new Set(columns).size < columns.length) {
    throw new StreamError('SQL_BIND', 'a column stands twice in the index', {
      at: statement.at,
      hint: 'name each column once',
    });
  }
  const schema = catalog.schemaOf(object.name);
  const local = schema === PUBLIC_SCHEMA ? object.name : object.name.slice(schema.length + 1);
  const own = statement.name?.text ?? `${local}_${statement.columns.map(({ text }) => text).join('_')}_idx`;
  const name = schema === PUBLIC_SCHEMA ? own : `${schema}.${own}`;
  if (ownerOf(context, name) !== undefined) {
    if (statement.ifNotExists) return ok(tag, `index "${name}" exists already`);
    throw new StreamError('ALREADY_EXISTS', `there is an index "${name}" already`, {
      at: statement.name?.at ?? statement.at,
      hint: 'take another name, or add IF NOT EXISTS',
    });
  }
  await setIndexes(context, object, [...(object.indexes ?? []), { name, columns }]);
  return ok(tag);
}

export async function dropIndex(context: SqlContext, statement: DropIndex): Promise<SqlResult> {
  for (const { text, at } of statement.names) {
    const owner = ownerOf(context, text);
    if (owner === undefined) {
      if (statement.ifExists) continue;
      throw new StreamError('NOT_FOUND', `there is no index "${text}"`, { at, hint: 'SHOW INDEXES lists them' });
    }
    const left = (owner.indexes ?? []).filter((index) => index.name !== text);
    await setIndexes(context, owner, left);
  }
  return ok('DROP INDEX');
}

const ownerOf = ({ catalog }: SqlContext, name: string): CatalogObject | undefined =>
  catalog.list().find((object) => object.indexes?.some((index) => index.name === name));

async function setIndexes(
  { catalog, engine }: SqlContext,
  object: CatalogObject,
  indexes: NonNullable<CatalogObject['indexes']>,
): Promise<void> {
  const columns = (of: NonNullable<CatalogObject['indexes']>) => of.map((index) => index.columns);
  await engine.alter(object.id, { indexes: columns(indexes) });
  try {
    await catalog.change((objects) => objects.map((one) => (one.id === object.id ? { ...one, indexes } : one)));
  } catch (thrown) {
    await engine.alter(object.id, { indexes: columns(object.indexes ?? []) });
    throw thrown;
  }
}

/** The indexes of an object that is replaced, as far as its successor has their columns. */
export function carriedIndexes(old: CatalogObject, columns: CatalogObject['columns']): Pick<CatalogObject, 'indexes'> {
  if (old.indexes === undefined) return {};
  const indexes = old.indexes.flatMap((index) => {
    const positions = index.columns.map((column) => columns.findIndex(({ name }) => name === old.columns[column].name));
    return positions.includes(-1) ? [] : [{ name: index.name, columns: positions }];
  });
  return indexes.length === 0 ? {} : { indexes };
}
