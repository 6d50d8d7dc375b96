import { bindQuery } from '../../streamql/binder/binder.ts';
import type { Query } from '../../streamql/parser/ast.ts';
import { parseStatements } from '../../streamql/parser/parser.ts';
import type { Plan } from '../../streamql/plan/plan.ts';
import { optimize } from '../../streamql/rules/optimize.ts';
import { StreamError } from '../lib/errors.ts';
import type { Relation, RelationCatalog } from '../ports/relations.ts';
import type { CatalogObject } from './objects.ts';
import { boundedPlan } from './view-options.ts';

/** The catalogue, or what it is about to be. */
export interface StoredRelations extends RelationCatalog {
  relationById(id: string, name: string): Relation | undefined;
}

/** The plan that a view or sink runs. */
export function storedPlan(
  { catalog }: { readonly catalog: StoredRelations },
  { names, query, kind, options }: CatalogObject,
): Plan {
  const relations = names === undefined ? catalog : namedRelations(catalog, names);
  return bindStored(relations, parseStoredQuery(query as string), kind === 'view' ? options : {}).plan;
}

/** Names as they were meant when a query was stored. */
function namedRelations(catalog: StoredRelations, names: Readonly<Record<string, string>>): RelationCatalog {
  return {
    relation: (name) => (Object.hasOwn(names, name) ? catalog.relationById(names[name], name) : undefined),
    userFunction: (name) => catalog.userFunction?.(name),
    relationNames: () => Object.keys(names),
  };
}

/** Binds a query that is kept, and says what its names mean. */
export function bindStored(relations: RelationCatalog, query: Query, options: Readonly<Record<string, string>> = {}) {
  const names: Record<string, string> = {};
  const functions = new Set<string>();
  const recording: RelationCatalog = {
    relation(name) {
      const relation = relations.relation(name);
      if (relation !== undefined) names[name] = relation.id;
      return relation && { ...relation, name };
    },
    userFunction(name) {
      const fn = relations.userFunction?.(name);
      if (fn !== undefined) functions.add(name);
      return fn;
    },
    relationNames: () => relations.relationNames(),
  };
  const bound = bindQuery(query, recording, { mode: 'view' });
  return boundedPlan({ ...bound, plan: optimize(bound.plan), names, functions: [...functions] }, options);
}

export function parseStoredQuery(text: string): Query {
  const [statement] = parseStatements(text);
  if (statement.kind !== 'query') throw new StreamError('INVARIANT', 'a stored query is not a query');
  return statement.query;
}
