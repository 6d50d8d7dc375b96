import { assert } from '../../src/lib/assert.ts';
import type { RelationCatalog } from '../../src/ports/relations.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Query } from '../parser/ast.ts';
import { changelogOf } from '../plan/changelog.ts';
import { keyOf } from '../plan/keys.ts';
import type { ChangelogKind, Plan, Scan } from '../plan/plan.ts';
import { bindWhole } from './as-of.ts';
import { BindContext, type BindOptions } from './context.ts';
import { isCorrelated } from './decorrelate.ts';
import { closing } from './emit.ts';
import { QueryBinder } from './query.ts';
import { ranksAsOver } from './ranks.ts';

export interface BoundQuery {
  readonly plan: Plan;
  readonly columns: readonly ColumnSchema[];
  /** Output columns proven to name a row; null when none are. */
  readonly key: readonly number[] | null;
  readonly changelog: ChangelogKind;
}

/**
 * Gives names and types meaning against the catalogue: syntax tree in, typed plan out (query.ts, select.ts, from.ts, expressions.ts,
 * calls.ts). All of SQL that has no place in a Plan is resolved here or refused with its position. The plan means what it says without
 * the rules; they make it faster.
 */
export function bindQuery(query: Query, catalog: RelationCatalog, options: BindOptions): BoundQuery {
  const context = new BindContext(catalog, options);
  if (options.asOf !== undefined) context.asOf = bindWhole(options.asOf, context);
  const { emit } = query;
  context.dropsLate = emit !== null;
  const all = ranksAsOver(new QueryBinder(context).bind(query, null, true));
  const plan = emit === null ? all : closing(all, emit, context);
  assert(!isCorrelated(plan), 'a bound plan refers to no outer query');
  const key = keyOf(plan, (scan: Scan) => catalog.relation(scan.name)?.key ?? null);
  const changelog = changelogOf(plan);
  return {
    plan,
    columns: plan.schema,
    // A view needs columns to key by; a single row is kept whole.
    key: key === null || key.length === 0 ? null : key,
    // Replacements by key that no column names any more are just changes.
    changelog: changelog === 'upsert' && key === null ? 'general' : changelog,
  };
}
