import { compareNullable } from '../../src/values/compare.ts';
import type { Datum } from '../../src/values/types.ts';
import { AGGREGATES, finishAverage } from '../../streamql/functions/aggregates.ts';
import { ListedRows } from '../../streamql/functions/group-rows.ts';
import { evaluate } from '../../streamql/plan/evaluate.ts';
import type { Match, MatchExpr, MatchRead, RowPattern } from '../../streamql/plan/plan.ts';

type Row = readonly Datum[];

interface Taken {
  readonly variable: number;
  readonly excluded: boolean;
}

/** One way to read the rows from a start on. */
interface Way {
  readonly position: number;
  readonly path: readonly Taken[];
}

/** MATCH_RECOGNIZE said plainly: all ways to read the rows, in SQL's order of preference; the first that is whole is the match. */
export function runMatch(plan: Match, rows: readonly Row[]): Row[] {
  const partitions = new Map<string, Row[]>();
  for (const row of rows) {
    const key = plan.partitionBy.map((column) => `${typeof row[column]} ${String(row[column])}`).join('\u0000');
    partitions.set(key, [...(partitions.get(key) ?? []), row]);
  }
  return [...partitions.values()].flatMap((partition) => new Partition(plan, inOrder(plan, partition)).run());
}

function inOrder({ input, orderBy }: Match, rows: readonly Row[]): Row[] {
  const keys = [
    ...orderBy,
    ...input.schema
      .map((_, column) => ({ column, descending: false, nullsFirst: false }))
      .filter(({ column }) => !orderBy.some((key) => key.column === column)),
  ];
  return [...rows].sort((a, b) => {
    for (const { column, descending, nullsFirst } of keys) {
      const [x, y] = [a[column], b[column]];
      if (x === null && y === null) continue;
      if (x === null || y === null) return (x === null) === nullsFirst ? -1 : 1;
      const order = compareNullable(x, y, input.schema[column].type);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
}

/** Ways that were tried in one run: trying all of them may take for ever. */
const MAX_TRIED = 20_000;

/** The question is too hard for this reference. */
export class TooHard extends Error {}

class Partition {
  #tried = 0;
  readonly #plan: Match;
  readonly #rows: readonly Row[];
  #start = 0;
  #number = 1;

  constructor(plan: Match, rows: readonly Row[]) {
    this.#plan = plan;
    this.#rows = rows;
  }

  run(): Row[] {
    const out: Row[] = [];
    while (this.#start < this.#rows.length) {
      const [way] = this.#ways(this.#plan.pattern, { position: this.#start, path: [] }, false);
      if (way === undefined) {
        if (this.#plan.rows === 'unmatched')
          out.push(
            this.#whole(
              this.#start,
              this.#plan.measures.map(() => null),
            ),
          );
        this.#start++;
        continue;
      }
      out.push(...this.#output(way));
      this.#start = this.#after(way);
      this.#number++;
    }
    return out;
  }

  *#ways(pattern: RowPattern, { position, path }: Way, excluded: boolean): Generator<Way> {
    const here = { position, path };
    if (++this.#tried > MAX_TRIED) throw new TooHard();
    switch (pattern.op) {
      case 'empty':
        yield here;
        return;
      case 'start':
        if (position === 0) yield here;
        return;
      case 'end':
        if (position === this.#rows.length) yield here;
        return;
      case 'row': {
        if (position === this.#rows.length || !this.#isWithin(position)) return;
        const next = [...path, { variable: pattern.variable, excluded }];
        const define = this.#plan.defines[pattern.variable];
        if (define === null || this.#value(define, next, next.length - 1) === true)
          yield { position: position + 1, path: next };
        return;
      }
      case 'exclude':
        yield* this.#ways(pattern.item, here, true);
        return;
      case 'choice':
        for (const item of pattern.items) yield* this.#ways(item, here, excluded);
        return;
      case 'sequence':
        yield* this.#sequence(pattern.items, here, excluded);
        return;
      case 'repeat':
        yield* this.#repeat(pattern, 0, here, excluded);
    }
  }

  *#sequence(items: readonly RowPattern[], way: Way, excluded: boolean): Generator<Way> {
    if (items.length === 0) yield way;
    else for (const next of this.#ways(items[0], way, excluded)) yield* this.#sequence(items.slice(1), next, excluded);
  }

  *#repeat(pattern: Extract<RowPattern, { op: 'repeat' }>, times: number, way: Way, excluded: boolean): Generator<Way> {
    const { item, min, max, reluctant } = pattern;
    if (times < min) {
      for (const next of this.#ways(item, way, excluded)) yield* this.#repeat(pattern, times + 1, next, excluded);
      return;
    }
    if (reluctant) yield way;
    if (max === null || times < max) {
      for (const next of this.#ways(item, way, excluded)) {
        if (next.position > way.position) yield* this.#repeat(pattern, times + 1, next, excluded);
      }
    }
    if (!reluctant) yield way;
  }

  #isWithin(position: number): boolean {
    const { withinMicros, orderBy } = this.#plan;
    if (withinMicros === null) return true;
    const time = (at: number): Datum => this.#rows[at][orderBy[0].column];
    const [from, to] = [time(this.#start), time(position)];
    return from !== null && to !== null && Number(to) - Number(from) < withinMicros;
  }

  #value({ expr, reads }: MatchExpr, path: readonly Taken[], depth: number): Datum {
    return evaluate(
      expr,
      reads.map((read) => this.#read(read, path, read.kind !== 'number' && read.final ? path.length - 1 : depth)),
    );
  }

  #read(read: MatchRead, path: readonly Taken[], depth: number): Datum {
    if (read.kind === 'number') return this.#number;
    const takes = (i: number): boolean => read.variables === null || read.variables.includes(path[i].variable);
    const all = path.slice(0, depth + 1).map((_, i) => i);
    const own = all.filter(takes);
    if (read.kind === 'aggregate') {
      const { input } = this.#plan;
      const types = read.args.map((arg) => (arg === null ? ({ kind: 'varchar' } as const) : input.schema[arg].type));
      const values = own
        .map((i) => read.args.map((arg) => this.#column(arg, this.#start + i, path, depth)))
        .filter((args) => args.every((value) => value !== null));
      if (read.fn === 'count') return values.length;
      if (values.length === 0) return null;
      if (read.fn === 'sum') return values.reduce((sum, [value]) => sum + Number(value), 0);
      if (read.fn === 'avg') {
        const sum = values.reduce((total, [value]) => total + Number(value), 0);
        return finishAverage(sum, 0, values.length, read.type.kind === 'decimal' ? read.type.scale : 0);
      }
      const sorted = values.map(([value]) => value).sort((a, b) => compareNullable(a, b, types[0]));
      if (read.fn === 'min') return sorted[0];
      if (read.fn === 'max') return sorted[sorted.length - 1];
      const listed = new ListedRows(
        values.map(([value]) => value),
        null,
        false,
        types,
      );
      return AGGREGATES.get(read.fn)!.finish!(listed, { types, params: read.params, type: read.type });
    }
    const at =
      read.from === 'present' ? depth : read.from === 'first' ? own[read.offset] : own[own.length - 1 - read.offset];
    if (at === undefined || at < 0) return null;
    return this.#column(read.column, this.#start + at + read.shift, path, depth);
  }

  #column(column: number | null, position: number, path: readonly Taken[], depth: number): Datum {
    if (column !== null) return this.#rows[position]?.[column] ?? null;
    const at = position - this.#start;
    return at < 0 || at > depth ? null : this.#plan.variables[path[at].variable];
  }

  #output({ path }: Way): Row[] {
    const { rows, partitionBy, measures } = this.#plan;
    const row = (position: number) => this.#rows[position];
    const values = (depth: number) => measures.map((measure) => this.#value(measure, path, depth));
    if (rows === 'one') {
      return [[...partitionBy.map((column) => row(this.#start)[column]), ...values(path.length - 1)]];
    }
    if (path.length === 0) return rows === 'allButEmpty' ? [] : [this.#whole(this.#start, values(-1))];
    return path.flatMap((taken, depth) => (taken.excluded ? [] : [this.#whole(this.#start + depth, values(depth))]));
  }

  #whole(position: number, measures: readonly Datum[]): Row {
    const { partitionBy, orderBy, rest } = this.#plan;
    const keys = [...partitionBy];
    for (const { column } of orderBy) if (!partitionBy.includes(column)) keys.push(column);
    const row = this.#rows[position];
    return [...keys.map((column) => row[column]), ...measures, ...rest.map((column) => row[column])];
  }

  #after({ path }: Way): number {
    const { skip } = this.#plan;
    if (path.length === 0) return this.#start + 1;
    if (!('variables' in skip)) return this.#start + (skip.to === 'nextRow' ? 1 : path.length);
    const own = path.map((_, i) => i).filter((i) => skip.variables.includes(path[i].variable));
    const at = skip.to === 'first' ? own[0] : own[own.length - 1];
    return this.#start + (at === undefined || at === 0 ? path.length : at);
  }
}
