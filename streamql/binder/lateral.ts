import { type Position, StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { BIGINT, NULL_TYPE, typeName } from '../../src/values/types.ts';
import { TABLE_SYNONYMS } from '../functions/spellings.ts';
import { TABLE_FUNCTIONS } from '../functions/table-functions.ts';
import { userFunctionId } from '../functions/user/user-function.ts';
import type { TableRef } from '../parser/ast.ts';
import { joinByKeys, joinOn, withKeyColumns } from '../plan/join.ts';
import type { Expr, Plan, Unnest } from '../plan/plan.ts';
import { columnRef } from '../plan/walk.ts';
import { coerce } from './coerce.ts';
import { isCorrelated, outward, overBoth, perDomain, pullUp } from './decorrelate.ts';
import { bindExpr, type ExprScope } from './expressions.ts';
import { isNullLiteral, isUnknown } from './literals.ts';
import { Scope, type ScopeColumn, suggestion } from './scope.ts';

type FunctionRef = Extract<TableRef, { kind: 'function' }>;

/** A function in FROM over the rows of `left`, whose columns come first; `scope` is where its arguments are bound. The scope is of its own columns. */
export function callTable(
  left: Plan,
  ref: FunctionRef,
  scope: ExprScope,
  outer: boolean,
): { plan: Plan; scope: Scope } {
  const user = scope.context.catalog.userFunction?.(ref.name.text);
  const named = ref.name.text;
  const known = Object.hasOwn(TABLE_SYNONYMS, named) ? TABLE_SYNONYMS[named] : named;
  const fn = TABLE_FUNCTIONS.get(user?.kind === 'table' ? userFunctionId(user) : known);
  if (fn === undefined) {
    throw new StreamError('SQL_BIND', `there is no table function ${ref.name.text}`, {
      at: ref.at,
      sqlState: '42883',
      hint:
        suggestion(ref.name.text, [...TABLE_FUNCTIONS.keys(), 'tumble', 'hop', 'cumulate', 'session']) ??
        `in FROM there are ${[...TABLE_FUNCTIONS.keys()].join(', ')}, and windows`,
    });
  }
  const given = ref.args.map((arg) => bindExpr(arg, scope));
  const types = fn.takes(given.map((arg) => (isUnknown(arg) || isNullLiteral(arg) ? NULL_TYPE : arg.type)));
  if (types === undefined) {
    const names = given.map((arg) => (isUnknown(arg) ? 'text' : typeName(arg.type))).join(', ');
    throw new StreamError('SQL_TYPE', `there is no ${fn.name}(${names}) in FROM`, {
      at: ref.at,
      sqlState: '42883',
      hint: `there is ${fn.name}(${fn.signature})`,
    });
  }
  const args = given.map((arg, i) => coerce(arg, types[i], ref.args[i].at));
  const { plan: input, columns } = withKeyColumns(left, args);
  const name = ref.alias?.name.text ?? fn.name;
  const own: ColumnSchema[] = fn.columns(types).map((column) => ({
    name: column.name ?? name,
    type: column.type,
    nullable: true,
  }));
  if (ref.ordinality) own.push({ name: 'ordinality', type: BIGINT, nullable: outer });
  const node: Unnest = {
    op: 'unnest',
    input,
    fn: fn.id ?? fn.name,
    args: columns,
    ordinality: ref.ordinality,
    outer,
    schema: [...input.schema, ...own],
  };
  const width = left.schema.length;
  const kept = [...left.schema.map((_, i) => i), ...own.map((_, i) => input.schema.length + i)];
  const plan: Plan =
    input === left
      ? node
      : {
          op: 'project',
          input: node,
          exprs: kept.map((i) => columnRef(node.schema, i)),
          schema: kept.map((i) => node.schema[i]),
        };
  return { plan, scope: new Scope(namesOf(ref, own, width)) };
}

/** The columns by their names and, where the one column has a name of its own, by the alias too, as Postgres has it. */
function namesOf(ref: FunctionRef, own: readonly ColumnSchema[], width: number): ScopeColumn[] {
  const { alias } = ref;
  const names = alias?.columnNames ?? [];
  if (names.length > own.length) {
    throw new StreamError('SQL_BIND', `${names.length} column names for ${own.length} columns`, {
      at: names[own.length].at,
    });
  }
  const table = alias?.name.text ?? ref.name.text;
  const columns = own.map(
    (column, i): ScopeColumn => ({
      table,
      name: names[i]?.text ?? column.name,
      index: width + i,
      hidden: false,
      merged: false,
    }),
  );
  const isScalar = own.length === (ref.ordinality ? 2 : 1);
  if (isScalar && columns[0].name !== table) columns.push({ ...columns[0], name: table, hidden: true });
  return columns;
}

/**
 * A subquery that may refer to the rows of `left`, joined to them: `terms` is ON over left ++ inner. The references are taken out as those of
 * subqueries in expressions.
 */
export function lateralJoin(left: Plan, inner: Plan, kind: 'inner' | 'left', terms: readonly Expr[]): Plan {
  if (!isCorrelated(inner)) return joinOn(left, outward(inner), kind, terms);
  const width = left.schema.length;
  const same: (expr: Expr) => Expr = (expr) => expr;
  const pulled = pullUp(inner);
  let joined: Plan;
  if (pulled !== null) {
    const correlated = pulled.terms.map((term) => overBoth(term, width, same));
    joined = joinOn(left, outward(pulled.plan), kind, [...correlated, ...terms]);
  } else {
    const domain = perDomain(left, inner, same);
    joined = joinByKeys(left, domain.inner, { kind, nullSafe: true }, domain.keys, terms);
  }
  const kept = Array.from({ length: width + inner.schema.length }, (_, i) => i);
  if (kept.length === joined.schema.length) return joined;
  return {
    op: 'project',
    input: joined,
    exprs: kept.map((i) => columnRef(joined.schema, i)),
    schema: kept.map((i) => joined.schema[i]),
  };
}

export function refuseLateral(kind: string, at: Position): StreamError {
  return new StreamError('SQL_BIND', `the right side of ${kind.toUpperCase()} JOIN cannot refer to the left one`, {
    at,
    hint: 'CROSS JOIN LATERAL, JOIN LATERAL … ON and LEFT JOIN LATERAL … ON can',
  });
}
