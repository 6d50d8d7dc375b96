import { compareDatums } from '../../../src/values/compare.ts';
import { addExact, type Exact } from '../../../src/values/decimal.ts';
import type { Datum, SqlType } from '../../../src/values/types.ts';
import { AGGREGATES, finishAverage } from '../../functions/aggregates.ts';
import { ListedRows } from '../../functions/group-rows.ts';
import type { MatchRead } from '../../plan/plan.ts';

export type AggregateRead = Extract<MatchRead, { kind: 'aggregate' }>;

/**
 * An aggregate over the first rows of a match, for every number of rows: stepping back in the match needs no undoing, since what
 * stands at a depth follows from the depth before.
 */
export interface PrefixAggregate {
  /** The row at `depth` counts with these arguments, or (null) not at all. */
  set(depth: number, args: readonly Datum[] | null): void;
  /** Over the rows up to and with `depth`; −1: none. */
  value(depth: number): Datum;
}

/** `types`: of the arguments. */
export function prefixAggregate(read: AggregateRead, types: readonly SqlType[]): PrefixAggregate {
  switch (read.fn) {
    case 'count':
    case 'sum':
    case 'avg':
      return new PrefixSum(read, types[0]);
    case 'min':
    case 'max':
      return new PrefixExtreme(types[0], read.fn === 'min' ? 1 : -1);
    default:
      return new ListedPrefix(read, types);
  }
}

class PrefixSum implements PrefixAggregate {
  readonly #read: AggregateRead;
  readonly #type: SqlType | undefined;
  readonly #isDouble: boolean;
  readonly #sums: Exact[] = [0];
  readonly #counts: number[] = [0];

  constructor(read: AggregateRead, type: SqlType | undefined) {
    this.#read = read;
    this.#type = type;
    this.#isDouble = type?.kind === 'double' || type?.kind === 'real';
  }

  set(depth: number, args: readonly Datum[] | null): void {
    const counts = args !== null && (args.length === 0 || args[0] !== null);
    const before = this.#sums[depth];
    this.#counts[depth + 1] = this.#counts[depth] + (counts ? 1 : 0);
    if (!counts || this.#read.fn === 'count') this.#sums[depth + 1] = before;
    else if (this.#isDouble) this.#sums[depth + 1] = (before as number) + (args[0] as number);
    else this.#sums[depth + 1] = addExact(before, args[0] as Exact);
  }

  value(depth: number): Datum {
    const sum = this.#sums[depth + 1];
    const count = this.#counts[depth + 1];
    if (this.#read.fn === 'count') return count;
    if (count === 0) return null;
    if (this.#read.fn === 'sum') return sum;
    if (this.#isDouble) return (sum as number) / count;
    const scale = this.#type?.kind === 'decimal' ? this.#type.scale : 0;
    const { type } = this.#read;
    return finishAverage(sum, scale, count, type.kind === 'decimal' ? type.scale : 0);
  }
}

class PrefixExtreme implements PrefixAggregate {
  readonly #type: SqlType;
  readonly #sign: number;
  readonly #best: Datum[] = [null];

  constructor(type: SqlType, sign: number) {
    this.#type = type;
    this.#sign = sign;
  }

  set(depth: number, args: readonly Datum[] | null): void {
    const value = args === null ? null : args[0];
    const best = this.#best[depth];
    const isBetter = value !== null && (best === null || this.#sign * compareDatums(value, best, this.#type) < 0);
    this.#best[depth + 1] = isBetter ? value : best;
  }

  value(depth: number): Datum {
    return this.#best[depth + 1];
  }
}

/** Any other aggregate: looks at all the rows again whenever it is asked. */
class ListedPrefix implements PrefixAggregate {
  readonly #read: AggregateRead;
  readonly #types: readonly SqlType[];
  readonly #rows: (readonly Datum[] | null)[] = [];

  constructor(read: AggregateRead, types: readonly SqlType[]) {
    this.#read = read;
    this.#types = types;
  }

  set(depth: number, args: readonly Datum[] | null): void {
    this.#rows[depth] = args === null ? null : [...args];
  }

  value(depth: number): Datum {
    const row = AGGREGATES.get(this.#read.fn);
    const skipped = row?.skipsNull ?? this.#types.map((_, i) => i);
    const rows = this.#rows
      .slice(0, depth + 1)
      .filter((args): args is readonly Datum[] => args !== null && skipped.every((i) => args[i] !== null));
    const second = this.#types.length > 1 ? rows.map((args) => args[1]) : null;
    const listed = new ListedRows(
      rows.map((args) => args[0]),
      second,
      false,
      this.#types,
    );
    const info = { types: this.#types, params: this.#read.params, type: this.#read.type };
    return row?.finish?.(listed, info) ?? null;
  }
}
