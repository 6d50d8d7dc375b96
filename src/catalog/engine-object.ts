import { formatOptions } from '../formats/formats.ts';
import { StreamError } from '../lib/errors.ts';
import type { EngineObject, SourceSpec } from '../ports/engine.ts';
import type { CatalogObject } from './objects.ts';
import { parseDurationMs } from './options.ts';
import { type StoredRelations, storedPlan } from './stored-query.ts';
import { retainHistoryMs, stateLimit } from './view-options.ts';

/** What WITH says about the bytes of records. OPTION_INVALID. */
export function formatsOf(
  options: Readonly<Record<string, string>>,
): Pick<SourceSpec, 'format' | 'formatOptions' | 'keyFormat'> {
  const format = options['format'] ?? 'json';
  const ofValues = formatOptions(format, options);
  const given = Object.entries(options).filter(([name]) => name.startsWith('key_') && name !== 'key_format');
  const keyName = options['key_format'] ?? 'json';
  if (format === 'debezium' && options['key_format'] !== undefined)
    throw new StreamError('OPTION_INVALID', 'the keys of debezium events are json: leave key_format out');
  if (keyName === 'json' && given.length > 0) {
    throw new StreamError('OPTION_INVALID', `option ${given[0][0]} means nothing for keys in json`, {
      hint: 'say key_format too',
    });
  }
  const ofKeys = formatOptions(keyName, Object.fromEntries(given.map(([name, value]) => [name.slice(4), value])));
  return {
    format,
    ...(Object.keys(ofValues).length > 0 && { formatOptions: ofValues }),
    ...(keyName !== 'json' && { keyFormat: { name: keyName, options: ofKeys } }),
  };
}

export function maxDriftOf({ options }: Pick<CatalogObject, 'options'>): Pick<SourceSpec, 'maxDriftMicros'> {
  const text = options['max_drift'];
  return text === undefined ? {} : { maxDriftMicros: parseDurationMs(text, 'max_drift') * 1000 };
}

/** `from_key`: the column that is the record key. */
export function keyColumnOf({
  options,
  columns,
}: Pick<CatalogObject, 'options' | 'columns'>): Pick<SourceSpec, 'keyColumn'> {
  const name = options['from_key'];
  return name === undefined ? {} : { keyColumn: columns.findIndex((column) => column.name === name) };
}

/** What the engine runs for an object; views and sinks are bound anew from their text. */
export function engineObject(context: { readonly catalog: StoredRelations }, object: CatalogObject): EngineObject {
  if (object.kind === 'source' || object.kind === 'table') {
    return {
      kind: 'source',
      id: object.id,
      name: object.name,
      topic: object.topic as string,
      ...formatsOf(object.options),
      columns: object.columns,
      primaryKey: object.key,
      watermark: object.watermark,
      late: object.late,
      idleTimeoutMs: object.idleTimeoutMs,
      ...maxDriftOf(object),
      ...keyColumnOf(object),
      ...(object.paused && { paused: true }),
      ...indexesOf(object),
    };
  }
  const plan = storedPlan(context, object);
  const paused = object.paused && { paused: true };
  const common = { id: object.id, name: object.name, columns: object.columns, plan, ...paused };
  if (object.kind === 'view') {
    const rate = object.options['backfill_rate'];
    const limit = stateLimit(object.options);
    const past = retainHistoryMs(object.options);
    const more = {
      ...(rate !== undefined && { backfillRate: Number(rate) }),
      ...(limit !== null && { stateLimit: limit }),
      ...(past > 0 && { retainHistoryMs: past }),
      ...indexesOf(object),
    };
    return { kind: 'view', ...common, key: object.key, ephemeral: false, ...more };
  }
  return {
    kind: 'sink',
    ...common,
    sinkKind: object.sinkKind as string,
    appendOnly: object.changelog === 'append',
    options: object.options,
    ...(object.firstName === undefined ? {} : { firstName: object.firstName }),
  };
}

const indexesOf = ({ indexes }: CatalogObject) =>
  indexes === undefined ? {} : { indexes: indexes.map(({ columns }) => columns) };
