import { AGGREGATES } from '../../streamql/functions/aggregates.ts';
import { exampleOf } from '../../streamql/functions/examples.ts';
import { FUNCTIONS } from '../../streamql/functions/functions.ts';
import { TABLE_FUNCTIONS } from '../../streamql/functions/table-functions.ts';
import { signatureOf } from '../../streamql/functions/user/user-function.ts';
import { WINDOW_FUNCTIONS } from '../../streamql/functions/window-functions.ts';
import type { Describe, Name, Show } from '../../streamql/parser/ast.ts';
import { closest } from '../../streamql/parser/suggest.ts';
import { StreamError } from '../lib/errors.ts';
import type { ObjectStats } from '../ports/engine.ts';
import { batchOfRows, type ColumnSchema } from '../values/batch.ts';
import { BIGINT, BOOLEAN, type Datum, type SqlType, TIMESTAMP, typeName, VARCHAR } from '../values/types.ts';
import type { SqlContext, SqlResult } from './context.ts';
import { absentHint } from './object-named.ts';
import type { SqlSession } from './session.ts';
import { isSubscription } from './subscriptions.ts';
import { usersTopics } from './topic-relation.ts';

interface Listing {
  readonly columns: readonly (readonly [name: string, type: SqlType])[];
  rows(context: SqlContext): Promise<Datum[][]>;
}

/** SHOW <what>: one row of this table each. */
const LISTINGS: Readonly<Record<string, Listing>> = {
  sources: {
    columns: [
      ['name', VARCHAR],
      ['topic', VARCHAR],
      ['format', VARCHAR],
      ['late', VARCHAR],
      ['late_rows', BIGINT],
      ['created_at', TIMESTAMP],
    ],
    rows: async (context) => {
      const stats = await statsById(context);
      return context.catalog
        .list()
        .filter((object) => object.kind === 'source')
        .map((object) => [
          object.name,
          object.topic,
          object.options['format'] ?? 'json',
          object.late,
          stats.get(object.id)?.late ?? null,
          object.createdAtMs * 1000,
        ]);
    },
  },
  tables: {
    columns: [
      ['name', VARCHAR],
      ['topic', VARCHAR],
      ['primary_key', VARCHAR],
      ['created_at', TIMESTAMP],
    ],
    rows: async ({ catalog }) =>
      catalog
        .list()
        .filter((object) => object.kind === 'table')
        .map((object) => [
          object.name,
          object.topic,
          (object.key ?? []).map((position) => object.columns[position].name).join(', '),
          object.createdAtMs * 1000,
        ]),
  },
  views: {
    columns: [
      ['name', VARCHAR],
      ['state', VARCHAR],
      ['rows', BIGINT],
      ['key', VARCHAR],
      ['changelog', VARCHAR],
      ['query', VARCHAR],
    ],
    rows: async (context) => {
      const stats = await statsById(context);
      return context.catalog
        .list()
        .filter((object) => object.kind === 'view')
        .map((object) => [
          object.name,
          stats.get(object.id)?.state ?? 'unknown',
          stats.get(object.id)?.rows ?? null,
          object.key === null ? null : object.key.map((position) => object.columns[position].name).join(', '),
          object.changelog,
          object.query,
        ]);
    },
  },
  sinks: {
    columns: [
      ['name', VARCHAR],
      ['into', VARCHAR],
      ['state', VARCHAR],
      ['rows', BIGINT],
      ['query', VARCHAR],
    ],
    rows: async (context) => {
      const stats = await statsById(context);
      return context.catalog
        .list()
        .filter((object) => object.kind === 'sink' && !isSubscription(object))
        .map((object) => [
          object.name,
          object.sinkKind,
          stats.get(object.id)?.state ?? 'unknown',
          stats.get(object.id)?.rows ?? null,
          object.query,
        ]);
    },
  },
  subscriptions: {
    columns: [
      ['name', VARCHAR],
      ['state', VARCHAR],
      ['retention', VARCHAR],
      ['changes', BIGINT],
      ['query', VARCHAR],
    ],
    rows: async (context) => {
      const stats = await statsById(context);
      return context.catalog
        .list()
        .filter(isSubscription)
        .map((object) => [
          object.name,
          stats.get(object.id)?.state ?? 'unknown',
          object.options['retention'] ?? null,
          stats.get(object.id)?.rows ?? null,
          object.query,
        ]);
    },
  },
  indexes: {
    columns: [
      ['name', VARCHAR],
      ['on', VARCHAR],
      ['columns', VARCHAR],
    ],
    rows: async ({ catalog }) =>
      catalog
        .list()
        .flatMap((object) =>
          (object.indexes ?? []).map((index) => [
            index.name,
            object.name,
            index.columns.map((column) => object.columns[column].name).join(', '),
          ]),
        ),
  },
  schemas: {
    columns: [
      ['name', VARCHAR],
      ['objects', BIGINT],
    ],
    rows: async ({ catalog }) =>
      catalog.schemas.map((schema) => [
        schema,
        catalog.list().filter((object) => catalog.schemaOf(object.name) === schema).length,
      ]),
  },
  topics: {
    columns: [
      ['name', VARCHAR],
      ['partitions', BIGINT],
      ['records', BIGINT],
      ['id', VARCHAR],
    ],
    rows: async ({ log }) =>
      usersTopics(log).map((topic) => {
        let records = 0;
        for (let partition = 0; partition < topic.partitions; partition++) {
          const { logStart, highWatermark } = log.bounds(topic.name, partition);
          records += highWatermark - logStart;
        }
        return [topic.name, topic.partitions, records, topic.id];
      }),
  },
  pipelines: {
    columns: [
      ['object', VARCHAR],
      ['state', VARCHAR],
      ['operator', VARCHAR],
      ['detail', VARCHAR],
      ['rows_in', BIGINT],
      ['rows_out', BIGINT],
      ['state_rows', BIGINT],
      ['state_bytes', BIGINT],
      ['errors', BIGINT],
      ['cause', VARCHAR],
      ['progress', VARCHAR],
    ],
    rows: async ({ engine }) =>
      (await engine.stats()).objects.flatMap((object) =>
        object.operators.map((operator) => [
          object.name,
          object.state,
          operator.name,
          operator.detail,
          operator.rowsIn,
          operator.rowsOut,
          operator.stateRows,
          operator.stateBytes,
          object.errors,
          object.error === undefined ? null : `${object.error.code}: ${object.error.detail}`,
          progressText(object.backfill),
        ]),
      ),
  },
  functions: {
    columns: [
      ['name', VARCHAR],
      ['arguments', VARCHAR],
      ['doc', VARCHAR],
      ['example', VARCHAR],
    ],
    rows: async ({ catalog }) => [
      ...catalog.functions.map((fn) => [
        fn.name,
        signatureOf(fn),
        `made with CREATE ${fn.kind === 'aggregate' ? 'AGGREGATE' : 'FUNCTION'}, in ${fn.language}`,
        null,
      ]),
      ...[...AGGREGATES.values()].map((row) => [row.name, row.signature, row.doc, row.example[0]]),
      ...[...WINDOW_FUNCTIONS.values()].map((row) => [row.name, `${row.signature} OVER (…)`, row.doc, null]),
      ...[...TABLE_FUNCTIONS.values()].map((row) => [row.name, `FROM ${row.name}(${row.signature})`, row.doc, null]),
      ...[...FUNCTIONS.values()].map((row) => [
        row.name,
        row.args.join(', ') + (row.variadic ? ', …' : ''),
        row.doc,
        exampleOf(row)?.[0] ?? null,
      ]),
    ],
  },
};

/** Null when it has caught up. */
function progressText(backfill: ObjectStats['backfill']): string | null {
  if (backfill === undefined) return null;
  const { done, total, secondsLeft } = backfill;
  return `${done} of ${total} records${secondsLeft === null ? '' : `, ${Math.ceil(secondsLeft)} s left`}`;
}

async function statsById(context: SqlContext) {
  return new Map((await context.engine.stats()).objects.map((object) => [object.id, object]));
}

/** SHOW of a setting. */
export const settingResult = (session: SqlSession, { text, at }: Name): SqlResult =>
  table([[text, VARCHAR]], [[session.get(text, at)]]);

export async function show(context: SqlContext, statement: Show): Promise<SqlResult> {
  const what = statement.what.text === 'materialized views' ? 'views' : statement.what.text;
  const listing = LISTINGS[what];
  if (listing === undefined) {
    const names = Object.keys(LISTINGS);
    const near = closest(what, names);
    throw new StreamError('SQL_UNSUPPORTED', `SHOW ${what.toUpperCase()} is not known`, {
      at: statement.what.at,
      hint: near === undefined ? `SHOW takes ${names.join(', ')}` : `did you mean SHOW ${near.toUpperCase()}?`,
    });
  }
  return table(listing.columns, await listing.rows(context));
}

export function describe(context: SqlContext, statement: Describe): SqlResult {
  const { text, at } = statement.name;
  const object = context.catalog.get(text);
  const columns = context.catalog.relation(text)?.columns ?? object?.columns;
  if (columns === undefined) {
    throw new StreamError('NOT_FOUND', `"${text}" does not exist`, {
      at,
      hint: absentHint(context, statement.name),
    });
  }
  return table(
    [
      ['column', VARCHAR],
      ['type', VARCHAR],
      ['nullable', BOOLEAN],
      ['key', BOOLEAN],
      ['hidden', BOOLEAN],
    ],
    columns.map((column, i) => [
      column.name,
      typeName(column.type),
      column.nullable,
      object?.key?.includes(i) ?? false,
      column.hidden ?? false,
    ]),
  );
}

export function table(
  columns: readonly (readonly [name: string, type: SqlType])[],
  rows: readonly Datum[][],
): SqlResult {
  const schema: ColumnSchema[] = columns.map(([name, type]) => ({ name, type, nullable: true }));
  return {
    kind: 'rows',
    columns: schema,
    batches: [
      batchOfRows(
        columns.map(([, type]) => type),
        rows,
      ),
    ],
  };
}
