import type { SqlType, TypeKind } from '../../src/values/types.ts';
import type { ScalarFunction } from './function-table.ts';

type Example = NonNullable<ScalarFunction['example']>;

/**
 * A row of our own: `name(kind, kind …)`, the dots where the last argument may repeat. `call` itself runs inside DuckDB too, so a query
 * answers as a view without a second spelling.
 */
export function own(
  signature: string,
  returns: SqlType | ScalarFunction['returns'],
  doc: string,
  call: ScalarFunction['call'],
  example?: Example,
  more: Partial<ScalarFunction> = {},
): ScalarFunction {
  const open = signature.lastIndexOf('(');
  const name = signature.slice(0, open);
  const inside = signature.slice(open + 1, -1);
  const variadic = inside.endsWith(' …');
  const args = inside
    .replace(' …', '')
    .split(', ')
    .filter((kind) => kind !== '') as (TypeKind | 'any')[];
  return {
    name,
    id: `${name}(${args.join()})`,
    args,
    ...(variadic ? { variadic } : {}),
    returns: typeof returns === 'function' ? returns : () => returns,
    call,
    own: true,
    doc,
    ...(example === undefined ? {} : { example }),
    ...more,
  };
}
