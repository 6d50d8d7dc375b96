import type { Alter, Pause } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import type { ObjectStats } from '../ports/engine.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';
import { checkNewName } from './ddl.ts';
import { engineObject } from './engine-object.ts';
import { KIND_WORDS, objectNamed } from './object-named.ts';
import type { CatalogObject } from './objects.ts';
import { alteredOptions, retainHistoryMs, stateLimit } from './view-options.ts';

/** Queries know what they read by id, so names may change under them: each change here is one step of the catalogue. */
export async function alter(context: SqlContext, statement: Alter): Promise<SqlResult> {
  const tag = `ALTER ${KIND_WORDS[statement.object]}`;
  const { catalog, engine } = context;
  if (statement.ifExists && catalog.get(statement.name.text) === undefined)
    return ok(tag, `"${statement.name.text}" does not exist`);
  const object = objectNamed(context, statement.object, statement.name);
  if (statement.action === 'set') {
    const options = alteredOptions(object.options, statement.options);
    await catalog.change((objects) => objects.map((one) => (one.id === object.id ? { ...one, options } : one)));
    const isGiven = (...names: string[]): boolean => statement.options.some(({ name }) => names.includes(name));
    await engine.alter(object.id, {
      ...(isGiven('max_state', 'on_exceed') && { stateLimit: stateLimit(options) }),
      ...(isGiven('retain_history') && { retainHistoryMs: retainHistoryMs(options) }),
    });
    return ok(tag);
  }
  if (statement.action === 'rename') {
    checkNewName(context, statement.other);
    await renameAll(context, new Map([[object.id, statement.other.text]]));
    await engine.alter(object.id, { name: statement.other.text });
    return ok(tag);
  }
  const other = objectNamed(context, statement.object, statement.other);
  await renameAll(
    context,
    new Map([
      [object.id, other.name],
      [other.id, object.name],
    ]),
  );
  await engine.alter(object.id, { name: other.name });
  await engine.alter(other.id, { name: object.name });
  return ok(tag);
}

async function renameAll({ catalog }: SqlContext, names: ReadonlyMap<string, string>): Promise<void> {
  for (const { id, name } of catalog.list()) {
    const stale = catalog.readersOf(id).find((reader) => reader.names === undefined);
    if (names.has(id) && stale !== undefined) {
      throw new StreamError(
        'SQL_UNSUPPORTED',
        `"${stale.name}" was made by an earlier release and reads "${name}" by name`,
        {
          hint: `make "${stale.name}" again first`,
        },
      );
    }
  }
  await catalog.change((objects) =>
    objects.map((object) => {
      const name = names.get(object.id);
      if (name === undefined) return object;
      return { ...object, name, ...(object.kind === 'sink' && { firstName: object.firstName ?? object.name }) };
    }),
  );
}

export async function pause(context: SqlContext, statement: Pause): Promise<SqlResult> {
  const tag = `${statement.paused ? 'PAUSE' : 'RESUME'} ${KIND_WORDS[statement.object]}`;
  const object = objectNamed(context, statement.object, statement.name);
  const state = await stateOf(context, object.id);
  if (!statement.paused && !object.paused && state === 'paused') {
    // The engine paused it, for the size of its state.
    await context.engine.alter(object.id, { paused: false });
    return ok(tag);
  }
  if (!statement.paused && state === 'failed') return beginAnew(context, object, statement, tag);
  if ((object.paused ?? false) === statement.paused)
    return ok(tag, `"${object.name}" ${statement.paused ? 'is paused already' : 'is not paused'}`);
  // Where it stopped is durable before it counts as paused: after a crash in between it goes on.
  if (statement.paused) {
    await context.engine.alter(object.id, { paused: true });
    await context.engine.checkpoint();
  }
  await context.catalog.change((objects) =>
    objects.map((one) => {
      if (one.id !== object.id) return one;
      const { paused: _, ...running } = one;
      return statement.paused ? { ...running, paused: true } : running;
    }),
  );
  if (!statement.paused) await context.engine.alter(object.id, { paused: false });
  return ok(tag);
}

const stateOf = async ({ engine }: SqlContext, id: string): Promise<ObjectStats['state'] | undefined> =>
  (await engine.stats()).objects.find((one) => one.id === id)?.state;

/** What failed has no state that could be gone on with: it reads its input from the beginning, as it would after a restart. */
async function beginAnew(context: SqlContext, object: CatalogObject, { name }: Pause, tag: string): Promise<SqlResult> {
  const { catalog, engine } = context;
  const readers = catalog.readersOf(object.id);
  if (object.kind !== 'view' || readers.length > 0) {
    const users = readers.map((reader) => `"${reader.name}"`).join(', ');
    throw new StreamError(
      'SQL_UNSUPPORTED',
      object.kind === 'view'
        ? `"${object.name}" has failed and is read by ${users}, which would have to begin anew with it`
        : `"${object.name}" has failed: a ${object.kind} does not begin anew, since what it wrote or read would be there twice`,
      {
        at: name.at,
        hint:
          object.kind === 'view'
            ? 'CREATE OR REPLACE it with its definition: what reads it follows'
            : 'drop it and create it anew',
      },
    );
  }
  await engine.remove(object.id);
  await engine.add(engineObject(context, object));
  return ok(tag, `"${object.name}" had failed and reads its input from the beginning`);
}
