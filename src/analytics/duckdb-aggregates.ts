import type { AggregateFunction } from '../../streamql/functions/aggregate-table.ts';
import { AGGREGATES, finishAverage } from '../../streamql/functions/aggregates.ts';
import { ListedRows } from '../../streamql/functions/group-rows.ts';
import { momentsOf } from '../../streamql/functions/moments.ts';
import type { AggregateCall, SortKey } from '../../streamql/plan/plan.ts';
import { assert } from '../lib/assert.ts';
import type { Exact } from '../values/decimal.ts';
import {
  arrayOf,
  BIGINT,
  type Datum,
  decimal,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  typeName,
} from '../values/types.ts';
import type { ForeignCall } from './duckdb-expr.ts';
import { castTo } from './duckdb-types.ts';

/** The columns to compute per group, and the result over them, under the alias t both. */
export interface PrintedAggregate {
  readonly parts: readonly string[];
  readonly result: string;
}

/** What printing an aggregate asks of whoever runs the text. */
interface Scope {
  foreign(call: ForeignCall): string;
}

export const direction = ({ descending, nullsFirst }: SortKey): string =>
  `${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`;

/** The i-th aggregate over input columns of the given types. */
export function printAggregate(
  call: AggregateCall,
  types: readonly SqlType[],
  i: number,
  scope: Scope,
): PrintedAggregate {
  const row = AGGREGATES.get(call.fn);
  assert(row !== undefined, `there is no aggregate ${call.fn}`);
  if (row.finish !== undefined || row.moments !== undefined) return printRows(call, row, types, i, scope);
  return printBasic(call, call.arg === null ? null : types[call.arg], i, scope);
}

/** Over the group's rows in order: the first or last one by DuckDB itself, else lists that our own code finishes. */
function printRows(
  call: AggregateCall,
  row: AggregateFunction,
  types: readonly SqlType[],
  i: number,
  scope: Scope,
): PrintedAggregate {
  const columns = [call.arg, call.arg2 ?? null].filter((column) => column !== null);
  const present = row.skipsNull === undefined ? columns : row.skipsNull.map((at) => columns[at]);
  const conditions = present.map((column) => `t.c${column} IS NOT NULL`);
  if (call.filter !== null) conditions.push(`t.c${call.filter}`);
  const filter = conditions.length === 0 ? '' : ` FILTER (WHERE ${conditions.join(' AND ')})`;
  const order = [
    ...(call.orderBy ?? []).map((key) => `t.c${key.column} ${direction(key)}`),
    ...columns.map((column) => `t.c${column} ASC NULLS LAST`),
  ].join(', ');
  if (row.looksAt === 'first' || row.looksAt === 'last') {
    return { parts: [`${row.looksAt}(t.c${columns[0]} ORDER BY ${order})${filter} AS a${i}`], result: `t.a${i}` };
  }
  const parts = columns.map((column, at) => `list(t.c${column} ORDER BY ${order})${filter} AS ${'ab'[at]}${i}`);
  const lists = columns.map((_, at) => `t.${'ab'[at]}${i}`);
  if (call.fn === 'array_agg' && !call.distinct) return { parts, result: lists[0] };
  const argTypes = columns.map((column) => types[column]);
  const name = scope.foreign(finishCall(call, row, argTypes));
  return { parts, result: `${name}(${lists.join(', ')})` };
}

/** Reads the lists of one group. */
function finishCall(call: AggregateCall, row: AggregateFunction, types: readonly SqlType[]): ForeignCall {
  const params = call.params ?? [];
  const info = { types, params, type: call.type };
  const constants = JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
  return {
    key: `aggregate ${call.fn}(${types.map(typeName).join(',')})${call.distinct ? ' distinct' : ''} ${constants} ${typeName(call.type)}`,
    args: types.map(arrayOf),
    type: call.type,
    run: ([a, b]) => {
      const as = (a ?? []) as readonly Datum[];
      const bs = types.length < 2 ? null : ((b ?? []) as readonly Datum[]);
      const rows = new ListedRows(as, bs, call.distinct, types);
      if (row.finish !== undefined) return row.finish(rows, info);
      assert(row.moments !== undefined, `${row.name} has no way to read rows`);
      return row.moments(momentsOf(rows, bs !== null));
    },
  };
}

/** count, sum, avg, min and max. */
function printBasic(call: AggregateCall, argType: SqlType | null, i: number, scope: Scope): PrintedAggregate {
  const filter = call.filter === null ? '' : ` FILTER (WHERE t.c${call.filter})`;
  if (call.arg === null || argType === null) return { parts: [`count(*)${filter} AS a${i}`], result: `t.a${i}` };
  const distinct = call.distinct && call.fn !== 'min' && call.fn !== 'max' ? 'DISTINCT ' : '';
  const arg = `t.c${call.arg}`;
  const isDouble = argType.kind === 'double' || argType.kind === 'real';
  if (call.fn === 'count' || call.fn === 'min' || call.fn === 'max') {
    return { parts: [`${call.fn}(${distinct}${arg})${filter} AS a${i}`], result: `t.a${i}` };
  }
  if (isDouble)
    return { parts: [`${call.fn}(${distinct}CAST(${arg} AS DOUBLE))${filter} AS a${i}`], result: `t.a${i}` };
  const sum = `sum(${distinct}${arg})${filter} AS a${i}`;
  if (call.fn === 'sum') return { parts: [sum], result: `t.a${i}` };
  const scale = argType.kind === 'decimal' ? argType.scale : 0;
  const { type } = call;
  assert(type.kind === 'decimal', 'an average of exact numbers is a decimal');
  const sumType = decimal(MAX_DECIMAL_PRECISION, scale);
  const average = scope.foreign({
    key: `average(${scale},${type.scale})`,
    args: [sumType, BIGINT],
    type,
    run: ([total, count]) => (total === null ? null : finishAverage(total as Exact, scale, Number(count), type.scale)),
  });
  return {
    parts: [sum, `count(${distinct}${arg})${filter} AS n${i}`],
    result: `${average}(${castTo(`t.a${i}`, sumType)}, t.n${i})`,
  };
}
