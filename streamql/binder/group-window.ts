import { StreamError } from '../../src/lib/errors.ts';
import type { ColumnSchema } from '../../src/values/batch.ts';
import { INTERVAL, typeName } from '../../src/values/types.ts';
import type { AstExpr, Select, TableRef } from '../parser/ast.ts';
import type { Expr, Plan } from '../plan/plan.ts';
import { columnRef, exprKey, identity } from '../plan/walk.ts';
import { projected } from './aggregates.ts';
import type { BindContext } from './context.ts';
import { GROUP_WINDOW } from './expressions.ts';
import { windowPlan } from './windows.ts';

type Call = Extract<AstExpr, { kind: 'call' }>;
type WindowKind = Extract<TableRef, { kind: 'window' }>['window'];

const LAST_MILLISECOND = { months: 0, days: 0, micros: 1000 };

export interface GroupedWindow {
  /** The input with the window's columns behind its own. */
  readonly plan: Plan;
  /** What the call in GROUP BY stands for. */
  readonly groups: readonly Expr[];
  /** TUMBLE_START(…) and its like, of the call in GROUP BY; undefined for any other. */
  column(call: Call): Expr | undefined;
}

/** The window in GROUP BY TUMBLE(ts, …), as Calcite and Flink had it before window functions stood in FROM; null when there is none. */
export function groupWindowOf(select: Select): Call | null {
  const calls = select.groupBy.filter(
    (ast): ast is Call =>
      ast.kind === 'call' && GROUP_WINDOW.exec(ast.name.text)?.[2] === undefined && GROUP_WINDOW.test(ast.name.text),
  );
  if (calls.length === 0) return null;
  const other = calls.length > 1 ? calls[1] : select.groupingSets === null ? null : calls[0];
  if (other !== null) {
    throw new StreamError('SQL_UNSUPPORTED', 'GROUP BY takes one window, and none with GROUPING SETS', {
      at: other.at,
      hint: "write FROM TUMBLE(t, ts, INTERVAL '10 seconds') and group by window_start and window_end",
    });
  }
  return calls[0];
}

/** `keys`: the other expressions of GROUP BY, which are what a session is of. */
export function groupWindow(
  input: Plan,
  call: Call,
  keys: readonly Expr[],
  bind: (ast: AstExpr) => Expr,
  context: BindContext,
): GroupedWindow {
  const [ts, ...intervals] = call.args;
  if (ts === undefined) {
    throw new StreamError('SQL_BIND', `${call.name.text.toUpperCase()} takes a time first`, { at: call.at });
  }
  const exprs = identity(input.schema);
  const schema: ColumnSchema[] = [...input.schema];
  const columnOf = (expr: Expr): number => {
    const same = exprs.findIndex((known) => exprKey(known) === exprKey(expr));
    if (same >= 0) return same;
    schema.push(projected(expr, input.schema, `group_${exprs.length}`));
    return exprs.push(expr) - 1;
  };
  const time = bind(ts);
  if (time.type.kind !== 'timestamp' && time.type.kind !== 'timestamptz') {
    throw new StreamError(
      'SQL_TYPE',
      `${call.name.text.toUpperCase()} takes a timestamp, this is ${typeName(time.type)}`,
      {
        at: ts.at,
        hint: 'CAST it',
      },
    );
  }
  const timeColumn = columnOf(time);
  const window = call.name.text as WindowKind;
  const partitionBy = window === 'session' ? keys.map(columnOf) : [];
  const wide: Plan = exprs.length === input.schema.length ? input : { op: 'project', input, exprs, schema };
  const plan = windowPlan(wide, { window, intervals, at: call.at, timeColumn, partitionBy }, context);
  const [start, end] = [0, 1].map((i) => columnRef(plan.schema, wide.schema.length + i));
  const own = argumentsKey(call);
  return {
    plan,
    groups: [start, end],
    column(other) {
      const [, kind, part] = GROUP_WINDOW.exec(other.name.text) ?? [];
      if (kind !== window || argumentsKey(other) !== own) return undefined;
      if (part === undefined || part === 'start') return start;
      if (part === 'end') return end;
      const by: Expr = { op: 'literal', value: LAST_MILLISECOND, type: INTERVAL };
      return { op: 'call', fn: `-.${time.type.kind}.interval`, args: [end, by], type: time.type };
    },
  };
}

/** Equal for arguments that are written alike, wherever they stand. */
const argumentsKey = ({ args }: Call): string =>
  JSON.stringify(args, (key, value: unknown) => (key === 'at' ? undefined : value));
