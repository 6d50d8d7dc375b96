import type { Name, ObjectKind } from '../../streamql/parser/ast.ts';
import { StreamError } from '../lib/errors.ts';
import type { SqlContext } from './context.ts';
import type { CatalogObject } from './objects.ts';

export const KIND_WORDS: Readonly<Record<ObjectKind, string>> = {
  source: 'SOURCE',
  table: 'TABLE',
  view: 'MATERIALIZED VIEW',
  sink: 'SINK',
};

/** The object of that kind. NOT_FOUND with what there is instead. */
export function objectNamed(context: Pick<SqlContext, 'catalog'>, kind: ObjectKind, name: Name): CatalogObject {
  const object = context.catalog.get(name.text);
  if (object?.kind === kind) return object;
  throw new StreamError(
    'NOT_FOUND',
    object === undefined ? `"${name.text}" does not exist` : `"${name.text}" is a ${object.kind}`,
    {
      at: name.at,
      hint:
        object === undefined
          ? 'SHOW VIEWS, SHOW SOURCES, SHOW TABLES and SHOW SINKS list what there is'
          : `say ${KIND_WORDS[object.kind]}`,
    },
  );
}
