import type { CreateSchema, DropSchema, Name, Statement } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import { type Catalog, PUBLIC_SCHEMA } from './catalog.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';
import { dropObject } from './ddl.ts';

export async function createSchema({ catalog }: SqlContext, { name, ifNotExists }: CreateSchema): Promise<SqlResult> {
  const tag = 'CREATE SCHEMA';
  const { text, at } = name;
  if (catalog.schemas.includes(text)) {
    if (ifNotExists) return ok(tag, `schema "${text}" exists already`);
    throw new StreamError('ALREADY_EXISTS', `schema "${text}" exists already`, { at, hint: 'add IF NOT EXISTS' });
  }
  if (/[.$]/.test(text) || text === '')
    throw new StreamError('SQL_BIND', 'the name of a schema has no . and no $', { at });
  const like = catalog.list().find((object) => object.name.startsWith(`${text}.`));
  if (like !== undefined) {
    throw new StreamError('ALREADY_EXISTS', `"${like.name}" would be taken for a name in schema "${text}"`, {
      at,
      hint: 'rename it, or take another name',
    });
  }
  await catalog.createSchema(text);
  return ok(tag);
}

export async function dropSchema(context: SqlContext, { name, ifExists, cascade }: DropSchema): Promise<SqlResult> {
  const tag = 'DROP SCHEMA';
  const { catalog } = context;
  const { text, at } = name;
  if (!catalog.schemas.includes(text)) {
    if (ifExists) return ok(tag, `there is no schema "${text}"`);
    throw new StreamError('NOT_FOUND', `there is no schema "${text}"`, { at, sqlState: '3F000', hint: 'SHOW SCHEMAS' });
  }
  if (text === PUBLIC_SCHEMA)
    throw new StreamError('SQL_UNSUPPORTED', 'schema public stays', { at, hint: 'DROP what is in it' });
  const within = () => catalog.list().filter((object) => catalog.schemaOf(object.name) === text);
  if (!cascade && within().length > 0) {
    throw new StreamError(
      'IN_USE',
      `schema "${text}" has ${within()
        .map((object) => `"${object.name}"`)
        .join(', ')}`,
      {
        at,
        hint: 'drop these first, or use CASCADE',
      },
    );
  }
  for (let [object] = within().reverse(); object !== undefined; [object] = within().reverse())
    await dropObject(context, object, true);
  await catalog.deleteSchema(text);
  return ok(tag);
}

const within = (name: Name, schema: string): Name => ({ ...name, text: `${schema}.${name.text}`, schema });

/** The statement with the full names of what it makes. */
export function placed<S extends Statement>(catalog: Catalog, statement: S): S {
  switch (statement.kind) {
    case 'createSource':
    case 'createTable':
    case 'createView':
    case 'createSink': {
      const isKept = statement.kind === 'createView' && statement.orReplace;
      const text = (isKept ? catalog.get(statement.name.text)?.name : undefined) ?? catalog.nameOfNew(statement.name);
      return { ...statement, name: { ...statement.name, text } };
    }
    case 'alter': {
      if (statement.action !== 'rename') return statement;
      const { other, name } = statement;
      // As in Postgres a new name stays in the schema.
      const schema = catalog.schemaOf(catalog.get(name.text)?.name ?? '');
      const named = other.schema !== undefined || schema === PUBLIC_SCHEMA ? other : within(other, schema);
      const text = catalog.under([PUBLIC_SCHEMA]).nameOfNew(named);
      return { ...statement, other: { ...other, text } };
    }
    default:
      return statement;
  }
}
