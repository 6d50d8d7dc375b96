import { StreamError } from '../../src/lib/errors.ts';
import { addInterval } from '../../src/values/interval.ts';
import {
  arrayOf,
  BIGINT,
  canonicalInteger,
  type Datum,
  INTEGER,
  INTERVAL,
  type Interval,
  JSONB,
  type SqlType,
  TIMESTAMP,
  TIMESTAMPTZ,
  VARCHAR,
} from '../../src/values/types.ts';
import { jsonPieces, jsonText } from './json-functions.ts';
import { jsonPath } from './json-path.ts';
import { allCaptured, splitBy } from './regex-functions.ts';
import { jsTable } from './user/js-functions.ts';
import { WithUserFunctions } from './user/user-function.ts';
import { wasmTableRow } from './user/wasm-functions.ts';

/** What one call gives: columns of one length. */
export type TableColumns = readonly (readonly Datum[])[];

/** A function in FROM. One row of the table per name. */
export interface TableFunction {
  readonly name: string;
  /** What plans call it, if not by its name. */
  readonly id?: string;
  /** As the documentation prints the arguments. */
  readonly signature: string;
  /** What the arguments are cast to; `null` kinds are literals without a type. Undefined where they do not fit. */
  takes(types: readonly SqlType[]): readonly SqlType[] | undefined;
  /** Result columns from the argument types. A column without a name has that of the function or its alias. */
  columns(types: readonly SqlType[]): readonly { readonly name: string | null; readonly type: SqlType }[];
  /** Not called with a NULL argument, for which there are no rows, unless `nullAware`. Throws StreamError VALUE_*. */
  rows(args: readonly any[], types: readonly SqlType[]): TableColumns;
  readonly nullAware?: boolean;
  readonly doc: string;
}

/** Rows that one call may make. */
const MAX_ROWS = 1_000_000;

const isText = ({ kind }: SqlType): boolean => kind === 'varchar' || kind === 'null';
const texts = (least: number, most: number) => (types: readonly SqlType[]) =>
  types.length >= least && types.length <= most && types.every(isText) ? types.map(() => VARCHAR) : undefined;
const json = (types: readonly SqlType[]): readonly SqlType[] | undefined =>
  types.length === 1 && ['jsonb', 'varchar', 'null'].includes(types[0].kind) ? [JSONB] : undefined;
const one = (name: string | null, type: SqlType) => () => [{ name, type }];
const twoOf = (value: SqlType) => () => [
  { name: 'key', type: VARCHAR },
  { name: 'value', type: value },
];

function elements(value: string, name: string): string[] {
  if (value[0] !== '[') throw new StreamError('VALUE_DOMAIN', `${name}: the value is no array`);
  return jsonPieces(value).values;
}

function fields(value: string, name: string): { keys: string[]; values: string[] } {
  if (value[0] !== '{') throw new StreamError('VALUE_DOMAIN', `${name}: the value is no object`);
  return jsonPieces(value);
}

function seriesTypes(types: readonly SqlType[]): readonly SqlType[] | undefined {
  const kinds = types.map(({ kind }) => kind);
  const all = (...wanted: string[]): boolean => kinds.every((kind) => wanted.includes(kind));
  if (types.length === 2 || types.length === 3) {
    if (all('smallint', 'integer', 'null')) return types.map(() => INTEGER);
    if (all('smallint', 'integer', 'bigint', 'null')) return types.map(() => BIGINT);
  }
  if (types.length !== 3 || (kinds[2] !== 'interval' && kinds[2] !== 'null')) return undefined;
  const ends = kinds.slice(0, 2);
  if (ends.every((kind) => kind === 'null')) return undefined;
  if (ends.every((kind) => kind === 'timestamp' || kind === 'date' || kind === 'null'))
    return [TIMESTAMP, TIMESTAMP, INTERVAL];
  if (ends.every((kind) => ['timestamptz', 'timestamp', 'date', 'null'].includes(kind)))
    return [TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL];
  return undefined;
}

function series(from: number | bigint, to: number | bigint, next: (at: any) => number | bigint, up: boolean): Datum[] {
  const out: Datum[] = [];
  for (let at = from; up ? at <= to : at >= to; at = next(at)) {
    if (out.length === MAX_ROWS)
      throw new StreamError('VALUE_OVERFLOW', `generate_series would give more than ${MAX_ROWS} rows`);
    out.push(at);
  }
  return out;
}

function generateSeries([from, to, step]: readonly any[], types: readonly SqlType[]): TableColumns {
  const zero = (): StreamError => new StreamError('VALUE_DOMAIN', 'the step of generate_series is zero');
  if (types.length === 3 && types[2].kind === 'interval') {
    const { months, days, micros } = step as Interval;
    // A month is at least 28 days: the sign of the step is that of what it moves by.
    const sign = months * 28 * 86_400_000_000 + days * 86_400_000_000 + micros;
    if (sign === 0) throw zero();
    return [series(from, to, (at) => addInterval(at, step), sign > 0)];
  }
  const by = step ?? 1;
  if (by === 0) throw zero();
  return [series(from, to, (at) => canonicalInteger(BigInt(at) + BigInt(by)), by > 0)];
}

/** From the earliest to the latest. */
function hoppingBins(hop: Interval, width: Interval, time: number | bigint): Datum[] {
  const [step, size] = [hop, width].map(({ months, days, micros }) => {
    const length = BigInt(days) * 86_400_000_000n + BigInt(micros);
    if (months !== 0 || length <= 0n)
      throw new StreamError('VALUE_DOMAIN', 'date_bin_hopping: hop and width are positive and without months');
    return length;
  });
  const at = BigInt(time);
  if (size / step > BigInt(MAX_ROWS))
    throw new StreamError('VALUE_OVERFLOW', 'date_bin_hopping: the hop is too small for the width');
  const rest = at % step;
  const latest = at - (rest < 0n ? rest + step : rest);
  const out: Datum[] = [];
  for (let from = latest; from > at - size; from -= step) out.push(canonicalInteger(from));
  return out.reverse();
}

const ROWS: readonly TableFunction[] = [
  {
    name: 'unnest',
    signature: 'array, …',
    takes: (types) => {
      const isFit = types.length > 0 && types.every(({ kind }) => kind === 'array' || kind === 'null');
      return isFit ? types.map((type) => (type.kind === 'array' ? type : arrayOf(VARCHAR))) : undefined;
    },
    columns: (types) => types.map((type) => ({ name: null, type: type.kind === 'array' ? type.element : VARCHAR })),
    rows: (lists: readonly (readonly Datum[] | null)[]) => {
      const length = Math.max(0, ...lists.map((list) => list?.length ?? 0));
      return lists.map((list) => Array.from({ length }, (_, i) => list?.[i] ?? null));
    },
    nullAware: true,
    doc: 'The elements of an array, a row each; of several arrays side by side, the shorter ones with NULLs.',
  },
  {
    name: 'generate_series',
    signature: 'from, to [, step]',
    takes: seriesTypes,
    columns: ([type]) => [{ name: null, type }],
    rows: generateSeries,
    doc: 'Numbers from one to another, both included, or moments by the step of an interval. At most a million.',
  },
  {
    name: 'generate_subscripts',
    signature: 'array, 1',
    takes: ([list, dimension, more]) =>
      more === undefined && list?.kind === 'array' && ['smallint', 'integer'].includes(dimension?.kind)
        ? [list, INTEGER]
        : undefined,
    columns: one(null, INTEGER),
    rows: ([list, dimension]) => [dimension === 1 ? (list as readonly Datum[]).map((_, i) => i + 1) : []],
    doc: 'The places of an array, from 1.',
  },
  {
    name: 'date_bin_hopping',
    signature: 'hop, width, time',
    takes: (types) => {
      const [hop, width, time] = types.map(({ kind }) => kind);
      const areLengths = [hop, width].every((kind) => kind === 'interval' || kind === 'null');
      if (types.length !== 3 || !areLengths || (time !== 'timestamp' && time !== 'timestamptz')) return undefined;
      return [INTERVAL, INTERVAL, types[2]];
    },
    columns: ([, , type]) => [{ name: null, type }],
    rows: ([hop, width, time]) => [hoppingBins(hop, width, time)],
    doc: 'The beginnings of the windows of a width, a new one every hop since 1970, that contain a time: as Materialize has it.',
  },
  {
    name: 'jsonb_array_elements',
    signature: 'jsonb',
    takes: json,
    columns: one('value', JSONB),
    rows: ([value]) => [elements(value, 'jsonb_array_elements')],
    doc: 'The elements of a JSON array.',
  },
  {
    name: 'jsonb_array_elements_text',
    signature: 'jsonb',
    takes: json,
    columns: one('value', VARCHAR),
    rows: ([value]) => [elements(value, 'jsonb_array_elements_text').map(jsonText)],
    doc: 'The elements of a JSON array as texts.',
  },
  {
    name: 'jsonb_each',
    signature: 'jsonb',
    takes: json,
    columns: twoOf(JSONB),
    rows: ([value]) => {
      const { keys, values } = fields(value, 'jsonb_each');
      return [keys, values];
    },
    doc: 'The keys and values of a JSON object.',
  },
  {
    name: 'jsonb_path_query',
    signature: 'jsonb, varchar',
    takes: ([value, path, more]) =>
      more === undefined && path !== undefined && isText(path) && json([value]) !== undefined
        ? [JSONB, VARCHAR]
        : undefined,
    columns: one(null, JSONB),
    rows: ([value, path]) => [jsonPath(value, path)],
    doc: 'All that a JSON path leads to.',
  },
  {
    name: 'jsonb_each_text',
    signature: 'jsonb',
    takes: json,
    columns: twoOf(VARCHAR),
    rows: ([value]) => {
      const { keys, values } = fields(value, 'jsonb_each_text');
      return [keys, values.map(jsonText)];
    },
    doc: 'The keys and values of a JSON object, the values as texts.',
  },
  {
    name: 'jsonb_object_keys',
    signature: 'jsonb',
    takes: json,
    columns: one(null, VARCHAR),
    rows: ([value]) => [fields(value, 'jsonb_object_keys').keys],
    doc: 'The keys of a JSON object.',
  },
  {
    name: 'string_to_table',
    signature: 'text, delimiter [, null]',
    takes: texts(2, 3),
    columns: one(null, VARCHAR),
    rows: ([text, by, none]) => {
      if (text === null || text === '') return [[]];
      const parts: string[] = by === null ? Array.from(text as string) : by === '' ? [text] : text.split(by);
      return [parts.map((part) => (part === none ? null : part))];
    },
    nullAware: true,
    doc: 'The fields between delimiters, or with NULL the characters; fields equal to the third argument are NULL.',
  },
  {
    name: 'regexp_split_to_table',
    signature: 'text, pattern [, flags]',
    takes: texts(2, 3),
    columns: one(null, VARCHAR),
    rows: ([text, pattern, flags]) => [splitBy(text, pattern, flags ?? '')],
    doc: 'The parts between the matches of a regular expression.',
  },
  {
    name: 'regexp_matches',
    signature: 'text, pattern [, flags]',
    takes: texts(2, 3),
    columns: one(null, arrayOf(VARCHAR)),
    rows: ([text, pattern, flags]) => [allCaptured(text, pattern, flags ?? '')],
    doc: 'The groups of the first match, or with the flag g of every match, as arrays.',
  },
];

export const TABLE_FUNCTIONS: ReadonlyMap<string, TableFunction> = new WithUserFunctions(
  ROWS.map((row) => [row.name, row] as const),
  (fn, id) => (fn.kind !== 'table' ? undefined : fn.language === 'wasm' ? wasmTableRow(fn, id) : jsTable(fn, id)),
);

/** The rows of a call, none where an argument is NULL that must not be. */
export function tableRows(fn: TableFunction, args: readonly Datum[], types: readonly SqlType[]): TableColumns {
  if (!fn.nullAware && args.includes(null)) return fn.columns(types).map(() => []);
  return fn.rows(args, types);
}
