import type { Random } from '../random.ts';
import type { Kind } from '../relations.ts';
import type { Call } from './calls.ts';
import { type Column, filled, predicate, value } from './values.ts';

interface AggregateRow {
  /** What may be written inside: DISTINCT, ORDER BY. */
  readonly takes?: 'distinct' | 'order' | 'both';
  readonly kind: Column['kind'];
  readonly call: Call;
}

const row = (kind: Column['kind'], takes: AggregateRow['takes'], ...call: Call): AggregateRow => ({
  kind,
  takes,
  call,
});
const ORDERED: readonly Kind[] = ['int', 'dec', 'text', 'ts', 'dbl', 'date', 'time', 'tz', 'i4', 'real'];

const PLAIN: readonly AggregateRow[] = [
  row('int', undefined, 'count(*)'),
  ...(['int', 'text', 'ts', 'json', 'row', 'uuid', 'ints'] as const).map((of) =>
    row('int', 'distinct', 'count({})', of),
  ),
  ...(['int', 'dec', 'i4'] as const).flatMap((of) => [
    row('dec', 'distinct', 'sum({})', of),
    row('dec', 'distinct', 'avg({})', of),
  ]),
  row('dbl', 'distinct', 'sum({})', 'dbl'),
  ...ORDERED.flatMap((of) => [row(of, undefined, 'min({})', of), row(of, undefined, 'max({})', of)]),
];

const OTHERS: readonly AggregateRow[] = [
  row('int', undefined, 'count_if({})', 'bool'),
  ...['bool_and', 'bool_or', 'every'].map((fn) => row('bool', 'distinct', `${fn}({})`, 'bool')),
  ...['bit_and', 'bit_or', 'bit_xor'].map((fn) => row('int', 'distinct', `${fn}({})`, 'int')),
  row('text', 'both', "string_agg({}, ',')", 'text'),
  row('ints', 'both', 'array_agg({})', 'int'),
  row('texts', 'both', 'array_agg({})', 'text'),
  row('json', 'both', 'json_agg({})', 'int'),
  row('json', 'both', 'jsonb_agg({})', 'ts'),
  row('json', 'order', 'jsonb_object_agg(COALESCE({}, {}), {})', 'text', 'text', 'int'),
  ...['var_pop', 'var_samp', 'variance', 'stddev_pop', 'stddev_samp', 'stddev'].flatMap((fn) => [
    row('approx', 'distinct', `${fn}({})`, 'dec'),
    row('approx', 'distinct', `${fn}({})`, 'dbl'),
  ]),
  ...[
    'covar_pop',
    'covar_samp',
    'corr',
    'regr_count',
    'regr_avgx',
    'regr_avgy',
    'regr_sxx',
    'regr_syy',
    'regr_sxy',
  ].map((fn) => row('approx', undefined, `${fn}({}, {})`, 'i2', 'dec')),
  ...['regr_slope', 'regr_intercept', 'regr_r2'].map((fn) => row('approx', undefined, `${fn}({}, {})`, 'i2', 'i2')),
  row('dbl', undefined, 'percentile_cont(0.25) WITHIN GROUP (ORDER BY {})', 'dbl'),
  row('int', undefined, 'percentile_disc(0.5) WITHIN GROUP (ORDER BY {} DESC)', 'int'),
  row('text', undefined, 'mode() WITHIN GROUP (ORDER BY {})', 'text'),
  row('dbl', undefined, 'median({})', 'int'),
  row('int', undefined, 'approx_count_distinct({})', 'text'),
  row('dbl', undefined, 'approx_percentile({}, 0.5)', 'int'),
  row('int', undefined, 'first_value({} ORDER BY {})', 'int', 'ts'),
  row('text', undefined, 'last_value({} ORDER BY {} DESC NULLS LAST)', 'text', 'int'),
  row('text', undefined, 'max_by({}, {})', 'text', 'int'),
  row('int', undefined, 'min_by({}, {})', 'int', 'ts'),
  row('date', undefined, 'arg_max({}, {})', 'date', 'dec'),
  row('ints', undefined, 'topk({}, 2)', 'int'),
  row('texts', undefined, 'topkdistinct({}, 2)', 'text'),
  row('text', undefined, 'any_value({})', 'text'),
];

/** One call, with DISTINCT, ORDER BY and FILTER as it may have them. */
export function aggregate(random: Random, columns: readonly Column[]): Column {
  const { kind, takes, call } = random.pick(random.chance(0.6) ? PLAIN : OTHERS);
  const [text, ...kinds] = call;
  const args = kinds.map((of) => value(random, columns, of, 1));
  const distinct = (takes === 'distinct' || takes === 'both') && random.chance(0.25);
  if (distinct) args[0] = `DISTINCT ${args[0]}`;
  if ((takes === 'order' || takes === 'both') && random.chance(0.5)) {
    // With DISTINCT the order is by the argument itself.
    const by = distinct ? args[0].slice('DISTINCT '.length) : value(random, columns, random.pick(['int', 'ts']), 0);
    args.push(`ORDER BY ${by}${random.pick(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}`);
    return { sql: filled(text.replace(/\)$/, ' {})'), args) + filterOf(random, columns), kind };
  }
  return { sql: filled(text, args) + filterOf(random, columns), kind };
}

const filterOf = (random: Random, columns: readonly Column[]): string =>
  random.chance(0.25) ? ` FILTER (WHERE ${predicate(random, columns, 1)})` : '';
