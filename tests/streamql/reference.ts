import { compareDatums, compareNullable, equalDatums } from '../../src/values/compare.ts';
import type { Datum, SqlType } from '../../src/values/types.ts';
import { canonicalInteger } from '../../src/values/types.ts';
import type { AggregateFunction } from '../../streamql/functions/aggregate-table.ts';
import { AGGREGATES, finishAverage } from '../../streamql/functions/aggregates.ts';
import { ListedRows } from '../../streamql/functions/group-rows.ts';
import { momentsOf } from '../../streamql/functions/moments.ts';
import { TABLE_FUNCTIONS, type TableFunction, tableRows } from '../../streamql/functions/table-functions.ts';
import { evaluate } from '../../streamql/plan/evaluate.ts';
import type {
  Aggregate,
  AggregateCall,
  AsofJoin,
  Frame,
  Join,
  Over,
  OverCall,
  Plan,
  Recursive,
  Session,
  SortKey,
  TopN,
  Unnest,
  Window,
} from '../../streamql/plan/plan.ts';
import { runMatch } from './match-reference.ts';

export type Row = readonly Datum[];

/** The rows of a relation by its id, in the relation's columns (hidden ones included). */
export type Tables = (relation: string) => readonly Row[];

/**
 * What a plan means, said as plainly as possible: whole arrays in, whole arrays out, nothing incremental. The yardstick for the
 * rules and for the engine. Quadratic here and there.
 */
export function runPlan(plan: Plan, tables: Tables): Row[] {
  const run = (input: Plan): Row[] => runPlan(input, tables);
  switch (plan.op) {
    case 'scan':
      return tables(plan.relation).map((row) => plan.columns.map((column) => row[column]));
    case 'values':
      return [...plan.rows];
    case 'filter':
      return run(plan.input).filter((row) => evaluate(plan.predicate, row) === true);
    case 'project':
      return run(plan.input).map((row) => plan.exprs.map((expr) => evaluate(expr, row)));
    case 'window':
      return run(plan.input).flatMap((row) => windowsOf(plan, row));
    case 'expire':
      throw new Error('what has expired depends on the clock');
    case 'nowFilter':
      throw new Error('what is there depends on the clock');
    case 'close':
      throw new Error('what is final depends on the watermark');
    case 'session':
      return runSession(plan, run(plan.input));
    case 'recursive':
      return runRecursive(plan, tables);
    case 'unnest':
      return run(plan.input).flatMap((row) => runUnnest(plan, row));
    case 'aggregate':
      return runAggregate(plan, run(plan.input));
    case 'join':
      return runJoin(plan, run(plan.left), run(plan.right));
    case 'lookup':
      return runJoin({ ...plan, op: 'join' }, run(plan.left), run(plan.right));
    case 'asof':
      return runAsof(plan, run(plan.left), run(plan.right));
    case 'union':
      return plan.inputs.flatMap(run);
    case 'setOp': {
      const left = groupRows(run(plan.left), typesOf(plan));
      const right = groupRows(run(plan.right), typesOf(plan));
      return [...left].flatMap(([key, rows]) => {
        const [n, m] = [rows.length, right.get(key)?.length ?? 0];
        if (plan.all) return rows.slice(0, plan.kind === 'intersect' ? Math.min(n, m) : Math.max(0, n - m));
        return m > 0 === (plan.kind === 'intersect') ? rows.slice(0, 1) : [];
      });
    }
    case 'distinct':
      return [...groupRows(run(plan.input), typesOf(plan)).values()].map(([row]) => row);
    case 'over':
      return runOver(plan, run(plan.input));
    case 'match':
      return runMatch(plan, run(plan.input));
    case 'topn':
      return runTopN(plan, run(plan.input));
    case 'sort': {
      const rows = run(plan.input).sort(byKeys(plan.orderBy, typesOf(plan)));
      return rows.slice(plan.offset, plan.limit === null ? undefined : plan.offset + plan.limit);
    }
  }
}

const typesOf = (plan: Plan): SqlType[] => plan.schema.map((column) => column.type);

/** Text that is equal for equal datums. */
export function datumKey(datum: Datum): string {
  if (datum === null) return 'null';
  if (typeof datum === 'number') return Number.isNaN(datum) ? 'nan' : String(datum + 0);
  if (typeof datum === 'string') return JSON.stringify(datum);
  if (datum instanceof Uint8Array) return `x${Buffer.from(datum).toString('hex')}`;
  if (Array.isArray(datum)) return `[${datum.map(datumKey).join(',')}]`;
  if (typeof datum === 'object') return JSON.stringify(datum);
  return String(datum);
}

export const rowKey = (row: Row): string => row.map(datumKey).join('|');

/** Rows as a sorted list of texts: equal for equal multisets of rows. */
export const bag = (rows: readonly Row[]): string[] => rows.map(rowKey).sort();

function groupRows(rows: readonly Row[], _types: readonly SqlType[], by?: readonly number[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = rowKey(by === undefined ? row : by.map((column) => row[column]));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}

function runUnnest(plan: Unnest, row: Row): Row[] {
  const fn = TABLE_FUNCTIONS.get(plan.fn) as TableFunction;
  const types = plan.args.map((column) => plan.input.schema[column].type);
  const columns = tableRows(
    fn,
    plan.args.map((column) => row[column]),
    types,
  );
  const rows = columns[0].map((_, i) => [
    ...row,
    ...columns.map((column) => column[i]),
    ...(plan.ordinality ? [i + 1] : []),
  ]);
  const own = plan.schema.length - plan.input.schema.length;
  return rows.length === 0 && plan.outer ? [[...row, ...new Array<null>(own).fill(null)]] : rows;
}

/** Round by round, each over what the last one brought. */
function runRecursive(plan: Recursive, tables: Tables): Row[] {
  const inputs = plan.inputs.map((input) => runPlan(input, tables));
  let last = runPlan(plan.base, tables);
  const all: Row[] = [];
  const seen = new Set<string>();
  for (let round = 0; last.length > 0; round++) {
    if (round > 100) throw new Error('a recursion without end');
    const fresh = plan.all ? last : last.filter((row) => !seen.has(rowKey(row)) && seen.add(rowKey(row)));
    all.push(...fresh);
    last = runPlan(plan.step, (relation) =>
      relation === plan.self ? fresh : inputs[Number(relation.slice('$input '.length))],
    );
  }
  return all;
}

function windowsOf(plan: Window, row: Row): Row[] {
  const time = row[plan.timeColumn];
  if (time === null) return [];
  const t = BigInt(time as number);
  const slide = BigInt(plan.slideMicros);
  const size = BigInt(plan.sizeMicros);
  const period = plan.kind === 'cumulate' ? size : slide;
  const rest = (((t - BigInt(plan.offsetMicros)) % period) + period) % period;
  const out: Row[] = [];
  const add = (start: bigint, end: bigint) => {
    if (start <= t && t < end) out.push([...row, ...[start, end, end - 1000n].map(canonicalInteger)]);
  };
  if (plan.kind === 'cumulate') for (let end = slide; end <= size; end += slide) add(t - rest, t - rest + end);
  else for (let start = t - rest; start > t - size; start -= slide) add(start, start + size);
  return out;
}

function runSession(plan: Session, rows: readonly Row[]): Row[] {
  const timed = rows.filter((row) => row[plan.timeColumn] !== null);
  const timeOf = (row: Row): number => row[plan.timeColumn] as number;
  return [...groupRows(timed, [], plan.partitionBy).values()].flatMap((group) => {
    const sorted = [...group].sort((a, b) => timeOf(a) - timeOf(b));
    const sessions: Row[][] = [];
    sorted.forEach((row, i) => {
      if (i === 0 || timeOf(row) - timeOf(sorted[i - 1]) > plan.gapMicros) sessions.push([]);
      sessions[sessions.length - 1].push(row);
    });
    return sessions.flatMap((session) => {
      const end = timeOf(session[session.length - 1]) + plan.gapMicros;
      return session.map((row) => [...row, timeOf(session[0]), end, end - 1000]);
    });
  });
}

function runAggregate(plan: Aggregate, rows: readonly Row[]): Row[] {
  const groups = groupRows(rows, typesOf(plan.input), plan.groupBy);
  if (plan.groupBy.length === 0 && groups.size === 0) groups.set('', []);
  return [...groups.values()].map((group) => [
    ...plan.groupBy.map((column) => group[0][column]),
    ...plan.aggregates.map((call) => runCall(call, group, typesOf(plan.input))),
  ]);
}

function runCall(call: AggregateCall, group: readonly Row[], inputTypes: readonly SqlType[]): Datum {
  const { fn, arg, distinct, filter, type } = call;
  const rows = filter === null ? group : group.filter((row) => row[filter] === true);
  if (arg === null) return rows.length;
  const argType = inputTypes[arg];
  const row = AGGREGATES.get(fn) as AggregateFunction;
  if (row.finish !== undefined || row.moments !== undefined) return overRows(call, row, rows, inputTypes);
  let values = rows.map((row) => row[arg]).filter((value) => value !== null);
  if (distinct) values = [...new Map(values.map((value) => [datumKey(value), value])).values()];
  if (fn === 'count') return values.length;
  if (values.length === 0) return null;
  if (fn === 'min' || fn === 'max') {
    const sign = fn === 'min' ? 1 : -1;
    return values.reduce((best, value) => (sign * compareDatums(value, best, argType) < 0 ? value : best));
  }
  if (type.kind === 'double' || type.kind === 'real') {
    const sum = values.reduce<number>((total, value) => total + Number(value), 0);
    return fn === 'sum' ? sum : sum / values.length;
  }
  const sum = canonicalInteger(values.reduce<bigint>((total, value) => total + BigInt(value as number), 0n));
  if (fn === 'sum') return sum;
  const resultScale = type.kind === 'decimal' ? type.scale : 0;
  return finishAverage(sum, argType.kind === 'decimal' ? argType.scale : 0, values.length, resultScale);
}

function overRows(
  { arg, arg2, orderBy = [], params = [], distinct, type }: AggregateCall,
  fn: AggregateFunction,
  group: readonly Row[],
  inputTypes: readonly SqlType[],
): Datum {
  const columns = [arg as number, ...(arg2 === undefined ? [] : [arg2])];
  const present = fn.skipsNull === undefined ? columns : fn.skipsNull.map((i) => columns[i]);
  const ties = columns.map((column): SortKey => ({ column, descending: false, nullsFirst: false }));
  const rows = group
    .filter((row) => present.every((column) => row[column] !== null))
    .sort(byKeys([...orderBy, ...ties], inputTypes));
  const types = columns.map((column) => inputTypes[column]);
  const [a, b = null] = columns.map((column) => rows.map((row) => row[column]));
  const listed = new ListedRows(a, b, distinct, types);
  if (fn.finish !== undefined) return fn.finish(listed, { types, params, type });
  return fn.moments?.(momentsOf(listed, b !== null)) as Datum;
}

function runJoin(plan: Join, left: readonly Row[], right: readonly Row[]): Row[] {
  const types = plan.keys.map(([column]) => plan.left.schema[column].type);
  const isMatch = (l: Row, r: Row): boolean =>
    plan.keys.every(([lc, rc], i) =>
      l[lc] === null || r[rc] === null
        ? plan.nullSafe === true && l[lc] === r[rc]
        : equalDatums(l[lc], r[rc], types[i]),
    ) &&
    (plan.residual === null || evaluate(plan.residual, [...l, ...r]) === true);
  const { kind } = plan;
  if (kind === 'semi' || kind === 'anti') {
    return left.filter((l) => right.some((r) => isMatch(l, r)) === (kind === 'semi'));
  }
  const nothing = (side: Plan): Row => side.schema.map(() => null);
  const rows = left.flatMap((l): Row[] => {
    const matches = right.filter((r) => isMatch(l, r)).map((r) => [...l, ...r]);
    return matches.length === 0 && kind !== 'inner' ? [[...l, ...nothing(plan.right)]] : matches;
  });
  if (kind !== 'full') return rows;
  const lone = right.filter((r) => !left.some((l) => isMatch(l, r)));
  return [...rows, ...lone.map((r) => [...nothing(plan.left), ...r])];
}

/** The nearest right row found by looking at all of them. */
function runAsof(plan: AsofJoin, left: readonly Row[], right: readonly Row[]): Row[] {
  const types = typesOf(plan.right);
  const columns = [plan.rightTime, ...plan.ties, ...types.map((_, column) => column)];
  const order = byKeys(
    columns.map((column) => ({ column, descending: false, nullsFirst: false })),
    types,
  );
  const backward = plan.cmp === '>=' || plan.cmp === '>';
  const isMatch = (l: Row, r: Row): boolean => {
    const pairs = [...plan.keys, [plan.leftTime, plan.rightTime] as const];
    if (pairs.some(([lc, rc]) => l[lc] === null || r[rc] === null)) return false;
    if (!plan.keys.every(([lc, rc]) => equalDatums(l[lc], r[rc], types[rc]))) return false;
    const at = compareDatums(l[plan.leftTime] as never, r[plan.rightTime] as never, types[plan.rightTime]);
    return plan.cmp === '>=' ? at >= 0 : plan.cmp === '>' ? at > 0 : plan.cmp === '<=' ? at <= 0 : at < 0;
  };
  return left.flatMap((l): Row[] => {
    const found = right.filter((r) => isMatch(l, r)).sort(order);
    const match = backward ? found[found.length - 1] : found[0];
    if (match !== undefined) return [[...l, ...match]];
    return plan.kind === 'left' ? [[...l, ...types.map(() => null)]] : [];
  });
}

function runTopN(plan: TopN, rows: readonly Row[]): Row[] {
  const types = typesOf(plan.input);
  const rest = types.map((_, column): SortKey => ({ column, descending: false, nullsFirst: false }));
  const order = byKeys([...plan.orderBy, ...rest], types);
  return [...groupRows(rows, types, plan.partitionBy).values()].flatMap((group) =>
    [...group]
      .sort(order)
      .slice(0, plan.limit)
      .map((row, i) => (plan.rank ? [...row, i + 1] : row)),
  );
}

/** Each row's frame found by looking at every row of its partition. */
function runOver(plan: Over, rows: readonly Row[]): Row[] {
  const types = typesOf(plan.input);
  const rest = types.map((_, column): SortKey => ({ column, descending: false, nullsFirst: false }));
  const byKey = byKeys(plan.orderBy, types);
  const order = byKeys([...plan.orderBy, ...rest], types);
  return [...groupRows(rows, types, plan.partitionBy).values()].flatMap((group) => {
    const sorted = [...group].sort(order);
    const n = sorted.length;
    return sorted.map((row, i): Row => {
      const value = (call: OverCall): Datum => {
        const smaller = sorted.filter((other) => byKey(other, row) < 0);
        const peersTo = sorted.filter((other) => byKey(other, row) <= 0).length;
        switch (call.fn) {
          case 'row_number':
            return i + 1;
          case 'rank':
            return smaller.length + 1;
          case 'dense_rank':
            return smaller.filter((other, j) => j === 0 || byKey(smaller[j - 1], other) !== 0).length + 1;
          case 'percent_rank':
            return n === 1 ? 0 : smaller.length / (n - 1);
          case 'cume_dist':
            return peersTo / n;
          case 'ntile': {
            const tiles = call.params[0] as number;
            const sizes = Array.from({ length: tiles }, (_, t) => Math.floor(n / tiles) + (t < n % tiles ? 1 : 0));
            const before = (tile: number): number => sizes.slice(0, tile).reduce((sum, size) => sum + size, 0);
            return sizes.findIndex((_, t) => i < before(t + 1)) + 1;
          }
          case 'lag':
          case 'lead': {
            const at = i + (call.fn === 'lag' ? -1 : 1) * (call.params[0] as number);
            return at in sorted ? sorted[at][call.args[0]] : call.args.length > 1 ? row[call.args[1]] : null;
          }
        }
        const frame = sorted.filter((other, j) => isInFrame(call.frame, plan, types, row, other, i, j));
        const [arg] = call.args;
        if (call.fn === 'first_value') return frame.length === 0 ? null : frame[0][arg];
        if (call.fn === 'last_value') return frame.length === 0 ? null : frame[frame.length - 1][arg];
        if (call.fn === 'nth_value') return frame[(call.params[0] as number) - 1]?.[arg] ?? null;
        const { fn, filter, type } = call;
        return runCall({ fn, arg: arg ?? null, distinct: false, filter, type }, frame, types);
      };
      return [...row, ...plan.calls.map(value)];
    });
  });
}

function isInFrame(
  { unit, start, end }: Frame,
  plan: Over,
  types: readonly SqlType[],
  row: Row,
  other: Row,
  i: number,
  j: number,
): boolean {
  if (unit === 'rows') return (start === null || j >= i + Number(start)) && (end === null || j <= i + Number(end));
  const order = byKeys(plan.orderBy, types)(other, row);
  const within = (bound: number | bigint | null, sign: 1 | -1): boolean => {
    if (bound === null) return true;
    if (bound === 0) return sign * order >= 0;
    const { column, descending } = plan.orderBy[0];
    const [here, there] = [row[column], other[column]];
    if (here === null) return sign * order >= 0;
    if (there === null) return sign * order >= 0;
    const distance = (Number(there) - Number(here)) * (descending ? -1 : 1);
    return sign * (distance - Number(bound)) >= 0;
  };
  return within(start, 1) && within(end, -1);
}

function byKeys(keys: readonly SortKey[], types: readonly SqlType[]): (a: Row, b: Row) => number {
  return (a, b) => {
    for (const { column, descending, nullsFirst } of keys) {
      const [x, y] = [a[column], b[column]];
      if (x === null && y === null) continue;
      if (x === null || y === null) return (x === null) === nullsFirst ? -1 : 1;
      const order = compareNullable(x, y, types[column]);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  };
}
