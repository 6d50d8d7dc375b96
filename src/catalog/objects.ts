import type { ChangelogKind, RelationTime } from '../../streamql/plan/plan.ts';
import type { Relation } from '../ports/relations.ts';
import type { ColumnSchema } from '../values/batch.ts';
import { DEAD_LETTER_COLUMNS, historyColumns } from '../values/hidden-columns.ts';

/** What `CREATE` made. Plain JSON: this is what the catalogue file holds. */
export interface CatalogObject {
  /** Never reused; the engine's id too. */
  readonly id: string;
  readonly name: string;
  readonly kind: 'source' | 'table' | 'view' | 'sink';
  /** The statement as written; `query` is the SELECT inside it, re-bound at start. */
  readonly sql: string;
  readonly query: string | null;
  /** Declared (or inferred) columns, then hidden ones for sources and tables. */
  readonly columns: readonly ColumnSchema[];
  readonly key: readonly number[] | null;
  readonly changelog: ChangelogKind;
  /** Ids that it reads. */
  readonly reads: readonly string[];
  /** What names in `query` mean, by id: they stay what they were when something is renamed. Absent in older catalogues. */
  readonly names?: Readonly<Record<string, string>>;
  /** User functions that `query` calls. */
  readonly functions?: readonly string[];
  readonly paused?: boolean;
  /** Of CREATE INDEX; `name` is full, as an object's. */
  readonly indexes?: readonly { readonly name: string; readonly columns: readonly number[] }[];
  /** Sinks that were renamed: the name that targets are named after. */
  readonly firstName?: string;
  /** Sinks into a table: its id. */
  readonly into?: string;
  readonly createdAtMs: number;
  /** Sources and tables: what is read; sinks into topics and tables: what is written. */
  readonly topic: string | null;
  /** Whether CREATE made the topic; DROP TABLE then deletes it. */
  readonly ownsTopic: boolean;
  readonly watermark: { readonly column: number; readonly delayMicros: number } | null;
  readonly late: 'update' | 'drop' | 'dead_letter';
  readonly idleTimeoutMs: number;
  /** Views over event time: what their watermark bounds. */
  readonly time?: RelationTime;
  /** Sinks. */
  readonly sinkKind: string | null;
  /** As given in WITH, for the parts that interpret them. */
  readonly options: Readonly<Record<string, string>>;
}

/** Whether its rows are held by the engine and can be read by key or as a whole at an epoch. */
export const isStored = ({ kind, key }: Pick<CatalogObject, 'kind' | 'key'>): boolean =>
  kind === 'view' || kind === 'table' || (kind === 'source' && key !== null);

export const relationOf = (object: CatalogObject): Relation => ({
  id: object.id,
  name: object.name,
  kind: object.kind === 'sink' ? 'view' : object.kind === 'source' && object.key !== null ? 'table' : object.kind,
  columns: object.columns,
  key: object.key,
  changelog: object.changelog,
  ...timeOf(object),
});

/** A table's updates take back rows of any age, so its watermark bounds nothing. */
function timeOf({ kind, key, watermark, late, idleTimeoutMs, time }: CatalogObject): Pick<Relation, 'time'> {
  if (time !== undefined) return { time };
  if (kind !== 'source' || key !== null || watermark === null) return {};
  return {
    time: {
      columns: [{ column: watermark.column, lagMicros: 0, ofWindow: false }],
      firm: late !== 'update',
      idleTimeoutMs,
    },
  };
}

/** `rate$history` beside the table `rate`: each version of each row. */
export function historyRelation(object: CatalogObject): Relation | undefined {
  const { id, name, key, columns, watermark, late, idleTimeoutMs } = object;
  if (key === null || object.kind === 'view') return undefined;
  const own = historyColumns(columns, key);
  const version = own.findIndex((column) => column.name === '_version');
  const bounds = [{ column: version, lagMicros: 0, ofWindow: false }];
  return {
    id: `${id}$history`,
    name: `${name}$history`,
    kind: 'source',
    columns: own,
    key: null,
    changelog: 'append',
    ...(watermark === null ? {} : { time: { columns: bounds, firm: late !== 'update', idleTimeoutMs } }),
  };
}

/** `bid$errors` and `bid$late` beside `bid`. */
export function deadLetterRelation(object: CatalogObject, suffix: '$errors' | '$late'): Relation {
  return {
    id: `${object.id}${suffix}`,
    name: `${object.name}${suffix}`,
    kind: 'dead_letter',
    columns: DEAD_LETTER_COLUMNS,
    key: null,
    changelog: 'general',
  };
}
