import { StreamError } from '../../src/lib/errors.ts';
import type { RelationCatalog } from '../../src/ports/relations.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import type { AstExpr, Delete, Insert, Name, OnConflict, Update } from '../parser/ast.ts';
import type { Expr, Plan } from '../plan/plan.ts';
import { columnRef, conjuncts, filterBy } from '../plan/walk.ts';
import { bindQuery } from './binder.ts';
import { coerce } from './coerce.ts';
import { BindContext, type BindOptions, SUBQUERY_BASE } from './context.ts';
import { reordered } from './decorrelate.ts';
import { bindBoolean, bindExpr, type ExprScope } from './expressions.ts';
import { literal, unknownLiteral } from './literals.ts';
import { isNullable } from './nullable.ts';
import { bindValues, QueryBinder } from './query.ts';
import { Scope, suggestion } from './scope.ts';
import { Subqueries } from './subqueries.ts';

type DmlOptions = Pick<BindOptions, 'params' | 'nowMicros'>;

/** The rows to write, in the table's columns; a column that is not named is NULL. NOT NULL and keys are the caller's to check. */
export function bindInsert(
  statement: Insert,
  columns: readonly ColumnSchema[],
  catalog: RelationCatalog,
  options: DmlOptions,
): Plan {
  const named = statement.columns.map((name) => positionOf(name, columns, statement.table));
  if (new Set(named).size < named.length)
    throw new StreamError('SQL_BIND', 'a column is named twice', { at: statement.columns[0].at });
  const { query } = statement;
  const isBare =
    query.body.kind === 'values' &&
    query.with.length === 0 &&
    query.orderBy.length === 0 &&
    !query.limit &&
    !query.offset;
  const width = query.body.kind === 'values' ? query.body.rows[0].length : undefined;
  const targets = named.length > 0 ? named : columns.map((_, i) => i).slice(0, width);
  const types = targets.map((position) => columns[position].type);
  if (width !== undefined) checkCount(width, targets.length, statement);
  const rows =
    isBare && query.body.kind === 'values'
      ? bindValues(query.body.rows, new BindContext(catalog, { mode: 'pull', ...options }), query.at, types)
      : bindQuery(query, catalog, { mode: 'pull', ...options }).plan;
  // A SELECT may give fewer columns than the table has, as in Postgres.
  if (named.length === 0) targets.length = Math.min(targets.length, rows.schema.length);
  checkCount(rows.schema.length, targets.length, statement);
  const exprs = columns.map((column, i): Expr => {
    const from = targets.indexOf(i);
    return from < 0 ? literal(null, column.type) : assign(rows, from, column.type, statement);
  });
  return project(rows, exprs, columns);
}

/** Text constants and NULL in a SELECT list take the column's type, as untyped literals do. */
function assign(rows: Plan, from: number, type: SqlType, statement: Insert): Expr {
  const made = rows.op === 'project' ? rows.exprs[from] : undefined;
  if (made?.op === 'literal' && typeof made.value === 'string' && made.type.kind === 'varchar') {
    return coerce(unknownLiteral(made.value), type, statement.query.at);
  }
  if (made?.op === 'literal' && made.value === null) return literal(null, type);
  return coerce(columnRef(rows.schema, from), type, statement.query.at, 'assignment');
}

function checkCount(given: number, wanted: number, { table, query }: Insert): void {
  if (given === wanted) return;
  throw new StreamError('SQL_BIND', `${given} values for ${wanted} columns of "${table.text}"`, {
    at: query.at,
    sqlState: '42601',
    hint: given > wanted ? 'leave values out or name more columns' : 'name only the columns that get a value',
  });
}

/** The rows that change, whole and with their new values. `columns` are the table's declared ones. */
export function bindUpdate(
  statement: Update,
  relation: string,
  columns: readonly ColumnSchema[],
  catalog: RelationCatalog,
  options: DmlOptions,
): Plan {
  const { scan, scope } = tableScope(statement.table, relation, columns, catalog, options);
  const values = assigned(statement.set, columns, statement.table);
  const input = where(scan, statement.where, scope);
  return project(input, changed(columns, values, scan.schema, { ...scope, clause: 'SET' }), columns);
}

/** The expressions of SET by the positions of their columns. */
function assigned(
  set: Update['set'],
  columns: readonly ColumnSchema[],
  table: Insert['table'],
): ReadonlyMap<number, AstExpr> {
  const values = new Map<number, AstExpr>();
  for (const { column, value } of set) {
    const position = positionOf(column, columns, table);
    if (values.has(position)) throw new StreamError('SQL_BIND', `"${column.text}" is set twice`, { at: column.at });
    values.set(position, value);
  }
  return values;
}

/** The row that `schema` begins with, with its new values. */
const changed = (
  columns: readonly ColumnSchema[],
  values: ReadonlyMap<number, AstExpr>,
  schema: readonly ColumnSchema[],
  scope: ExprScope,
): Expr[] =>
  columns.map((column, i) => {
    const value = values.get(i);
    if (value === undefined) return columnRef(schema, i);
    return coerce(bindExpr(value, scope), column.type, value.at, 'assignment');
  });

/**
 * ON CONFLICT DO UPDATE: of pairs of a row of the table and the one that was to be put in its place (`excluded`), the rows to write. Those for which WHERE is
 * not true are left out.
 */
export function bindConflict(
  { table, onConflict }: Insert,
  { set, where: condition }: OnConflict,
  columns: readonly ColumnSchema[],
  pairs: readonly (readonly Datum[])[],
  catalog: RelationCatalog,
  options: DmlOptions,
): Plan {
  const schema = [...columns, ...columns].map((column) => ({ ...column, nullable: true, hidden: false }));
  const input: Plan = { op: 'values', rows: pairs, schema };
  const context = new BindContext(catalog, { mode: 'pull', ...options });
  const at = onConflict?.at ?? table.at;
  const local = table.schema === undefined ? table.text : table.text.slice(table.schema.length + 1);
  const sides = [Scope.of(local, columns), Scope.of('excluded', columns)];
  const scope: ExprScope = {
    context,
    scope: Scope.join(sides[0], sides[1], columns.length, at),
    schema,
    clause: 'SET',
  };
  const values = assigned(set, columns, table);
  const kept =
    condition === null ? input : filterBy(input, conjuncts(bindBoolean(condition, { ...scope, clause: 'WHERE' })));
  return project(kept, changed(columns, values, schema, scope), columns);
}

/** The rows to delete, whole. */
export function bindDelete(
  statement: Delete,
  relation: string,
  columns: readonly ColumnSchema[],
  catalog: RelationCatalog,
  options: DmlOptions,
): Plan {
  const { scan, scope } = tableScope(statement.table, relation, columns, catalog, options);
  return where(scan, statement.where, scope);
}

function where(scan: Plan, ast: AstExpr | null, scope: ExprScope): Plan {
  if (ast === null) return scan;
  const queries = new QueryBinder(scope.context);
  const values = new Subqueries(scope.context, SUBQUERY_BASE, (query, outer) =>
    queries.bind(query, null, false, outer),
  );
  const term = bindBoolean(ast, { ...scope, clause: 'WHERE', subquery: (inner, at) => values.take(inner, at) });
  const { plan, settle } = values.build(scan, (expr) => expr);
  return reordered(
    filterBy(plan, conjuncts(settle(term))),
    scan.schema.map((_, i) => i),
  );
}

function tableScope(
  table: Name,
  relation: string,
  columns: readonly ColumnSchema[],
  catalog: RelationCatalog,
  options: DmlOptions,
): { scan: Plan; scope: ExprScope } {
  const scan: Plan = {
    op: 'scan',
    relation,
    name: table.text,
    columns: columns.map((_, i) => i),
    changelog: catalog.relation(table.text)?.changelog ?? 'upsert',
    schema: columns,
  };
  const context = new BindContext(catalog, { mode: 'pull', ...options });
  return { scan, scope: { context, scope: Scope.of(table.text, columns), schema: columns, clause: 'WHERE' } };
}

function positionOf(name: Name, columns: readonly ColumnSchema[], table: Name): number {
  const position = columns.findIndex((column) => column.name === name.text);
  if (position >= 0) return position;
  throw new StreamError('SQL_BIND', `"${table.text}" has no column "${name.text}"`, {
    at: name.at,
    hint:
      suggestion(
        name.text,
        columns.map((c) => c.name),
      ) ?? `its columns are: ${columns.map((c) => c.name).join(', ')}`,
  });
}

function project(input: Plan, exprs: readonly Expr[], columns: readonly ColumnSchema[]): Plan {
  const schema = columns.map(({ name, type }, i) => ({ name, type, nullable: isNullable(exprs[i], input.schema) }));
  return { op: 'project', input, exprs, schema };
}
