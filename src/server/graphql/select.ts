import type { Expr, Plan, Scan, SortKey } from '../../../streamql/plan/plan.ts';
import type { CatalogObject } from '../../catalog/objects.ts';
import { StreamError } from '../../lib/errors.ts';
import type { ColumnSchema } from '../../values/batch.ts';
import { datumFromJson } from '../../values/json.ts';
import { BOOLEAN, type Datum } from '../../values/types.ts';

/** The arguments of a generated field, as a plan over the view: where, order, first, after. */
export interface SelectArguments {
  readonly where?: Where | null;
  readonly orderBy?: readonly Readonly<Record<string, 'ASC' | 'DESC'>>[] | null;
  readonly first?: number | null;
  readonly after?: string | null;
  readonly byKey?: Readonly<Record<string, unknown>> | null;
}

type Where = { readonly [key: string]: any };

/** A field name and the column it stands for. */
export interface FieldColumn {
  readonly field: string;
  readonly column: ColumnSchema;
  /** In the view's columns. */
  readonly position: number;
}

const MAX_FIRST = 10_000;
const DEFAULT_FIRST = 100;

export interface Selection {
  readonly plan: Plan;
  /** Order of the answer: what a cursor holds. */
  readonly order: readonly SortKey[];
}

export function planSelect(view: CatalogObject, fields: readonly FieldColumn[], args: SelectArguments): Selection {
  const scan: Scan = {
    op: 'scan',
    relation: view.id,
    name: view.name,
    columns: fields.map((field) => field.position),
    changelog: view.changelog,
    schema: fields.map((field) => field.column),
  };
  const order = orderOf(view, fields, args.orderBy ?? []);
  const conditions: Expr[] = [];
  if (args.byKey)
    for (const [field, value] of Object.entries(args.byKey)) conditions.push(comparison(fields, field, '=', value));
  if (args.where) conditions.push(...whereExprs(fields, args.where));
  if (args.after) conditions.push(afterExpr(fields, order, args.after));
  const first = args.first ?? DEFAULT_FIRST;
  if (first < 0 || first > MAX_FIRST) throw new StreamError('REQUEST_INVALID', `first must be from 0 to ${MAX_FIRST}`);
  const input: Plan =
    conditions.length === 0
      ? scan
      : { op: 'filter', input: scan, predicate: all('and', conditions), schema: scan.schema };
  // A whole key names at most one row: without a sort the view store answers it directly.
  if (
    args.byKey &&
    !args.after &&
    view.key?.every((position) => fields.some((f) => f.position === position && f.field in args.byKey!))
  ) {
    return { plan: input, order };
  }
  return { plan: { op: 'sort', input, orderBy: order, limit: first, offset: 0, schema: scan.schema }, order };
}

/** What was asked for, then the key or every other column: a total order, so that cursors work. */
function orderOf(
  view: CatalogObject,
  fields: readonly FieldColumn[],
  orderBy: NonNullable<SelectArguments['orderBy']>,
): SortKey[] {
  const order: SortKey[] = [];
  const add = (column: number, descending: boolean): void => {
    if (!order.some((key) => key.column === column)) order.push({ column, descending, nullsFirst: descending });
  };
  for (const item of orderBy) {
    for (const [field, direction] of Object.entries(item)) add(indexOf(fields, field), direction === 'DESC');
  }
  const rest = view.key ?? fields.map((field) => field.position);
  for (const position of rest) {
    const index = fields.findIndex((field) => field.position === position);
    if (index >= 0) add(index, false);
  }
  return order;
}

const COMPARISONS = { eq: '=', ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;
export const COMPARISON_NAMES = Object.keys(COMPARISONS) as (keyof typeof COMPARISONS)[];

function whereExprs(fields: readonly FieldColumn[], where: Where): Expr[] {
  const out: Expr[] = [];
  for (const [name, value] of Object.entries(where)) {
    if (value === null || value === undefined) continue;
    if (name === 'and' || name === 'or') {
      const parts = (value as Where[]).map((part) => all('and', whereExprs(fields, part)));
      out.push(all(name, parts));
    } else if (name === 'not') {
      out.push({ op: 'not', arg: all('and', whereExprs(fields, value)), type: BOOLEAN });
    } else {
      for (const [operator, operand] of Object.entries(value as Where))
        out.push(condition(fields, name, operator, operand));
    }
  }
  return out;
}

function condition(fields: readonly FieldColumn[], field: string, operator: string, operand: unknown): Expr {
  const arg = columnExpr(fields, field);
  if (operator === 'isNull') return { op: 'isNull', arg, negated: operand === false, type: BOOLEAN };
  if (operator === 'in' || operator === 'notIn') {
    const values = (operand as unknown[]).map((value) => datumFromJson(value, arg.type));
    return { op: 'in', arg, values, negated: operator === 'notIn', type: BOOLEAN };
  }
  return comparison(fields, field, COMPARISONS[operator as keyof typeof COMPARISONS], operand);
}

function comparison(
  fields: readonly FieldColumn[],
  field: string,
  cmp: '=' | '<>' | '<' | '<=' | '>' | '>=',
  value: unknown,
): Expr {
  const left = columnExpr(fields, field);
  return {
    op: 'compare',
    cmp,
    left,
    right: { op: 'literal', value: datumFromJson(value, left.type), type: left.type },
    type: BOOLEAN,
  };
}

function columnExpr(fields: readonly FieldColumn[], field: string): Expr {
  const index = indexOf(fields, field);
  return { op: 'column', index, type: fields[index].column.type };
}

function indexOf(fields: readonly FieldColumn[], name: string): number {
  const index = fields.findIndex((field) => field.field === name);
  if (index < 0) throw new StreamError('REQUEST_INVALID', `there is no field "${name}"`);
  return index;
}

const TRUE: Expr = { op: 'literal', value: true, type: BOOLEAN };
const FALSE: Expr = { op: 'literal', value: false, type: BOOLEAN };

function all(op: 'and' | 'or', args: readonly Expr[]): Expr {
  if (args.length === 0) return op === 'and' ? TRUE : FALSE;
  return args.length === 1 ? args[0] : { op, args, type: BOOLEAN };
}

/** A row's place in the order: its values, as JSON, in base64. */
export function cursorOf(order: readonly SortKey[], jsonRow: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(order.map((key) => jsonRow[key.column]))).toString('base64url');
}

/** Rows behind a cursor: (a > x) or (a = x and b > y) or …, NULL in its place. */
function afterExpr(fields: readonly FieldColumn[], order: readonly SortKey[], cursor: string): Expr {
  const values = parseCursor(cursor, order.length).map((value, i) =>
    datumFromJson(value, fields[order[i].column].column.type),
  );
  const alternatives = order.map((key, depth) => {
    const equal = order.slice(0, depth).map((before, i) => sameExpr(fields, before, values[i]));
    return all('and', [...equal, behindExpr(fields, key, values[depth])]);
  });
  return all('or', alternatives);
}

function parseCursor(cursor: string, length: number): unknown[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(values) && values.length === length) return values;
  } catch {}
  throw new StreamError('REQUEST_INVALID', 'after is not a cursor of this field', {
    hint: 'take it from _cursor of a row, with the same orderBy',
  });
}

function sameExpr(fields: readonly FieldColumn[], key: SortKey, value: Datum): Expr {
  const left: Expr = { op: 'column', index: key.column, type: fields[key.column].column.type };
  return { op: 'compare', cmp: 'notDistinct', left, right: { op: 'literal', value, type: left.type }, type: BOOLEAN };
}

function behindExpr(fields: readonly FieldColumn[], key: SortKey, value: Datum): Expr {
  const left: Expr = { op: 'column', index: key.column, type: fields[key.column].column.type };
  const isNull = (negated: boolean): Expr => ({ op: 'isNull', arg: left, negated, type: BOOLEAN });
  if (value === null) return key.nullsFirst ? isNull(true) : FALSE;
  const right: Expr = { op: 'literal', value, type: left.type };
  const behind: Expr = { op: 'compare', cmp: key.descending ? '<' : '>', left, right, type: BOOLEAN };
  return key.nullsFirst ? behind : all('or', [behind, isNull(false)]);
}
