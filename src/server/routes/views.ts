import type { SqlContext } from '../../catalog/context.ts';
import { type CatalogObject, isStored } from '../../catalog/objects.ts';
import { StreamError } from '../../lib/errors.ts';
import type { ObjectStats } from '../../ports/engine.ts';
import type { Batch, ColumnSchema } from '../../values/batch.ts';
import { datumFromJson } from '../../values/json.ts';
import { type Datum, typeName } from '../../values/types.ts';
import { object, type Route, text, whole } from '../route.ts';
import { rowObject } from '../rows.ts';

const nameParam = object({ name: text('Name of the view or table.') }, ['name']);

export const viewRoutes: readonly Route[] = [
  {
    method: 'GET',
    url: '/api/v1/views',
    summary: 'All materialized views and tables with their state.',
    handle: async ({ executor }) => {
      const { catalog, engine } = executor.context;
      const stats = new Map((await engine.stats()).objects.map((one) => [one.id, one]));
      const readable = catalog.list().filter(isStored);
      return { views: readable.map((one) => viewJson(one, stats.get(one.id))) };
    },
  },
  {
    method: 'GET',
    url: '/api/v1/views/:name',
    summary: 'One view or table: columns, key, definition, state.',
    params: nameParam,
    handle: async ({ executor }, request) => {
      const view = findView(executor.context, (request.params as { name: string }).name);
      const { objects } = await executor.context.engine.stats();
      return viewJson(
        view,
        objects.find((one) => one.id === view.id),
      );
    },
  },
  {
    method: 'GET',
    url: '/api/v1/views/:name/rows',
    summary: 'Rows of a view or table as objects; with key, the row or rows whose key columns have these values.',
    params: nameParam,
    query: object({
      key: text('Key value; for several key columns a JSON array, which may be a prefix of the key.'),
      limit: whole('At most this many rows; default 1000.', 1, 1_000_000),
    }),
    handle: async ({ executor }, request) => {
      const { key, limit = 1000 } = request.query as { key?: string; limit?: number };
      const view = findView(executor.context, (request.params as { name: string }).name);
      const visible = view.columns.map((_, i) => i).filter((i) => !view.columns[i].hidden);
      const columns = visible.map((i) => view.columns[i]);
      const { epoch, batch } =
        key === undefined
          ? await firstRows(executor.context, view, visible, limit)
          : await byKey(executor.context, view, visible, key, limit);
      const rows: unknown[] = [];
      for (let i = 0; i < Math.min(batch.length, limit); i++) rows.push(rowObject(columns, batch, i));
      return { epoch, rows };
    },
  },
];

function findView(context: SqlContext, name: string): CatalogObject {
  const view = context.catalog.get(name);
  if (view === undefined || !isStored(view)) {
    throw new StreamError('NOT_FOUND', `there is no view or table "${name}"`, { hint: 'GET /api/v1/views lists them' });
  }
  return view;
}

async function firstRows(context: SqlContext, view: CatalogObject, visible: readonly number[], limit: number) {
  const { epoch, batches } = await context.engine.snapshot([{ id: view.id, columns: visible, limit }]);
  return { epoch, batch: batches[0] };
}

async function byKey(
  context: SqlContext,
  view: CatalogObject,
  visible: readonly number[],
  key: string,
  limit: number,
): Promise<{ epoch: number; batch: Batch }> {
  if (view.key === null) {
    throw new StreamError('REQUEST_INVALID', `"${view.name}" has no key`, {
      hint: 'use POST /api/v1/sql with a WHERE',
    });
  }
  const datums = parseKey(
    key,
    view.key.map((position) => view.columns[position]),
  );
  const { epoch, batch } = await context.engine.lookup(view.id, datums, limit);
  return { epoch, batch: { ...batch, columns: visible.map((i) => batch.columns[i]) } };
}

/** A JSON array gives several key values; anything else is the first one, as JSON or as plain text. */
function parseKey(key: string, columns: readonly ColumnSchema[]): Datum[] {
  let values: unknown[] = [key];
  if (key.startsWith('[')) {
    try {
      values = JSON.parse(key) as unknown[];
    } catch {
      throw new StreamError('REQUEST_INVALID', 'key is not a JSON array');
    }
  }
  if (values.length > columns.length) {
    throw new StreamError(
      'REQUEST_INVALID',
      `key has ${values.length} values, the view's key has ${columns.length} columns`,
    );
  }
  return values.map((value, i) => datumFromJson(value, columns[i].type));
}

export function viewJson(view: CatalogObject, stats: ObjectStats | undefined) {
  return {
    name: view.name,
    kind: view.kind,
    state: stats?.state ?? 'unknown',
    ...(stats?.error ? { error: stats.error } : {}),
    rows: stats?.rows ?? 0,
    errors: stats?.errors ?? 0,
    columns: view.columns
      .filter((column) => !column.hidden)
      .map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable })),
    key: view.key === null ? null : view.key.map((position) => view.columns[position].name),
    changelog: view.changelog,
    query: view.query,
    sql: view.sql,
    createdAt: new Date(view.createdAtMs).toISOString(),
  };
}
