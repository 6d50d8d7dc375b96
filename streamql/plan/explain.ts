import type { Exact } from '../../src/values/decimal.ts';
import { datumToText } from '../../src/values/text.ts';
import { type Datum, type SqlType, typeName } from '../../src/values/types.ts';
import { AGGREGATES } from '../functions/aggregates.ts';
import { FUNCTIONS } from '../functions/functions.ts';
import { TABLE_FUNCTIONS } from '../functions/table-functions.ts';
import { asOfText } from './as-of.ts';
import { changelogOf } from './changelog.ts';
import { patternText, readText, skipText } from './match-text.ts';
import type { Expr, Frame, Join, Match, Moment, Plan, Recursive, SortKey } from './plan.ts';
import { rowBound } from './row-bound.ts';
import { timeRangeOf } from './time-range.ts';
import { inputsOf, withInputs } from './walk.ts';

/** The plan as an indented tree: per line an operator, what it does, its output columns and the changelog kind of its output. */
export function explainPlan(plan: Plan): string {
  const lines: string[] = [];
  const print = (node: Plan, indent: string): void => {
    const columns = node.schema.map((column) => column.name).join(', ');
    lines.push(`${indent}${describe(node)} → (${columns}) [${changelogOf(node)}]`);
    const below = node.op === 'recursive' ? [node.base, wholeStep(node)] : inputsOf(node);
    for (const input of below) print(input, `${indent}  `);
  };
  print(plan, '');
  return lines.join('\n');
}

/** The step with its inputs in place. */
function wholeStep({ step, inputs, self }: Recursive): Plan {
  const fill = (plan: Plan): Plan => {
    if (plan.op !== 'scan' || plan.relation === self) return withInputs(plan, inputsOf(plan).map(fill));
    return inputs[Number(plan.relation.slice('$input '.length))] ?? plan;
  };
  return fill(step);
}

const JOIN_NAMES: Readonly<Record<Join['kind'], string>> = {
  inner: 'Join',
  left: 'Left join',
  full: 'Full join',
  semi: 'Semi join',
  anti: 'Anti join',
};

/** What a node does, without its inputs. */
export function describe(plan: Plan): string {
  switch (plan.op) {
    case 'scan':
      return `Scan ${plan.name}${plan.asOf === undefined ? '' : ` AS OF ${asOfText(plan.asOf)}`}`;
    case 'values':
      return `Values ${plan.rows.length} row${plan.rows.length === 1 ? '' : 's'}`;
    case 'filter':
      return `Filter ${exprText(plan.predicate, plan.input)}`;
    case 'project': {
      const exprs = plan.exprs.map((expr, i) => {
        const text = exprText(expr, plan.input);
        return text === plan.schema[i].name ? text : `${text} AS ${plan.schema[i].name}`;
      });
      return `Project ${exprs.join(', ')}`;
    }
    case 'window': {
      const time = plan.input.schema[plan.timeColumn].name;
      const step = { tumble: '', hop: ', slide ', cumulate: ', step ' }[plan.kind];
      const slide = step === '' ? '' : `${step}${duration(plan.slideMicros)}`;
      const offset = plan.offsetMicros === 0 ? '' : `, offset ${duration(plan.offsetMicros)}`;
      const name = { tumble: 'Tumble', hop: 'Hop', cumulate: 'Cumulate' }[plan.kind];
      return `${name} on ${time}, size ${duration(plan.sizeMicros)}${slide}${offset}`;
    }
    case 'nowFilter': {
      const text = (moments: readonly Moment[], sign: string): string[] =>
        moments.map(({ column, plusMicros }) => {
          const by = plusMicros === 0 ? '' : ` ${plusMicros < 0 ? '-' : '+'} ${duration(Math.abs(plusMicros))}`;
          return `now() ${sign} ${plan.input.schema[column].name}${by}`;
        });
      return `Filter as time passes: ${[...text(plan.from, '>='), ...text(plan.until, '<')].join(' AND ')}`;
    }
    case 'close': {
      const more = [
        ...(plan.delayMicros === 0 ? [] : [`delay ${duration(plan.delayMicros)}`]),
        ...(plan.timeoutMicros === null ? [] : [`timeout ${duration(plan.timeoutMicros)}`]),
      ];
      const by = plan.times.map(({ column }) => plan.input.schema[column].name).join(', ');
      return `Emit on window close, by ${by}${more.map((part) => `, ${part}`).join('')}`;
    }
    case 'session': {
      const by = plan.partitionBy.map((column) => plan.input.schema[column].name).join(', ');
      const time = plan.input.schema[plan.timeColumn].name;
      return `Session on ${time}, gap ${duration(plan.gapMicros)}${by === '' ? '' : ` by ${by}`}`;
    }
    case 'unnest': {
      const args = plan.args.map((column) => plan.input.schema[column].name).join(', ');
      return `${plan.outer ? 'Left unnest' : 'Unnest'} ${TABLE_FUNCTIONS.get(plan.fn)?.name ?? plan.fn}(${args})${plan.ordinality ? ' with ordinality' : ''}`;
    }
    case 'aggregate': {
      const name = (column: number): string => plan.input.schema[column].name;
      const calls = plan.aggregates.map(({ fn, arg, arg2, orderBy, params, distinct, filter }) => {
        const args = [
          arg === null ? '*' : name(arg),
          ...(arg2 === undefined ? [] : [name(arg2)]),
          ...(params ?? []).map(String),
        ];
        const call = `${AGGREGATES.get(fn)?.name ?? fn}(${distinct ? 'DISTINCT ' : ''}${args.join(', ')}${orderText(orderBy ?? [], plan.input)})`;
        return filter === null ? call : `${call} FILTER (WHERE ${name(filter)})`;
      });
      const by = plan.groupBy.length === 0 ? '' : ` by ${plan.groupBy.map(name).join(', ')}`;
      return `Aggregate${by}${calls.length === 0 ? '' : `: ${calls.join(', ')}`}`;
    }
    case 'join': {
      const on = plan.keys.map(
        ([l, r]) =>
          `${plan.left.schema[l].name} ${plan.nullSafe ? 'IS NOT DISTINCT FROM' : '='} ${plan.right.schema[r].name}`,
      );
      if (plan.residual !== null)
        on.push(exprText(plan.residual, { schema: [...plan.left.schema, ...plan.right.schema] }));
      if (on.length === 0) {
        const [left, right] = [rowBound(plan.left), rowBound(plan.right)];
        const most = Math.min(left, right);
        return `Cross join${Number.isFinite(most) ? `, at most ${most} row${most === 1 ? '' : 's'} on the ${right <= left ? 'right' : 'left'}` : ''}`;
      }
      const range = timeRangeOf(plan);
      const name = JOIN_NAMES[plan.kind];
      const how = range === null ? '' : `${range.kind} `;
      return `${how === '' ? name : how[0].toUpperCase() + how.slice(1) + name.toLowerCase()} on ${on.join(' AND ')}`;
    }
    case 'lookup': {
      const on = plan.keys.map(([l, r]) => `${plan.left.schema[l].name} = ${plan.right.schema[r].name}`);
      if (plan.residual !== null)
        on.push(exprText(plan.residual, { schema: [...plan.left.schema, ...plan.right.schema] }));
      return `${plan.kind === 'left' ? 'Left lookup join' : 'Lookup join'}${on.length === 0 ? '' : ` on ${on.join(' AND ')}`}, as rows arrive`;
    }
    case 'asof': {
      const [left, right] = [plan.left.schema, plan.right.schema];
      const on = plan.keys.map(([l, r]) => `${left[l].name} = ${right[r].name}`);
      on.push(`${left[plan.leftTime].name} ${plan.cmp} ${right[plan.rightTime].name}`);
      const name = plan.temporal === true ? 'temporal join' : 'ASOF join';
      return `${plan.kind === 'left' ? `Left ${name}` : name[0].toUpperCase() + name.slice(1)} on ${on.join(' AND ')}`;
    }
    case 'recursive':
      return `Recursion ${plan.all ? 'with' : 'without'} duplicates`;
    case 'union':
      return 'Union all';
    case 'setOp':
      return `${plan.kind === 'except' ? 'Except' : 'Intersect'}${plan.all ? ' all' : ''}`;
    case 'distinct':
      return 'Distinct';
    case 'expire':
      return plan.afterMicros === null ? 'Keep the newest' : `Keep for ${duration(plan.afterMicros)}`;
    case 'topn': {
      const by =
        plan.partitionBy.length === 0 ? '' : ` by ${plan.partitionBy.map((c) => plan.input.schema[c].name).join(', ')}`;
      return `Top ${plan.limit}${by}${orderText(plan.orderBy, plan.input)}${plan.rank ? ', with its rank' : ''}`;
    }
    case 'over': {
      const name = (column: number): string => plan.input.schema[column].name;
      const calls = plan.calls.map(({ fn, args, params, filter, frame }) => {
        const text = `${fn}(${[...args.map(name), ...params.map(String)].join(', ')})`;
        const where = filter === null ? '' : ` FILTER (WHERE ${name(filter)})`;
        return `${text}${where}${frameText(frame)}`;
      });
      const by = plan.partitionBy.length === 0 ? '' : ` by ${plan.partitionBy.map(name).join(', ')}`;
      return `Over${by}${orderText(plan.orderBy, plan.input)}: ${calls.join(', ')}`;
    }
    case 'match':
      return `Match ${matchText(plan)}`;
    case 'sort': {
      const limit = plan.limit === null ? '' : ` limit ${plan.limit}`;
      return `Sort${orderText(plan.orderBy, plan.input)}${limit}${plan.offset === 0 ? '' : ` offset ${plan.offset}`}`;
    }
  }
}

function matchText(plan: Match): string {
  const { variables } = plan;
  const name = (column: number): string => plan.input.schema[column].name;
  const by = plan.partitionBy.length === 0 ? '' : ` by ${plan.partitionBy.map(name).join(', ')}`;
  const within = plan.withinMicros === null ? '' : `, within ${duration(plan.withinMicros)}`;
  const defines = plan.defines.flatMap((define, i) => {
    if (define === null) return [];
    const schema = define.reads.map((read) => ({ name: readText(read, plan) }));
    return [`${variables[i]} AS ${exprText(define.expr, { schema })}`];
  });
  const where = defines.length === 0 ? '' : ` where ${defines.join(', ')}`;
  return (
    `(${patternText(plan.pattern, variables)})${by}${orderText(plan.orderBy, plan.input)}${within}, ` +
    `${plan.rows === 'one' ? 'one row' : 'all rows'} per match${plan.rows === 'unmatched' ? ' and unmatched rows' : ''}, skip ${skipText(plan.skip, variables)}${where}`
  );
}

/** Nothing for the frame that is meant without one. */
function frameText({ unit, start, end }: Frame): string {
  if (unit === 'range' && start === null && (end === 0 || end === null)) return '';
  const bound = (at: Exact | null, edge: string): string =>
    at === null ? edge : at === 0 ? 'CURRENT ROW' : `${at < 0 ? -at : at} ${at < 0 ? 'PRECEDING' : 'FOLLOWING'}`;
  return ` ${unit.toUpperCase()} ${bound(start, 'UNBOUNDED PRECEDING')} TO ${bound(end, 'UNBOUNDED FOLLOWING')}`;
}

function orderText(keys: readonly SortKey[], input: Plan): string {
  if (keys.length === 0) return '';
  const parts = keys.map(({ column, descending, nullsFirst }) => {
    const nulls = nullsFirst === descending ? '' : nullsFirst ? ' NULLS FIRST' : ' NULLS LAST';
    return `${input.schema[column].name}${descending ? ' DESC' : ''}${nulls}`;
  });
  return ` order by ${parts.join(', ')}`;
}

/** An expression in the manner of SQL, its columns by name. */
function exprText(expr: Expr, input: { readonly schema: readonly { readonly name: string }[] }): string {
  const text = (part: Expr): string => exprText(part, input);
  const operand = (part: Expr): string => (isAtom(part) ? text(part) : `(${text(part)})`);
  switch (expr.op) {
    case 'column':
      return input.schema[expr.index]?.name ?? `#${expr.index}`;
    case 'outer':
      return `outer #${expr.index}`;
    case 'literal':
      return literalText(expr.value, expr.type);
    case 'call': {
      const name = FUNCTIONS.get(expr.fn)?.name ?? expr.fn;
      if (/^[a-z_]/.test(name)) return `${name}(${expr.args.map(text).join(', ')})`;
      return expr.args.length === 1 ? `${name} ${operand(expr.args[0])}` : expr.args.map(operand).join(` ${name} `);
    }
    case 'and':
    case 'or':
      return expr.args
        .map((arg) => (arg.op === 'compare' ? text(arg) : operand(arg)))
        .join(` ${expr.op.toUpperCase()} `);
    case 'not':
      return `NOT ${operand(expr.arg)}`;
    case 'isNull':
      return `${operand(expr.arg)} IS ${expr.negated ? 'NOT ' : ''}NULL`;
    case 'compare': {
      const sign =
        { distinct: 'IS DISTINCT FROM', notDistinct: 'IS NOT DISTINCT FROM' }[expr.cmp as string] ?? expr.cmp;
      return `${operand(expr.left)} ${sign} ${operand(expr.right)}`;
    }
    case 'case': {
      const branches = expr.branches.map(({ when, then }) => `WHEN ${text(when)} THEN ${text(then)}`).join(' ');
      return `CASE ${branches} ELSE ${text(expr.otherwise)} END`;
    }
    case 'coalesce':
      return `coalesce(${expr.args.map(text).join(', ')})`;
    case 'in': {
      const values = expr.values.map((value) => literalText(value, expr.arg.type)).join(', ');
      return `${operand(expr.arg)} ${expr.negated ? 'NOT ' : ''}IN (${values})`;
    }
    case 'cast':
      return `${expr.safe ? 'TRY_CAST' : 'CAST'}(${text(expr.arg)} AS ${typeName(expr.type)})`;
  }
}

const isAtom = (expr: Expr): boolean =>
  ['column', 'literal', 'coalesce', 'case', 'cast'].includes(expr.op) || isNamedCall(expr);

const isNamedCall = (expr: Expr): boolean =>
  expr.op === 'call' && /^[a-z_]/.test(FUNCTIONS.get(expr.fn)?.name ?? expr.fn);

const BARE = new Set(['boolean', 'smallint', 'integer', 'bigint', 'decimal', 'real', 'double']);

function literalText(value: Datum, type: SqlType): string {
  if (value === null) return 'NULL';
  const text = datumToText(value, type);
  if (BARE.has(type.kind)) return text;
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return type.kind === 'varchar' ? quoted : `${typeName(type).toUpperCase()} ${quoted}`;
}

function duration(micros: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000_000],
    ['h', 3_600_000_000],
    ['min', 60_000_000],
    ['s', 1_000_000],
    ['ms', 1000],
  ] as const) {
    if (micros !== 0 && micros % size === 0) return `${micros / size} ${unit}`;
  }
  return `${micros} µs`;
}
