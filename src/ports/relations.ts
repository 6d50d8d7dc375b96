import type { UserFunction } from '../../streamql/functions/user/user-function.ts';
import type { ChangelogKind, RelationTime } from '../../streamql/plan/plan.ts';
import type { ColumnSchema } from '../values/batch.ts';

/** What the binder may name in FROM: the catalogue's sources, tables and views, and their `$errors` and `$late`. */
export interface Relation {
  readonly id: string;
  readonly name: string;
  readonly kind: 'source' | 'table' | 'view' | 'dead_letter';
  /** Declared columns, then hidden ones. */
  readonly columns: readonly ColumnSchema[];
  /** Columns whose values name a row, when known. */
  readonly key: readonly number[] | null;
  readonly changelog: ChangelogKind;
  /** Absent without a watermark. */
  readonly time?: RelationTime;
}

export interface RelationCatalog {
  /** By name as the parser folded it (unquoted names are lower case). */
  relation(name: string): Relation | undefined;
  /** By name, of those that CREATE FUNCTION made. */
  userFunction?(name: string): UserFunction | undefined;
  /** All names of such functions, for "did you mean". */
  functionNames?(): readonly string[];
  /** All names, for "did you mean". */
  relationNames(): readonly string[];
}
