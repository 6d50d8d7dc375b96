import { finishAverage } from '../../streamql/functions/aggregates.ts';
import { WINDOW_FUNCTIONS } from '../../streamql/functions/window-functions.ts';
import type { Frame, Over, OverCall, SortKey } from '../../streamql/plan/plan.ts';
import { assert } from '../lib/assert.ts';
import type { Exact } from '../values/decimal.ts';
import { BIGINT, decimal, MAX_DECIMAL_PRECISION } from '../values/types.ts';
import { direction } from './duckdb-aggregates.ts';
import type { ForeignCall } from './duckdb-expr.ts';
import { castTo, printLiteral } from './duckdb-types.ts';

interface Scope {
  foreign(call: ForeignCall): string;
}

/** Functions that do not tell peers apart; the others see the rest of the row as further sort keys. */
const BY_PEERS = new Set(['rank', 'dense_rank', 'percent_rank', 'cume_dist']);

/** Window functions over the printed input, under the alias t; averages are quotients of exact sums, by our own code. */
export function printOver(plan: Over, input: string, scope: Scope): string {
  const width = plan.input.schema.length;
  const own = plan.input.schema.map((_, i) => `t.c${i}`);
  const inner = plan.calls.flatMap((call, i) => partsOf(call, plan, i));
  const outer = plan.calls.map((call, i) => `${castTo(resultOf(call, plan, i, scope), call.type)} AS c${width + i}`);
  return `SELECT ${[...own, ...outer].join(', ')} FROM (SELECT *, ${inner.join(', ')} FROM (${input}) AS t) AS t`;
}

function partsOf(call: OverCall, plan: Over, i: number): string[] {
  const over = ` OVER (${windowOf(call, plan)})`;
  const filter = call.filter === null ? '' : ` FILTER (WHERE t.c${call.filter})`;
  const [value, otherwise] = call.args.map((column) => `t.c${column}`);
  switch (call.fn) {
    case 'ntile':
      return [`ntile(${call.params[0]})${over} AS a${i}`];
    case 'lag':
    case 'lead':
      return [
        `${call.fn}(${value}, ${call.params[0]}${otherwise === undefined ? '' : `, ${otherwise}`})${over} AS a${i}`,
      ];
    case 'nth_value':
      return [`nth_value(${value}, ${call.params[0]})${over} AS a${i}`];
    case 'count':
      return [`count(${value ?? '*'})${filter}${over} AS a${i}`];
    case 'avg':
    case 'sum': {
      const { kind } = plan.input.schema[call.args[0]].type;
      const isDouble = kind === 'double' || kind === 'real';
      const arg = isDouble ? `CAST(${value} AS DOUBLE)` : value;
      if (call.fn === 'sum' || isDouble) return [`${call.fn}(${arg})${filter}${over} AS a${i}`];
      return [`sum(${arg})${filter}${over} AS a${i}`, `count(${arg})${filter}${over} AS n${i}`];
    }
    default:
      return [`${call.fn}(${value ?? ''})${filter}${over} AS a${i}`];
  }
}

function resultOf(call: OverCall, plan: Over, i: number, scope: Scope): string {
  if (call.fn !== 'avg' || call.type.kind !== 'decimal') return `t.a${i}`;
  const argType = plan.input.schema[call.args[0]].type;
  const scale = argType.kind === 'decimal' ? argType.scale : 0;
  const resultScale = call.type.scale;
  const sumType = decimal(MAX_DECIMAL_PRECISION, scale);
  const average = scope.foreign({
    key: `average(${scale},${resultScale})`,
    args: [sumType, BIGINT],
    type: call.type,
    run: ([total, count]) => (total === null ? null : finishAverage(total as Exact, scale, Number(count), resultScale)),
  });
  return `${average}(${castTo(`t.a${i}`, sumType)}, t.n${i})`;
}

function windowOf(call: OverCall, plan: Over): string {
  const parts: string[] = [];
  if (plan.partitionBy.length > 0) parts.push(`PARTITION BY ${plan.partitionBy.map((c) => `t.c${c}`).join(', ')}`);
  const isFrame = WINDOW_FUNCTIONS.get(call.fn)?.sees === 'frame';
  const byPeers = BY_PEERS.has(call.fn) || (isFrame && call.frame.unit === 'range');
  const order = (plan.orderBy as readonly SortKey[]).map((key) => `t.c${key.column} ${direction(key)}`);
  // A frame that is the whole partition has an order too, for first_value and its like.
  const isWhole = isFrame && call.frame.start === null && call.frame.end === null;
  if (!byPeers || isWhole) order.push(...plan.input.schema.map((_, i) => `t.c${i} ASC NULLS LAST`));
  if (order.length > 0) parts.push(`ORDER BY ${order.join(', ')}`);
  if (isFrame) parts.push(frameOf(isWhole ? { unit: 'rows', start: null, end: null } : call.frame, plan));
  return parts.join(' ');
}

function frameOf({ unit, start, end }: Frame, plan: Over): string {
  const bound = (at: Exact | null, edge: string): string => {
    if (at === null) return `UNBOUNDED ${edge}`;
    if (at === 0) return 'CURRENT ROW';
    return `${unit === 'rows' ? `${at < 0 ? -at : at}` : rangeOffset(at < 0 ? -at : at, plan)} ${at < 0 ? 'PRECEDING' : 'FOLLOWING'}`;
  };
  return `${unit.toUpperCase()} BETWEEN ${bound(start, 'PRECEDING')} AND ${bound(end, 'FOLLOWING')}`;
}

function rangeOffset(by: Exact, plan: Over): string {
  const { type } = plan.input.schema[plan.orderBy[0].column];
  if (type.kind === 'timestamp' || type.kind === 'timestamptz') return `INTERVAL '${by} microseconds'`;
  assert(type.kind !== 'varchar', 'a RANGE offset is over a number or a moment');
  // An offset may be greater than any key.
  const wide = type.kind === 'decimal' ? decimal(MAX_DECIMAL_PRECISION, type.scale) : type;
  return castTo(printLiteral(by, wide), wide);
}
