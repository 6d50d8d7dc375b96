import { StreamError } from '../../src/lib/errors.ts';
import type { AstExpr, Name, Query, QueryBody, Select, SelectItem, TableRef } from '../parser/ast.ts';
import type { Scope } from './scope.ts';

type Pivot = Extract<TableRef, { kind: 'pivot' }>;
/** A column that PIVOT makes; `at` is of its value. */
type Made = Extract<SelectItem, { kind: 'expr' }> & { readonly alias: Name };
type Unpivot = Extract<TableRef, { kind: 'unpivot' }>;

/**
 * PIVOT as the GROUP BY that it stands for: the columns that it does not name are the groups, and each aggregate comes once per value, over the
 * rows that have it. `scope` is of the input.
 */
export function pivotQuery(ref: Pivot, scope: Scope): Query {
  const { at } = ref;
  const used = new Set([ref.column.text, ...namesIn(ref.aggregates)]);
  scope.resolve([ref.column]);
  const groups = visibleNames(scope, ref.at).filter(({ text }) => !used.has(text));
  const tag: AstExpr = { kind: 'column', path: [ref.column], at: ref.column.at };
  const made = ref.values.flatMap(({ value, alias }) =>
    ref.aggregates.map((item): Made => {
      const { expr } = item;
      if (expr.kind !== 'call' || expr.over !== null) {
        throw new StreamError('SQL_BIND', 'PIVOT takes calls of aggregates before FOR', {
          at: item.at,
          hint: "PIVOT (sum(amount) FOR quarter IN ('Q1', 'Q2'))",
        });
      }
      const isValue: AstExpr = { kind: 'binary', op: '=', left: tag, right: value, at: value.at };
      const filter: AstExpr =
        expr.filter === null ? isValue : { kind: 'binary', op: 'and', left: isValue, right: expr.filter, at: value.at };
      const own = item.alias?.text ?? (ref.aggregates.length > 1 ? expr.name.text : null);
      const text = [alias?.text ?? textOf(value), ...(own === null ? [] : [own])].join('_');
      return { kind: 'expr', expr: { ...expr, filter }, alias: { text, quoted: true, at: item.at }, at: value.at };
    }),
  );
  const seen = new Set(groups.map(({ text }) => text));
  for (const { alias, at: valueAt } of made) {
    if (seen.has(alias.text)) {
      throw new StreamError('SQL_BIND', `PIVOT gives two columns the name "${alias.text}"`, {
        at: valueAt,
        hint: 'leave a value out that stands twice, or name its column: IN (1 AS one, 2 AS two)',
      });
    }
    seen.add(alias.text);
  }
  const columns = groups.map((name): AstExpr => ({ kind: 'column', path: [name], at }));
  return queryOf({
    ...selectOf(ref.input, [...columns.map((expr): SelectItem => ({ kind: 'expr', expr, alias: null, at })), ...made]),
    groupBy: columns,
  });
}

/** UNPIVOT as a UNION ALL: a row for each of the columns that is not NULL, with its name and its value. */
export function unpivotQuery(ref: Unpivot, scope: Scope): Query {
  const { at } = ref;
  const listed = new Set(ref.columns.map(({ text }) => text));
  const kept = visibleNames(scope, at).filter(({ text }) => !listed.has(text));
  const column = (name: Name): AstExpr => ({ kind: 'column', path: [name], at: name.at });
  const parts = ref.columns.map((name): QueryBody => {
    scope.resolve([name]);
    const items: SelectItem[] = [
      ...kept.map((own): SelectItem => ({ kind: 'expr', expr: column(own), alias: null, at })),
      { kind: 'expr', expr: { kind: 'string', value: name.text, at: name.at }, alias: ref.name, at: name.at },
      { kind: 'expr', expr: column(name), alias: ref.value, at: name.at },
    ];
    const where: AstExpr = { kind: 'isNull', arg: column(name), negated: true, at: name.at };
    return { ...selectOf(ref.input, items), where };
  });
  const body = parts.reduce((left, right): QueryBody => ({ kind: 'setOp', op: 'union', all: true, left, right, at }));
  return queryOf(body);
}

const queryOf = (body: QueryBody): Query => ({
  with: [],
  body,
  orderBy: [],
  limit: null,
  offset: null,
  emit: null,
  at: body.at,
});

const selectOf = (input: TableRef, items: readonly SelectItem[]): Select => ({
  kind: 'select',
  distinct: false,
  distinctOn: [],
  items,
  from: [input],
  where: null,
  groupBy: [],
  groupingSets: null,
  having: null,
  windows: [],
  qualify: null,
  at: input.at,
});

const visibleNames = (scope: Scope, at: Name['at']): Name[] =>
  scope.star(null, at).map(({ name }) => ({ text: name, quoted: true, at }));

/** The columns that parts of the syntax tree name. */
function namesIn(node: unknown, into: string[] = []): string[] {
  if (Array.isArray(node)) for (const one of node) namesIn(one, into);
  else if (typeof node === 'object' && node !== null) {
    const column = node as { kind?: unknown; path?: readonly Name[] };
    if (column.kind === 'column' && column.path !== undefined) into.push(column.path[column.path.length - 1].text);
    else for (const part of Object.values(node)) namesIn(part, into);
  }
  return into;
}

/** What a value's column is called. */
function textOf(value: AstExpr): string {
  if (value.kind === 'string') return value.value;
  if (value.kind === 'number') return value.text;
  if (value.kind === 'boolean') return String(value.value);
  throw new StreamError('SQL_BIND', 'a value of PIVOT that is no plain literal needs a name', {
    at: value.at,
    hint: "write DATE '2026-01-01' AS january",
  });
}
