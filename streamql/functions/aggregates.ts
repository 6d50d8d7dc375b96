import { StreamError } from '../../src/lib/errors.ts';
import { divideDecimal, type Exact } from '../../src/values/decimal.ts';
import { datumToText } from '../../src/values/text.ts';
import {
  arrayOf,
  BIGINT,
  BOOLEAN,
  canonicalInteger,
  type Datum,
  DOUBLE,
  decimal,
  INTEGER,
  JSONB,
  MAX_DECIMAL_PRECISION,
  type SqlType,
  VARCHAR,
} from '../../src/values/types.ts';
import type { AggregateFunction, AggregateInfo, AggregateSteps } from './aggregate-table.ts';
import type { GroupRows } from './group-rows.ts';
import { jsonArray, jsonObject, jsonOf } from './json-of.ts';
import { MOMENTS } from './moments.ts';
import { bucketValue, hllEstimate } from './sketches.ts';
import { jsAggregate } from './user/js-aggregate.ts';
import { WithUserFunctions } from './user/user-function.ts';
import { wasmAggregateRow } from './user/wasm-functions.ts';

/** Digits after the point of an average or quotient of exact numbers: at least as many as Postgres promises. */
export const QUOTIENT_SCALE = 16;

const NO_ORDER: ReadonlySet<string> = new Set(['array', 'jsonb', 'bytea', 'row', 'map']);

export type BasicAggregate = 'count' | 'sum' | 'avg' | 'min' | 'max';

/** The result type of an aggregate over an argument type; undefined when it does not take that type. */
export function aggregateType(fn: BasicAggregate, arg: SqlType): SqlType | undefined {
  if (fn === 'count') return BIGINT;
  if (fn === 'min' || fn === 'max') return NO_ORDER.has(arg.kind) ? undefined : arg;
  switch (arg.kind) {
    case 'smallint':
    case 'integer':
      return fn === 'sum' ? BIGINT : decimal(MAX_DECIMAL_PRECISION, QUOTIENT_SCALE);
    case 'bigint':
      return decimal(MAX_DECIMAL_PRECISION, fn === 'sum' ? 0 : QUOTIENT_SCALE);
    case 'decimal':
      return decimal(MAX_DECIMAL_PRECISION, fn === 'sum' ? arg.scale : Math.max(QUOTIENT_SCALE, arg.scale));
    case 'real':
    case 'double':
      return DOUBLE;
    default:
      return undefined;
  }
}

/** avg from the sum of the unscaled argument values and their count (not 0), as the result type's unscaled value. */
export function finishAverage(sum: Exact, argScale: number, count: number, resultScale: number): Exact {
  return divideDecimal(sum, argScale, count, 0, resultScale);
}

const basic = (
  name: BasicAggregate,
  signature: string,
  doc: string,
  example: AggregateFunction['example'],
): AggregateFunction => ({
  name,
  args: ['any'],
  signature,
  doc,
  example,
  total: name === 'count',
  returns: ([type]) => aggregateType(name, type),
});

const sameType = ([type]: readonly SqlType[]): SqlType => type;

/** Every row's argument, one by one. */
function listOf(rows: GroupRows, of: (a: Datum, b: Datum) => Datum): Datum[] {
  const out: Datum[] = [];
  rows.each((a, b, times) => {
    const value = of(a, b);
    for (let i = 0; i < times; i++) out.push(value);
    return true;
  });
  return out;
}

/** Longest text an aggregate may build. */
const MAX_TEXT = 1 << 26;

function joined(rows: GroupRows, [delimiter]: readonly Datum[]): Datum {
  const parts: string[] = [];
  let length = 0;
  rows.each((a, _, times) => {
    length += times * ((a as string).length + 1);
    if (length > MAX_TEXT) throw new StreamError('VALUE_OVERFLOW', `string_agg: the text is longer than ${MAX_TEXT}`);
    for (let i = 0; i < times; i++) parts.push(a as string);
    return true;
  });
  return parts.length === 0 ? null : parts.join((delimiter as string | null) ?? '');
}

function objectOf(rows: GroupRows, { types }: AggregateInfo): Datum {
  const entries: [string, string][] = [];
  rows.each((key, value) => {
    if (key === null) throw new StreamError('VALUE_DOMAIN', 'jsonb_object_agg: a key is NULL');
    entries.push([types[0].kind === 'varchar' ? (key as string) : datumToText(key, types[0]), jsonOf(value, types[1])]);
    return true;
  });
  return entries.length === 0 ? null : jsonObject(entries);
}

function bitwise(rows: GroupRows, combine: (all: bigint, value: bigint, times: number) => bigint): Datum {
  let all: bigint | null = null;
  rows.each((a, _, times) => {
    const value = BigInt(a as Exact);
    all = all === null ? combine(value, value, times) : combine(all, value, times);
    return true;
  });
  return all === null ? null : canonicalInteger(all);
}

const fraction = (params: readonly Datum[], name: string): number => {
  const value = params[0] as number | null;
  if (value === null || !(value >= 0 && value <= 1)) {
    throw new StreamError('VALUE_DOMAIN', `${name}: the fraction must be between 0 and 1`);
  }
  return value;
};

/** Position of the first row at or beyond a fraction, as percentile_disc counts. */
const discrete = (count: number, part: number): number => Math.max(0, Math.ceil(part * count) - 1);

function continuous(rows: GroupRows, part: number): Datum {
  if (rows.count === 0) return null;
  const place = part * (rows.count - 1);
  const low = rows.at(Math.floor(place)) as number;
  const high = rows.at(Math.ceil(place)) as number;
  return low === high ? low : low + (high - low) * (place - Math.floor(place));
}

function mostFrequent(rows: GroupRows): Datum {
  let best: Datum = null;
  let most = 0;
  rows.each((a, _, times) => {
    if (times > most) {
      best = a;
      most = times;
    }
    return true;
  });
  return best;
}

function greatestFew(rows: GroupRows, count: Datum, distinct: boolean): Datum {
  const most = count as number | null;
  if (most === null || most < 1 || most > 10_000) throw new StreamError('VALUE_DOMAIN', 'topk: k must be 1 to 10000');
  const out: Datum[] = [];
  rows.each((a, _, times) => {
    for (let i = 0; i < (distinct ? 1 : times) && out.length < most; i++) out.push(a);
    return out.length < most;
  });
  return out.length === 0 ? null : out;
}

function cellsOf(rows: GroupRows): number[] {
  const cells: number[] = [];
  rows.each((a) => cells.push(a as number) > 0);
  return cells;
}

const bitsOf = (
  name: string,
  verb: string,
  value: string,
  combine: (a: bigint, b: bigint, times: number) => bigint,
): AggregateFunction => ({
  name,
  args: ['integers'],
  returns: sameType,
  finish: (rows) => bitwise(rows, combine),
  signature: `${name}(integer)`,
  doc: `The bits of all values combined by ${verb}.`,
  example: [`${name}(n)`, value],
});

const spread = (name: string, doc: string, value: string): AggregateFunction => ({
  name,
  args: ['double'],
  returns: () => DOUBLE,
  moments: MOMENTS[name],
  signature: `${name}(number)`,
  doc,
  example: [`${name}(n)`, value],
});

const regression = (name: string, doc: string, value: string): AggregateFunction => ({
  name,
  args: ['double', 'double'],
  returns: () => (name === 'regr_count' ? BIGINT : DOUBLE),
  total: name === 'regr_count',
  moments: MOMENTS[name],
  signature: `${name}(y, x)`,
  doc: `${doc} Over the rows where neither is NULL.`,
  example: [`${name}(n, x)`, value],
});

const extremeBy = (name: string, descending: boolean): AggregateFunction => ({
  name,
  args: ['any', 'any'],
  by: [{ arg: 1, descending }],
  skipsNull: [1],
  looksAt: 'first',
  returns: sameType,
  finish: (rows) => rows.first() ?? null,
  signature: `${name}(value, key)`,
  doc: `The value in the row with the ${descending ? 'greatest' : 'least'} key; of several, the least value.`,
  example: [`${name}(s, n)`, descending ? 'c' : 'a'],
});

const anyOf = (name: string, looksAt: 'first' | 'last', doc: string, value: string): AggregateFunction => ({
  name,
  args: ['boolean'],
  looksAt,
  returns: () => BOOLEAN,
  finish: (rows) => (looksAt === 'first' ? rows.first() : rows.last()) ?? null,
  signature: `${name}(boolean)`,
  doc,
  example: [`${name}(n > 1)`, value],
});

const endOf = (name: string, looksAt: 'first' | 'last'): AggregateFunction => ({
  name,
  args: ['any'],
  order: 'required',
  skipsNull: [],
  looksAt,
  returns: sameType,
  finish: (rows) => (looksAt === 'first' ? rows.first() : rows.last()) ?? null,
  signature: `${name}(value ORDER BY key)`,
  doc: `The value of the ${looksAt} row in the given order, NULL too.`,
  example: [`${name}(s ORDER BY n)`, looksAt === 'first' ? 'a' : 'c'],
});

const jsonList = (name: string): AggregateFunction => ({
  name,
  args: ['any'],
  order: 'optional',
  skipsNull: [],
  returns: () => JSONB,
  finish: (rows, { types }) =>
    rows.count === 0 ? null : jsonArray(listOf(rows, (a) => jsonOf(a, types[0])) as string[]),
  signature: `${name}(value [ORDER BY …])`,
  doc: 'All values, NULLs too, as a JSON array.',
  example: [`${name}(n)`, '[1,2,2,4]'],
});

const jsonObjectOf = (name: string): AggregateFunction => ({
  name,
  args: ['any', 'any'],
  order: 'optional',
  skipsNull: [],
  returns: () => JSONB,
  finish: objectOf,
  signature: `${name}(key, value [ORDER BY …])`,
  doc: 'A JSON object of the keys and values; of equal keys the last in order counts.',
  example: [`${name}(s, n)`, '{"a":1,"b":2,"c":4}'],
});

const topValues = (name: string, distinct: boolean, value: string): AggregateFunction => ({
  name,
  args: ['any'],
  params: [INTEGER],
  by: [{ arg: 0, descending: true }],
  returns: ([type]) => (type.kind === 'array' ? undefined : arrayOf(type)),
  finish: (rows, { params }) => greatestFew(rows, params[0], distinct),
  signature: `${name}(value, k)`,
  doc: `The k greatest ${distinct ? 'different ' : ''}values, greatest first.`,
  example: [`${name}(n, 2)`, value],
});

const ROWS: readonly AggregateFunction[] = [
  basic('count', 'count(*), count(value)', 'How many rows, or values that are not NULL.', ['count(*)', '4']),
  {
    name: 'count_if',
    args: ['boolean'],
    returns: () => BIGINT,
    total: true,
    signature: 'count_if(boolean)',
    doc: 'How many rows it is true of: count(*) FILTER (WHERE …).',
    example: ['count_if(n > 1)', '3'],
  },
  basic('sum', 'sum(number)', 'The sum; of exact numbers exact.', ['sum(n)', '9']),
  basic('avg', 'avg(number)', 'The mean; of exact numbers to 16 digits after the point.', [
    'avg(n)',
    '2.2500000000000000',
  ]),
  basic('min', 'min(value)', 'The least value.', ['min(n)', '1']),
  basic('max', 'max(value)', 'The greatest value.', ['max(n)', '4']),
  anyOf('bool_and', 'first', 'Whether every value is true.', 'false'),
  anyOf('every', 'first', 'Whether every value is true.', 'false'),
  anyOf('bool_or', 'last', 'Whether some value is true.', 'true'),
  {
    name: 'any_value',
    args: ['any'],
    looksAt: 'first',
    returns: sameType,
    finish: (rows) => rows.first() ?? null,
    signature: 'any_value(value)',
    doc: 'One of the values that are not NULL: the least, so that a view and a query agree.',
    example: ['any_value(s)', 'a'],
  },
  {
    name: 'single_value',
    args: ['any'],
    skipsNull: [],
    looksAt: 'positions',
    returns: sameType,
    finish: (rows) => {
      if (rows.count > 1) throw new StreamError('VALUE_DOMAIN', 'a subquery used as a value has more than one row');
      return rows.first() ?? null;
    },
    signature: 'single_value(value)',
    doc: 'The value of the only row, NULL too; more than one row is an error, as of a subquery used as a value.',
    example: ["single_value(s) FILTER (WHERE s = 'a')", 'a'],
  },
  {
    name: 'array_agg',
    args: ['any'],
    order: 'optional',
    skipsNull: [],
    returns: ([type]) => (type.kind === 'array' ? undefined : arrayOf(type)),
    finish: (rows) => (rows.count === 0 ? null : listOf(rows, (a) => a)),
    signature: 'array_agg(value [ORDER BY …])',
    doc: 'All values, NULLs too, as an array; without ORDER BY in ascending order.',
    example: ['array_agg(n ORDER BY n DESC)', '{4,2,2,1}'],
  },
  {
    name: 'string_agg',
    args: ['varchar'],
    params: [VARCHAR],
    order: 'optional',
    returns: () => VARCHAR,
    finish: (rows, { params }) => joined(rows, params),
    signature: 'string_agg(text, delimiter [ORDER BY …])',
    doc: 'The texts with the constant delimiter between them; without ORDER BY in ascending order.',
    example: ["string_agg(s, '-' ORDER BY n DESC, s)", 'c-b-b-a'],
  },
  jsonList('json_agg'),
  jsonList('jsonb_agg'),
  jsonObjectOf('json_object_agg'),
  jsonObjectOf('jsonb_object_agg'),
  bitsOf('bit_and', 'AND', '0', (a, b) => a & b),
  bitsOf('bit_or', 'OR', '7', (a, b) => a | b),
  {
    ...bitsOf('bit_xor', 'exclusive OR', '5', (a) => a),
    finish: (rows) => {
      let all: bigint | null = null;
      rows.each((a, _, times) => {
        all = (all ?? 0n) ^ (times % 2 === 1 ? BigInt(a as Exact) : 0n);
        return true;
      });
      return all === null ? null : canonicalInteger(all);
    },
  },
  spread('var_pop', 'The variance of the whole population.', '1.1875'),
  spread('var_samp', 'The variance of a sample; NULL for fewer than two values.', '1.5833333333333333'),
  spread('variance', 'As var_samp.', '1.5833333333333333'),
  spread('stddev_pop', 'The standard deviation of the whole population.', '1.0897247358851685'),
  spread('stddev_samp', 'The standard deviation of a sample; NULL for fewer than two values.', '1.2583057392117916'),
  spread('stddev', 'As stddev_samp.', '1.2583057392117916'),
  regression('covar_pop', 'The covariance of the whole population.', '1.125'),
  regression('covar_samp', 'The covariance of a sample.', '1.5'),
  regression('corr', 'The coefficient of correlation.', '0.9233805168766387'),
  regression('regr_count', 'The number of pairs.', '4'),
  regression('regr_avgx', 'The mean of x.', '2.5'),
  regression('regr_avgy', 'The mean of y.', '2.25'),
  regression('regr_sxx', 'The sum of the squared distances of x from its mean.', '5'),
  regression('regr_syy', 'The sum of the squared distances of y from its mean.', '4.75'),
  regression('regr_sxy', 'The sum of the products of the distances of x and y from their means.', '4.5'),
  regression('regr_slope', 'The slope of the line of least squares.', '0.9'),
  regression('regr_intercept', 'Where the line of least squares meets x = 0.', '0'),
  regression('regr_r2', 'The square of the coefficient of correlation.', '0.8526315789473684'),
  {
    name: 'percentile_cont',
    args: ['double'],
    params: [DOUBLE],
    order: 'within',
    looksAt: 'positions',
    returns: () => DOUBLE,
    finish: (rows, { params }) => continuous(rows, fraction(params, 'percentile_cont')),
    signature: 'percentile_cont(fraction) WITHIN GROUP (ORDER BY number)',
    doc: 'The value at a fraction of the ordered values, interpolated between neighbours.',
    example: ['percentile_cont(0.25) WITHIN GROUP (ORDER BY n)', '1.75'],
  },
  {
    name: 'percentile_disc',
    args: ['any'],
    params: [DOUBLE],
    order: 'within',
    looksAt: 'positions',
    returns: sameType,
    finish: (rows, { params }) => {
      const part = fraction(params, 'percentile_disc');
      return rows.count === 0 ? null : rows.at(discrete(rows.count, part));
    },
    signature: 'percentile_disc(fraction) WITHIN GROUP (ORDER BY value)',
    doc: 'The first of the ordered values whose place is at or beyond the fraction.',
    example: ['percentile_disc(0.5) WITHIN GROUP (ORDER BY s)', 'b'],
  },
  {
    name: 'median',
    args: ['double'],
    looksAt: 'positions',
    returns: () => DOUBLE,
    finish: (rows) => continuous(rows, 0.5),
    signature: 'median(number)',
    doc: 'As percentile_cont(0.5).',
    example: ['median(n)', '2'],
  },
  {
    name: 'mode',
    args: ['any'],
    order: 'within',
    returns: sameType,
    finish: mostFrequent,
    signature: 'mode() WITHIN GROUP (ORDER BY value)',
    doc: 'The most frequent value; of several, the first in order. Also mode(value).',
    example: ['mode() WITHIN GROUP (ORDER BY n)', '2'],
  },
  {
    name: 'approx_count_distinct',
    args: ['any'],
    prepare: 'hll_cell',
    returns: () => BIGINT,
    total: true,
    finish: (rows) => hllEstimate(cellsOf(rows)),
    signature: 'approx_count_distinct(value)',
    doc: 'About how many different values (HyperLogLog of 4096 registers that keep counts: standard error 1.6 %).',
    example: ['approx_count_distinct(n)', '3'],
  },
  {
    name: 'approx_percentile',
    args: ['double'],
    params: [DOUBLE],
    prepare: 'sketch_bucket',
    looksAt: 'positions',
    returns: () => DOUBLE,
    finish: (rows, { params }) => {
      const part = fraction(params, 'approx_percentile');
      return rows.count === 0 ? null : bucketValue(rows.at(discrete(rows.count, part)) as number);
    },
    signature: 'approx_percentile(number, fraction)',
    doc: 'The value at a fraction of the ordered values, within 1 % of it, from counts in logarithmic buckets.',
    example: ['approx_percentile(n, 0.5)::numeric(9,1)', '2.0'],
  },
  endOf('first_value', 'first'),
  endOf('last_value', 'last'),
  extremeBy('max_by', true),
  extremeBy('min_by', false),
  extremeBy('arg_max', true),
  extremeBy('arg_min', false),
  topValues('topk', false, '{4,2}'),
  topValues('topkdistinct', true, '{4,2}'),
];

/** By name. A new one is a row; the binder, the engine, the DuckDB printer and docs/reference/functions.md follow. */
export const AGGREGATES: ReadonlyMap<string, AggregateFunction> = new WithUserFunctions(
  ROWS.map((row) => [row.name, row] as const),
  (fn) => (fn.kind !== 'aggregate' ? undefined : fn.language === 'wasm' ? wasmAggregateRow(fn) : jsAggregate(fn)),
);

/** How a call keeps a state of its own in place of rows; undefined where it does not. */
export function stepsOf(call: {
  readonly fn: string;
  readonly distinct: boolean;
  readonly orderBy?: readonly unknown[];
}): AggregateSteps | undefined {
  return call.distinct || (call.orderBy ?? []).length > 0 ? undefined : AGGREGATES.get(call.fn)?.steps;
}
