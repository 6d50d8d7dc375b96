import { bindColumns, bindWatermark } from '../../streamql/binder/ddl.ts';
import { suggestion } from '../../streamql/binder/scope.ts';
import type { CreateSource, CreateTable, Name } from '../../streamql/parser/ast.ts';
import { HEADER_BYTES } from '../formats/confluent-header.ts';
import { createDecoder, formatColumns } from '../formats/formats.ts';
import { inferColumns } from '../formats/json/infer.ts';
import { StreamError } from '../lib/errors.ts';
import type { SourceSpec } from '../ports/engine.ts';
import { RecordCursor } from '../protocol/records.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { HIDDEN_COLUMNS, SOURCE_HIDDEN_COLUMNS } from '../values/hidden-columns.ts';
import { typeName } from '../values/types.ts';
import { ok, type SqlContext, type SqlResult } from './context.ts';
import { existing, install } from './ddl.ts';
import { formatsOf, keyColumnOf, maxDriftOf } from './engine-object.ts';
import type { CatalogObject } from './objects.ts';
import { checkOptions, parseCount, parseDurationMs, SOURCE_OPTIONS } from './options.ts';
import { refuseInternal } from './topic-relation.ts';

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
  const { keyColumn } = fromKey(statement, declared, options);
  // Rows that are only added may also go by the time when they were written.
  const timed = key === null ? [...declared, ...HIDDEN_COLUMNS] : declared;
  const watermark = statement.watermark === null ? null : bindWatermark(statement.watermark, timed);
  if (maxDriftOf({ options }).maxDriftMicros !== undefined && (watermark === null || key !== null)) {
    throw new StreamError('OPTION_INVALID', 'max_drift is for sources with a WATERMARK', {
      hint: 'leave it out, or declare WATERMARK FOR a column',
    });
  }
  if (key !== null) declared = declared.map((column, i) => (key.includes(i) ? { ...column, nullable: false } : column));
  checkDecoders(
    format,
    declared.filter((_, i) => i !== keyColumn),
    key ?? [],
  );
  const ownsTopic = await ensureTopic(context, topic, parseCount(options['partitions'], 'partitions', 10_000), isTable);
  const object: CatalogObject = {
    id: context.newId(),
    name,
    kind: isTable ? 'table' : 'source',
    sql,
    query: null,
    columns: [...declared, ...(key === null ? SOURCE_HIDDEN_COLUMNS : HIDDEN_COLUMNS)],
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

/** Columns that a schema gives may be named as it likes, but for hidden columns. */
function bindGiven(given: readonly ColumnSchema[], owner: Name): ColumnSchema[] {
  const taken = given.find(({ name }) => SOURCE_HIDDEN_COLUMNS.some((column) => column.name === name));
  if (taken === undefined) return [...given];
  throw new StreamError('SQL_BIND', `field "${taken.name}" of "${owner.text}" has the name of a hidden column`, {
    at: owner.at,
    hint: 'declare the columns that you need, without it',
  });
}

/** The column of `from_key`. */
function fromKey(
  { kind, options: given, at }: CreateSource | CreateTable,
  columns: readonly ColumnSchema[],
  options: Readonly<Record<string, string>>,
): { keyColumn?: number } {
  const name = options['from_key'];
  if (name === undefined) return {};
  const refused = (why: string, hint: string): StreamError =>
    new StreamError('OPTION_INVALID', `from_key = '${name}': ${why}`, {
      at: given.find((option) => option.name === 'from_key')?.at ?? at,
      hint,
    });
  if (kind === 'createTable' || options['format'] === 'debezium')
    throw refused('rows with a PRIMARY KEY have their key already', 'leave it out, and see key_format');
  const names = columns.map((column) => column.name);
  const { keyColumn } = keyColumnOf({ options, columns: [...columns] });
  if (keyColumn === undefined || keyColumn < 0)
    throw refused('there is no such column', suggestion(name, names) ?? `the columns are: ${names.join(', ')}`);
  if (columns[keyColumn].type.kind !== 'varchar')
    throw refused(`the column is ${typeName(columns[keyColumn].type)}`, 'declare it VARCHAR, and CAST it in a view');
  if (!columns[keyColumn].nullable)
    throw refused('the column is NOT NULL, and a record may have no key', 'leave NOT NULL out');
  return { keyColumn };
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
      hint: "the key of a source is its hidden column _key; from_key = 'column' makes a declared one of it",
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

function positionOf(columns: readonly ColumnSchema[], name: Name): number {
  const position = columns.findIndex((column) => column.name === name.text);
  if (position < 0) {
    const names = columns.map((column) => column.name);
    throw new StreamError('SQL_BIND', `there is no column "${name.text}"`, {
      at: name.at,
      hint: suggestion(name.text, names) ?? `the columns are: ${names.join(', ')}`,
    });
  }
  return position;
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
