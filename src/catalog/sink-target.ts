import type { CreateSink } from '../../streamql/parser/ast.ts';
import type { ChangelogKind } from '../../streamql/plan/plan.ts';
import { type Position, StreamError } from '../lib/errors.ts';
import type { SinkKind } from '../ports/sink.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { isInteger, type SqlType, sameType, typeName } from '../values/types.ts';
import type { SqlContext } from './context.ts';
import type { CatalogObject } from './objects.ts';
import { checkOptions, parseCount, parseDurationMs } from './options.ts';
import { refuseInternal } from './topic-relation.ts';

interface BoundSink {
  readonly columns: readonly ColumnSchema[];
  readonly key: readonly number[] | null;
  readonly changelog: ChangelogKind;
}

/** Where a sink writes: its options with all that the name after INTO and the query say. */
export function sinkTarget(
  context: Pick<SqlContext, 'catalog' | 'newId'>,
  statement: CreateSink,
  kind: SinkKind,
  bound: BoundSink,
): Pick<CatalogObject, 'options' | 'topic' | 'into'> & { options: Record<string, string> } {
  const options = checkOptions(statement.options, kind.options);
  const target = statement.target.map((part) => part.text);
  if (kind.target === 'subscription') {
    const retentionMs = parseDurationMs(options['retention'], 'retention');
    const topic = `__subscription_${context.newId()}`;
    return { options: { ...options, mode: 'changes', topic, retention_ms: String(retentionMs) }, topic };
  }
  if (kind.target === 'table') return tableTarget(context, statement, bound);
  if (kind.target === 'topic') {
    if (target.length > 0) options['topic'] = target.join('.');
    options['topic'] ??= statement.name.text;
    refuseInternal(options['topic']);
    parseCount(options['partitions'], 'partitions', 10_000);
    const query = { columns: bound.columns, key: bound.key, appendOnly: bound.changelog === 'append' };
    return { options: kind.settle?.(options, query) ?? options, topic: options['topic'] };
  }
  // INTO ICEBERG namespace.table is short for the two options.
  if (target.length > 2)
    throw new StreamError('SQL_SYNTAX', 'a target is table or namespace.table', { at: statement.target[2].at });
  if (target.length > 0) options['table'] = target[target.length - 1];
  if (target.length > 1) options['namespace'] = target[0];
  return { options, topic: null };
}

/** The records that INSERT would write: the sink's columns go by name, the table's primary key is the record key. */
function tableTarget(context: Pick<SqlContext, 'catalog'>, statement: CreateSink, bound: BoundSink) {
  const [first, second, rest] = statement.target;
  if (first === undefined || rest !== undefined)
    throw new StreamError('SQL_SYNTAX', 'INTO TABLE takes the name of one table', { at: statement.intoAt });
  const name = second === undefined ? first : { ...first, text: `${first.text}.${second.text}` };
  const object = context.catalog.get(name.text);
  if (object === undefined || object.kind !== 'table') {
    throw new StreamError(
      'NOT_FOUND',
      object === undefined ? `there is no table "${name.text}"` : `"${name.text}" is a ${object.kind}`,
      { at: name.at, hint: 'make it with CREATE TABLE … PRIMARY KEY first' },
    );
  }
  if ((object.options['format'] ?? 'json') !== 'json' || object.options['key_format'] !== undefined) {
    throw new StreamError('SQL_UNSUPPORTED', `records of "${name.text}" are not json, which is what SQL writes`, {
      at: name.at,
      hint: `write records of that form with INTO TOPIC "${object.topic}"`,
    });
  }
  const columns = object.columns.filter((column) => !column.hidden);
  for (const column of bound.columns) {
    const found = columns.find((candidate) => candidate.name === column.name);
    if (found === undefined) {
      throw new StreamError('SQL_BIND', `table "${name.text}" has no column "${column.name}"`, {
        at: columnAt(statement, column.name),
        hint: `its columns are: ${columns.map((one) => one.name).join(', ')}`,
      });
    }
    if (!fits(column.type, found.type)) {
      throw new StreamError(
        'SQL_TYPE',
        `column "${column.name}" is ${typeName(column.type)}, the table's is ${typeName(found.type)}`,
        {
          at: columnAt(statement, column.name),
          hint: `write CAST(${column.name} AS ${typeName(found.type)}) AS ${column.name}`,
        },
      );
    }
    if (column.nullable && !found.nullable && !isKey(object, found.name)) {
      throw new StreamError('SQL_TYPE', `column "${column.name}" may be NULL, which the table's may not`, {
        at: columnAt(statement, column.name),
        hint: 'COALESCE it, or declare the column without NOT NULL',
      });
    }
  }
  const key = (object.key ?? []).map((position) => object.columns[position].name);
  const missing = columns.find(
    (column) => !column.nullable && !bound.columns.some((given) => given.name === column.name),
  );
  if (missing !== undefined)
    throw new StreamError('SQL_BIND', `the query has no column "${missing.name}", which the table needs`, {
      at: name.at,
    });
  const names = bound.key?.map((position) => bound.columns[position].name);
  if (bound.changelog !== 'append' && !(names?.every((one) => key.includes(one)) ?? false)) {
    throw new StreamError('SQL_BIND', `rows that can be taken back may share the primary key ${key.join(', ')}`, {
      at: name.at,
      hint: names === undefined ? 'write the rows of a query with GROUP BY' : `their key is: ${names.join(', ')}`,
    });
  }
  const options = { mode: 'upsert', key: key.join(','), key_format: 'array', format: 'json', topic: object.topic! };
  return { options, topic: object.topic, into: object.id };
}

/** Where the query names the column; the target's place where it does not. */
function columnAt({ query: { body }, target, at }: CreateSink, column: string): Position {
  const items = body.kind === 'select' ? body.items : [];
  const named = items.find((item) => {
    if (item.kind !== 'expr') return false;
    const own = item.expr.kind === 'column' ? item.expr.path.at(-1) : undefined;
    return (item.alias ?? own)?.text === column;
  });
  return named?.at ?? target[0]?.at ?? at;
}

const isKey = (object: CatalogObject, name: string): boolean =>
  object.key?.some((position) => object.columns[position].name === name) ?? false;

const WIDTH = { smallint: 1, integer: 2, bigint: 3 } as const;

/** Whether JSON of one type is always read as the other. */
const fits = (from: SqlType, to: SqlType): boolean =>
  sameType(from, to) ||
  (isInteger(from) && isInteger(to) && WIDTH[from.kind as keyof typeof WIDTH] <= WIDTH[to.kind as keyof typeof WIDTH]);

/** IN_USE when records written to `topic` would come back to whoever reads `reads`: rows would go round for ever. */
export function refuseLoop(
  { catalog }: Pick<SqlContext, 'catalog'>,
  reads: readonly string[],
  topic: string | null,
  at: Position,
): void {
  if (topic === null) return;
  const starts = new Set(reads.map((read) => read.replace(/\$(errors|late)$/, '')));
  const seen = new Set<CatalogObject>();
  const visit = (object: CatalogObject, path: readonly string[]): void => {
    if (seen.has(object)) return;
    seen.add(object);
    const way = [...path, object.name];
    if (starts.has(object.id)) {
      throw new StreamError('IN_USE', `this would be a loop: ${way.map((name) => `"${name}"`).join(' → ')} → here`, {
        at,
        hint: 'write to a topic or table that the query does not depend on',
      });
    }
    if (object.kind === 'sink') {
      if (object.topic !== null) followTopic(object.topic, way);
    } else for (const reader of catalog.readersOf(object.id)) if (reader.into !== object.id) visit(reader, way);
  };
  const followTopic = (name: string, path: readonly string[]): void => {
    for (const object of catalog.list()) {
      if (object.kind !== 'sink' && object.kind !== 'view' && object.topic === name) visit(object, path);
    }
  };
  followTopic(topic, []);
}
