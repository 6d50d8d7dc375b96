import { suggestion } from '../../streamql/binder/scope.ts';
import type { Name, ObjectKind } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import type { SqlContext } from './context.ts';
import type { CatalogObject } from './objects.ts';
import { isSubscription } from './subscriptions.ts';

export const KIND_WORDS: Readonly<Record<ObjectKind, string>> = {
  source: 'SOURCE',
  table: 'TABLE',
  view: 'MATERIALIZED VIEW',
  sink: 'SINK',
  subscription: 'SUBSCRIPTION',
};

const kindOf = (object: CatalogObject): ObjectKind => (isSubscription(object) ? 'subscription' : object.kind);

/** The name that was meant, or where to look. */
export function absentHint({ catalog }: Pick<SqlContext, 'catalog'>, { text }: Name): string {
  const names = catalog.list().map((object) => object.name);
  return (
    suggestion(text, names) ??
    'SHOW VIEWS, SHOW SOURCES, SHOW TABLES, SHOW SINKS and SHOW SUBSCRIPTIONS list what there is'
  );
}

/** The object of that kind. NOT_FOUND with what there is instead. */
export function objectNamed(context: Pick<SqlContext, 'catalog'>, kind: ObjectKind, name: Name): CatalogObject {
  const object = context.catalog.get(name.text);
  const found = object && kindOf(object);
  if (object !== undefined && found === kind) return object;
  throw new StreamError(
    'NOT_FOUND',
    object === undefined ? `"${name.text}" does not exist` : `"${name.text}" is a ${found}`,
    {
      at: name.at,
      hint: object === undefined ? absentHint(context, name) : `say ${KIND_WORDS[kindOf(object)]}`,
    },
  );
}
