import { bindConflict, bindDelete, bindInsert, bindUpdate } from '../../streamql/binder/dml.ts';
import type { Delete, Insert, Update } from '../../streamql/parser/ast.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { encodeJsonRow } from '../formats/json/json-encoder.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import type { NewRecord } from '../ports/topic-log.ts';
import { partitionOfKey } from '../protocol/partitioner.ts';
import { type Batch, type ColumnSchema, rowAt } from '../values/batch.ts';
import type { Datum } from '../values/types.ts';
import { ok, pullBinding, type SqlContext, type SqlResult, type StatementOptions } from './context.ts';
import { keyColumnOf } from './engine-object.ts';
import { absentHint } from './object-named.ts';
import type { CatalogObject } from './objects.ts';
import { refuseKeyChange, settled } from './on-conflict.ts';
import { runPull } from './pull.ts';

/** Rows one statement may write; each becomes a record of the table's topic. */
const MAX_WRITTEN_ROWS = 1_000_000;

/**
 * Appends one record per row and answers after the fsync. A table's row replaces the one with the same primary key. Views
 * follow within an epoch; FLUSH waits for that.
 */
export async function insert(context: SqlContext, statement: Insert, options: StatementOptions): Promise<SqlResult> {
  const object = writable(context, statement.table, ['table', 'source']);
  const columns = insertedColumns(object, statement);
  const plan = bindInsert(statement, columns, context.catalog, pullBinding(context, options));
  const given = await rowsOf(context, optimize(plan), options);
  const { onConflict } = statement;
  if (onConflict === null) {
    await append(context, object, columns, given, (row, column) => insertedAt(statement, columns, row, column));
    return ok(`INSERT 0 ${given.length}`);
  }
  const { fresh, conflicts } = await settled(context, object, columns, given, onConflict);
  const changed =
    onConflict.action !== 'update' || conflicts.length === 0
      ? []
      : await rowsOf(
          context,
          optimize(
            bindConflict(statement, onConflict, columns, conflicts, context.catalog, pullBinding(context, options)),
          ),
          options,
        );
  await append(context, object, columns, [...fresh, ...changed], () => onConflict.at);
  return ok(`INSERT 0 ${fresh.length + changed.length}`);
}

export async function update(context: SqlContext, statement: Update, options: StatementOptions): Promise<SqlResult> {
  const object = writable(context, statement.table, ['table']);
  const columns = declaredColumns(object);
  refuseKeyChange(statement.set, object.key as readonly number[], columns);
  await context.engine.flush(); // So that it sees every row written before it.
  const plan = bindUpdate(statement, object.id, columns, context.catalog, pullBinding(context, options));
  const rows = await rowsOf(context, optimize(plan), options);
  await append(context, object, columns, rows, (_, column) => {
    const set = statement.set.find((one) => one.column.text === columns[column].name);
    return set?.value.at ?? statement.table.at;
  });
  return ok(`UPDATE ${rows.length}`);
}

export async function remove(context: SqlContext, statement: Delete, options: StatementOptions): Promise<SqlResult> {
  const object = writable(context, statement.table, ['table']);
  const columns = declaredColumns(object);
  await context.engine.flush();
  const plan = bindDelete(statement, object.id, columns, context.catalog, pullBinding(context, options));
  const rows = await rowsOf(context, optimize(plan), options);
  const records = rows.map((row) => ({ key: keyOf(object, columns, row), value: null }));
  await appendRecords(context, object, records);
  return ok(`DELETE ${rows.length}`);
}

function writable(context: SqlContext, name: Insert['table'], kinds: readonly string[]): CatalogObject {
  const object = context.catalog.get(name.text);
  if (object === undefined)
    throw new StreamError('NOT_FOUND', `there is no table "${name.text}"`, {
      at: name.at,
      hint: absentHint(context, name),
    });
  if (!kinds.includes(object.kind)) {
    throw new StreamError('SQL_UNSUPPORTED', `"${name.text}" is a ${object.kind}: it cannot be written to`, {
      at: name.at,
      hint:
        object.kind === 'source'
          ? 'a source is append-only: INSERT or produce to its topic'
          : 'write to the tables and topics that it reads',
    });
  }
  const format = object.options['format'] ?? 'json';
  const keyFormat = object.options['key_format'] ?? 'json';
  if (format !== 'json' || keyFormat !== 'json') {
    const what =
      format === 'json' ? `keys of "${name.text}" are ${keyFormat}` : `records of "${name.text}" are ${format}`;
    throw new StreamError('SQL_UNSUPPORTED', `${what}: SQL writes json`, {
      at: name.at,
      hint: `produce such records to topic "${object.topic}"`,
    });
  }
  return object;
}

const declaredColumns = (object: CatalogObject): ColumnSchema[] => object.columns.filter((column) => !column.hidden);

const RECORD_TIME = '_timestamp';

/** The declared ones; the time of the records too where the statement names it. */
function insertedColumns(object: CatalogObject, { columns }: Insert): ColumnSchema[] {
  const isTimed = columns.some(({ text }) => text === RECORD_TIME);
  return object.columns.filter((column) => !column.hidden || (isTimed && column.name === RECORD_TIME));
}

async function rowsOf(
  context: SqlContext,
  plan: Parameters<typeof runPull>[1],
  options: StatementOptions,
): Promise<Datum[][]> {
  const { batches } = await runPull(context, plan, { ...options, maxRows: MAX_WRITTEN_ROWS });
  const rows: Datum[][] = [];
  for (const batch of batches as readonly Batch[]) for (let i = 0; i < batch.length; i++) rows.push(rowAt(batch, i));
  return rows;
}

/** The value in VALUES, else the column in the list before it, else the table. */
function insertedAt(
  { table, columns: named, query: { body } }: Insert,
  columns: readonly ColumnSchema[],
  row: number,
  column: number,
): Position {
  const given = named.length === 0 ? column : named.findIndex(({ text }) => text === columns[column].name);
  if (given < 0) return table.at;
  const value = body.kind === 'values' ? body.rows[row]?.[given] : undefined;
  return value?.at ?? named[given]?.at ?? table.at;
}

async function append(
  context: SqlContext,
  object: CatalogObject,
  columns: readonly ColumnSchema[],
  rows: readonly (readonly Datum[])[],
  /** Where the statement says the value of a row and column. */
  atOf: (row: number, column: number) => Position,
): Promise<void> {
  rows.forEach((row, r) => {
    columns.forEach((column, i) => {
      if (row[i] === null && !column.nullable) {
        throw new StreamError('VALUE_DOMAIN', `column "${column.name}" of "${object.name}" is NOT NULL`, {
          at: atOf(r, i),
          sqlState: '23502',
          hint: 'nothing was written',
        });
      }
    });
  });
  const keyAt = keyColumnOf(object).keyColumn ?? -1;
  const declared = columns.filter((column) => !column.hidden);
  const timeAt = columns.findIndex((column) => column.name === RECORD_TIME && column.hidden);
  await appendRecords(
    context,
    object,
    rows.map((row) => ({
      key: object.key === null ? textKey(row[keyAt]) : keyOf(object, columns, row),
      value:
        keyAt < 0
          ? encodeJsonRow(declared, row)
          : encodeJsonRow(
              declared.filter((_, i) => i !== keyAt),
              row.filter((_, i) => i !== keyAt),
            ),
      ...(timeAt < 0 ? {} : { timestampMs: Math.floor(Number(row[timeAt]) / 1000) }),
    })),
  );
}

const textKey = (key: Datum | undefined): Buffer | null => (typeof key === 'string' ? Buffer.from(key) : null);

/** The record key of a table's row: the JSON array of its primary key values. */
function keyOf(object: CatalogObject, columns: readonly ColumnSchema[], row: readonly Datum[]): Buffer {
  const key = object.key as readonly number[];
  const object_ = encodeJsonRow(
    key.map((position) => ({ ...columns[position], name: columns[position].name })),
    key.map((position) => row[position]),
    'array',
  );
  return object_;
}

async function appendRecords(context: SqlContext, object: CatalogObject, records: readonly NewRecord[]): Promise<void> {
  const topic = object.topic as string;
  const partitions = context.log.describeTopic(topic)?.partitions ?? 1;
  const byPartition = new Map<number, NewRecord[]>();
  for (const record of records) {
    const partition = record.key === null ? 0 : partitionOfKey(record.key, partitions);
    const list = byPartition.get(partition);
    if (list === undefined) byPartition.set(partition, [record]);
    else list.push(record);
  }
  await Promise.all([...byPartition].map(([partition, list]) => context.log.append(topic, partition, list)));
}
