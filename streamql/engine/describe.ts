import type { ColumnSchema } from '../../src/values/batch.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { TABLE_FUNCTIONS } from '../functions/table-functions.ts';
import { patternText } from '../plan/match-text.ts';
import type { Filter, Plan, Project } from '../plan/plan.ts';
import { timeRangeOf } from '../plan/time-range.ts';

/** What EXPLAIN and the console call the operator. */
export function describe(plan: Plan, chain: readonly (Filter | Project)[]): { name: string; detail: string } {
  const names = (schema: readonly ColumnSchema[], columns: readonly number[]): string =>
    columns.map((column) => schema[column].name).join(', ');
  switch (plan.op) {
    case 'filter':
    case 'project': {
      const ops = chain.map((node) => node.op);
      return { name: [...new Set(ops)].join(' + '), detail: plan.schema.map((column) => column.name).join(', ') };
    }
    case 'unnest': {
      const name = TABLE_FUNCTIONS.get(plan.fn)?.name ?? plan.fn;
      return { name: plan.outer ? `left ${name}` : name, detail: names(plan.input.schema, plan.args) };
    }
    case 'aggregate': {
      const by = plan.groupBy.length === 0 ? 'one group' : `by ${names(plan.input.schema, plan.groupBy)}`;
      return {
        name: 'aggregate',
        detail: `${plan.aggregates.map((call) => AGGREGATES.get(call.fn)?.name ?? call.fn).join(', ')} ${by}`.trim(),
      };
    }
    case 'join': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      if (plan.residual !== null) on.push('condition');
      const range = timeRangeOf(plan);
      const how = range === null ? '' : `${range.kind} `;
      return { name: on.length === 0 ? 'cross join' : `${how}${plan.kind} join`, detail: on.join(' and ') };
    }
    case 'lookup': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      if (plan.residual !== null) on.push('condition');
      return { name: plan.kind === 'left' ? 'left lookup join' : 'lookup join', detail: on.join(' and ') };
    }
    case 'asof': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      on.push(`${plan.left.schema[plan.leftTime].name} ${plan.cmp} ${plan.right.schema[plan.rightTime].name}`);
      const name = plan.temporal === true ? 'temporal join' : 'asof join';
      return { name: plan.kind === 'left' ? `left ${name}` : name, detail: on.join(' and ') };
    }
    case 'window':
      return {
        name: plan.kind,
        detail: `${plan.input.schema[plan.timeColumn].name} size ${plan.sizeMicros / 1e6} s slide ${plan.slideMicros / 1e6} s`,
      };
    case 'expire':
      return {
        name: 'expire',
        detail: plan.afterMicros === null ? 'oldest first' : `after ${plan.afterMicros / 1e6} s`,
      };
    case 'nowFilter': {
      const moments = [...plan.from, ...plan.until].map(({ column }) => column);
      return { name: 'filter by now()', detail: names(plan.schema, moments) };
    }
    case 'close':
      return {
        name: 'emit on close',
        detail: names(
          plan.schema,
          plan.times.map(({ column }) => column),
        ),
      };
    case 'session': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      const time = plan.input.schema[plan.timeColumn].name;
      return { name: 'session', detail: `${time} gap ${plan.gapMicros / 1e6} s${by}` };
    }
    case 'topn': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'top-n', detail: `first ${plan.limit}${by}` };
    }
    case 'setOp':
      return { name: plan.kind, detail: plan.all ? 'all' : '' };
    case 'over': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'over', detail: `${plan.calls.map((call) => call.fn).join(', ')}${by}` };
    }
    case 'match': {
      const by = plan.partitionBy.length === 0 ? '' : ` per ${names(plan.input.schema, plan.partitionBy)}`;
      return { name: 'match', detail: `${patternText(plan.pattern, plan.variables)}${by}` };
    }
    case 'recursive':
      return { name: 'recursion', detail: plan.all ? 'with duplicates' : 'without duplicates' };
    case 'union':
      return { name: 'union all', detail: `${plan.inputs.length} inputs` };
    case 'values':
      return { name: 'values', detail: `${plan.rows.length} rows` };
    default:
      return { name: plan.op, detail: '' };
  }
}
